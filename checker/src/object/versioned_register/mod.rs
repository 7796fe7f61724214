//! A register with versions, as etcd has it: `read`, `write` and `cas`.
//!
//! `read` → `[version, v]`, `write [null, v]` → `[version, v]`, `cas [null, [old, new]]` → `[version, [old, new]]`.
//! Versions may be `null`: not known. It begins as `null` at version 0, and each write counts one. A `cas` that failed with
//! [`"error":"mismatch"`](crate::history::MISMATCH) is judged as well: it found another value.

mod direct;
mod op;

use std::slice;

pub use self::op::{Versioned, VersionedOp};
use crate::history::{Datum, Val, Values};
use crate::model::{Call, Decision, Hints, Model, Operation, Part, Shortcuts, Words};

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

    fn refused(&self, call: &Call<'_>) -> Result<Option<VersionedOp>, String> {
        let Some(VersionedOp { what, .. }) = self.operation(call)? else {
            return Ok(None);
        };
        Ok(match what {
            Versioned::Cas(old, _) => Some(VersionedOp {
                version: None,
                what: Versioned::Mismatch(old),
            }),
            _ => None,
        })
    }

    fn initial(&self) -> (i64, Val) {
        (0, Val::NIL)
    }

    fn step(&self, state: &(i64, Val), op: &VersionedOp, next: &mut Vec<(i64, Val)>) {
        let (version, value) = *state;
        let after = match op.what {
            Versioned::Read(found) if found == value => (version, value),
            Versioned::Mismatch(other) if other != value => (version, value),
            Versioned::Write(new) => (version + 1, new),
            Versioned::Cas(old, new) if old == value => (version + 1, new),
            Versioned::Read(_) | Versioned::Cas(..) | Versioned::Mismatch(_) => return,
        };
        if op.version.is_none_or(|known| known == after.0) {
            next.push(after);
        }
    }

    fn hints(&self) -> &impl Hints<VersionedOp, (i64, Val)> {
        self
    }

    fn words(&self) -> &impl Words<VersionedOp, (i64, Val)> {
        self
    }

    fn shortcuts(&self) -> &impl Shortcuts<VersionedOp> {
        self
    }
}

impl Hints<VersionedOp, (i64, Val)> for VersionedRegister {
    fn observes_only(&self, op: &VersionedOp) -> bool {
        matches!(op.what, Versioned::Read(_) | Versioned::Mismatch(_))
    }
}

impl Words<VersionedOp, (i64, Val)> for VersionedRegister {
    fn produces<'op>(&self, op: &'op VersionedOp) -> &'op [Val] {
        match &op.what {
            Versioned::Read(_) | Versioned::Mismatch(_) => &[],
            Versioned::Write(value) | Versioned::Cas(_, value) => slice::from_ref(value),
        }
    }

    fn needs<'op>(&self, op: &'op VersionedOp) -> &'op [Val] {
        match &op.what {
            Versioned::Read(value) | Versioned::Cas(value, _) => slice::from_ref(value),
            Versioned::Write(_) | Versioned::Mismatch(_) => &[],
        }
    }

    fn denies(&self, op: &VersionedOp) -> Option<Val> {
        match op.what {
            Versioned::Mismatch(value) => Some(value),
            _ => None,
        }
    }

    fn bringing(&self, value: Val) -> Option<VersionedOp> {
        Some(VersionedOp {
            version: None,
            what: Versioned::Write(value),
        })
    }

    fn show(&self, (version, value): &(i64, Val), values: &Values) -> String {
        format!("version {version}, {}", values.json(*value))
    }
}

impl Shortcuts<VersionedOp> for VersionedRegister {
    fn decide(&self, part: &[Operation<VersionedOp>]) -> Option<Decision> {
        direct::decide(part)
    }

    fn focus(&self, core: &[Operation<VersionedOp>]) -> Option<Part<VersionedOp>> {
        direct::focus(core)
    }
}
