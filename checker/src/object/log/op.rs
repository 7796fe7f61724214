//! What can be asked of a log.

use crate::history::Val;

/// An operation on a log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogOp {
    /// Put the value at the end; at this offset, where it is known.
    Append(Val, Option<i64>),
    /// Found exactly this.
    Read(Box<[Val]>),
}
