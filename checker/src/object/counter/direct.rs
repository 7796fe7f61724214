//! Counters whose steps are all equal, and what can be said without search of the others.
//!
//! If everything is added by the same step, a read says how many additions had taken effect: a
//! [`line`](crate::object::shared::line), exact, with unknown additions that may have happened or not.
//!
//! Else only bounds are looked at: a read is impossible if it found less than what certainly had been added and might
//! have been subtracted, or more than the other way around. Whether a sum of some of the open additions makes up a
//! number is as hard as it sounds (subset sum), so the rest is left to the search.

use super::op::CounterOp;
use crate::history::NEVER;
use crate::model::Decision;
use crate::model::Operation;
use crate::object::shared::line::{Conflict, Line, arrange};
use crate::object::shared::lookup::NOBODY;

/// Decides a part; `None` if its steps differ and the bounds allow it.
pub fn decide(part: &[Operation<CounterOp>]) -> Option<Decision> {
    let mut steps = part.iter().filter_map(|operation| match operation.op {
        CounterOp::Add(by) if by != 0 => Some(by),
        _ => None,
    });
    let step = steps.next().unwrap_or(1);
    if step == i64::MIN || steps.any(|other| other != step) {
        return out_of_bounds(part).map(Decision::Core);
    }
    let mut line = Line::default();
    let mut rest = Vec::new();
    for (position, operation) in part.iter().enumerate() {
        let at = position as u32;
        match operation.op {
            // Adds nothing, any time.
            CounterOp::Add(0) if operation.ret != NEVER => rest.push(at),
            CounterOp::Add(0) => {}
            CounterOp::Add(_) => line.free.push(at),
            CounterOp::Read(_) if operation.ret == NEVER => {}
            CounterOp::Read(found) if found % step == 0 && found / step >= 0 => {
                match u32::try_from(found / step) {
                    Ok(count) if count as usize <= part.len() => line.observed.push((count, at)),
                    _ => return Some(Decision::Core(and_additions(part, vec![at]))),
                }
            }
            CounterOp::Read(_) => return Some(Decision::Core(and_additions(part, vec![at]))),
        }
    }
    let most = line.observed.iter().map(|(count, _)| *count).max().unwrap_or(0);
    line.slots = vec![NOBODY; most as usize];
    Some(match arrange(part, &line) {
        Ok(order) => Decision::Order(merge(part, order, rest)),
        Err(Conflict::Pair(late, early)) => Decision::Core(and_additions(part, vec![late, early])),
        Err(Conflict::Starved(early)) => Decision::Core(and_additions(part, vec![early])),
        Err(Conflict::Crowded(late)) => Decision::Core(until(part, part[late as usize].ret)),
    })
}

/// Puts operations that are possible anywhere into an order: each before the first that was invoked after it completed.
fn merge(part: &[Operation<CounterOp>], order: Vec<u32>, rest: Vec<u32>) -> Vec<u32> {
    if rest.is_empty() {
        return order;
    }
    let mut rest = rest.into_iter().peekable();
    let mut merged = Vec::with_capacity(part.len());
    for at in order {
        while let Some(idle) = rest.next_if(|&idle| part[idle as usize].invoke < part[at as usize].invoke) {
            merged.push(idle);
        }
        merged.push(at);
    }
    merged.extend(rest);
    merged
}

/// Some reads, and every addition that they may have seen.
fn and_additions(part: &[Operation<CounterOp>], mut core: Vec<u32>) -> Vec<u32> {
    let end = core
        .iter()
        .map(|&at| part[at as usize].ret)
        .max()
        .unwrap_or(NEVER);
    core.extend((0..part.len() as u32).filter(|&at| {
        let operation = &part[at as usize];
        operation.invoke < end && matches!(operation.op, CounterOp::Add(_))
    }));
    core.sort_unstable();
    core.dedup();
    core
}

/// Everything that began before the end of the read that fails.
fn until(part: &[Operation<CounterOp>], end: u32) -> Vec<u32> {
    (0..part.len() as u32)
        .filter(|&at| part[at as usize].invoke < end)
        .collect()
}

/// A read that found less or more than it can have found, and the additions.
fn out_of_bounds(part: &[Operation<CounterOp>]) -> Option<Vec<u32>> {
    // In order of time: what certainly is in, and what may be.
    let mut events: Vec<(u32, bool, usize)> = Vec::with_capacity(part.len() * 2);
    for (position, operation) in part.iter().enumerate() {
        events.push((operation.invoke, false, position));
        if operation.ret != NEVER {
            events.push((operation.ret, true, position));
        }
    }
    events.sort_unstable();
    // Sums that leave the range wrap around in the model, and bounds mean nothing.
    let total = part.iter().try_fold(0i64, |sum, operation| match operation.op {
        CounterOp::Add(by) => sum.checked_add(by.checked_abs()?),
        CounterOp::Read(_) => Some(sum),
    });
    total?;
    let (mut begun, mut done) = (Sums::default(), Sums::default());
    let mut done_before = vec![Sums::default(); part.len()];
    for (_, completes, position) in events {
        match (part[position].op, completes) {
            (CounterOp::Add(by), false) => begun.add(by),
            (CounterOp::Add(by), true) => done.add(by),
            (CounterOp::Read(_), false) => done_before[position] = done,
            (CounterOp::Read(found), true) => {
                let before = done_before[position];
                if found < before.up + begun.down || found > before.down + begun.up {
                    return Some(and_additions(part, vec![position as u32]));
                }
            }
        }
    }
    None
}

/// What was added and what was subtracted.
#[derive(Clone, Copy, Default)]
struct Sums {
    up: i64,
    down: i64,
}

impl Sums {
    fn add(&mut self, by: i64) {
        self.up += by.max(0);
        self.down += by.min(0);
    }
}
