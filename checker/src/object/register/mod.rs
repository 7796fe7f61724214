//! A register: `read`, `write`, and, as a `cas-register`, `cas`.
//!
//! `{"f":"write","value":3}`, `{"f":"read","value":3}` at the completion, `{"f":"cas","value":[3,4]}`. It begins as
//! `null`, and writing `null` deletes it. A `cas` that is `ok` found the old value. One that did not is a `fail`; with
//! [`"error":"mismatch"`](crate::history::MISMATCH) it is judged as well: it found something else.

mod groups;
mod mismatch;
mod op;
mod repeated;
pub(super) mod zones;

use std::slice;

pub use self::op::RegisterOp;
use crate::history::{Val, Values};
use crate::model::{Call, Decision, Hints, Model, Operation, Shortcuts, Words};

/// A register with or without `cas`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Whether it takes `cas`.
    pub cas: bool,
}

impl Model for Register {
    type Op = RegisterOp;
    type State = Val;

    fn name(&self) -> &'static str {
        if self.cas { "cas-register" } else { "register" }
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<RegisterOp>, String> {
        match call.f {
            "read" => match call.result {
                None => Ok(None),
                Some(result) => match result.single() {
                    Some(value) => Ok(Some(RegisterOp::Read(value))),
                    None => Err("a read returns one value, not a pair".to_owned()),
                },
            },
            "write" => match call.argument.single() {
                Some(value) => Ok(Some(RegisterOp::Write(value))),
                None => Err("a write takes one value, not a pair".to_owned()),
            },
            "cas" if self.cas => match call.argument.pair() {
                Some((old, new)) => Ok(Some(RegisterOp::Cas(old, new))),
                None => Err("a cas takes [old, new]".to_owned()),
            },
            f if self.cas => Err(format!("a cas-register takes read, write and cas, not {f}")),
            f => Err(format!("a register takes read and write, not {f}")),
        }
    }

    fn refused(&self, call: &Call<'_>) -> Result<Option<RegisterOp>, String> {
        match self.operation(call)? {
            Some(RegisterOp::Cas(old, _)) => Ok(Some(RegisterOp::Mismatch(old))),
            _ => Ok(None),
        }
    }

    fn initial(&self) -> Val {
        Val::NIL
    }

    fn step(&self, state: &Val, op: &RegisterOp, next: &mut Vec<Val>) {
        match *op {
            RegisterOp::Read(value) if value == *state => next.push(value),
            RegisterOp::Write(value) => next.push(value),
            RegisterOp::Cas(old, new) if old == *state => next.push(new),
            RegisterOp::Mismatch(value) if value != *state => next.push(*state),
            RegisterOp::Read(_) | RegisterOp::Cas(..) | RegisterOp::Mismatch(_) => {}
        }
    }

    fn hints(&self) -> &impl Hints<RegisterOp, Val> {
        self
    }

    fn words(&self) -> &impl Words<RegisterOp, Val> {
        self
    }

    fn shortcuts(&self) -> &impl Shortcuts<RegisterOp> {
        self
    }
}

impl Hints<RegisterOp, Val> for Register {
    fn observes_only(&self, op: &RegisterOp) -> bool {
        match op {
            RegisterOp::Read(_) | RegisterOp::Mismatch(_) => true,
            RegisterOp::Write(_) => false,
            RegisterOp::Cas(old, new) => old == new,
        }
    }

    fn overwrites(&self, op: &RegisterOp) -> bool {
        matches!(op, RegisterOp::Write(_))
    }

    fn only_in(&self, op: &RegisterOp) -> Option<Val> {
        match op {
            RegisterOp::Read(value) | RegisterOp::Cas(value, _) => Some(*value),
            RegisterOp::Write(_) | RegisterOp::Mismatch(_) => None,
        }
    }

    /// A register only ever holds what is written.
    fn reusable(&self, _op: &RegisterOp) -> bool {
        true
    }
}

impl Words<RegisterOp, Val> for Register {
    fn show(&self, state: &Val, values: &Values) -> String {
        values.json(*state).to_string()
    }

    fn produces<'op>(&self, op: &'op RegisterOp) -> &'op [Val] {
        match op {
            RegisterOp::Read(_) | RegisterOp::Mismatch(_) => &[],
            RegisterOp::Write(value) | RegisterOp::Cas(_, value) => slice::from_ref(value),
        }
    }

    fn needs<'op>(&self, op: &'op RegisterOp) -> &'op [Val] {
        match op {
            RegisterOp::Read(value) | RegisterOp::Cas(value, _) => slice::from_ref(value),
            RegisterOp::Write(_) | RegisterOp::Mismatch(_) => &[],
        }
    }

    fn found(&self, op: &RegisterOp) -> Option<Val> {
        match *op {
            RegisterOp::Cas(old, _) => Some(old),
            _ => None,
        }
    }

    fn denies(&self, op: &RegisterOp) -> Option<Val> {
        match *op {
            RegisterOp::Mismatch(value) => Some(value),
            _ => None,
        }
    }

    fn bringing(&self, value: Val) -> Option<RegisterOp> {
        Some(RegisterOp::Write(value))
    }
}

impl Shortcuts<RegisterOp> for Register {
    fn decide(&self, part: &[Operation<RegisterOp>]) -> Option<Decision> {
        zones::decide(part)
    }

    fn contradiction(&self, part: &[Operation<RegisterOp>]) -> Option<Vec<u32>> {
        repeated::contradiction(part)
    }
}
