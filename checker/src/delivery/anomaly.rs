//! What can be wrong with the delivery of a message, by name, and what may have caused it.
//!
//! Names of streams and their definitions are those of `jepsen.tests.kafka` (Kingsbury, Jepsen 0.3, `tests/kafka.clj`);
//! [`stream`](super::stream) says where a definition differs.

/// One kind of anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Anomaly {
    /// Queue: acknowledged, and never delivered although the queue was drained.
    Lost,
    /// Queue: delivered once more.
    DuplicateDelivery,
    /// Queue: delivered once more after its acknowledgement by a consumer had been acknowledged.
    Resurrected,
    /// Queue: two deliveries of it were acknowledged.
    DuplicateAck,
    /// Nobody had sent it.
    Phantom,
    /// Queue: its enqueue had failed.
    AbortedDelivered,
    /// An order that was promised is not kept.
    Reordered,
    /// Queue: acknowledged, and at the end neither delivered nor known to be lost.
    Stuck,
    /// Stream: two messages at one offset.
    InconsistentOffsets,
    /// Stream: one message at two offsets.
    Duplicate,
    /// Stream: acknowledged, and nobody polled it though somebody polled what lies behind it.
    LostWrite,
    /// Stream: its send had failed, and a poll that succeeded shows it (Adya's G1a).
    G1a,
    /// Stream: a transaction polls what it sent itself.
    PrecommittedRead,
    /// Stream: within one transaction, a poll passes over messages.
    IntPollSkip,
    /// Stream: within one transaction, a poll goes back or stays.
    IntNonmonotonicPoll,
    /// Stream: within one transaction, messages of others lie between two that it sent.
    IntSendSkip,
    /// Stream: within one transaction, a later send has a lower offset.
    IntNonmonotonicSend,
    /// Stream: from one operation to the next, a consumer passes over messages.
    PollSkip,
    /// Stream: from one operation to the next, a consumer goes back or stays.
    NonmonotonicPoll,
    /// Stream: from one operation to the next, a producer's later send has a lower offset.
    NonmonotonicSend,
    /// Stream: acknowledged, and at the end polled by nobody.
    Unseen,
    /// Stream: nothing is known to be at an offset between others.
    Gap,
    /// Stream: each of some transactions sent before the next one, in a circle (Adya's G0).
    G0,
    /// Stream: each of some transactions sent before the next one, or sent what that one polled, in a circle (Adya's G1c).
    G1c,
    /// Stream: each of some transactions polled what the one before it sent, in a circle: G1c of polls alone.
    G1cPolled,
    /// Stream: a circle as in G1c, but for one transaction that did not poll what the next one sent (G-single).
    GSingle,
    /// Stream: the same with several that did not (Adya's G2).
    G2,
    /// Stream: a group has come past a message that none of its members polled.
    GroupPollSkip,
    /// Stream: two members of a group polled one message, and no change of hands explains it.
    GroupDuplicate,
    /// Stream: nothing was made of a message, though something was made of one behind it.
    MissingOutput,
    /// Stream: a group has come past a message of which nothing was made.
    CommittedWithoutOutput,
    /// Stream: two outputs of one message.
    DuplicateOutput,
    /// Stream: an output was committed together with how far its group has come, and the group was told later that it has not.
    OutputWithoutCommit,
    /// Stream: an output of a message that was not there.
    OutputBeforeInput,
    /// Stream: an output of an earlier epoch of its producer behind one of a later.
    ZombieOutput,
    /// Effects: acknowledged, and not in the final state.
    LostEffect,
    /// Effects: more of it in the final state than was asked for.
    DuplicateEffect,
    /// Effects: in the final state though its request had failed.
    AbortedEffect,
    /// Effects: in the final state, and nobody had asked for it.
    PhantomEffect,
    /// Effects: the final state is not the acknowledged effects with any of the ambiguous ones, however it came.
    UnexplainedEffect,
}

/// What an anomaly breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Breach {
    /// Something is gone: `at-least-once`.
    Loss,
    /// Something is there twice: `at-most-once`.
    Duplication,
    /// One of the two, and nobody can say which: `exactly-once`.
    LossOrDuplication,
    /// What no promise allows.
    Integrity,
    /// An order that was promised.
    Order,
    /// It leaves open whether something is lost.
    Doubt,
    /// Nothing: it is counted.
    Nothing,
}

