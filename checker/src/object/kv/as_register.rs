//! A key as a register, which has fewer states and a path without search.
//!
//! One key, with `get`, `put`, `append` and `delete`. Where no text that was put or appended is the beginning of
//! another, a longer text is the concatenation of at most one sequence of them ([`texts`](super::texts)). If each is
//! asked for once, then the key is a register whose values are all different, but for `null` ([`as_register`]):
//!
//! - An `append` that somebody saw is a compare-and-set, from the text that stands before it to the one that ends with it.
//! - A known `append` that nobody saw is a write of something that nobody reads: from then on until the next `put` or
//!   `delete` nobody looks, and no `append` that was seen comes.
//! - An unknown `put` or `append` that nobody saw is left out. In a legal order no `get` comes between it and the next `put`
//!   or `delete`, for it would have seen it; so it can be taken away.
//!
//! Without any `delete`, [`zones`] decides that register without search.

use std::collections::HashSet;

use super::op::{KvOp, Pieces, Stored};
use crate::history::values::FastMap;
use crate::history::{NEVER, Val};
use crate::limits::Limits;
use crate::model::{Decision, Operation};
use crate::object::register::{Register, RegisterOp, zones};
use crate::object::shared::lookup::{Lookup, NOBODY, tidy};
use crate::search::{Outcome, jit, suspects};

/// The key without anything in it.
const ROOT: u32 = 0;

/// What the key held at some time.
struct Version {
    /// The version that an `append` found; [`NOBODY`] behind a `put`, and for the root.
    before: u32,
    /// Who made it of that; [`NOBODY`] for the root.
    writer: u32,
    /// A `get` that shows it.
    shown_by: u32,
}

/// All that was seen, as versions that come one behind the other.
struct Versions {
    all: Vec<Version>,
    /// By the operation that made it, and by a `get` that found it.
    of: Vec<u32>,
}

/// What a key is searched as.
const REGISTER: Register = Register { cas: true };

/// A key as a register.
pub struct AsRegister {
    /// What became of the operations.
    pub part: Vec<Operation<RegisterOp>>,
    /// Their positions in the part that they are from. The others can be left out.
    positions: Vec<u32>,
    versions: Versions,
}

/// Decides a part; `None` if its texts can't be told apart, or if something was deleted.
pub fn decide(part: &[Operation<KvOp>]) -> Option<Decision> {
    let register = match as_register(part)? {
        Ok(register) => register,
        Err(core) => return Some(Decision::Core(core)),
    };
    Some(match zones::decide(&register.part)? {
        Decision::Core(core) => Decision::Core(register.core(&core)),
        Decision::Order(order) | Decision::Choices(order, _) => Decision::Order(register.original(&order)),
    })
}

/// Searches a part as the register that it is; `None` as of [`as_register`], or where no order is possible at first
/// sight.
pub fn search(part: &[Operation<KvOp>], limits: Limits<'_>) -> Option<Result<Decision, String>> {
    let register = as_register(part)?.ok()?;
    Some(match jit::search(&REGISTER, &register.part, limits) {
        Outcome::Order(order) => Ok(Decision::Order(register.original(&order))),
        Outcome::Impossible { at, since } => {
            let suspects = suspects(&REGISTER, &register.part, at, since);
            let rows: HashSet<u32> = suspects.iter().map(|operation| operation.row).collect();
            let positions: Vec<u32> = (register.part.iter().zip(0..))
                .filter(|(operation, _)| rows.contains(&operation.row))
                .map(|(_, at)| at)
                .collect();
            Ok(Decision::Core(register.core(&positions)))
        }
        Outcome::Exhausted(reason) => Err(reason),
    })
}

/// The key as a register. The outer `None`: its texts can't be told apart; the error: operations that are impossible
/// together.
pub fn as_register(part: &[Operation<KvOp>]) -> Option<Result<AsRegister, Vec<u32>>> {
    let versions = match versions(part)? {
        Ok(versions) => versions,
        Err(core) => return Some(Err(tidy(core))),
    };
    let mut register = AsRegister {
        part: Vec::with_capacity(part.len()),
        positions: Vec::with_capacity(part.len()),
        versions,
    };
    let versions = &register.versions;
    // Names for what nobody sees, behind those of the versions.
    let mut fresh = versions.all.len() as u32..;
    for (position, operation) in part.iter().enumerate() {
        let op = match (&operation.op, versions.of[position]) {
            (KvOp::Delete, _) => RegisterOp::Write(Val::NIL),
            (_, NOBODY) if operation.ret == NEVER => continue,
            (_, NOBODY) => RegisterOp::Write(name(fresh.next()?)?),
            (KvOp::Put(..), version) => RegisterOp::Write(name(version)?),
            (KvOp::Append(..), version) => {
                RegisterOp::Cas(name(versions.all[version as usize].before)?, name(version)?)
            }
            (KvOp::Get(..), version) => RegisterOp::Read(name(version)?),
        };
        register.positions.push(position as u32);
        register.part.push(Operation {
            op,
            invoke: operation.invoke,
            ret: operation.ret,
            row: operation.row,
        });
    }
    Some(Ok(register))
}

