//! The values of a register: who wrote each, who saw it, and which stands behind which.
//!
//! Steps 1 and 2 of [`super::zones`].

use super::op::RegisterOp;
use crate::history::values::FastMap;
use crate::history::{NEVER, Val};
use crate::model::Operation;
use crate::object::shared::lookup::{Lookup, NOBODY, tidy};

/// The group of the initial value.
pub(super) const INITIAL: u32 = 0;

/// One value: who wrote it and when it was read.
#[derive(Clone, Copy)]
pub(super) struct Group {
    /// Position of the operation that wrote it; [`NOBODY`] for the initial value.
    pub writer: u32,
    /// The group that its `cas` found, or [`NOBODY`].
    pub before: u32,
    /// The group that a `cas` put in its place, or [`NOBODY`].
    pub after: u32,
    pub read_ret_min: u32,
    pub read_invoke_max: u32,
    /// A completed operation, or an unknown one that happened, saw it.
    pub observed: bool,
    pub read: bool,
}

pub(super) const FRESH: Group = Group {
    writer: NOBODY,
    before: NOBODY,
    after: NOBODY,
    read_ret_min: NEVER,
    read_invoke_max: 0,
    observed: false,
    read: false,
};

/// An unknown operation is part of a proof only together with what shows that it happened.
pub(super) fn with_observers(part: &[Operation<RegisterOp>], core: Vec<u32>) -> Vec<u32> {
    let mut core = tidy(core);
    let mut at = 0;
    while at < core.len() {
        let operation = &part[core[at] as usize];
        at += 1;
        let (RegisterOp::Write(value) | RegisterOp::Cas(_, value)) = operation.op else {
            continue;
        };
        if operation.ret != NEVER {
            continue;
        }
        let saw = |other: &Operation<RegisterOp>| match other.op {
            RegisterOp::Read(seen) | RegisterOp::Cas(seen, _) => seen == value,
            RegisterOp::Write(_) | RegisterOp::Mismatch(_) => false,
        };
        // One that completed is proof by itself; an unknown cas needs an observer of its own.
        let known = part.iter().position(|other| other.ret != NEVER && saw(other));
        let observer = known
            .or_else(|| part.iter().position(saw))
            .map(|observer| observer as u32);
        if let Some(observer) = observer.filter(|observer| !core.contains(observer)) {
            core.push(observer);
        }
    }
    tidy(core)
}

pub(super) struct Groups {
    pub all: Vec<Group>,
    pub of: Lookup,
    /// For each operation that completed and left the value as it was: the group that it saw; else [`NOBODY`].
    pub seen: Vec<u32>,
    /// Whether there are mismatches.
    pub mismatches: bool,
}

pub(super) type Checked<T> = Result<T, Vec<u32>>;

/// Gives every value its group and counts its reads. The outer `None`: a value was written twice.
pub(super) fn group(part: &[Operation<RegisterOp>]) -> Option<Checked<Groups>> {
    let mut groups = Groups {
        all: vec![FRESH],
        of: Lookup::new(part.iter().flat_map(values), part.len()),
        seen: vec![NOBODY; part.len()],
        mismatches: false,
    };
    groups.of.set(Val::NIL, INITIAL);
    for (position, operation) in part.iter().enumerate() {
        let value = match operation.op {
            RegisterOp::Write(value) => value,
            RegisterOp::Cas(old, new) if old != new => new,
            RegisterOp::Cas(..) | RegisterOp::Read(_) => continue,
            RegisterOp::Mismatch(_) => {
                groups.mismatches = true;
                continue;
            }
        };
        if groups.of.get(value) != NOBODY {
            return None;
        }
        groups.of.set(value, groups.all.len() as u32);
        groups.all.push(Group {
            writer: position as u32,
            ..FRESH
        });
    }
    for (position, operation) in part.iter().enumerate() {
        let known = operation.ret != NEVER;
        let seen = match operation.op {
            RegisterOp::Write(_) | RegisterOp::Mismatch(_) => continue,
            // An unknown read says nothing, and neither does an unknown cas that changes nothing.
            RegisterOp::Read(_) if !known => continue,
            RegisterOp::Cas(old, new) if old == new && !known => continue,
            RegisterOp::Read(value) | RegisterOp::Cas(value, _) => value,
        };
        let at = groups.of.get(seen);
        if at == NOBODY {
            if known {
                return Some(Err(vec![position as u32]));
            }
            continue;
        }
        let group = &mut groups.all[at as usize];
        group.observed |= known;
        if known && reads(operation) {
            groups.seen[position] = at;
            group.read = true;
            group.read_ret_min = group.read_ret_min.min(operation.ret);
            group.read_invoke_max = group.read_invoke_max.max(operation.invoke);
        }
    }
    Some(Ok(groups))
}

