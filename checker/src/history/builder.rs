//! From events, one by one, to columns: what is paired, what is refused, what is noted.
//!
//! Whoever reads a history names its strings and values ([`Raw`]) and hands them over in the order of the lines. Here
//! invocations find their completions; an index that does not grow or a completion of something else is an error; what is
//! odd and harmless is counted.

use std::collections::HashMap;

use super::compact::{Datum, History, NEVER, Row, Times};
use super::error::HistoryError;
use super::values::{FastMap, Val, Values};
use super::{Event, EventType, Process};

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
    /// It failed, and is known to have found [another value](super::MISMATCH).
    pub mismatch: bool,
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

    /// Adds an event of any kind.
    pub fn event(&mut self, event: &Event) -> Result<(), HistoryError> {
        let Process::Client(process) = event.process else {
            return self.note(event);
        };
        let f = self.function(&event.f)?;
        let key = match &event.key {
            Some(key) => self.history.values.intern(key),
            None => Val::NONE,
        };
        let value = self.history.values.datum_of(&event.value);
        let node = event.node.as_deref().map_or(0, |node| self.node(node));
        self.add(Raw {
            index: event.index,
            time: event.time,
            process,
            kind: event.kind,
            f,
            node,
            key,
            value,
            mismatch: event.is_mismatch(),
        })
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
            EventType::Fail if raw.mismatch => {
                row.ret = position;
                row.result = Datum::NONE;
                self.history.times[at as usize].completed = raw.time;
                if raw.node > 0 {
                    row.node = raw.node;
                }
            }
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

impl History {
    /// Pairs invocations with their completions.
    pub fn from_events(events: &[Event]) -> Result<History, HistoryError> {
        let mut builder = Builder::default();
        for event in events {
            builder.event(event)?;
        }
        Ok(builder.finish())
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
