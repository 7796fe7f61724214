//! What is told of each defect: one entry each, from which the command line, calibration and `docs/specimen.md` have it.

use super::Defect;

impl Defect {
    /// The name on the command line, e.g. `ack-before-sync`.
    pub const fn name(self) -> &'static str {
        about(self).name
    }

    /// What the specimen does wrong.
    pub const fn what(self) -> &'static str {
        about(self).what
    }

    /// The fault or load that reveals it.
    pub const fn revealed_by(self) -> &'static str {
        about(self).revealed_by
    }

    /// The property that does not hold any more.
    pub const fn breaks(self) -> &'static str {
        about(self).breaks
    }
}

/// What is told of a defect.
struct About {
    name: &'static str,
    what: &'static str,
    revealed_by: &'static str,
    breaks: &'static str,
}

/// The entry of a defect.
const fn about(defect: Defect) -> About {
    match defect {
        Defect::StaleRead => About {
            name: "stale-read",
            what: "any node answers a linearizable read from its own state, without asking whether it still leads",
            revealed_by: "reads from followers under load; more so from a node that a partition cut off",
            breaks: "linearizable (stale reads)",
        },
        Defect::AckBeforeQuorum => About {
            name: "ack-before-quorum",
            what: "the leader answers put and delete when its own log has the entry, not when a majority has it",
            revealed_by: "partition or kill of the leader under writes",
            breaks: "durability: acknowledged writes are lost",
        },
        Defect::AckBeforeSync => About {
            name: "ack-before-sync",
            what: "log entries are acknowledged before they are durable; a background commit follows every 300 ms",
            revealed_by: "kill -9 of a majority, or of all nodes, at once under writes",
            breaks: "durability: acknowledged writes are lost",
        },
        Defect::LeaseByWallclock => About {
            name: "lease-by-wallclock",
            what: "the leader counts its lease on CLOCK_REALTIME, so a clock set back makes the lease last longer",
            revealed_by: "lease reads, the leader partitioned and its clock set back",
            breaks: "linearizable (stale reads)",
        },
        Defect::SplitCas => About {
            name: "split-cas",
            what: "cas compares with the leader's state and then logs a plain put: two at once can both succeed",
            revealed_by: "contention: several clients cas the same hot key, no fault needed",
            breaks: "linearizable (lost updates)",
        },
        Defect::LostOnCompaction => About {
            name: "lost-on-compaction",
            what: "a snapshot is stamped with what is applied when it is written, but its data was copied before",
            revealed_by: "kill and restart of nodes, then of the leader, under writes to many keys",
            breaks: "durability: acknowledged writes are lost, replicas diverge",
        },
        Defect::DoubleApply => About {
            name: "double-apply",
            what: "the state machine does not consult the session table: a retried request is applied twice",
            revealed_by: "clients that retry with a token while the leader is paused, cut off or killed",
            breaks: "exactly-once",
        },
        Defect::ReviveDeleted => About {
            name: "revive-deleted",
            what: "installing a snapshot adds its keys to the state and keeps the keys that it no longer has",
            revealed_by: "a follower cut off until its log is compacted away, under deletes, which later leads",
            breaks: "linearizable (deleted values return), replicas diverge",
        },
        Defect::NoChecksum => About {
            name: "no-checksum",
            what: "what the log's records hold is not checked, and a record that can't be read counts as one that does nothing",
            revealed_by: "bit-rot in the log of a node that then restarts, and later leads",
            breaks: "linearizable (values that nobody wrote, lost writes), replicas diverge",
        },
        Defect::IgnoresEio => About {
            name: "ignores-eio",
            what: "a write or sync of the log that fails is taken for done",
            revealed_by: "disk-error at one node after the other, and their kill",
            breaks: "durability: acknowledged writes are lost",
        },
        Defect::TrustsWallClockTtl => About {
            name: "trusts-wall-clock-ttl",
            what: "the leader ends the lease of a lock when CLOCK_REALTIME says so, and that can be set ahead",
            revealed_by: "clock-jump ahead of a leader while locks are held",
            breaks: "mutual-exclusion",
        },
        Defect::TornLogTail => About {
            name: "torn-log-tail",
            what: "at start the log is read up to the first bad record, which stays where it is: new ones go behind it",
            revealed_by: "torn-write at one node after the other, writes, and their kill",
            breaks: "durability: acknowledged writes are lost",
        },
        Defect::RequeueAcked => About {
            name: "requeue-acked",
            what: "the end of a lease puts its message back into the queue, also if it has been acknowledged while that was on its way",
            revealed_by: "consumers that acknowledge when their lease is about to end, the more the slower the network is",
            breaks: "exactly-once (resurrected messages)",
        },
        Defect::DedupInMemory => About {
            name: "dedup-in-memory",
            what: "which requests have run is kept in the leader's memory: another leader, or a restarted one, runs a retry again",
            revealed_by: "producers that retry with a token while the leader is killed, paused or cut off",
            breaks: "exactly-once (messages are there twice)",
        },
        Defect::DedupLostInSnapshot => About {
            name: "dedup-lost-in-snapshot",
            what: "what is restored from a snapshot lacks the session table: a retry of what ran before it runs again",
            revealed_by: "nodes that are killed and restarted, with snapshots taken often, while producers retry late",
            breaks: "exactly-once (messages are there twice), replicas diverge",
        },
        Defect::DedupWindowTooShort => About {
            name: "dedup-window-too-short",
            what: "the session table keeps the last eight clients, and forgets what others have run",
            revealed_by: "more producers than that, which retry with a token after a time-out",
            breaks: "exactly-once (messages are there twice)",
        },
        Defect::AckNotReplicated => About {
            name: "ack-not-replicated",
            what: "the leader takes an ack by its own state and answers, without putting it into the log",
            revealed_by: "a change of leader: kill, pause or partition of it",
            breaks: "exactly-once (resurrected messages), replicas diverge",
        },
        Defect::DropsWhenFull => About {
            name: "drops-when-full",
            what: "an enqueue that finds its queue full is answered as if it had been done",
            revealed_by: "producers that are faster than consumers, until a queue is full; no fault needed",
            breaks: "at-least-once (acknowledged messages are lost)",
        },
        Defect::ReordersOnRetry => About {
            name: "reorders-on-retry",
            what: "a retried enqueue moves its message to the head of the queue, as if it had been given back",
            revealed_by: "producers that retry with a token, and a queue in which messages wait",
            breaks: "first in, first out (reordered messages)",
        },
        Defect::OffsetByLeader => About {
            name: "offset-by-leader",
            what: "the leader takes the offsets that a group commits into its own state and answers, without putting them into the log",
            revealed_by: "a change of leader: kill, pause or partition of it, while consumers commit and groups rebalance",
            breaks: "exactly-once (messages are processed twice), replicas diverge",
        },
        Defect::NoFencing => About {
            name: "no-fencing",
            what: "a new session of a producer does not end the one before: older epochs go on sending and committing",
            revealed_by: "producers that begin a new session while requests of the old one are on their way",
            breaks: "exactly-once (zombie outputs, messages are there twice)",
        },
        Defect::TxnInTwoSteps => About {
            name: "txn-in-two-steps",
            what: "a commit is two commands, one that shows what was sent and one that commits offsets; if the second fails, nobody makes up for it",
            revealed_by: "kill, pause or partition of the leader while transactions commit",
            breaks: "exactly-once (outputs without their offsets: messages are processed twice)",
        },
        Defect::LateCommitWins => About {
            name: "late-commit-wins",
            what: "a commit does not look at the number of its transaction: one that comes late commits the next one",
            revealed_by: "commits that are retried or delayed until the producer's next transaction is open",
            breaks: "exactly-once (aborted messages are shown, outputs without their offsets)",
        },
        Defect::AcceptsReplayed => About {
            name: "accepts-replayed",
            what: "a request older than what is remembered of its client or producer is carried out again, and not refused",
            revealed_by: "a captured request that is sent again after later ones",
            breaks: "exactly-once (messages are there twice)",
        },
    }
}
