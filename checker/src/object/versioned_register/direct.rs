//! Registers that count their writes: the version says where each write stands.
//!
//! With the versions of all known operations, the writes form a [`line`](crate::object::shared::line), and a read of
//! version `k` lies between the writes `k` and `k + 1`. A write finds the value that the version before it has, if it
//! is a `cas`. What no known operation wrote must have been an unknown one, of the value that was read or found there:
//! of those that fit the one that was invoked first is taken. If that explains the history, it is an explanation; if
//! not, and no unknown operation was needed, there is none; else another choice might, and this gives no answer. Nor does it
//! where the order that was found has no place for a mismatch.

use super::op::{Versioned, VersionedOp};
use crate::history::{NEVER, Val};
use crate::model::Decision;
use crate::model::{Operation, Part};
use crate::object::shared::line::{Conflict, Line, arrange};
use crate::object::shared::lookup::{NOBODY, tidy};
use crate::object::shared::places;

/// Decides a part; `None` if a version is not known, or if it hangs on which unknown operations took effect.
pub fn decide(part: &[Operation<VersionedOp>]) -> Option<Decision> {
    let mut table = match Table::new(part)? {
        Ok(table) => table,
        Err(core) => return Some(Decision::Core(tidy(core))),
    };
    // Two that contradict each other do so whoever stands between them.
    if let Err(Conflict::Pair(late, early)) = arrange(part, &table.line) {
        let mut core = vec![late, early];
        core.extend([late, early].map(|at| table.writer(part, &part[at as usize])));
        return Some(Decision::Core(tidy(core)));
    }
    table.fill(part)?;
    let order = arrange(part, &table.line).ok()?;
    if table.denied.is_empty() {
        return Some(Decision::Order(order));
    }
    let value = |op: VersionedOp| written(&op);
    places::insert(part, &order, Val::NIL, value, &table.denied).map(Decision::Order)
}

struct Table {
    line: Line,
    /// The value of each version from 0 on, where it is known.
    values: Vec<Option<Val>>,
    /// Unknown operations that change something.
    unknown: Vec<u32>,
    /// Mismatches that completed, and the value that each did not find.
    denied: Vec<(u32, Val)>,
}

impl Table {
    fn new(part: &[Operation<VersionedOp>]) -> Option<Result<Table, Vec<u32>>> {
        let writes_nil = part.iter().any(|operation| {
            matches!(
                operation.op.what,
                Versioned::Write(Val::NIL) | Versioned::Cas(_, Val::NIL)
            )
        });
        let mut table = Table {
            line: Line::default(),
            values: vec![Some(Val::NIL)],
            unknown: Vec::new(),
            denied: Vec::new(),
        };
        let mut reads = Vec::new();
        for (operation, at) in part.iter().zip(0u32..) {
            let VersionedOp { version, what } = operation.op;
            if let Versioned::Mismatch(value) = what {
                if version.is_some() {
                    return None;
                }
                table
                    .denied
                    .extend((operation.ret != NEVER).then_some((at, value)));
                continue;
            }
            let read = matches!(what, Versioned::Read(_));
            let version = match version {
                _ if operation.ret == NEVER && read => continue,
                None if operation.ret == NEVER => {
                    table.unknown.push(at);
                    continue;
                }
                // It saw the beginning.
                None if what == Versioned::Read(Val::NIL) && !writes_nil => 0,
                None => return None,
                Some(_) if operation.ret == NEVER => return None,
                Some(version) => version,
            };
            let version = usize::try_from(version).unwrap_or(usize::MAX);
            if version > part.len() || (version == 0 && !read) {
                // More versions than writes, or fewer than none: whatever is wrong, the search will say.
                return None;
            }
            if read {
                reads.push((version, at));
                continue;
            }
            let slots = &mut table.line.slots;
            slots.resize(slots.len().max(version), NOBODY);
            let other = std::mem::replace(&mut slots[version - 1], at);
            if other != NOBODY {
                return Some(Err(vec![other, at]));
            }
        }
        let most = reads.iter().map(|(version, _)| *version).max().unwrap_or(0);
        let slots = &mut table.line.slots;
        slots.resize(slots.len().max(most), NOBODY);
        table.values.resize(slots.len() + 1, None);
        table.line.observed = reads.iter().map(|&(version, at)| (version as u32, at)).collect();
        for slot in 0..table.line.slots.len() {
            let at = table.line.slots[slot];
            if at != NOBODY
                && let Versioned::Write(value) | Versioned::Cas(_, value) = part[at as usize].op.what
            {
                table.values[slot + 1] = Some(value);
            }
        }
        for (version, at) in reads {
            if let Versioned::Read(value) = part[at as usize].op.what
                && let Err(core) = table.found(part, version, value, at)?
            {
                return Some(Err(core));
            }
        }
        for slot in 0..table.line.slots.len() {
            let at = table.line.slots[slot];
            if at != NOBODY
                && let Versioned::Cas(old, _) = part[at as usize].op.what
                && let Err(core) = table.found(part, slot, old, at)?
            {
                return Some(Err(core));
            }
        }
        Some(Ok(table))
    }

