//! Registers whose written values are all different: no search at all.
//!
//! Gibbons and Korach, "Testing Shared Memories" (SICOMP 1997, section 4), carried over to `cas` and to unknown
//! operations. With all written values different, each read names its write.
//!
//! 1. *Unknown operations.* One whose value was observed (by a read that completed, a `cas` that completed, or an
//!    unknown `cas` that was itself observed) has happened, at any time after its invocation. One whose value nobody
//!    observed is dropped: taking it out of a legal order leaves a legal order, as nobody saw its value.
//! 2. *Chains.* The write of a value and its reads form a group. A `cas` from `a` to `b` puts the group of `b` directly
//!    behind that of `a`, for `a` is never written again. So groups form chains, and in every legal order a chain is one
//!    block: only writes and the initial value begin chains. Two `cas` from one value, or a circle of them, are
//!    impossible.
//! 3. *Within a chain* the order of groups is given; nothing may complete before something earlier in it begins.
//! 4. *Between chains*: let `f` be the earliest completion of a chain and `s` its latest invocation. Chain `C` must
//!    come before `D` if and only if `f(C) < s(D)`. If two chains must come before each other, the history is
//!    impossible. If no two must, ordering the chains by `min(f, s)` respects all of it:
//!    let `f(C) < s(D)`, hence `s(C) < f(D)`. If `min` of `D` is `s(D)`, then it is above `f(C)`; if it is `f(D)`, then
//!    it is above `s(C)`. Either is at least the `min` of `C`.
//! 5. Call chains with `f < s` *forward*. Two backward chains never conflict; two forward ones do if the intervals
//!    overlap; a backward one conflicts with a forward one that contains it. So one sweep in order of `min(f, s)`
//!    against the latest forward chain finds a conflict if there is one.
//!
//! Linear, where positions are dense, else one sort.

use crate::history::values::FastMap;
use crate::history::{NEVER, Val};
use crate::model::Operation;
use crate::model::shortcuts::Fast;
use crate::object::register::RegisterOp;
use crate::object::shared::lookup::{Lookup, NOBODY, tidy};

/// The group of the initial value.
const INITIAL: u32 = 0;

/// One value: who wrote it and when it was read.
#[derive(Clone, Copy)]
struct Group {
    /// Position of the operation that wrote it; [`NOBODY`] for the initial value.
    writer: u32,
    /// The group that its `cas` found, or [`NOBODY`].
    before: u32,
    /// The group that a `cas` put in its place, or [`NOBODY`].
    after: u32,
    read_ret_min: u32,
    read_invoke_max: u32,
    /// A completed operation, or an unknown one that happened, saw it.
    observed: bool,
    read: bool,
}

const FRESH: Group = Group {
    writer: NOBODY,
    before: NOBODY,
    after: NOBODY,
    read_ret_min: NEVER,
    read_invoke_max: 0,
    observed: false,
    read: false,
};

/// A chain of groups as one interval.
#[derive(Clone, Copy)]
struct Zone {
    head: u32,
    f: u32,
    s: u32,
}

/// Decides a part; `None` if a value was written twice.
pub fn decide(part: &[Operation<RegisterOp>]) -> Option<Fast> {
    Some(match explain(part)? {
        Ok(order) => Fast::Order(order),
        Err(core) => Fast::Core(with_observers(part, core)),
    })
}

fn explain(part: &[Operation<RegisterOp>]) -> Option<Checked<Vec<u32>>> {
    let groups = match group(part)? {
        Ok(groups) => groups,
        Err(core) => return Some(Err(core)),
    };
    Some(arrange(part, groups))
}

fn arrange(part: &[Operation<RegisterOp>], mut groups: Groups) -> Checked<Vec<u32>> {
    observe(part, &mut groups.all);
    link(part, &mut groups)?;
    let zones = zones(part, &groups.all)?;
    let sweep = sweep_order(part, &zones);
    if let Some((one, other)) = conflict(&groups.all, &zones, &sweep) {
        let mut core = witnesses(part, &groups, one);
        core.extend(witnesses(part, &groups, other));
        return Err(core);
    }
    Ok(order(part, &groups, &zones, &sweep))
}

