//! What explanations need to know of a model: how a state reads, and which values an operation brings in or needs.

use std::fmt::Debug;

use super::plain::Plain;
use super::telling::Telling;
use crate::history::{Val, Values};

/// A model's words for explanations, each with a default.
pub trait Words<Op, State: Debug> {
    /// A state as a person reads it.
    fn show(&self, state: &State, _values: &Values) -> String {
        format!("{state:?}")
    }

    /// The values that the operation brings in: while a witness has a read of one, it keeps this operation.
    fn produces<'op>(&self, _op: &'op Op) -> &'op [Val] {
        &[]
    }

    /// The value that the operation found there by succeeding, where that is not its result.
    fn found(&self, _op: &Op) -> Option<Val> {
        None
    }

    /// The value that the operation found not to be there, of an object that holds one value at a time.
    fn denies(&self, _op: &Op) -> Option<Val> {
        None
    }

    /// An operation that brings in this value whatever was there, of an object that holds one value at a time. A proof has
    /// it in the place of one of which nothing else matters. [`Val::NONE`] is a value that no operation has.
    fn bringing(&self, _value: Val) -> Option<Op> {
        None
    }

    /// What happened, in the object's own words: `2 was taken before 1, which had been put in first`. `None` where none fit:
    /// then it is told by the values that operations bring in and need.
    fn tell(&self, _telling: &Telling<'_, Op>) -> Option<String> {
        None
    }

    /// The values that the operation needs somebody to have brought in.
    fn needs<'op>(&self, _op: &'op Op) -> &'op [Val] {
        &[]
    }
}

impl<Op, State: Debug> Words<Op, State> for Plain {}
