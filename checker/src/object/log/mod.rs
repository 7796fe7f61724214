//! A counter, an append-only log, and a register with versions.
//!
//! | model | takes |
//! |---|---|
//! | `counter` | `add n` (also `inc`, `dec`, by `n` or 1), `read` → `n`. It begins at 0 |
//! | `log` | `append v` → nothing, its offset, or `[offset, v]`; `read` → `[v, …]`, all of it |
//! | `versioned-register` | as etcd has it: `read` → `[version, v]`, `write [null, v]` → `[version, v]`, `cas [null, [old, new]]` → `[version, [old, new]]`; versions may be `null`: not known |

pub mod direct;

use std::slice;

use crate::history::{Datum, Val, Values};
use crate::model::shortcuts::Fast;
use crate::model::{Call, Model, Operation, Part, SHOWN_MAX, show_end};
use crate::object::shared::print::Print;
use crate::object::{counter, versioned_register as versions};

/// An operation on a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterOp {
    /// Added this.
    Add(i64),
    /// Found this.
    Read(i64),
}

/// A counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter;

impl Model for Counter {
    type Op = CounterOp;
    type State = i64;

    fn name(&self) -> &'static str {
        "counter"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<CounterOp>, String> {
        let number = |datum: Datum, default: Option<i64>| match datum.single() {
            Some(Val::NIL) => default.ok_or_else(|| "a counter takes numbers, not null".to_owned()),
            Some(value) => (call.values.int(value)).ok_or_else(|| "a counter takes whole numbers".to_owned()),
            None => Err("a counter takes numbers, not pairs".to_owned()),
        };
        match (call.f, call.result) {
            ("add", _) => number(call.argument, None).map(|by| Some(CounterOp::Add(by))),
            ("inc" | "increment", _) => number(call.argument, Some(1)).map(|by| Some(CounterOp::Add(by))),
            ("dec" | "decrement", _) => {
                number(call.argument, Some(1)).map(|by| Some(CounterOp::Add(by.wrapping_neg())))
            }
            ("read", None) => Ok(None),
            ("read", Some(result)) => number(result, None).map(|found| Some(CounterOp::Read(found))),
            (f, _) => Err(format!("a counter takes add, inc, dec and read, not {f}")),
        }
    }

    fn initial(&self) -> i64 {
        0
    }

    fn step(&self, state: &i64, op: &CounterOp, next: &mut Vec<i64>) {
        match *op {
            CounterOp::Add(by) => next.push(state.wrapping_add(by)),
            CounterOp::Read(found) if found == *state => next.push(*state),
            CounterOp::Read(_) => {}
        }
    }

    fn observes_only(&self, op: &CounterOp) -> bool {
        matches!(op, CounterOp::Read(_) | CounterOp::Add(0))
    }

    fn decide(&self, part: &[Operation<CounterOp>]) -> Option<Fast> {
        counter::direct::decide(part)
    }
}

/// An operation on a log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogOp {
    /// Put the value at the end; at this offset, where it is known.
    Append(Val, Option<i64>),
    /// Found exactly this.
    Read(Box<[Val]>),
}

/// What stands in a log: its print, and its end as far as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Written {
    print: Print,
    end: [Val; SHOWN_MAX],
}

/// An append-only log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log;

impl Model for Log {
    type Op = LogOp;
    type State = Written;

    fn name(&self) -> &'static str {
        "log"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<LogOp>, String> {
        match (call.f, call.result) {
            ("append", result) => {
                let Some(value) = call.argument.single() else {
                    return Err("append takes one value, not a pair".to_owned());
                };
                let offset = match result {
                    // The argument again: the answer said nothing.
                    Some(result) if result == call.argument => None,
                    Some(result) => match result.pair() {
                        Some((offset, _)) => call.values.int(offset),
                        None => call.values.int(result.first),
                    },
                    None => None,
                };
                Ok(Some(LogOp::Append(value, offset)))
            }
            ("read", None) => Ok(None),
            ("read", Some(result)) => Ok(Some(LogOp::Read(match result.pair() {
                Some((first, second)) => [first, second].into(),
                None if result.first.is_nil() => Box::default(),
                None => match call.values.list(result.first) {
                    Some(items) => items.into(),
                    None => return Err("a read of a log returns a list".to_owned()),
                },
            }))),
            (f, _) => Err(format!("a log takes append and read, not {f}")),
        }
    }

    fn initial(&self) -> Written {
        Written {
            print: Print::EMPTY,
            end: [Val::NONE; SHOWN_MAX],
        }
    }

    fn step(&self, state: &Written, op: &LogOp, next: &mut Vec<Written>) {
        let mut state = *state;
        if self.apply(&mut state, op) == Some(true) {
            next.push(state);
        }
    }

