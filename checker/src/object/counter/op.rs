//! What can be asked of a counter.

/// An operation on a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterOp {
    /// Added this.
    Add(i64),
    /// Found this.
    Read(i64),
}