    /// Notes that an operation found a value at a version. `None`: a contradiction that takes an unknown write.
    fn found(
        &mut self,
        part: &[Operation<VersionedOp>],
        version: usize,
        value: Val,
        by: u32,
    ) -> Option<Result<(), Vec<u32>>> {
        match &mut self.values[version] {
            Some(known) if *known == value => Some(Ok(())),
            Some(_) if version == 0 => Some(Err(vec![by])),
            Some(_) => match self.line.slots[version - 1] {
                NOBODY => None,
                writer if part[writer as usize].ret == NEVER => None,
                writer => Some(Err(vec![writer, by])),
            },
            unknown => {
                *unknown = Some(value);
                Some(Ok(()))
            }
        }
    }

    /// Gives the open slots to unknown operations; `None` if there are not enough that fit.
    fn fill(&mut self, part: &[Operation<VersionedOp>]) -> Option<()> {
        // First those of which the value is known: fewer operations fit them.
        for known in [true, false] {
            for slot in 0..self.line.slots.len() {
                let (before, after) = (self.values[slot], self.values[slot + 1]);
                if self.line.slots[slot] != NOBODY || after.is_some() != known {
                    continue;
                }
                let fits = |at: &u32| match part[*at as usize].op.what {
                    Versioned::Write(new) => after.is_none_or(|value| value == new),
                    Versioned::Cas(old, new) => before == Some(old) && after.is_none_or(|value| value == new),
                    Versioned::Read(_) | Versioned::Mismatch(_) => false,
                };
                let at = self.unknown.iter().position(fits)?;
                let taken = self.unknown.remove(at);
                self.line.slots[slot] = taken;
                if let Versioned::Write(new) | Versioned::Cas(_, new) = part[taken as usize].op.what {
                    self.values[slot + 1] = Some(new);
                }
            }
        }
        Some(())
    }

    /// Who wrote what an operation read; of unknown ones that may have, the first.
    fn writer(&self, part: &[Operation<VersionedOp>], operation: &Operation<VersionedOp>) -> u32 {
        let (Versioned::Read(value), Some(version @ 1..)) = (operation.op.what, operation.op.version) else {
            return NOBODY;
        };
        let known = self.line.slots[version as usize - 1];
        let wrote = |at: &u32| written(&part[*at as usize].op) == Some(value);
        match known {
            NOBODY => self.unknown.iter().copied().find(wrote).unwrap_or(NOBODY),
            known => known,
        }
    }
}

/// The value that an operation writes.
fn written(op: &VersionedOp) -> Option<Val> {
    match op.what {
        Versioned::Write(value) | Versioned::Cas(_, value) => Some(value),
        Versioned::Read(_) | Versioned::Mismatch(_) => None,
    }
}

/// The register as some of its writes and those who read them make it: versions count these writes alone, and a `cas`
/// of which the write before is not among them is a write. An unknown write has the version at which its value was
/// read. `None` if something was read whose write is not among them, or if a version is not known.
///
/// If the history is linearizable, so is this: between two of these writes the others change nothing that is seen.
pub fn focus(core: &[Operation<VersionedOp>]) -> Option<Part<VersionedOp>> {
    // What a mismatch says hangs on all writes.
    let mut core = versioned(core)?;
    core.retain(|operation| !matches!(operation.op.what, Versioned::Mismatch(_)));
    let mut writes: Vec<i64> = vec![0];
    for operation in &core {
        if !matches!(operation.op.what, Versioned::Read(_)) {
            writes.push(operation.op.version?);
        }
    }
    writes.sort_unstable();
    writes.dedup();
    let among = |version: i64| writes.binary_search(&version).ok().map(|rank| rank as i64);
    let focused = core.iter().map(|operation| {
        let VersionedOp { version, what } = operation.op;
        let what = match what {
            Versioned::Cas(_, new) if among(version? - 1).is_none() => Versioned::Write(new),
            what => what,
        };
        Some(Operation {
            op: VersionedOp {
                version: Some(among(version?)?),
                what,
            },
            ..*operation
        })
    });
    focused.collect()
}

/// The operations, unknown writes as those who read their values saw them; without those that nobody read.
///
/// Which of all unknown writes of a value it was, nobody knows, so it may have been invoked at any time.
fn versioned(core: &[Operation<VersionedOp>]) -> Option<Part<VersionedOp>> {
    let is_unknown =
        |operation: &&Operation<VersionedOp>| operation.ret == NEVER && operation.op.version.is_none();
    let mut versioned: Part<VersionedOp> = Vec::with_capacity(core.len());
    for operation in core.iter().filter(is_unknown) {
        let Some(value) = written(&operation.op) else {
            continue;
        };
        let mut seen = (core.iter())
            .filter(|other| other.ret != NEVER && other.op.what == Versioned::Read(value))
            .filter_map(|other| other.op.version);
        let Some(version) = seen.next() else { continue };
        // Read at two versions, it was written twice.
        if seen.any(|other| other != version) {
            return None;
        }
        let writes = |other: &Operation<VersionedOp>| {
            other.op.version == Some(version) && written(&other.op).is_some()
        };
        if !core.iter().chain(&versioned).any(writes) {
            versioned.push(Operation {
                op: VersionedOp {
                    version: Some(version),
                    what: Versioned::Write(value),
                },
                invoke: 0,
                ..*operation
            });
        }
    }
    versioned.extend(core.iter().filter(|operation| !is_unknown(operation)));
    Some(versioned)
}
