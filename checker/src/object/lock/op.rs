//! What can be asked of a lock.

/// Acquiring or releasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockOp {
    /// By this owner; with this token, where it is known.
    Acquire(u64, Option<i64>),
    /// By this owner.
    Release(u64),
}