impl AsRegister {
    /// Where operations of the register stand in the part that it is from.
    pub fn original(&self, positions: &[u32]) -> Vec<u32> {
        positions.iter().map(|&at| self.positions[at as usize]).collect()
    }

    /// Operations of the part that are impossible together, from such of the register: with what shows where they
    /// stand.
    pub fn core(&self, positions: &[u32]) -> Vec<u32> {
        self.versions.shown(self.original(positions))
    }
}

/// The value that stands for a version.
fn name(version: u32) -> Option<Val> {
    match version {
        ROOT => Some(Val::NIL),
        version => Val::int(u64::from(version)),
    }
}

/// Finds out what was seen. The outer `None`: that can't be told; the error: operations that are impossible together.
fn versions(part: &[Operation<KvOp>]) -> Option<Result<Versions, Vec<u32>>> {
    let written = |operation: &Operation<KvOp>| match operation.op {
        KvOp::Put(_, value) | KvOp::Append(_, value) => Some(value),
        KvOp::Get(..) | KvOp::Delete => None,
    };
    // What stands behind a number is none of the chains: nobody knows what appending to one is.
    let is_number = |operation: &Operation<KvOp>| matches!(operation.op, KvOp::Put(Stored::Value(_), _));
    let is_append = |operation: &Operation<KvOp>| matches!(operation.op, KvOp::Append(..));
    if part.iter().any(is_number) && part.iter().any(is_append) {
        return None;
    }
    let mut writer_of = Lookup::new(part.iter().filter_map(written), part.len());
    for (position, operation) in part.iter().enumerate() {
        let value = match operation.op {
            KvOp::Put(Stored::Absent, _) => return None,
            // It looks like the key without anything in it.
            KvOp::Put(Stored::Text(text), _) | KvOp::Append(text, _) if text.is_empty() => return None,
            KvOp::Put(_, value) | KvOp::Append(_, value) => value,
            KvOp::Get(..) | KvOp::Delete => continue,
        };
        if writer_of.get(value) != NOBODY {
            return None;
        }
        writer_of.set(value, position as u32);
    }
    let root = Version {
        before: NOBODY,
        writer: NOBODY,
        shown_by: NOBODY,
    };
    let mut versions = Versions {
        all: vec![root],
        of: vec![NOBODY; part.len()],
    };
    let mut of_text: FastMap<Val, u32> = FastMap::default();
    for (position, operation) in part.iter().enumerate() {
        let (at, KvOp::Get(content, value, pieces)) = (position as u32, &operation.op) else {
            continue;
        };
        if operation.ret == NEVER {
            continue;
        }
        let version = match (content, pieces) {
            (Stored::Absent, _) => ROOT,
            (Stored::Text(text), _) if text.is_empty() => ROOT,
            (_, Pieces::Unknown) => return None,
            (_, Pieces::Foreign) => return Some(Err(vec![at])),
            (_, Pieces::Of(pieces)) => match of_text.get(value) {
                Some(&version) => version,
                None => match versions.walk(part, &writer_of, pieces, at) {
                    Ok(version) => version,
                    Err(core) => return Some(Err(core)),
                },
            },
        };
        of_text.insert(*value, version);
        versions.of[position] = version;
    }
    Some(Ok(versions))
}

impl Versions {
    /// The version that was put together so, with those before it.
    fn walk(
        &mut self,
        part: &[Operation<KvOp>],
        writer_of: &Lookup,
        pieces: &[Val],
        reader: u32,
    ) -> Result<u32, Vec<u32>> {
        let mut version = ROOT;
        for (nth, &piece) in pieces.iter().enumerate() {
            let writer = writer_of.get(piece);
            let put = match part.get(writer as usize).map(|operation| &operation.op) {
                Some(KvOp::Put(..)) => true,
                Some(_) => false,
                // Nobody wrote it.
                None => return Err(vec![reader]),
            };
            // What is put stands at the beginning, and every operation takes effect in one place.
            let before = if put { NOBODY } else { version };
            let known = self.of[writer as usize];
            if known == NOBODY {
                version = self.all.len() as u32;
                self.of[writer as usize] = version;
                self.all.push(Version {
                    before,
                    writer,
                    shown_by: reader,
                });
            } else {
                version = known;
            }
            if (put && nth > 0) || self.all[version as usize].before != before {
                let writers = pieces.iter().map(|&piece| writer_of.get(piece));
                let mut core: Vec<u32> = writers.chain([reader]).collect();
                self.show(version, &mut core);
                return Err(core);
            }
        }
        Ok(version)
    }

    /// Adds what shows a version, and everybody who had a part in it.
    fn show(&self, version: u32, core: &mut Vec<u32>) {
        let reader = self.all[version as usize].shown_by;
        core.push(reader);
        let mut at = match self.of.get(reader as usize) {
            // It is being looked at just now.
            Some(&NOBODY) | None => version,
            Some(&found) => found,
        };
        while at != NOBODY {
            core.push(self.all[at as usize].writer);
            at = self.all[at as usize].before;
        }
    }

    /// Operations with what shows where they stand.
    fn shown(&self, core: Vec<u32>) -> Vec<u32> {
        let mut shown = core.clone();
        for position in core {
            let version = self.of[position as usize];
            if version != NOBODY && version != ROOT {
                self.show(version, &mut shown);
            }
        }
        tidy(shown)
    }
}
