//! A set: `add`, `remove`, `contains` and `read`.
//!
//! `add v`, `remove v`, `contains v` → `true` or `false`, `read` → `[v, …]`. It begins empty.

mod elements;
mod growing;
mod op;
mod words;

use std::slice;
use std::sync::Arc;

pub use self::op::SetOp;
use crate::history::{Val, Values};
use crate::model::{Call, Decision, Hints, Model, Operation, Part, Shortcuts, Telling, Words};
use crate::object::shared::element_op::single;
use crate::object::shared::lists::show_list;

/// So many elements of a read are worth being explained one by one.
const FEW: usize = 8;

/// A set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set;

impl Model for Set {
    type Op = SetOp;
    /// Elements in order of their names.
    type State = Vec<Val>;

    fn name(&self) -> &'static str {
        "set"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<SetOp>, String> {
        match (call.f, call.result) {
            ("add", _) => single(call.argument, "add").map(|value| Some(SetOp::Add(value))),
            ("remove", _) => single(call.argument, "remove").map(|value| Some(SetOp::Remove(value))),
            ("contains" | "read", None) => Ok(None),
            ("contains", Some(result)) => {
                let value = single(call.argument, "contains")?;
                match call.values.bool(result.first) {
                    Some(found) => Ok(Some(SetOp::Contains(value, found))),
                    None => Err("contains returns true or false".to_owned()),
                }
            }
            ("read", Some(result)) => {
                let mut elements = match result.pair() {
                    Some((first, second)) => vec![first, second],
                    None if result.first.is_nil() => Vec::new(),
                    None => match call.values.list(result.first) {
                        Some(elements) => elements.to_vec(),
                        None => return Err("a read of a set returns a list".to_owned()),
                    },
                };
                elements.sort_unstable();
                elements.dedup();
                Ok(Some(SetOp::Read(Arc::new(elements))))
            }
            (f, _) => Err(format!("a set takes add, remove, contains and read, not {f}")),
        }
    }

    fn initial(&self) -> Vec<Val> {
        Vec::new()
    }

    fn step(&self, state: &Vec<Val>, op: &SetOp, next: &mut Vec<Vec<Val>>) {
        let mut state = state.clone();
        if self.apply(&mut state, op) == Some(true) {
            next.push(state);
        }
    }

    fn hints(&self) -> &impl Hints<SetOp, Vec<Val>> {
        self
    }

    fn words(&self) -> &impl Words<SetOp, Vec<Val>> {
        self
    }

    fn shortcuts(&self) -> &impl Shortcuts<SetOp> {
        self
    }
}

impl Hints<SetOp, Vec<Val>> for Set {
    fn observes_only(&self, op: &SetOp) -> bool {
        matches!(op, SetOp::Contains(..) | SetOp::Read(_))
    }

    fn apply(&self, state: &mut Vec<Val>, op: &SetOp) -> Option<bool> {
        match op {
            SetOp::Add(value) => {
                if let Err(at) = state.binary_search(value) {
                    state.insert(at, *value);
                }
            }
            SetOp::Remove(value) => {
                if let Ok(at) = state.binary_search(value) {
                    state.remove(at);
                }
            }
            SetOp::Contains(value, found) => return Some(state.binary_search(value).is_ok() == *found),
            SetOp::Read(elements) => return Some(**elements == *state),
        }
        Some(true)
    }

    fn heap_bytes(&self, state: &Vec<Val>) -> usize {
        state.capacity() * size_of::<Val>()
    }
}

impl Words<SetOp, Vec<Val>> for Set {
    fn show(&self, state: &Vec<Val>, values: &Values) -> String {
        show_list(state.iter().copied(), values)
    }

    fn produces<'op>(&self, op: &'op SetOp) -> &'op [Val] {
        match op {
            SetOp::Add(value) => slice::from_ref(value),
            _ => &[],
        }
    }

    fn needs<'op>(&self, op: &'op SetOp) -> &'op [Val] {
        match op {
            SetOp::Contains(value, true) => slice::from_ref(value),
            // Of a long list most elements have nothing to do with what is wrong.
            SetOp::Read(elements) if elements.len() <= FEW => elements,
            _ => &[],
        }
    }

    fn tell(&self, telling: &Telling<'_, SetOp>) -> Option<String> {
        words::tell(telling)
    }
}

impl Shortcuts<SetOp> for Set {
    fn divide(&self, part: &[Operation<SetOp>]) -> Option<Vec<Part<SetOp>>> {
        elements::divide(part)
    }

    fn decide(&self, part: &[Operation<SetOp>]) -> Option<Decision> {
        elements::decide(part).or_else(|| growing::decide(part))
    }

    fn focus(&self, core: &[Operation<SetOp>]) -> Option<Part<SetOp>> {
        growing::focus(core)
    }
}
