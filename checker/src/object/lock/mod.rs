//! Locks: a mutex, one that knows its owner, and one with fencing tokens.
//!
//! | model | takes |
//! |---|---|
//! | `mutex` | `acquire`, `release` |
//! | `owner-mutex` | the same; the owner is the value, or the process where there is none |
//! | `fenced-lock` | the same; `acquire` returns its token, which must be higher than any before |
//!
//! All begin free. None may be acquired twice, and what is not held can't be released.

mod holds;
mod op;
mod words;

pub use self::op::LockOp;
use crate::history::{Val, Values};
use crate::model::{Call, Decision, Hints, Model, Operation, Shortcuts, Telling, Words};
use crate::object::shared::balance::balance;

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

    fn hints(&self) -> &impl Hints<LockOp, Held> {
        self
    }

    fn words(&self) -> &impl Words<LockOp, Held> {
        self
    }

    fn shortcuts(&self) -> &impl Shortcuts<LockOp> {
        self
    }
}

impl Hints<LockOp, Held> for Lock {
    /// Held or free; only tokens grow.
    fn reusable(&self, _op: &LockOp) -> bool {
        *self != Lock::Fenced
    }
}

impl Words<LockOp, Held> for Lock {
    fn show(&self, state: &Held, _values: &Values) -> String {
        if state.by.is_some() { "it held" } else { "it free" }.to_owned()
    }

    fn tell(&self, telling: &Telling<'_, LockOp>) -> Option<String> {
        words::tell(telling)
    }
}

impl Shortcuts<LockOp> for Lock {
    fn decide(&self, part: &[Operation<LockOp>]) -> Option<Decision> {
        match self {
            Lock::Mutex => Some(balance(part, 1, |op| matches!(op, LockOp::Acquire(..)))),
            Lock::Owner => holds::decide(part, false),
            Lock::Fenced => holds::decide(part, true),
        }
    }
}
