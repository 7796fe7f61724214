//! Why a history can't be read as operations.

/// Why a history can't be read as operations.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// A completion without an invocation.
    #[error("event {index}: process {process} completes an operation that it never invoked")]
    Unmatched {
        /// Index of the completion.
        index: u64,
        /// The process.
        process: u64,
    },
    /// An index that is not above the one before: which of the two happened first?
    #[error(
        "event {index} stands after event {before}: indices must grow, so give each event its own, or none of them any"
    )]
    Unordered {
        /// Index of the event.
        index: u64,
        /// Index of the one before.
        before: u64,
    },
    /// A completion that says something else than its invocation.
    #[error(
        "event {index}: process {process} completes {completed}, but what it invoked is {invoked}; one of the two is \
         wrong"
    )]
    Mismatch {
        /// Index of the completion.
        index: u64,
        /// The process.
        process: u64,
        /// What was invoked, e.g. `write 1 on "x"`.
        invoked: String,
        /// What was completed.
        completed: String,
    },
    /// A number of a process that is too large to be kept.
    #[error("event {index}: process {process} has too large a number: use numbers below {max}")]
    Process {
        /// Index of the event.
        index: u64,
        /// The process.
        process: u64,
        /// Numbers must be below.
        max: u64,
    },
    /// More kinds of operations than are told apart.
    #[error("the history has more than {max} kinds of operations: is its f the name of a function?")]
    Functions {
        /// How many there may be.
        max: u64,
    },
    /// What is kept of the history takes more memory than it may.
    #[error("the history takes more than {mib} MiB of memory")]
    Memory {
        /// MiB that it may take.
        mib: u64,
    },
    /// More events than the checkers number.
    #[error("the history has more than {max} events: check it in parts")]
    TooLong {
        /// How many there may be.
        max: u64,
    },
}
