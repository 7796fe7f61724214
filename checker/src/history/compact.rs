//! A history as the checkers read it: one row an operation, in columns of numbers.
//!
//! Built from events (`History::from_events`) or straight from the bytes of a `history.jsonl`
//! ([`super::jsonl::read_history`]), which never holds an [`Event`] and so reads a million operations in about a
//! second. An operation is `invoke` and `ret`, positions in the history; one that never completed, or completed
//! `info`, has `ret` = [`NEVER`]. Failed operations did not happen and stand apart. Of the events of
//! the nemesis nothing is kept.
//!
//! What the values mean is left to the models.

use std::collections::HashMap;

use serde_json::Value;

use super::values::{FastMap, Val, Values};
use super::{Event, EventType};
use crate::verdict::WitnessOp;

/// The `ret` of an operation that may take effect at any later time, or never.
pub const NEVER: u32 = u32::MAX;

/// An argument or a result: a value, or a pair of values such as `[old, new]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Datum {
    /// The value, or the first of the pair.
    pub first: Val,
    /// The second of the pair, or [`Val::NONE`].
    pub second: Val,
}

impl Datum {
    /// `null`.
    pub const NIL: Datum = Datum::one(Val::NIL);

    /// A value that is no pair.
    pub const fn one(first: Val) -> Datum {
        Datum {
            first,
            second: Val::NONE,
        }
    }

    /// The two values, if it is a pair.
    pub fn pair(self) -> Option<(Val, Val)> {
        (self.second != Val::NONE).then_some((self.first, self.second))
    }

    /// The value, if it is no pair.
    pub fn single(self) -> Option<Val> {
        (self.second == Val::NONE).then_some(self.first)
    }
}

impl Values {
    /// Names an argument or result: of two elements as a pair, which costs no table entry of its own.
    pub fn datum_of(&mut self, value: &Value) -> Datum {
        match value {
            Value::Array(items) if items.len() == 2 => Datum {
                first: self.intern(&items[0]),
                second: self.intern(&items[1]),
            },
            _ => Datum::one(self.intern(value)),
        }
    }

    /// The JSON of an argument or result.
    pub fn json_of(&self, datum: Datum) -> Value {
        match datum.pair() {
            Some((first, second)) => Value::Array(vec![self.json(first), self.json(second)]),
            None => self.json(datum.first),
        }
    }
}

/// One operation of a [`History`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Position of the invocation.
    pub invoke: u32,
    /// Position of the completion, or [`NEVER`].
    pub ret: u32,
    /// Index into [`History::functions`].
    pub f: u16,
    /// Index into [`History::nodes`] plus one; 0: not known.
    pub node: u16,
    /// The client.
    pub process: u32,
    /// The object, or [`Val::NONE`].
    pub key: Val,
    /// What was asked.
    pub argument: Datum,
    /// What was answered. Equal to the argument where the completion says nothing.
    pub result: Datum,
}

/// When an operation of a [`History`] was invoked and completed, in nanoseconds. Apart from the [`Row`], for only
/// explanations ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When it was invoked.
    pub invoked: u64,
    /// When it completed; 0 where it did not.
    pub completed: u64,
}

/// Why a history can't be read as operations.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// A completion without an invocation.
    #[error("event {index}: process {process} completes an operation that it never invoked")]
    Unmatched {
        /// Index of the completion.
        index: u64,
        /// The process.
        process: u64,
    },
    /// More events than the checkers number.
    #[error("the history has more than {max} events: check it in parts")]
    TooLong {
        /// How many there may be.
        max: u64,
    },
}

/// All client operations of a history that happened or may have happened, in order of invocation.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The operations.
    pub rows: Vec<Row>,
    /// When each of them was.
    pub times: Vec<Times>,
    /// The values they name.
    pub values: Values,
    /// What can be asked: `read`, `write`…
    pub functions: Vec<String>,
    /// Nodes that answered.
    pub nodes: Vec<String>,
    /// Operations that failed: they did not happen, yet an explanation may need them. Their `ret` means nothing.
    pub failures: Vec<Row>,
    /// Where the index of an event is not its position: all of them.
    pub(super) indices: Option<Vec<u64>>,
}

impl History {
    /// Pairs invocations with their completions.
    pub fn from_events(events: &[Event]) -> Result<History, HistoryError> {
        let mut builder = Builder::default();
        for event in events {
            builder.event(event)?;
        }
        Ok(builder.finish())
    }

    /// An operation as a witness shows it.
    pub fn witness_op(&self, row: u32, note: String) -> WitnessOp {
        let (row, times) = (&self.rows[row as usize], self.times[row as usize]);
        let unknown = row.ret == NEVER;
        WitnessOp {
            index: self.index(row.invoke),
            process: u64::from(row.process),
            f: self.functions[row.f as usize].clone(),
            value: self.values.json_of(row.argument),
            result: (!unknown).then(|| self.values.json_of(row.result)),
            outcome: if unknown { EventType::Info } else { EventType::Ok },
            node: (row.node > 0).then(|| self.nodes[row.node as usize - 1].clone()),
            invoked: times.invoked,
            completed: (!unknown).then_some(times.completed),
            note,
        }
    }

