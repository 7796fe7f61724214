//! A lock: `acquire` and `release`, each with its holder as the value.
//!
//! `{"f":"acquire","key":"lock","value":3}` is `ok` when process 3 got the lock; who finds it taken gets a `fail`. Only
//! the holder can release it. `hold`, what a holder does in between, is no operation on the lock and is ignored.

use super::{Call, Model};
use crate::history::Val;

/// An operation on a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MutexOp {
    /// This holder got it.
    Acquire(Val),
    /// This holder gave it back.
    Release(Val),
}

/// A lock that remembers its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutex;

impl Model for Mutex {
    type Op = MutexOp;
    /// The holder; [`Val::NONE`]: nobody.
    type State = Val;

    fn name(&self) -> &'static str {
        "owner-mutex"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<MutexOp>, String> {
        let holder = || {
            call.argument
                .single()
                .ok_or("a lock takes one holder, not a pair")
        };
        match call.f {
            "acquire" => Ok(Some(MutexOp::Acquire(holder()?))),
            "release" => Ok(Some(MutexOp::Release(holder()?))),
            "hold" => Ok(None),
            f => Err(format!("an owner-mutex takes acquire, hold and release, not {f}")),
        }
    }

    fn initial(&self) -> Val {
        Val::NONE
    }

    fn step(&self, state: &Val, op: &MutexOp, next: &mut Vec<Val>) {
        match *op {
            MutexOp::Acquire(holder) if *state == Val::NONE => next.push(holder),
            MutexOp::Release(holder) if *state == holder => next.push(Val::NONE),
            MutexOp::Acquire(_) | MutexOp::Release(_) => {}
        }
    }

    fn produces(&self, op: &MutexOp) -> Option<Val> {
        match op {
            MutexOp::Acquire(holder) => Some(*holder),
            MutexOp::Release(_) => None,
        }
    }

    fn needs(&self, op: &MutexOp) -> Option<Val> {
        match op {
            MutexOp::Release(holder) => Some(*holder),
            MutexOp::Acquire(_) => None,
        }
    }
}
