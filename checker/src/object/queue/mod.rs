//! A queue: first in, first out.
//!
//! `enqueue v`; `dequeue` → `v`, or `null`: it was empty. It begins empty. An unknown `dequeue` took the first element,
//! or nothing if there was none.

mod direct;
mod words;

use std::collections::VecDeque;

use crate::history::Val;
use crate::model::{Call, Hints, Model, Shortcuts, Words};
use crate::object::shared::element_op::{ElementOp, ElementShortcuts};

/// A queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue;

impl Model for Queue {
    type Op = ElementOp;
    /// Oldest first.
    type State = VecDeque<Val>;

    fn name(&self) -> &'static str {
        "queue"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<ElementOp>, String> {
        ElementOp::read(call, "enqueue", "dequeue")
    }

    fn initial(&self) -> VecDeque<Val> {
        VecDeque::new()
    }

    fn step(&self, state: &VecDeque<Val>, op: &ElementOp, next: &mut Vec<VecDeque<Val>>) {
        match op {
            ElementOp::Take(value) if state.front() != Some(value) => return,
            ElementOp::Empty if !state.is_empty() => return,
            _ => {}
        }
        let mut after = state.clone();
        self.apply(&mut after, op);
        next.push(after);
    }

    fn hints(&self) -> &impl Hints<ElementOp, VecDeque<Val>> {
        self
    }

    fn words(&self) -> &impl Words<ElementOp, VecDeque<Val>> {
        &words::WORDS
    }

    fn shortcuts(&self) -> &impl Shortcuts<ElementOp> {
        &ElementShortcuts(direct::decide)
    }
}

impl Hints<ElementOp, VecDeque<Val>> for Queue {
    fn observes_only(&self, op: &ElementOp) -> bool {
        matches!(op, ElementOp::Empty)
    }

    fn apply(&self, state: &mut VecDeque<Val>, op: &ElementOp) -> Option<bool> {
        match op {
            ElementOp::Put(value) => state.push_back(*value),
            ElementOp::Empty => return Some(state.is_empty()),
            ElementOp::Take(value) => return Some(state.pop_front() == Some(*value)),
            ElementOp::TakeAny => drop(state.pop_front()),
        }
        Some(true)
    }

    fn heap_bytes(&self, state: &VecDeque<Val>) -> usize {
        state.capacity() * size_of::<Val>()
    }
}
