//! A list that only grows: `append` and `read`.
//!
//! `{"f":"append","key":"a","value":7}`, and at the completion `{"f":"read","key":"a","value":[3,7]}`. It begins empty,
//! which a read may show as `null`. Elements appended to one list should be unique, or nothing tells them apart.

use super::{Call, Model};
use crate::history::Val;

/// An operation on a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListOp {
    /// Put this at the end.
    Append(Val),
    /// Found these.
    Read(Box<[Val]>),
}

/// A list that only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List;

impl Model for List {
    type Op = ListOp;
    type State = Box<[Val]>;

    fn name(&self) -> &'static str {
        "list"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<ListOp>, String> {
        match (call.f, call.result) {
            ("append", _) => match call.argument.single() {
                Some(element) => Ok(Some(ListOp::Append(element))),
                None => Err("an append takes one element, not a pair".to_owned()),
            },
            ("read", None) => Ok(None),
            ("read", Some(result)) => match (result.single(), result.pair()) {
                (Some(Val::NIL), _) => Ok(Some(ListOp::Read(Box::default()))),
                (_, Some((first, second))) => Ok(Some(ListOp::Read([first, second].into()))),
                (Some(list), None) => match call.values.list(list) {
                    Some(elements) => Ok(Some(ListOp::Read(elements.into()))),
                    None => Err("a read returns a list".to_owned()),
                },
                (None, None) => Err("a read returns a list".to_owned()),
            },
            (f, _) => Err(format!("a list takes append and read, not {f}")),
        }
    }

    fn initial(&self) -> Box<[Val]> {
        Box::default()
    }

    fn step(&self, state: &Box<[Val]>, op: &ListOp, next: &mut Vec<Box<[Val]>>) {
        match op {
            ListOp::Append(element) => next.push(state.iter().copied().chain([*element]).collect()),
            ListOp::Read(found) if found == state => next.push(state.clone()),
            ListOp::Read(_) => {}
        }
    }

    fn observes_only(&self, op: &ListOp) -> bool {
        matches!(op, ListOp::Read(_))
    }
}
