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

use super::{Call, Model, Operation, Part};
use crate::fast::{Fast, queue, set};
use crate::history::{Datum, Val};

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
    /// Found exactly these, in order of their names.
    Read(Box<[Val]>),
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
                Ok(Some(SetOp::Read(elements.into())))
            }
            (f, _) => Err(format!("a set takes add, remove, contains and read, not {f}")),
        }
    }

    fn initial(&self) -> Vec<Val> {
        Vec::new()
    }

    fn step(&self, state: &Vec<Val>, op: &SetOp, next: &mut Vec<Vec<Val>>) {
        let mut state = state.clone();
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
            SetOp::Contains(value, found) if state.binary_search(value).is_ok() != *found => return,
            SetOp::Read(elements) if **elements != *state => return,
            SetOp::Contains(..) | SetOp::Read(_) => {}
        }
        next.push(state);
    }

    fn observes_only(&self, op: &SetOp) -> bool {
        matches!(op, SetOp::Contains(..) | SetOp::Read(_))
    }

    fn produces(&self, op: &SetOp) -> Option<Val> {
        match op {
            SetOp::Add(value) => Some(*value),
            _ => None,
        }
    }

    fn needs(&self, op: &SetOp) -> Option<Val> {
        match op {
            SetOp::Contains(value, true) => Some(*value),
            _ => None,
        }
    }

    fn divide(&self, part: &[Operation<SetOp>]) -> Option<Vec<Part<SetOp>>> {
        set::divide(part)
    }

    fn decide(&self, part: &[Operation<SetOp>]) -> Option<Fast> {
        set::decide(part)
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

/// Reads a queue's or a stack's operation.
fn take_or_put(call: &Call<'_>, put: &str, take: &str) -> Result<Option<QueueOp>, String> {
    match call.result {
        _ if call.f == put => single(call.argument, put).map(|value| Some(QueueOp::Put(value))),
        None if call.f == take => Ok(Some(QueueOp::TakeAny)),
        Some(result) if call.f == take => match single(result, take)? {
            Val::NIL => Ok(Some(QueueOp::Empty)),
            value => Ok(Some(QueueOp::Take(value))),
        },
        _ => Err(format!("it takes {put} and {take}, not {}", call.f)),
    }
}

fn put_value(op: &QueueOp) -> Option<Val> {
    match op {
        QueueOp::Put(value) => Some(*value),
        _ => None,
    }
}

fn taken_value(op: &QueueOp) -> Option<Val> {
    match op {
        QueueOp::Take(value) => Some(*value),
        _ => None,
    }
}

/// A FIFO queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue;

impl Model for Queue {
    type Op = QueueOp;
    /// Oldest first.
    type State = Vec<Val>;

    fn name(&self) -> &'static str {
        "queue"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<QueueOp>, String> {
        take_or_put(call, "enqueue", "dequeue")
    }

    fn initial(&self) -> Vec<Val> {
        Vec::new()
    }

    fn step(&self, state: &Vec<Val>, op: &QueueOp, next: &mut Vec<Vec<Val>>) {
        match op {
            QueueOp::Put(value) => next.push([state.as_slice(), &[*value]].concat()),
            QueueOp::Take(value) if state.first() == Some(value) => next.push(state[1..].to_vec()),
            QueueOp::Empty if state.is_empty() => next.push(Vec::new()),
            QueueOp::TakeAny => next.push(state.get(1..).unwrap_or_default().to_vec()),
            QueueOp::Take(_) | QueueOp::Empty => {}
        }
    }

    fn observes_only(&self, op: &QueueOp) -> bool {
        matches!(op, QueueOp::Empty)
    }

    fn produces(&self, op: &QueueOp) -> Option<Val> {
        put_value(op)
    }

    fn needs(&self, op: &QueueOp) -> Option<Val> {
        taken_value(op)
    }

    fn decide(&self, part: &[Operation<QueueOp>]) -> Option<Fast> {
        queue::decide(part)
    }
}

/// A queue out of which elements come in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnorderedQueue;

impl Model for UnorderedQueue {
    type Op = QueueOp;
    /// In order of their names.
    type State = Vec<Val>;

    fn name(&self) -> &'static str {
        "unordered-queue"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<QueueOp>, String> {
        take_or_put(call, "enqueue", "dequeue")
    }

    fn initial(&self) -> Vec<Val> {
        Vec::new()
    }

    fn step(&self, state: &Vec<Val>, op: &QueueOp, next: &mut Vec<Vec<Val>>) {
        let without = |at: usize| [&state[..at], &state[at + 1..]].concat();
        match op {
            QueueOp::Put(value) => {
                let mut state = state.clone();
                let at = state.partition_point(|other| other < value);
                state.insert(at, *value);
                next.push(state);
            }
            QueueOp::Take(value) => next.extend(state.binary_search(value).ok().map(without)),
            QueueOp::Empty if state.is_empty() => next.push(Vec::new()),
            QueueOp::Empty => {}
            QueueOp::TakeAny if state.is_empty() => next.push(Vec::new()),
            QueueOp::TakeAny => next.extend((0..state.len()).map(without)),
        }
    }

    fn observes_only(&self, op: &QueueOp) -> bool {
        matches!(op, QueueOp::Empty)
    }

    fn produces(&self, op: &QueueOp) -> Option<Val> {
        put_value(op)
    }

    fn needs(&self, op: &QueueOp) -> Option<Val> {
        taken_value(op)
    }
}

/// A stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack;

impl Model for Stack {
    type Op = QueueOp;
    /// Oldest first.
    type State = Vec<Val>;

    fn name(&self) -> &'static str {
        "stack"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<QueueOp>, String> {
        take_or_put(call, "push", "pop")
    }

    fn initial(&self) -> Vec<Val> {
        Vec::new()
    }

    fn step(&self, state: &Vec<Val>, op: &QueueOp, next: &mut Vec<Vec<Val>>) {
        let below = &state[..state.len().saturating_sub(1)];
        match op {
            QueueOp::Put(value) => next.push([state.as_slice(), &[*value]].concat()),
            QueueOp::Take(value) if state.last() == Some(value) => next.push(below.to_vec()),
            QueueOp::Empty if state.is_empty() => next.push(Vec::new()),
            QueueOp::TakeAny => next.push(below.to_vec()),
            QueueOp::Take(_) | QueueOp::Empty => {}
        }
    }

    fn observes_only(&self, op: &QueueOp) -> bool {
        matches!(op, QueueOp::Empty)
    }

    fn produces(&self, op: &QueueOp) -> Option<Val> {
        put_value(op)
    }

    fn needs(&self, op: &QueueOp) -> Option<Val> {
        taken_value(op)
    }
}
