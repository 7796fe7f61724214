//! What can be asked of a queue or a stack: elements are put in and taken out; and what all such objects have in common.

use std::fmt::Debug;
use std::slice;

use crate::history::{Datum, Val, Values};
use crate::model::{Call, Decision, Operation, Shortcuts, Telling, Words};
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
pub(crate) struct ElementWords {
    /// What became of an element that was taken.
    pub taken: &'static str,
    /// And of one that was put in.
    pub put: &'static str,
    /// What is wrong with the order in which two elements were taken that were put in one after the other, if it is.
    pub order: fn(&Telling<'_, ElementOp>, first: &Stay<'_>, second: &Stay<'_>) -> Option<String>,
}

impl ElementWords {
    /// What any such object may have done wrong with one element, or with none.
    fn tell_of_one(&self, telling: &Telling<'_, ElementOp>) -> Option<String> {
        let count = |op: ElementOp| telling.part.iter().filter(|other| other.op == op).count();
        match telling.culprit.op {
            ElementOp::Take(value) => {
                let (takes, puts) = (count(ElementOp::Take(value)), count(ElementOp::Put(value)));
                let (taken, put) = (self.taken, self.put);
                let value = telling.value(value);
                match (takes, puts) {
                    (2, 1) => Some(format!("{value} was {taken} twice, and {put} once")),
                    (3.., _) if takes > puts => Some(format!(
                        "{value} was {taken} {takes} times, and {put} {puts} times"
                    )),
                    _ => None,
                }
            }
            ElementOp::Empty => {
                let taken = |value| may_be_taken(telling, value, telling.culprit.ret);
                let left = telling.earlier().find_map(|other| match other.op {
                    ElementOp::Put(value) if !taken(value) => Some((other, value)),
                    _ => None,
                });
                let (put, value) = left?;
                Some(format!(
                    "{} found it empty, while {}, {} by {} before, had not been {}",
                    telling.who(telling.culprit),
                    telling.value(value),
                    self.put,
                    telling.who(put),
                    self.taken
                ))
            }
            ElementOp::Put(_) | ElementOp::TakeAny => None,
        }
    }
}

impl ElementWords {
    fn tell_of_two(&self, telling: &Telling<'_, ElementOp>) -> Option<String> {
        let stays = stays(telling)?;
        let pairs = stays
            .iter()
            .flat_map(|first| stays.iter().map(move |second| (first, second)));
        pairs
            .filter(|(first, second)| telling.before(first.put, second.put))
            .find_map(|(first, second)| (self.order)(telling, first, second))
    }
}

/// Whether somebody who asked before that event may have taken this element.
pub(crate) fn may_be_taken(telling: &Telling<'_, ElementOp>, value: Val, before: u32) -> bool {
    let took = |op| op == ElementOp::TakeAny || op == ElementOp::Take(value);
    telling
        .part
        .iter()
        .any(|other| took(other.op) && other.invoke < before)
}

/// Where an element was put in and where it was taken, of a proof that has each of it at most once.
pub(crate) struct Stay<'a> {
    pub value: Val,
    pub put: &'a Operation<ElementOp>,
    pub take: Option<&'a Operation<ElementOp>>,
}

/// The stays of all elements of a proof; `None` if one is put in or taken more than once.
fn stays<'a>(telling: &Telling<'a, ElementOp>) -> Option<Vec<Stay<'a>>> {
    let mut stays: Vec<Stay<'a>> = Vec::new();
    for put in telling.core {
        if let ElementOp::Put(value) = put.op {
            if stays.iter().any(|stay| stay.value == value) {
                return None;
            }
            stays.push(Stay {
                value,
                put,
                take: None,
            });
        }
    }
    for take in telling.core {
        if let ElementOp::Take(value) = take.op {
            let stay = stays.iter_mut().find(|stay| stay.value == value)?;
            if stay.take.replace(take).is_some() {
                return None;
            }
        }
    }
    Some(stays)
}

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

    fn tell(&self, telling: &Telling<'_, ElementOp>) -> Option<String> {
        self.tell_of_one(telling).or_else(|| self.tell_of_two(telling))
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
