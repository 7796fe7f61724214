//! What is to be explained.

use crate::history::{History, Val};
use crate::limits::Limits;
use crate::model::{Model, Operation};

/// An object whose history is impossible.
pub struct Broken<'a, M: Model> {
    /// What it should have been.
    pub model: &'a M,
    /// Where it is from.
    pub history: &'a History,
    /// Its name, or [`Val::NONE`].
    pub key: Val,
    /// All of its operations.
    pub part: &'a [Operation<M::Op>],
    /// What may be spent.
    pub limits: Limits<'a>,
}
