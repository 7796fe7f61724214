//! What can be asked of a queue or a stack: elements are put in and taken out.

use std::slice;

use crate::history::{Datum, Val};
use crate::model::Call;

/// An operation on a collection that elements are put into and taken out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementOp {
    /// Put the element in.
    Put(Val),
    /// Took the element out.
    Take(Val),
    /// Found nothing to take.
    Empty,
    /// Took whatever there was; nobody knows what.
    TakeAny,
}

impl ElementOp {
    /// Reads an operation, where putting and taking are called so.
    pub(crate) fn read(call: &Call<'_>, put: &str, take: &str) -> Result<Option<ElementOp>, String> {
        match call.result {
            _ if call.f == put => match single(call.argument, put)? {
                Val::NIL => Err(format!(
                    "{put} takes a value that is not null: {take} returns that when it is empty"
                )),
                value => Ok(Some(ElementOp::Put(value))),
            },
            None if call.f == take => Ok(Some(ElementOp::TakeAny)),
            Some(result) if call.f == take => match single(result, take)? {
                Val::NIL => Ok(Some(ElementOp::Empty)),
                value => Ok(Some(ElementOp::Take(value))),
            },
            _ => Err(format!("it takes {put} and {take}, not {}", call.f)),
        }
    }

    /// The element that it puts in.
    pub(crate) fn put(&self) -> &[Val] {
        match self {
            ElementOp::Put(value) => slice::from_ref(value),
            _ => &[],
        }
    }

    /// The element that it is known to take out.
    pub(crate) fn taken(&self) -> &[Val] {
        match self {
            ElementOp::Take(value) => slice::from_ref(value),
            _ => &[],
        }
    }

    /// One that took something, as one that took this.
    pub(crate) fn taking(&self, value: Val) -> Option<ElementOp> {
        (*self == ElementOp::TakeAny).then_some(ElementOp::Take(value))
    }
}

/// The one value that an operation of this name takes.
pub(crate) fn single(datum: Datum, what: &str) -> Result<Val, String> {
    datum
        .single()
        .ok_or_else(|| format!("{what} takes one value, not a pair"))
}