impl Anomaly {
    /// Its name in verdicts and docs.
    pub fn name(self) -> &'static str {
        match self {
            Anomaly::Lost => "lost",
            Anomaly::DuplicateDelivery => "duplicate-delivery",
            Anomaly::Resurrected => "resurrected",
            Anomaly::DuplicateAck => "duplicate-ack",
            Anomaly::Phantom => "phantom",
            Anomaly::AbortedDelivered => "aborted-delivered",
            Anomaly::Reordered => "reordered",
            Anomaly::Stuck => "stuck",
            Anomaly::InconsistentOffsets => "inconsistent-offsets",
            Anomaly::Duplicate => "duplicate",
            Anomaly::LostWrite => "lost-write",
            Anomaly::G1a => "G1a",
            Anomaly::PrecommittedRead => "precommitted-read",
            Anomaly::IntPollSkip => "int-poll-skip",
            Anomaly::IntNonmonotonicPoll => "int-nonmonotonic-poll",
            Anomaly::IntSendSkip => "int-send-skip",
            Anomaly::IntNonmonotonicSend => "int-nonmonotonic-send",
            Anomaly::PollSkip => "poll-skip",
            Anomaly::NonmonotonicPoll => "nonmonotonic-poll",
            Anomaly::NonmonotonicSend => "nonmonotonic-send",
            Anomaly::Unseen => "unseen",
            Anomaly::Gap => "gap",
            Anomaly::G0 => "G0",
            Anomaly::G1c => "G1c",
            Anomaly::G1cPolled => "G1c-polled",
            Anomaly::GSingle => "G-single",
            Anomaly::G2 => "G2",
            Anomaly::GroupPollSkip => "group-poll-skip",
            Anomaly::GroupDuplicate => "group-duplicate",
            Anomaly::MissingOutput => "missing-output",
            Anomaly::DuplicateOutput => "duplicate-output",
            Anomaly::CommittedWithoutOutput => "committed-without-output",
            Anomaly::OutputWithoutCommit => "output-without-commit",
            Anomaly::OutputBeforeInput => "output-before-input",
            Anomaly::ZombieOutput => "zombie-output",
            Anomaly::LostEffect => "lost-effect",
            Anomaly::DuplicateEffect => "duplicate-effect",
            Anomaly::AbortedEffect => "aborted-effect",
            Anomaly::PhantomEffect => "phantom-effect",
            Anomaly::UnexplainedEffect => "unexplained-effect",
        }
    }

    /// What it breaks.
    pub fn breach(self) -> Breach {
        match self {
            Anomaly::Lost
            | Anomaly::LostWrite
            | Anomaly::IntPollSkip
            | Anomaly::PollSkip
            | Anomaly::GroupPollSkip
            | Anomaly::MissingOutput
            | Anomaly::CommittedWithoutOutput
            | Anomaly::LostEffect => Breach::Loss,
            Anomaly::DuplicateDelivery
            | Anomaly::Resurrected
            | Anomaly::DuplicateAck
            | Anomaly::Duplicate
            | Anomaly::GroupDuplicate
            | Anomaly::DuplicateOutput
            | Anomaly::OutputWithoutCommit
            | Anomaly::DuplicateEffect => Breach::Duplication,
            Anomaly::UnexplainedEffect => Breach::LossOrDuplication,
            Anomaly::Phantom
            | Anomaly::AbortedDelivered
            | Anomaly::InconsistentOffsets
            | Anomaly::G1a
            | Anomaly::PrecommittedRead
            | Anomaly::G0
            | Anomaly::G1c
            | Anomaly::G1cPolled
            | Anomaly::GSingle
            | Anomaly::G2
            | Anomaly::OutputBeforeInput
            | Anomaly::ZombieOutput
            | Anomaly::AbortedEffect
            | Anomaly::PhantomEffect => Breach::Integrity,
            Anomaly::Reordered
            | Anomaly::IntNonmonotonicPoll
            | Anomaly::IntNonmonotonicSend
            | Anomaly::NonmonotonicPoll
            | Anomaly::NonmonotonicSend => Breach::Order,
            Anomaly::Stuck | Anomaly::Unseen => Breach::Doubt,
            Anomaly::IntSendSkip | Anomaly::Gap => Breach::Nothing,
        }
    }
}

/// What an anomaly may have come from: the likeliest that the history shows, no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Its request was tried again after an attempt of which nobody knew what became.
    ClientRetry,
    /// A request was sent again after its answer, on purpose.
    Replay,
    /// Its producer began another session between its send and that.
    SessionChange,
    /// It was given out again, before its acknowledgement.
    Redelivery,
    /// The partition changed hands meanwhile.
    Rebalance,
    /// Nodes were restarted between its send and that.
    Restart,
    /// The history shows none of these.
    Unknown,
}

impl Cause {
    /// In verdicts and docs.
    pub fn name(self) -> &'static str {
        match self {
            Cause::ClientRetry => "client retry after an ambiguous answer",
            Cause::Replay => "request sent again after its answer",
            Cause::SessionChange => "producer session change",
            Cause::Redelivery => "redelivery",
            Cause::Rebalance => "rebalance",
            Cause::Restart => "restart",
            Cause::Unknown => "unknown",
        }
    }
}
