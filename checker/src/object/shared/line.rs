//! Objects whose changes stand in one line: what was observed says how many of them had taken effect by then.
//!
//! A counter of equal steps, a log, a register with versions: the `k`-th change is the `k`-th slot of the line. Some
//! slots are known to be that of one operation (an offset, a version, a value that was read); others take any of the
//! *free* operations. An observation of `d` changes lies between slots `d - 1` and `d`.
//!
//! Slot `k` takes effect after `lower[k]`, the latest invocation among the observations of `k` changes or fewer and
//! the operations of slots up to `k`, and before `upper[k]`, the earliest completion among the observations of more
//! than `k` changes and the operations of slots from `k` on. Both grow with `k`. If they cross, the history is
//! impossible. Else it is possible if each open slot gets a free operation whose interval meets the slot's, and each
//! free operation that completed gets a slot; behind the last slot there is room for any number of them.
//!
//! *The free ones*: slot by slot, of the operations invoked before `upper[k]` the one that completes first (an unknown
//! one completes never). Proof: let a solution give slot `k` another operation `x`, and the chosen `g`, if it has one,
//! slot `l > k`. Swap them: `x` was invoked before `upper[k] <= upper[l]` and completes no earlier than `g`, which
//! completes after `lower[l]`. So if any assignment works, this one does. And it can be taken in the order of the
//! slots: if the operation of slot `k` completed before that of a slot `j < k` was invoked, then it was invoked before
//! `upper[j]` as well, and slot `j` would have got it.
//!
//! `O(n log n)`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::history::NEVER;
use crate::model::Operation;
use crate::object::shared::lookup::NOBODY;

/// What is known of the line. Numbers of operations are positions in the part.
#[derive(Default)]
pub(crate) struct Line {
    /// Whose slot it is, or [`NOBODY`]: anyone's. At least as many as any observation saw.
    pub slots: Vec<u32>,
    /// How many changes were seen, and by whom.
    pub observed: Vec<(u32, u32)>,
    /// Operations that may have any open slot, in order of invocation; those that completed must have one.
    pub free: Vec<u32>,
}

/// Why there is no order.
#[derive(Debug)]
pub(crate) enum Conflict {
    /// The first comes before the second in the line, and after it in time.
    Pair(u32, u32),
    /// More slots were seen to be filled than there were operations to fill them, by this observation or operation.
    Starved(u32),
    /// Too many operations had completed for the slots that can have been filled when this one was invoked.
    Crowded(u32),
}

/// An order in the sense of [`Decision::Order`](crate::model::Decision::Order), or why there is none.
pub(crate) fn arrange<Op>(part: &[Operation<Op>], line: &Line) -> Result<Vec<u32>, Conflict> {
    let bounds = bounds(part, line);
    let last = line.slots.len();
    for at in 0..last {
        let ((lower, late), (upper, early)) = (bounds.lower[at], bounds.upper[at]);
        if lower >= upper {
            return Err(Conflict::Pair(late, early));
        }
    }
    let mut filled = line.slots.clone();
    let mut arriving = line.free.iter().copied().peekable();
    let mut waiting: BinaryHeap<Reverse<(u32, u32)>> = BinaryHeap::new();
    let ret = |at: u32| part[at as usize].ret;
    let each = filled.iter_mut().zip(&bounds.lower).zip(&bounds.upper);
    for ((slot, lower), upper) in each.filter(|((slot, _), _)| **slot == NOBODY) {
        while let Some(new) = arriving.next_if(|&new| part[new as usize].invoke < upper.0) {
            waiting.push(Reverse((ret(new), new)));
        }
        let Some(Reverse((deadline, taken))) = waiting.pop() else {
            return Err(Conflict::Starved(upper.1));
        };
        if deadline < lower.0 {
            return Err(Conflict::Crowded(lower.1));
        }
        *slot = taken;
    }
    let mut rest: Vec<u32> = waiting
        .into_iter()
        .map(|Reverse((_, at))| at)
        .chain(arriving)
        .collect();
    rest.retain(|&at| ret(at) != NEVER);
    rest.sort_unstable();
    if rest.iter().any(|&at| ret(at) < bounds.lower[last].0) {
        return Err(Conflict::Crowded(bounds.lower[last].1));
    }
    let mut observed = line.observed.clone();
    observed.sort_unstable();
    let mut observed = observed.into_iter().peekable();
    let mut order = Vec::with_capacity(part.len());
    for at in 0..=last {
        while let Some((_, observer)) = observed.next_if(|(seen, _)| *seen as usize == at) {
            order.push(observer);
        }
        order.extend(filled.get(at));
    }
    order.append(&mut rest);
    Ok(order)
}

/// For each slot, the bound and who sets it.
struct Bounds {
    /// One more than there are slots: that of whatever comes behind.
    lower: Vec<(u32, u32)>,
    upper: Vec<(u32, u32)>,
}

fn bounds<Op>(part: &[Operation<Op>], line: &Line) -> Bounds {
    let mut lower = vec![(0, NOBODY); line.slots.len() + 1];
    let mut upper = vec![(NEVER, NOBODY); line.slots.len()];
    for &(seen, at) in &line.observed {
        let (seen, operation) = (seen as usize, &part[at as usize]);
        lower[seen] = lower[seen].max((operation.invoke, at));
        if seen > 0 {
            upper[seen - 1] = upper[seen - 1].min((operation.ret, at));
        }
    }
    for (slot, &at) in line.slots.iter().enumerate() {
        if at != NOBODY {
            let operation = &part[at as usize];
            lower[slot] = lower[slot].max((operation.invoke, at));
            upper[slot] = upper[slot].min((operation.ret, at));
        }
    }
    for at in 1..lower.len() {
        lower[at] = lower[at].max(lower[at - 1]);
    }
    for at in (1..upper.len()).rev() {
        upper[at - 1] = upper[at - 1].min(upper[at]);
    }
    Bounds { lower, upper }
}
