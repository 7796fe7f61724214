//! What can be asked of a register with versions.

use crate::history::Val;

/// An operation on a register with versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionedOp {
    /// The version after it, where it is known.
    pub version: Option<i64>,
    /// What it did.
    pub what: Versioned,
}

/// What an operation on a register with versions did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Versioned {
    /// Found this.
    Read(Val),
    /// Set this.
    Write(Val),
    /// Found the first and set the second.
    Cas(Val, Val),
    /// Found something else than this: a compare-and-set that was refused.
    Mismatch(Val),
}
