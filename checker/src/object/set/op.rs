//! What can be asked of a set.

use std::sync::Arc;

use crate::history::Val;

/// An operation on a set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SetOp {
    /// Put the element in.
    Add(Val),
    /// Took the element out.
    Remove(Val),
    /// Looked for the element, and whether it was there.
    Contains(Val, bool),
    /// Found exactly these, in order of their names. Shared, since operations are copied, and one word long.
    Read(Arc<Vec<Val>>),
}

impl SetOp {
    /// The element that it is about; `None`: the whole set.
    pub fn element(&self) -> Option<Val> {
        match self {
            SetOp::Add(value) | SetOp::Remove(value) | SetOp::Contains(value, _) => Some(*value),
            SetOp::Read(_) => None,
        }
    }
}
