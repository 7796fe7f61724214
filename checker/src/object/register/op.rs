//! What can be asked of a register.

use crate::history::Val;

/// An operation on a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegisterOp {
    /// Found this value.
    Read(Val),
    /// Set this value.
    Write(Val),
    /// Found the first and set the second.
    Cas(Val, Val),
    /// Found something else than this: a compare-and-set that was refused.
    Mismatch(Val),
}

impl RegisterOp {
    /// The value that the register held after it, if it says so.
    pub(super) fn value(self) -> Option<Val> {
        match self {
            RegisterOp::Read(value) | RegisterOp::Write(value) | RegisterOp::Cas(_, value) => Some(value),
            RegisterOp::Mismatch(_) => None,
        }
    }
}
