//! Locks: a mutex, one that knows its owner, one with fencing tokens, and a semaphore.
//!
//! | model | takes |
//! |---|---|
//! | `mutex` | `acquire`, `release` |
//! | `owner-mutex` | the same; the owner is the value, or the process where there is none |
//! | `fenced-lock` | the same; `acquire` returns its token, which must be higher than any before |
//! | `semaphore` | `acquire n`, `release n`; `null` is 1. It has one permit; `semaphore:5` has five |
//!
//! All begin free. None may be acquired twice, and what is not held can't be released.

pub mod direct;

use crate::history::{Val, Values};
use crate::model::shortcuts::Fast;
use crate::model::{Call, Model, Operation};

/// Acquiring or releasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockOp {
    /// By this owner; with this token, where it is known.
    Acquire(u64, Option<i64>),
    /// By this owner.
    Release(u64),
}

/// What a lock looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Anyone may release it.
    Mutex,
    /// Only the owner may.
    Owner,
    /// Only the owner may, and tokens grow.
    Fenced,
}

/// Who holds a lock, and the highest token so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    by: Option<u64>,
    token: i64,
}

impl Model for Lock {
    type Op = LockOp;
    type State = Held;

    fn name(&self) -> &'static str {
        match self {
            Lock::Mutex => "mutex",
            Lock::Owner => "owner-mutex",
            Lock::Fenced => "fenced-lock",
        }
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<LockOp>, String> {
        let owner = match (self, call.argument.first) {
            (Lock::Mutex, _) => 0,
            // A fenced lock's values are tokens.
            (Lock::Fenced, _) | (Lock::Owner, Val::NIL) => call.process,
            // Owners have names of their own; they must not be mistaken for process numbers.
            (Lock::Owner, owner) => u64::from(owner.0) | 1 << 63,
        };
        match call.f {
            "acquire" if *self == Lock::Fenced => match call.result {
                None => Ok(Some(LockOp::Acquire(owner, None))),
                Some(result) => match call.values.int(result.first) {
                    Some(token) => Ok(Some(LockOp::Acquire(owner, Some(token)))),
                    None => Err("acquire of a fenced lock returns its token, a number".to_owned()),
                },
            },
            "acquire" => Ok(Some(LockOp::Acquire(owner, None))),
            "release" => Ok(Some(LockOp::Release(owner))),
            f => Err(format!("a {} takes acquire and release, not {f}", self.name())),
        }
    }

    fn initial(&self) -> Held {
        Held {
            by: None,
            token: i64::MIN,
        }
    }

    fn step(&self, state: &Held, op: &LockOp, next: &mut Vec<Held>) {
        match (*op, state.by) {
            (LockOp::Acquire(owner, Some(token)), None) if token > state.token => next.push(Held {
                by: Some(owner),
                token,
            }),
            // The token of an unknown acquire is above all before it, and any later one is above that.
            (LockOp::Acquire(owner, None), None) => next.push(Held {
                by: Some(owner),
                token: match self {
                    Lock::Fenced => state.token.saturating_add(1),
                    Lock::Mutex | Lock::Owner => state.token,
                },
            }),
            (LockOp::Release(owner), Some(by)) if owner == by => next.push(Held { by: None, ..*state }),
            (LockOp::Acquire(..) | LockOp::Release(_), _) => {}
        }
    }

    /// Held or free; only tokens grow.
    fn reusable(&self, _op: &LockOp) -> bool {
        *self != Lock::Fenced
    }

    fn show(&self, state: &Held, _values: &Values) -> String {
        if state.by.is_some() { "it held" } else { "it free" }.to_owned()
    }

    fn decide(&self, part: &[Operation<LockOp>]) -> Option<Fast> {
        match self {
            Lock::Mutex => Some(direct::balance(part, 1, |op| matches!(op, LockOp::Acquire(..)))),
            Lock::Owner => direct::holds(part, false),
            Lock::Fenced => direct::holds(part, true),
        }
    }
}

/// A semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Semaphore {
    /// How many permits it has.
    pub permits: i64,
}

/// By how much the number of permits in use changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Permits(i64);

impl Permits {
    /// Takes so many, or gives back, if negative.
    pub const fn take(count: i64) -> Permits {
        Permits(count)
    }
}

impl Model for Semaphore {
    type Op = Permits;
    /// Permits in use.
    type State = i64;

    fn name(&self) -> &'static str {
        "semaphore"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<Permits>, String> {
        let count = match call.argument.first {
            Val::NIL => Some(1),
            count => call
                .values
                .int(count)
                .filter(|count| (0..1 << 40).contains(count)),
        };
        let Some(count) = count else {
            return Err("a semaphore takes a number of permits".to_owned());
        };
        match call.f {
            "acquire" => Ok(Some(Permits(count))),
            "release" => Ok(Some(Permits(-count))),
            f => Err(format!("a semaphore takes acquire and release, not {f}")),
        }
    }

    fn initial(&self) -> i64 {
        0
    }

    fn step(&self, used: &i64, op: &Permits, next: &mut Vec<i64>) {
        let after = used + op.0;
        if (0..=self.permits).contains(&after) {
            next.push(after);
        }
    }

    fn show(&self, used: &i64, _values: &Values) -> String {
        format!("{used} of {} permits taken", self.permits)
    }

    fn decide(&self, part: &[Operation<Permits>]) -> Option<Fast> {
        let single = self.permits > 0 && part.iter().all(|operation| operation.op.0.abs() == 1);
        single.then(|| direct::balance(part, self.permits, |op| op.0 > 0))
    }
}
