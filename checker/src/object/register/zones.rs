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
//! 6. *Mismatches* ([`super::mismatch`]) observe, so what is impossible without them is impossible. Each is given the
//!    first place in the order of all else at which the register holds another value. Where there is none, other orders
//!    might have one, and this gives no answer; but for one that the value was there all the time while it was open.
//!
//! Linear, where positions are dense, else one sort.

use super::groups::{Checked, Group, Groups, ancestry, group, happened, link, observe, with_observers};
use super::mismatch::{contradicted, mismatches};
use super::op::RegisterOp;
use crate::history::{NEVER, Val};
use crate::model::{Decision, Operation};
use crate::object::shared::lookup::{NOBODY, tidy};
use crate::object::shared::places;

/// A chain of groups as one interval.
#[derive(Clone, Copy)]
struct Zone {
    head: u32,
    f: u32,
    s: u32,
}

/// Decides a part; `None` if a value was written twice, or if no place was found for a mismatch.
pub fn decide(part: &[Operation<RegisterOp>]) -> Option<Decision> {
    let core = |core| Some(Decision::Core(with_observers(part, core)));
    let mut groups = match group(part)? {
        Ok(groups) => groups,
        Err(found) => return core(found),
    };
    let order = match sorted(part, &mut groups) {
        Ok((zones, sweep)) => order(part, &groups, &zones, &sweep),
        Err(found) => return core(found),
    };
    match groups.mismatches {
        true => insert(part, order).map(Decision::Order),
        false => Some(Decision::Order(order)),
    }
}

/// Operations that are impossible together, if there are any, without looking for an order otherwise; `None` as well if a
/// value was written twice.
pub(super) fn contradiction(part: &[Operation<RegisterOp>]) -> Option<Vec<u32>> {
    let found = match group(part)? {
        Ok(mut groups) => sorted(part, &mut groups).err(),
        Err(core) => Some(core),
    };
    found.map(|core| with_observers(part, core))
}

/// Gives the mismatches a place in an order of everything else.
fn insert(part: &[Operation<RegisterOp>], order: Vec<u32>) -> Option<Vec<u32>> {
    let denied: Vec<(u32, Val)> = mismatches(part).collect();
    places::insert(part, &order, Val::NIL, |op| op.value(), &denied)
}

/// The chains, and in which order they can be.
fn sorted(part: &[Operation<RegisterOp>], groups: &mut Groups) -> Checked<(Vec<Zone>, Vec<u32>)> {
    observe(part, &mut groups.all);
    link(part, groups)?;
    let zones = zones(part, &groups.all)?;
    let sweep = sweep_order(part, &zones);
    if let Some((one, other)) = conflict(&groups.all, &zones, &sweep) {
        let mut core = witnesses(part, groups, one);
        core.extend(witnesses(part, groups, other));
        return Err(core);
    }
    if groups.mismatches {
        contradicted(part, groups)?;
    }
    Ok((zones, sweep))
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
        if let Some(value) = part[end as usize].op.value() {
            core.extend(ancestry(groups, groups.of.get(value)));
        }
    }
    tidy(core)
}

/// Whether an operation belongs to a chain. A zone without any has `s` = 0, which is an invocation elsewhere.
fn member(groups: &Groups, head: u32, operation: &Operation<RegisterOp>) -> bool {
    let Some(value) = operation.op.value() else {
        return false;
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
