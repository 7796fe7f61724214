//! A stack: last in, first out.
//!
//! `push v`; `pop` → `v`, or `null`: it was empty. It begins empty. An unknown `pop` took the last element, or nothing
//! if there was none.

mod direct;
mod tree;
mod words;

use crate::history::Val;
use crate::model::{Call, Hints, Model, Shortcuts, Words};
use crate::object::shared::element_op::{ElementOp, ElementShortcuts};

/// A stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack;

impl Model for Stack {
    type Op = ElementOp;
    /// Oldest first.
    type State = Vec<Val>;

    fn name(&self) -> &'static str {
        "stack"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<ElementOp>, String> {
        ElementOp::read(call, "push", "pop")
    }

    fn initial(&self) -> Vec<Val> {
        Vec::new()
    }

    fn step(&self, state: &Vec<Val>, op: &ElementOp, next: &mut Vec<Vec<Val>>) {
        match op {
            ElementOp::Take(value) if state.last() != Some(value) => return,
            ElementOp::Empty if !state.is_empty() => return,
            _ => {}
        }
        let mut after = state.clone();
        self.apply(&mut after, op);
        next.push(after);
    }

    fn hints(&self) -> &impl Hints<ElementOp, Vec<Val>> {
        self
    }

    fn words(&self) -> &impl Words<ElementOp, Vec<Val>> {
        &words::WORDS
    }

    fn shortcuts(&self) -> &impl Shortcuts<ElementOp> {
        &ElementShortcuts(direct::decide)
    }
}

impl Hints<ElementOp, Vec<Val>> for Stack {
    fn observes_only(&self, op: &ElementOp) -> bool {
        matches!(op, ElementOp::Empty)
    }

    fn apply(&self, state: &mut Vec<Val>, op: &ElementOp) -> Option<bool> {
        match op {
            ElementOp::Put(value) => state.push(*value),
            ElementOp::Empty => return Some(state.is_empty()),
            ElementOp::Take(value) => return Some(state.pop() == Some(*value)),
            ElementOp::TakeAny => drop(state.pop()),
        }
        Some(true)
    }

    fn heap_bytes(&self, state: &Vec<Val>) -> usize {
        state.capacity() * size_of::<Val>()
    }
}
