//! A history as the checkers read it: one row an operation, in columns of numbers.
//!
//! What can make a verdict wrong is an error ([`HistoryError`](super::HistoryError)): indices that don't grow, a completion that is not its
//! invocation's. What can't is counted ([`Remarks`]).
//!
//! Built from events (`History::from_events`) or straight from the bytes of a `history.jsonl`
//! ([`super::jsonl::read_history`]), which never holds an [`Event`](super::Event) and so reads a million operations in about a
//! second. An operation is `invoke` and `ret`, positions in the history; one that never completed, or completed
//! `info`, has `ret` = [`NEVER`]. Failed operations did not happen and stand apart, but for a compare-and-set that
//! was [refused](Row::refused): that says what the object did not hold. Of the events of
//! the nemesis nothing is kept.
//!
//! What the values mean is left to the models.

use serde_json::Value;

use super::EventType;
use super::remarks::Remarks;
use super::values::{Val, Values};
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
    /// No answer at all: the result of what was refused.
    pub const NONE: Datum = Datum::one(Val::NONE);

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
    /// What was answered. Equal to the argument where the completion says nothing; [`Datum::NONE`]: it was
    /// [refused](Row::refused).
    pub result: Datum,
}

impl Row {
    /// Whether it is a compare-and-set that did not happen, since the object held [another
    /// value](super::MISMATCH) then.
    pub fn refused(&self) -> bool {
        self.result == Datum::NONE
    }
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

/// All client operations of a history that happened, may have happened, or were [refused](Row::refused), in order of
/// invocation.
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
    /// Operations that failed and say nothing else: they did not happen, yet an explanation may need them. Their `ret` means nothing.
    pub failures: Vec<Row>,
    /// What a reader noticed besides.
    pub remarks: Remarks,
    /// Where the index of an event is not its position: all of them.
    pub(super) indices: Option<Vec<u64>>,
}

impl History {
    /// An operation as a witness shows it.
    pub fn witness_op(&self, row: u32, note: String) -> WitnessOp {
        let (row, times) = (&self.rows[row as usize], self.times[row as usize]);
        let unknown = row.ret == NEVER;
        WitnessOp {
            index: self.index(row.invoke),
            process: u64::from(row.process),
            f: self.functions[row.f as usize].clone(),
            value: self.values.json_of(row.argument),
            result: (!unknown && !row.refused()).then(|| self.values.json_of(row.result)),
            outcome: match row.ret {
                NEVER => EventType::Info,
                _ if row.refused() => EventType::Fail,
                _ => EventType::Ok,
            },
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
