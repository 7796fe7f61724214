//! An append-only log: `append` and `read`.
//!
//! `append v` → nothing, its offset, or `[offset, v]`; `read` → `[v, …]`, all of it. It begins empty.

mod direct;
mod op;
mod words;

pub use self::op::LogOp;
use crate::history::{Val, Values};
use crate::model::{Call, Decision, Hints, Model, Operation, Part, Shortcuts, Telling, Words};
use crate::object::shared::lists::{SHOWN_MAX, show_end};
use crate::object::shared::print::Print;

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

    fn sees_fingerprint(&self, op: &LogOp) -> bool {
        matches!(op, LogOp::Read(_))
    }

    /// Value by value, and not by the print.
    fn holds_exactly(&self, part: &[Operation<LogOp>], order: &[u32], _values: &Values) -> bool {
        let mut written: Vec<Val> = Vec::with_capacity(order.len());
        order.iter().all(|&at| match &part[at as usize].op {
            LogOp::Append(value, _) => {
                written.push(*value);
                true
            }
            LogOp::Read(found) => **found == *written,
        })
    }

    fn hints(&self) -> &impl Hints<LogOp, Written> {
        self
    }

    fn words(&self) -> &impl Words<LogOp, Written> {
        self
    }

    fn shortcuts(&self) -> &impl Shortcuts<LogOp> {
        self
    }
}

impl Hints<LogOp, Written> for Log {
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
}

impl Words<LogOp, Written> for Log {
    fn show(&self, state: &Written, values: &Values) -> String {
        let count = state.print.len() as usize;
        let shown = &state.end[SHOWN_MAX - count.min(SHOWN_MAX)..];
        show_end(count - shown.len(), shown.iter().copied(), values)
    }

    fn tell(&self, telling: &Telling<'_, LogOp>) -> Option<String> {
        words::tell(telling)
    }
}

impl Shortcuts<LogOp> for Log {
    fn decide(&self, part: &[Operation<LogOp>]) -> Option<Decision> {
        direct::decide(part)
    }

    fn focus(&self, core: &[Operation<LogOp>]) -> Option<Part<LogOp>> {
        Some(direct::focus(core))
    }
}