    /// Index of the event at a position.
    pub fn index(&self, position: u32) -> u64 {
        match &self.indices {
            Some(indices) => indices[position as usize],
            None => u64::from(position),
        }
    }
}

/// One event, its strings and values already named.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw {
    pub index: u64,
    pub time: u64,
    pub process: u64,
    pub kind: EventType,
    pub f: u16,
    pub node: u16,
    pub key: Val,
    pub value: Datum,
}

const OPEN: u32 = u32::MAX - 1;
const FAILED: u32 = u32::MAX - 2;

/// Builds a [`History`] event by event.
#[derive(Default)]
pub(crate) struct Builder {
    pub history: History,
    position: u64,
    /// Where the open operation of each process is; `u32::MAX`: it has none.
    open: FastMap<u64, u32>,
    functions: HashMap<String, u16>,
    nodes: HashMap<String, u16>,
}

impl Builder {
    pub fn function(&mut self, name: &str) -> u16 {
        // A history has a handful: looking through them beats hashing.
        if let Some(at) = self.history.functions.iter().take(8).position(|f| f == name) {
            return at as u16;
        }
        intern(&mut self.functions, &mut self.history.functions, name)
    }

    pub fn node(&mut self, name: &str) -> u16 {
        intern(&mut self.nodes, &mut self.history.nodes, name) + 1
    }

    /// Passes over an event that is no client's.
    pub fn skip(&mut self, index: u64) -> Result<(), HistoryError> {
        if self.position >= u64::from(FAILED) {
            return Err(HistoryError::TooLong {
                max: u64::from(FAILED),
            });
        }
        match &mut self.history.indices {
            Some(indices) => indices.push(index),
            None if index != self.position => {
                let mut indices: Vec<u64> = (0..self.position).collect();
                indices.push(index);
                self.history.indices = Some(indices);
            }
            None => {}
        }
        self.position += 1;
        Ok(())
    }

    /// Passes over an event whose index is its position.
    pub fn skip_next(&mut self) -> Result<(), HistoryError> {
        self.skip(self.position)
    }

    /// Whether the next event has this index when indices are positions.
    pub fn in_order(&self, index: u64) -> bool {
        self.history.indices.is_none() && index == self.position
    }

    pub fn add(&mut self, raw: Raw) -> Result<(), HistoryError> {
        let position = self.position as u32;
        self.skip(raw.index)?;
        let open = self.open.entry(raw.process).or_insert(u32::MAX);
        if raw.kind == EventType::Invoke {
            // A process that invokes again without a completion leaves the first operation unknown.
            *open = self.history.rows.len() as u32;
            self.history.rows.push(Row {
                invoke: position,
                ret: OPEN,
                f: raw.f,
                node: raw.node,
                process: u32::try_from(raw.process).unwrap_or(u32::MAX),
                key: raw.key,
                argument: raw.value,
                result: raw.value,
            });
            self.history.times.push(Times {
                invoked: raw.time,
                completed: 0,
            });
            return Ok(());
        }
        let at = std::mem::replace(open, u32::MAX);
        let Some(row) = self.history.rows.get_mut(at as usize) else {
            return Err(HistoryError::Unmatched {
                index: raw.index,
                process: raw.process,
            });
        };
        match raw.kind {
            EventType::Invoke => {}
            EventType::Fail => row.ret = FAILED,
            EventType::Info => row.ret = NEVER,
            EventType::Ok => {
                row.ret = position;
                self.history.times[at as usize].completed = raw.time;
                if raw.node > 0 {
                    row.node = raw.node;
                }
                if raw.value != Datum::NIL {
                    row.result = raw.value;
                }
            }
        }
        Ok(())
    }

    pub fn finish(mut self) -> History {
        let mut rows = self.history.rows.iter();
        let happened = |_: &Times| rows.next().is_none_or(|row| row.ret != FAILED);
        self.history.times.retain(happened);
        let failures = &mut self.history.failures;
        self.history.rows.retain_mut(|row| {
            if row.ret == OPEN {
                row.ret = NEVER;
            }
            if row.ret == FAILED {
                failures.push(*row);
            }
            row.ret != FAILED
        });
        self.history
    }
}

fn intern(index: &mut HashMap<String, u16>, names: &mut Vec<String>, name: &str) -> u16 {
    match index.get(name) {
        Some(&at) => at,
        None => {
            let at = u16::try_from(names.len()).unwrap_or(u16::MAX - 1);
            names.push(name.to_owned());
            index.insert(name.to_owned(), at);
            at
        }
    }
}
