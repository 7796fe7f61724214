//! Collections: a set, a FIFO queue, an unordered queue and a stack.
//!
//! | model | takes |
//! |---|---|
//! | `set` | `add v`, `remove v`, `contains v` → `true`/`false`, `read` → `[v, …]` |
//! | `queue` | `enqueue v`, `dequeue` → `v`, or `null`: it was empty |
//! | `unordered-queue` | the same; any element may come out |
//! | `stack` | `push v`, `pop` → `v`, or `null`: it was empty |
//!
//! All begin empty. An unknown `dequeue` or `pop` may have taken whatever it found.

pub mod elements;
pub mod growing;

use std::collections::VecDeque;
use std::slice;
use std::sync::Arc;

use crate::history::{Datum, Val, Values};
use crate::model::shortcuts::Fast;
use crate::model::{Call, Model, Operation, Part, show_list};
use crate::object::{queue, stack, unordered_queue};

fn single(datum: Datum, what: &str) -> Result<Val, String> {
    datum
        .single()
        .ok_or_else(|| format!("{what} takes one value, not a pair"))
}

/// An operation on a set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SetOp {
    /// Put the element in.
    Add(Val),
    /// Took the element out.
    Remove(Val),
    /// Looked for the element, and whether it was there.
    Contains(Val, bool),
    /// Found exactly these, in order of their names. Shared, since operations are copied, and one word long.
    Read(Arc<Vec<Val>>),
}

impl SetOp {
    /// The element that it is about; `None`: the whole set.
    pub fn element(&self) -> Option<Val> {
        match self {
            SetOp::Add(value) | SetOp::Remove(value) | SetOp::Contains(value, _) => Some(*value),
            SetOp::Read(_) => None,
        }
    }
}

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

    fn observes_only(&self, op: &SetOp) -> bool {
        matches!(op, SetOp::Contains(..) | SetOp::Read(_))
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
            _ => &[],
        }
    }

    fn show(&self, state: &Vec<Val>, values: &Values) -> String {
        show_list(state.iter().copied(), values)
    }

    fn divide(&self, part: &[Operation<SetOp>]) -> Option<Vec<Part<SetOp>>> {
        elements::divide(part)
    }

    fn decide(&self, part: &[Operation<SetOp>]) -> Option<Fast> {
        elements::decide(part).or_else(|| growing::decide(part))
    }

    fn focus(&self, core: &[Operation<SetOp>]) -> Option<Part<SetOp>> {
        growing::focus(core)
    }
}

/// An operation on a queue or a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueOp {
    /// Put the element in.
    Put(Val),
    /// Took the element out.
    Take(Val),
    /// Found nothing to take.
    Empty,
    /// Took whatever there was; nobody knows what.
    TakeAny,
}

/// What elements are put into and taken out of, by which of them comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// The oldest.
    Fifo,
    /// Any.
    Unordered,
    /// The newest: a stack.
    Lifo,
}

impl Queue {
    /// What putting and taking are called.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Queue::Fifo | Queue::Unordered => ("enqueue", "dequeue"),
            Queue::Lifo => ("push", "pop"),
        }
    }

    /// Where an element that comes out is, if it can.
    fn find(self, state: &VecDeque<Val>, value: Val) -> Option<usize> {
        match self {
            Queue::Fifo => (state.front() == Some(&value)).then_some(0),
            Queue::Unordered => state.binary_search(&value).ok(),
            Queue::Lifo => (state.back() == Some(&value)).then(|| state.len() - 1),
        }
    }

    fn put(self, state: &mut VecDeque<Val>, value: Val) {
        let at = match self {
            Queue::Unordered => state.partition_point(|other| *other < value),
            Queue::Fifo | Queue::Lifo => state.len(),
        };
        state.insert(at, value);
    }
}

impl Model for Queue {
    type Op = QueueOp;
    /// Oldest first; of an unordered queue in order of their names.
    type State = VecDeque<Val>;