fn values(operation: &Operation<RegisterOp>) -> [Val; 2] {
    match operation.op {
        RegisterOp::Read(value) | RegisterOp::Write(value) | RegisterOp::Mismatch(value) => [value, value],
        RegisterOp::Cas(old, new) => [old, new],
    }
}

/// Whether an operation sees a value and leaves it.
pub(super) fn reads(operation: &Operation<RegisterOp>) -> bool {
    match operation.op {
        RegisterOp::Read(_) => true,
        RegisterOp::Cas(old, new) => old == new,
        RegisterOp::Write(_) | RegisterOp::Mismatch(_) => false,
    }
}

/// Whether the write of a group has happened.
pub(super) fn happened(part: &[Operation<RegisterOp>], group: &Group) -> bool {
    group.writer == NOBODY || group.observed || part[group.writer as usize].ret != NEVER
}

/// What an unknown `cas` that was observed found, was observed too.
pub(super) fn observe(part: &[Operation<RegisterOp>], groups: &mut [Group]) {
    let unknown_cas: Vec<u32> = (groups.iter().enumerate().skip(1))
        .filter(|(_, group)| {
            let writer = &part[group.writer as usize];
            writer.ret == NEVER && matches!(writer.op, RegisterOp::Cas(..))
        })
        .map(|(at, _)| at as u32)
        .collect();
    if unknown_cas.is_empty() {
        return;
    }
    let by_value: FastMap<Val, u32> = (groups.iter().enumerate().skip(1))
        .filter_map(|(at, group)| match part[group.writer as usize].op {
            RegisterOp::Write(value) | RegisterOp::Cas(_, value) => Some((value, at as u32)),
            RegisterOp::Read(_) | RegisterOp::Mismatch(_) => None,
        })
        .collect();
    for start in unknown_cas {
        let mut at = start;
        // Upwards along a chain of unknown cas, as far as it was not known to be observed.
        while groups[at as usize].observed {
            let writer = &part[groups[at as usize].writer as usize];
            let RegisterOp::Cas(old, _) = writer.op else { break };
            if writer.ret != NEVER {
                break;
            }
            match by_value.get(&old) {
                Some(&before) if !groups[before as usize].observed => {
                    groups[before as usize].observed = true;
                    at = before;
                }
                _ => break,
            }
        }
    }
}

/// Puts the group that a `cas` wrote behind the one that it found.
pub(super) fn link(part: &[Operation<RegisterOp>], groups: &mut Groups) -> Checked<()> {
    for at in 1..groups.all.len() {
        let group = groups.all[at];
        let RegisterOp::Cas(old, _) = part[group.writer as usize].op else {
            continue;
        };
        if !happened(part, &group) {
            continue;
        }
        let before = groups.of.get(old);
        if before == NOBODY {
            return Err(vec![group.writer]);
        }
        let rival = groups.all[before as usize].after;
        if rival != NOBODY {
            let rival = groups.all[rival as usize].writer;
            let mut core = ancestry(groups, before);
            core.extend([rival, group.writer]);
            return Err(core);
        }
        groups.all[before as usize].after = at as u32;
        groups.all[at].before = before;
    }
    Ok(())
}

/// The operations that brought a value about, back to a write; or all of a circle.
pub(super) fn ancestry(groups: &Groups, group: u32) -> Vec<u32> {
    let mut core = Vec::new();
    let mut at = group;
    while at != NOBODY {
        let writer = groups.all[at as usize].writer;
        if writer == NOBODY || core.first() == Some(&writer) {
            break;
        }
        core.push(writer);
        at = groups.all[at as usize].before;
    }
    core
}
