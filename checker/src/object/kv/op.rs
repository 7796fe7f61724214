//! What can be asked of a map.

use std::sync::Arc;

use crate::history::Val;
use crate::object::shared::print::Print;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stored {
    /// Nothing.
    Absent,
    /// Something that is no string.
    Value(Val),
    /// A string.
    Text(Print),
}

/// Which texts that somebody wrote stand one behind the other in a text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pieces {
    /// Nobody has looked, or it can't be told: what was written can't be told apart.
    #[default]
    Unknown,
    /// Something in it was written by nobody.
    Foreign,
    /// These, by their names.
    Of(Arc<[Val]>),
}

/// An operation on one key. The names of values are for explanations, and for the decision without search.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KvOp {
    /// Found this, which somebody put together from these pieces.
    Get(Stored, Val, Pieces),
    /// Set this.
    Put(Stored, Val),
    /// Added this at the end.
    Append(Print, Val),
    /// Removed it.
    Delete,
}
