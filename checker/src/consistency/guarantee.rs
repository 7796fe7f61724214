//! The weaker promises, and what is said about one.

/// A promise weaker than linearizability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guarantee {
    /// A process sees its own writes.
    ReadYourWrites,
    /// What a process reads never steps back.
    MonotonicReads,
    /// The writes of a process take effect in its order.
    MonotonicWrites,
    /// A write takes effect after what its process had read.
    WritesFollowReads,
    /// Nobody sees an effect without its cause.
    Causal,
    /// One order of all operations keeps every process's own.
    Sequential,
}

/// Whether a promise was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Nothing contradicts it.
    Yes,
    /// These rows of the history do.
    No(Vec<u32>),
    /// It can't be said, and why.
    Unknown(String),
}

impl Guarantee {
    /// All of them, as a report names them.
    pub const ALL: [Guarantee; 6] = [
        Guarantee::ReadYourWrites,
        Guarantee::MonotonicReads,
        Guarantee::MonotonicWrites,
        Guarantee::WritesFollowReads,
        Guarantee::Causal,
        Guarantee::Sequential,
    ];

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Guarantee::ReadYourWrites => "read your writes",
            Guarantee::MonotonicReads => "monotonic reads",
            Guarantee::MonotonicWrites => "monotonic writes",
            Guarantee::WritesFollowReads => "writes follow reads",
            Guarantee::Causal => "causal consistency",
            Guarantee::Sequential => "sequential consistency of each object",
        }
    }
}