    fn name(&self) -> &'static str {
        match self {
            Queue::Fifo => "queue",
            Queue::Unordered => "unordered-queue",
            Queue::Lifo => "stack",
        }
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<QueueOp>, String> {
        let (put, take) = self.words();
        match call.result {
            _ if call.f == put => match single(call.argument, put)? {
                Val::NIL => Err(format!(
                    "{put} takes a value that is not null: {take} returns that when it is empty"
                )),
                value => Ok(Some(QueueOp::Put(value))),
            },
            None if call.f == take => Ok(Some(QueueOp::TakeAny)),
            Some(result) if call.f == take => match single(result, take)? {
                Val::NIL => Ok(Some(QueueOp::Empty)),
                value => Ok(Some(QueueOp::Take(value))),
            },
            _ => Err(format!("it takes {put} and {take}, not {}", call.f)),
        }
    }

    fn initial(&self) -> VecDeque<Val> {
        VecDeque::new()
    }

    fn step(&self, state: &VecDeque<Val>, op: &QueueOp, next: &mut Vec<VecDeque<Val>>) {
        let choices = match op {
            QueueOp::TakeAny if *self == Queue::Unordered => 0..state.len(),
            QueueOp::TakeAny if *self == Queue::Lifo => state.len().saturating_sub(1)..state.len(),
            QueueOp::TakeAny => 0..state.len().min(1),
            QueueOp::Take(value) => match self.find(state, *value) {
                Some(at) => at..at + 1,
                None => return,
            },
            QueueOp::Empty if !state.is_empty() => return,
            QueueOp::Empty | QueueOp::Put(_) => 0..0,
        };
        if choices.is_empty() {
            let mut after = state.clone();
            if let QueueOp::Put(value) = op {
                self.put(&mut after, *value);
            }
            next.push(after);
        }
        next.extend(choices.map(|at| {
            let mut after = state.clone();
            after.remove(at);
            after
        }));
    }

    fn apply(&self, state: &mut VecDeque<Val>, op: &QueueOp) -> Option<bool> {
        match op {
            QueueOp::Put(value) => self.put(state, *value),
            QueueOp::Empty => return Some(state.is_empty()),
            QueueOp::Take(value) => {
                let found = self.find(state, *value);
                return Some(found.and_then(|at| state.remove(at)).is_some());
            }
            QueueOp::TakeAny if *self == Queue::Unordered => return None,
            QueueOp::TakeAny if *self == Queue::Lifo => drop(state.pop_back()),
            QueueOp::TakeAny => drop(state.pop_front()),
        }
        Some(true)
    }

    fn taking(&self, op: &QueueOp, value: Val) -> Option<QueueOp> {
        (*op == QueueOp::TakeAny).then_some(QueueOp::Take(value))
    }

    fn heap_bytes(&self, state: &VecDeque<Val>) -> usize {
        state.capacity() * size_of::<Val>()
    }

    fn observes_only(&self, op: &QueueOp) -> bool {
        matches!(op, QueueOp::Empty)
    }

    fn produces<'op>(&self, op: &'op QueueOp) -> &'op [Val] {
        match op {
            QueueOp::Put(value) => slice::from_ref(value),
            _ => &[],
        }
    }

    fn needs<'op>(&self, op: &'op QueueOp) -> &'op [Val] {
        match op {
            QueueOp::Take(value) => slice::from_ref(value),
            _ => &[],
        }
    }

    fn show(&self, state: &VecDeque<Val>, values: &Values) -> String {
        show_list(state.iter().copied(), values)
    }

    fn decide(&self, part: &[Operation<QueueOp>]) -> Option<Fast> {
        match self {
            Queue::Fifo => queue::direct::decide(part),
            Queue::Lifo => stack::direct::decide(part),
            Queue::Unordered => unordered_queue::direct::decide(part),
        }
    }
}