    fn apply(&self, state: &mut Written, op: &LogOp) -> Option<bool> {
        Some(match op {
            LogOp::Append(_, Some(offset)) if u64::try_from(*offset) != Ok(state.print.len()) => false,
            LogOp::Append(value, _) => {
                state.print = state.print.and(value.0);
                state.end.rotate_left(1);
                state.end[SHOWN_MAX - 1] = *value;
                true
            }
            LogOp::Read(found) => {
                let print = || found.iter().fold(Print::EMPTY, |print, value| print.and(value.0));
                found.len() as u64 == state.print.len() && print() == state.print
            }
        })
    }

    fn observes_only(&self, op: &LogOp) -> bool {
        matches!(op, LogOp::Read(_))
    }

    fn show(&self, state: &Written, values: &Values) -> String {
        let count = state.print.len() as usize;
        let shown = &state.end[SHOWN_MAX - count.min(SHOWN_MAX)..];
        show_end(count - shown.len(), shown.iter().copied(), values)
    }

    fn decide(&self, part: &[Operation<LogOp>]) -> Option<Fast> {
        direct::decide(part)
    }

    fn focus(&self, core: &[Operation<LogOp>]) -> Option<Part<LogOp>> {
        Some(direct::focus(core))
    }
}

/// An operation on a register with versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionedOp {
    /// The version after it, where it is known.
    pub version: Option<i64>,
    /// What it did.
    pub what: Versioned,
}

/// What an operation on a register with versions did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Versioned {
    /// Found this.
    Read(Val),
    /// Set this.
    Write(Val),
    /// Found the first and set the second.
    Cas(Val, Val),
}

/// A register that counts its writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionedRegister;

impl Model for VersionedRegister {
    type Op = VersionedOp;
    /// Version and value.
    type State = (i64, Val);

    fn name(&self) -> &'static str {
        "versioned-register"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<VersionedOp>, String> {
        let wrong = || {
            Err(format!(
                "{} of a versioned register has the value [version, value]",
                call.f
            ))
        };
        let Some((version, value)) = call.result.unwrap_or(call.argument).pair() else {
            // A read of what was never written.
            return match (call.f, call.result) {
                ("read", None) => Ok(None),
                ("read", Some(Datum::NIL)) => Ok(Some(VersionedOp {
                    version: None,
                    what: Versioned::Read(Val::NIL),
                })),
                _ => wrong(),
            };
        };
        let what = match call.f {
            "read" if call.result.is_none() => return Ok(None),
            "read" => Versioned::Read(value),
            "write" => Versioned::Write(value),
            "cas" => match call.values.list(value) {
                Some(&[old, new]) => Versioned::Cas(old, new),
                _ => {
                    return Err(
                        "a cas of a versioned register has the value [version, [old, new]]".to_owned(),
                    );
                }
            },
            f => return Err(format!("a versioned register takes read, write and cas, not {f}")),
        };
        let version = call.result.and(call.values.int(version));
        Ok(Some(VersionedOp { version, what }))
    }

    fn initial(&self) -> (i64, Val) {
        (0, Val::NIL)
    }

    fn step(&self, state: &(i64, Val), op: &VersionedOp, next: &mut Vec<(i64, Val)>) {
        let (version, value) = *state;
        let after = match op.what {
            Versioned::Read(found) if found == value => (version, value),
            Versioned::Write(new) => (version + 1, new),
            Versioned::Cas(old, new) if old == value => (version + 1, new),
            Versioned::Read(_) | Versioned::Cas(..) => return,
        };
        if op.version.is_none_or(|known| known == after.0) {
            next.push(after);
        }
    }

    fn observes_only(&self, op: &VersionedOp) -> bool {
        matches!(op.what, Versioned::Read(_))
    }

    fn produces<'op>(&self, op: &'op VersionedOp) -> &'op [Val] {
        match &op.what {
            Versioned::Read(_) => &[],
            Versioned::Write(value) | Versioned::Cas(_, value) => slice::from_ref(value),
        }
    }

    fn needs<'op>(&self, op: &'op VersionedOp) -> &'op [Val] {
        match &op.what {
            Versioned::Read(value) | Versioned::Cas(value, _) => slice::from_ref(value),
            Versioned::Write(_) => &[],
        }
    }

    fn show(&self, (version, value): &(i64, Val), values: &Values) -> String {
        format!("version {version}, {}", values.json(*value))
    }

    fn decide(&self, part: &[Operation<VersionedOp>]) -> Option<Fast> {
        versions::direct::decide(part)
    }

    fn focus(&self, core: &[Operation<VersionedOp>]) -> Option<Part<VersionedOp>> {
        versions::direct::focus(core)
    }
}