/// An unknown operation is part of a proof only together with what shows that it happened.
fn with_observers(part: &[Operation<RegisterOp>], core: Vec<u32>) -> Vec<u32> {
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
            RegisterOp::Write(_) => false,
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

struct Groups {
    all: Vec<Group>,
    of: Lookup,
    /// For each operation that completed and left the value as it was: the group that it saw; else [`NOBODY`].
    seen: Vec<u32>,
}

type Checked<T> = Result<T, Vec<u32>>;

/// Gives every value its group and counts its reads. The outer `None`: a value was written twice.
fn group(part: &[Operation<RegisterOp>]) -> Option<Checked<Groups>> {
    let mut groups = Groups {
        all: vec![FRESH],
        of: Lookup::new(part.iter().flat_map(values), part.len()),
        seen: vec![NOBODY; part.len()],
    };
    groups.of.set(Val::NIL, INITIAL);
    for (position, operation) in part.iter().enumerate() {
        let value = match operation.op {
            RegisterOp::Write(value) => value,
            RegisterOp::Cas(old, new) if old != new => new,
            RegisterOp::Cas(..) | RegisterOp::Read(_) => continue,
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
            RegisterOp::Write(_) => continue,
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
        RegisterOp::Read(value) | RegisterOp::Write(value) => [value, value],
        RegisterOp::Cas(old, new) => [old, new],
    }
}

/// Whether an operation sees a value and leaves it.
fn reads(operation: &Operation<RegisterOp>) -> bool {
    match operation.op {
        RegisterOp::Read(_) => true,
        RegisterOp::Cas(old, new) => old == new,
        RegisterOp::Write(_) => false,
    }
}

/// Whether the write of a group has happened.
fn happened(part: &[Operation<RegisterOp>], group: &Group) -> bool {
    group.writer == NOBODY || group.observed || part[group.writer as usize].ret != NEVER
}

/// What an unknown `cas` that was observed found, was observed too.
fn observe(part: &[Operation<RegisterOp>], groups: &mut [Group]) {
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
            RegisterOp::Read(_) => None,
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
fn link(part: &[Operation<RegisterOp>], groups: &mut Groups) -> Checked<()> {
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
fn ancestry(groups: &Groups, group: u32) -> Vec<u32> {
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

/// Checks each chain within, and gives its interval. The first is that of the initial value.
fn zones(part: &[Operation<RegisterOp>], groups: &[Group]) -> Checked<Vec<Zone>> {
    let mut zones = Vec::with_capacity(groups.len());
    let mut chained = 0;
    for head in 0..groups.len() as u32 {
        let first = &groups[head as usize];
        if first.before != NOBODY || !happened(part, first) {
            continue;
        }
        let mut zone = Zone { head, f: NEVER, s: 0 };
        let mut at = head;
        while at != NOBODY {
            let group = &groups[at as usize];
            chained += 1;
            if group.writer != NOBODY {
                let writer = &part[group.writer as usize];
                if writer.ret < zone.s {
                    return Err(within(part, groups, head, at, zone.s, writer.ret));
                }
                zone.f = zone.f.min(writer.ret);
                zone.s = zone.s.max(writer.invoke);
            }
            if group.read {
                if group.read_ret_min < zone.s {
                    return Err(within(part, groups, head, at, zone.s, group.read_ret_min));
                }
                zone.f = zone.f.min(group.read_ret_min);
                zone.s = zone.s.max(group.read_invoke_max);
            }
            at = group.after;
        }
        zones.push(zone);
    }
    let alive = groups.iter().filter(|group| happened(part, group)).count();
    if chained < alive {
        // What hangs on no head hangs in a circle.
        let mut seen = vec![false; groups.len()];
        for zone in &zones {
            let mut at = zone.head;
            while at != NOBODY {
                seen[at as usize] = true;
                at = groups[at as usize].after;
            }
        }
        let in_circle = (0..groups.len()).find(|&at| !seen[at] && happened(part, &groups[at]));
        let start = in_circle.unwrap_or_default() as u32;
        let mut core = Vec::new();
        let mut at = start;
        loop {
            core.push(groups[at as usize].writer);
            at = groups[at as usize].before;
            if at == start || at == NOBODY {
                return Err(core);
            }
        }
    }
    Ok(zones)
}

/// Operations that show that a chain contradicts itself: `early`, a completion in group `at`, comes before `late`, an
/// invocation earlier in the chain.
fn within(
    part: &[Operation<RegisterOp>],
    groups: &[Group],
    head: u32,
    at: u32,
    late: u32,
    early: u32,
) -> Vec<u32> {
    let mut core = Vec::new();
    let mut group = head;
    loop {
        core.push(groups[group as usize].writer);
        if group == at {
            break;
        }
        group = groups[group as usize].after;
    }
    core.extend(with_event(part, |operation| {
        operation.invoke == late || operation.ret == early
    }));
    tidy(core)
}

/// The operations of a chain that fix its interval, and those that brought their values about.
fn witnesses(part: &[Operation<RegisterOp>], groups: &Groups, zone: Zone) -> Vec<u32> {
    let ends: Vec<u32> = with_event(part, |operation| {
        (zone.s == operation.invoke && member(groups, zone.head, operation))
            || (zone.f == operation.ret && operation.ret != NEVER)
    });
    let mut core = Vec::new();
    for end in ends {
        core.push(end);
        let value = match part[end as usize].op {
            RegisterOp::Read(value) | RegisterOp::Write(value) | RegisterOp::Cas(_, value) => value,
        };
        core.extend(ancestry(groups, groups.of.get(value)));
    }
    tidy(core)
}

/// Whether an operation belongs to a chain. A zone without any has `s` = 0, which is an invocation elsewhere.
fn member(groups: &Groups, head: u32, operation: &Operation<RegisterOp>) -> bool {
    let value = match operation.op {
        RegisterOp::Read(value) | RegisterOp::Write(value) | RegisterOp::Cas(_, value) => value,
    };
    let mut at = groups.of.get(value);
    while at != NOBODY && at != head {
        at = groups.all[at as usize].before;
    }
    at == head
}

fn with_event(part: &[Operation<RegisterOp>], is: impl Fn(&Operation<RegisterOp>) -> bool) -> Vec<u32> {
    let found = part.iter().enumerate().filter(|(_, operation)| is(operation));
    found.map(|(position, _)| position as u32).collect()
}

/// The zones in order of `min(f, s)`; that of the initial value stays first.
fn sweep_order(part: &[Operation<RegisterOp>], zones: &[Zone]) -> Vec<u32> {
    let span = part.last().map_or(0, |last| last.invoke as usize + 1);
    let start = |zone: &Zone| zone.f.min(zone.s);
    if span > part.len() * 8 {
        let mut sorted: Vec<u32> = (1..zones.len() as u32).collect();
        sorted.sort_unstable_by_key(|&at| start(&zones[at as usize]));
        return sorted;
    }
    // Every zone starts at an event of its own, no later than the last invocation.
    let mut at_event = vec![0u32; span + 1];
    for (at, zone) in zones.iter().enumerate().skip(1) {
        at_event[start(zone) as usize] = at as u32;
    }
    at_event.retain(|&at| at != 0);
    at_event
}

/// Two zones that must come before each other.
fn conflict(groups: &[Group], zones: &[Zone], sweep: &[u32]) -> Option<(Zone, Zone)> {
    // The initial value holds from before the beginning until it was last seen.
    let mut forward = zones[0];
    let unseen = groups[0].after == NOBODY && !groups[0].read;
    let mut end = if unseen { None } else { Some(forward.s) };
    for &at in sweep {
        let zone = zones[at as usize];
        if end.is_some_and(|end| zone.f < end) {
            return Some((forward, zone));
        }
        if zone.f < zone.s {
            forward = zone;
            end = Some(zone.s);
        }
    }
    None
}

/// Chain by chain, group by group: first the write, then the reads in order of invocation.
fn order(part: &[Operation<RegisterOp>], groups: &Groups, zones: &[Zone], sweep: &[u32]) -> Vec<u32> {
    // Reads by group, counted and then placed.
    let mut from = vec![0u32; groups.all.len() + 1];
    let each_read = || {
        let seen = groups
            .seen
            .iter()
            .enumerate()
            .filter(|(_, group)| **group != NOBODY);
        seen.map(|(position, group)| (position as u32, *group))
    };
    for (_, group) in each_read() {
        from[group as usize + 1] += 1;
    }
    for at in 1..from.len() {
        from[at] += from[at - 1];
    }
    let mut readers = vec![0u32; from[groups.all.len()] as usize];
    let mut next = from.clone();
    for (position, group) in each_read() {
        readers[next[group as usize] as usize] = position;
        next[group as usize] += 1;
    }
    let mut order = Vec::with_capacity(part.len());
    for at in std::iter::once(0).chain(sweep.iter().copied()) {
        let mut group = zones[at as usize].head;
        while group != NOBODY {
            let known = &groups.all[group as usize];
            if known.writer != NOBODY {
                order.push(known.writer);
            }
            let range = from[group as usize] as usize..from[group as usize + 1] as usize;
            order.extend_from_slice(&readers[range]);
            group = known.after;
        }
    }
    order
}
