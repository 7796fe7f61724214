//! A history as the checkers read it: one row an operation, in columns of numbers.
//!
//! What can make a verdict wrong is an error ([`HistoryError`]): indices that don't grow, a completion that is not its
//! invocation's. What can't is counted ([`Remarks`]).
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

use super::remarks::Remarks;
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
    /// An index that is not above the one before: which of the two happened first?
    #[error(
        "event {index} stands after event {before}: indices must grow, so give each event its own, or none of them any"
    )]
    Unordered {
        /// Index of the event.
        index: u64,
        /// Index of the one before.
        before: u64,
    },
    /// A completion that says something else than its invocation.
    #[error(
        "event {index}: process {process} completes {completed}, but what it invoked is {invoked}; one of the two is \
         wrong"
    )]
    Mismatch {
        /// Index of the completion.
        index: u64,
        /// The process.
        process: u64,
        /// What was invoked, e.g. `write 1 on "x"`.
        invoked: String,
        /// What was completed.
        completed: String,
    },
    /// A number of a process that is too large to be kept.
    #[error("event {index}: process {process} has too large a number: use numbers below {max}")]
    Process {
        /// Index of the event.
        index: u64,
        /// The process.
        process: u64,
        /// Numbers must be below.
        max: u64,
    },
    /// More kinds of operations than are told apart.
    #[error("the history has more than {max} kinds of operations: is its f the name of a function?")]
    Functions {
        /// How many there may be.
        max: u64,
    },
    /// What is kept of the history takes more memory than it may.
    #[error("the history takes more than {mib} MiB of memory")]
    Memory {
        /// MiB that it may take.
        mib: u64,
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
    /// What a reader noticed beside them.
    pub remarks: Remarks,
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
/// After so many events it is looked at what memory they take.
const LOOK_AT_MEMORY: u64 = 256;
/// A row has 16 bits for the name of its function.
const FUNCTIONS_MAX: usize = u16::MAX as usize;

/// Whether an answer to a write or a cas says that something else was written than was asked. The answer to a versioned
/// one has the version where the request has `null`.
pub(crate) fn contradicts(f: &str, asked: Datum, answered: Datum, values: &Values) -> bool {
    let written = |datum: Datum| match asked.pair() {
        Some((Val::NIL, _)) => datum.pair().map(|(_, value)| Datum::one(value)),
        _ => Some(datum),
    };
    match f {
        "write" => written(asked) != written(answered),
        // Some answer a cas with a word on whether it was done.
        "cas" if answered.pair().is_some() => written(asked) != written(answered),
        "cas" => values.bool(answered.first) == Some(false),
        _ => false,
    }
}

/// Builds a [`History`] event by event.
#[derive(Default)]
pub(crate) struct Builder {
    pub history: History,
    position: u64,
    memory_bytes_max: Option<usize>,
    /// Index and time of the event before.
    last: Option<u64>,
    time: u64,
    /// Where the open operation of each process is; `u32::MAX`: it has none.
    open: FastMap<u64, u32>,
    functions: HashMap<String, u16>,
    nodes: HashMap<String, u16>,
}

impl Builder {
    /// One that takes so much memory.
    pub fn within(memory_bytes_max: usize) -> Self {
        Builder {
            memory_bytes_max: Some(memory_bytes_max),
            ..Builder::default()
        }
    }

    /// Makes room for so many operations, as far as there may be.
    pub fn reserve(&mut self, rows: usize) {
        let allowed =
            self.memory_bytes_max.unwrap_or(usize::MAX) / (2 * (size_of::<Row>() + size_of::<Times>()));
        self.history.rows.reserve(rows.min(allowed));
        self.history.times.reserve(rows.min(allowed));
    }

    /// Whether there was any event.
    pub fn any(&self) -> bool {
        self.last.is_some()
    }

    pub fn function(&mut self, name: &str) -> Result<u16, HistoryError> {
        // A history has a handful: looking through them beats hashing.
        if let Some(at) = self.history.functions.iter().take(8).position(|f| f == name) {
            return Ok(at as u16);
        }
        if self.history.functions.len() >= FUNCTIONS_MAX && !self.functions.contains_key(name) {
            return Err(HistoryError::Functions {
                max: FUNCTIONS_MAX as u64,
            });
        }
        Ok(intern(&mut self.functions, &mut self.history.functions, name))
    }

    pub fn node(&mut self, name: &str) -> u16 {
        intern(&mut self.nodes, &mut self.history.nodes, name) + 1
    }

    /// Bytes of memory that everything so far takes, about.
    pub fn bytes(&self) -> usize {
        let history = &self.history;
        let indices = history.indices.as_ref().map_or(0, Vec::capacity);
        history.rows.capacity() * size_of::<Row>()
            + history.times.capacity() * size_of::<Times>()
            + indices * size_of::<u64>()
            + self.open.capacity() * size_of::<(u64, u32)>()
            + history.values.bytes()
    }

    /// Passes over an event that is no client's.
    pub fn skip(&mut self, index: u64, time: u64) -> Result<(), HistoryError> {
        self.history.remarks.nemesis += 1;
        self.count(index, time)
    }

    /// Passes over an event that is no client's, and of which more is to be known than that it was there.
    pub fn note(&mut self, event: &Event) -> Result<(), HistoryError> {
        self.history.remarks.nemesis(&event.f, &event.value);
        self.count(event.index, event.time)
    }

    /// Counts an event of any kind, and looks at where it stands.
    fn count(&mut self, index: u64, time: u64) -> Result<(), HistoryError> {
        if self.position >= u64::from(FAILED) {
            return Err(HistoryError::TooLong {
                max: u64::from(FAILED),
            });
        }
        if self.position.is_multiple_of(LOOK_AT_MEMORY)
            && let Some(max) = self.memory_bytes_max.filter(|&max| self.bytes() > max)
        {
            let mib = (max >> 20) as u64;
            return Err(HistoryError::Memory { mib });
        }
        if let Some(before) = self.last.filter(|&before| before >= index) {
            return Err(HistoryError::Unordered { index, before });
        }
        if time < self.time {
            self.history.remarks.back.at(index);
        }
        (self.last, self.time) = (Some(index), time);
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

    pub fn add(&mut self, raw: Raw) -> Result<(), HistoryError> {
        let position = self.position as u32;
        self.count(raw.index, raw.time)?;
        let process = match u32::try_from(raw.process) {
            Ok(process) if process != u32::MAX => process,
            _ => {
                return Err(HistoryError::Process {
                    index: raw.index,
                    process: raw.process,
                    max: u64::from(u32::MAX),
                });
            }
        };
        let open = self.open.entry(raw.process).or_insert(u32::MAX);
        if raw.kind == EventType::Invoke {
            // A process that invokes again without a completion leaves the first operation unknown.
            if *open != u32::MAX {
                self.history.remarks.reinvoked.at(raw.index);
            }
            *open = self.history.rows.len() as u32;
            self.history.rows.push(Row {
                invoke: position,
                ret: OPEN,
                f: raw.f,
                node: raw.node,
                process,
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
        let other_key = raw.key != Val::NONE && raw.key != row.key;
        if raw.f != row.f || other_key {
            let invoked = *row;
            return Err(self.mismatch(&invoked, &raw));
        }
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
                if raw.value != Datum::NIL && raw.value != row.argument {
                    row.result = raw.value;
                    let (f, invoked) = (self.history.functions[raw.f as usize].as_str(), *row);
                    if contradicts(f, invoked.argument, raw.value, &self.history.values) {
                        return Err(self.mismatch(&invoked, &raw));
                    }
                }
            }
        }
        Ok(())
    }

    fn mismatch(&self, invoked: &Row, completed: &Raw) -> HistoryError {
        let show = |f: u16, value: Datum, key: Val| {
            let text = format!(
                "{} {}",
                self.history.functions[f as usize],
                self.history.values.json_of(value)
            );
            let text = match key {
                Val::NONE => text,
                key => format!("{text} on {}", self.history.values.json(key)),
            };
            super::shortened(&text)
        };
        HistoryError::Mismatch {
            index: completed.index,
            process: completed.process,
            invoked: show(invoked.f, invoked.argument, invoked.key),
            completed: show(completed.f, completed.value, completed.key),
        }
    }

    pub fn finish(mut self) -> History {
        let mut rows = self.history.rows.iter();
        let happened = |_: &Times| rows.next().is_none_or(|row| row.ret != FAILED);
        self.history.times.retain(happened);
        let (failures, open) = (&mut self.history.failures, &mut self.history.remarks.open);
        self.history.rows.retain_mut(|row| {
            if row.ret == OPEN {
                *open += 1;
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
