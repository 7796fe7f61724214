//! Why a history can't be checked.

use crate::history::HistoryError;

/// Why a history can't be checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// No model has this name.
    #[error("unknown model {name:?}: choose one of {choices}")]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// What there is.
        choices: String,
    },
    /// The model can't read an operation.
    #[error("event {index}: {reason}")]
    Operation {
        /// Index of its invocation.
        index: u64,
        /// What the model takes.
        reason: String,
    },
    /// The events are no history.
    #[error(transparent)]
    History(#[from] HistoryError),
}
