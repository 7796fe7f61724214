//! Why a history of others can't be read.

use crate::history::HistoryError;
use crate::history::jsonl::JsonlError;

/// Why a history can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Part of the text is no event.
    #[error("line {line}: {reason}")]
    Line {
        /// From 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// The text is no format that is known.
    #[error("neither JSON lines, JSON, EDN nor a Jepsen log: begins with {begins:?}")]
    Unknown {
        /// Its first characters.
        begins: String,
    },
    /// A log that has not one operation.
    #[error(
        "begins like the log of a Jepsen test, but none of its lines is an operation, such as \"INFO  jepsen.util - 3 \
         :invoke :write 7\""
    )]
    NoLog,
    /// What is kept of the history takes more memory than it may.
    #[error(transparent)]
    Memory(HistoryError),
}

impl From<JsonlError> for FormatError {
    fn from(error: JsonlError) -> Self {
        match error {
            JsonlError::Line { line, reason } => FormatError::Line { line, reason },
            JsonlError::History { line, source } => FormatError::of(line, source),
        }
    }
}

impl FormatError {
    /// What is wrong with the operation on a line.
    pub(super) fn of(line: u64, source: HistoryError) -> Self {
        match source {
            memory @ HistoryError::Memory { .. } => FormatError::Memory(memory),
            source => FormatError::Line {
                line,
                reason: source.to_string(),
            },
        }
    }
}
