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
}
