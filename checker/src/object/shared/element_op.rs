//! What can be asked of a queue or a stack: elements are put in and taken out; and what all such objects have in common.

use std::fmt::Debug;
use std::slice;

use crate::history::{Datum, Val, Values};
use crate::model::{Call, Decision, Operation, Shortcuts, Words};
use crate::object::shared::lists::show_list;

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
    fn put(&self) -> &[Val] {
        match self {
            ElementOp::Put(value) => slice::from_ref(value),
            _ => &[],
        }
    }

    /// The element that it is known to take out.
    fn taken(&self) -> &[Val] {
        match self {
            ElementOp::Take(value) => slice::from_ref(value),
            _ => &[],
        }
    }
}

/// The words of an object whose state is a list of its elements.
pub(crate) struct ElementWords;

impl<State: Debug> Words<ElementOp, State> for ElementWords
where
    for<'s> &'s State: IntoIterator<Item = &'s Val, IntoIter: ExactSizeIterator>,
{
    fn show(&self, state: &State, values: &Values) -> String {
        show_list(state.into_iter().copied(), values)
    }

    fn produces<'op>(&self, op: &'op ElementOp) -> &'op [Val] {
        op.put()
    }

    fn needs<'op>(&self, op: &'op ElementOp) -> &'op [Val] {
        op.taken()
    }
}

/// The shortcuts of an object of elements: what decides different ones without search.
pub(crate) struct ElementShortcuts(pub fn(&[Operation<ElementOp>]) -> Option<Decision>);

impl Shortcuts<ElementOp> for ElementShortcuts {
    fn decide(&self, part: &[Operation<ElementOp>]) -> Option<Decision> {
        self.0(part)
    }

    /// One that took something, as one that took this.
    fn taking(&self, op: &ElementOp, value: Val) -> Option<ElementOp> {
        (*op == ElementOp::TakeAny).then_some(ElementOp::Take(value))
    }
}

/// The one value that an operation of this name takes.
pub(crate) fn single(datum: Datum, what: &str) -> Result<Val, String> {
    datum
        .single()
        .ok_or_else(|| format!("{what} takes one value, not a pair"))
}
