//! An unordered queue: any element may come out.
//!
//! `enqueue v`; `dequeue` → `v`, or `null`: it was empty. It begins empty. An unknown `dequeue` took any of the
//! elements, or nothing if there was none.

mod direct;

use crate::history::Val;
use crate::model::{Call, Hints, Model, Shortcuts, Words};
use crate::object::shared::element_op::{ElementOp, ElementShortcuts, ElementWords};

/// An unordered queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnorderedQueue;

fn put(state: &mut Vec<Val>, value: Val) {
    let at = state.partition_point(|other| *other < value);
    state.insert(at, value);
}

/// In any order: nothing can be wrong with that.
const WORDS: ElementWords = ElementWords {
    taken: "taken",
    put: "put in",
    order: |_, _, _| None,
};

impl Model for UnorderedQueue {
    type Op = ElementOp;
    /// Elements in order of their names.
    type State = Vec<Val>;

    fn name(&self) -> &'static str {
        "unordered-queue"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<ElementOp>, String> {
        ElementOp::read(call, "enqueue", "dequeue")
    }

    fn initial(&self) -> Vec<Val> {
        Vec::new()
    }

    fn step(&self, state: &Vec<Val>, op: &ElementOp, next: &mut Vec<Vec<Val>>) {
        let taken = match op {
            ElementOp::TakeAny => 0..state.len(),
            ElementOp::Take(value) => match state.binary_search(value) {
                Ok(at) => at..at + 1,
                Err(_) => return,
            },
            ElementOp::Empty if !state.is_empty() => return,
            ElementOp::Empty | ElementOp::Put(_) => 0..0,
        };
        if taken.is_empty() {
            let mut after = state.clone();
            if let ElementOp::Put(value) = op {
                put(&mut after, *value);
            }
            next.push(after);
        }
        next.extend(taken.map(|at| {
            let mut after = state.clone();
            after.remove(at);
            after
        }));
    }

    fn hints(&self) -> &impl Hints<ElementOp, Vec<Val>> {
        self
    }

    fn words(&self) -> &impl Words<ElementOp, Vec<Val>> {
        &WORDS
    }

    fn shortcuts(&self) -> &impl Shortcuts<ElementOp> {
        &ElementShortcuts(direct::decide)
    }
}

impl Hints<ElementOp, Vec<Val>> for UnorderedQueue {
    fn observes_only(&self, op: &ElementOp) -> bool {
        matches!(op, ElementOp::Empty)
    }

    fn apply(&self, state: &mut Vec<Val>, op: &ElementOp) -> Option<bool> {
        match op {
            ElementOp::Put(value) => put(state, *value),
            ElementOp::Empty => return Some(state.is_empty()),
            ElementOp::Take(value) => {
                return Some(state.binary_search(value).map(|at| state.remove(at)).is_ok());
            }
            ElementOp::TakeAny => return None,
        }
        Some(true)
    }

    fn heap_bytes(&self, state: &Vec<Val>) -> usize {
        state.capacity() * size_of::<Val>()
    }
}
