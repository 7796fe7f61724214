//! Sets that only grow, with reads of the whole.
//!
//! If every element is added at most once and none is removed, the elements that reads found tell their order: they are
//! beginnings of each other, or two of them contradict each other. So between the reads of one result and those of the
//! next, larger one lie the additions of the elements that only the larger has; additions of elements that nobody
//! found come last, and may be left out if they are unknown. Within such a block anything goes. The history is
//! linearizable if and only if no operation completed before one of an earlier block was invoked.
//!
//! Linear in the length of the history and what was read.

use std::sync::Arc;

use super::op::SetOp;
use crate::history::{NEVER, Val};
use crate::model::Decision;
use crate::model::{Operation, Part};
use crate::object::shared::lookup::{Lookup, NOBODY};

/// Decides a part; `None` if there are other operations than additions of different elements and reads.
pub fn decide(part: &[Operation<SetOp>]) -> Option<Decision> {
    let added = part.iter().filter_map(|operation| match operation.op {
        SetOp::Add(value) => Some(value),
        _ => None,
    });
    let mut add_of = Lookup::new(added, part.len());
    let mut reads: Vec<(&[Val], u32)> = Vec::new();
    for (operation, at) in part.iter().zip(0u32..) {
        match &operation.op {
            SetOp::Add(value) if add_of.get(*value) == NOBODY => add_of.set(*value, at),
            SetOp::Read(_) if operation.ret == NEVER => {}
            SetOp::Read(found) => reads.push((found, at)),
            SetOp::Add(_) | SetOp::Remove(_) | SetOp::Contains(..) => return None,
        }
    }
    Some(match arrange(part, &add_of, reads) {
        Ok(order) => Decision::Order(order),
        Err(core) => Decision::Core(core),
    })
}

fn arrange(
    part: &[Operation<SetOp>],
    add_of: &Lookup,
    mut reads: Vec<(&[Val], u32)>,
) -> Result<Vec<u32>, Vec<u32>> {
    // Stable: reads of one result stay in order of invocation.
    reads.sort_by_key(|(found, _)| found.len());
    let last = reads.len() as u32;
    // For each addition, the first read that found it.
    let mut found_by = vec![last; part.len()];
    for (turn, &(found, read)) in reads.iter().enumerate() {
        for &value in found {
            let at = add_of.get(value);
            if at == NOBODY {
                return Err(vec![read]);
            }
            let first = &mut found_by[at as usize];
            *first = (*first).min(turn as u32);
        }
    }
    // Each finds what those before it found: so many first finds up to a read as it found elements.
    let mut first_finds = vec![0usize; reads.len() + 1];
    for (operation, &first) in part.iter().zip(&found_by) {
        first_finds[first as usize] += usize::from(matches!(operation.op, SetOp::Add(_)));
    }
    let mut so_far = 0;
    for turn in 0..reads.len() {
        so_far += first_finds[turn];
        if so_far != reads[turn].0.len() {
            return Err(incomparable(add_of, reads[turn - 1], reads[turn]));
        }
    }
    let mut members: Vec<(u32, u32)> = (part.iter().zip(0u32..))
        .filter(|(operation, at)| {
            let seen = found_by[*at as usize] < last;
            matches!(operation.op, SetOp::Add(_)) && (seen || operation.ret != NEVER)
        })
        .map(|(_, at)| (found_by[at as usize], at))
        .collect();
    members.sort_unstable();
    let mut members = members.into_iter().peekable();
    let mut order = Vec::with_capacity(part.len());
    // The latest invocation of the blocks before, and whose it is.
    let mut late = (0, NOBODY);
    for turn in 0..=last {
        let from = order.len();
        while let Some((_, at)) = members.next_if(|(block, _)| *block == turn) {
            order.push(at);
        }
        late = follow(part, &order[from..], late)
            .map_err(|(late, early)| proof(part, add_of, &reads, late, early))?;
        if let Some(&(_, read)) = reads.get(turn as usize) {
            late = follow(part, &[read], late)
                .map_err(|(late, early)| proof(part, add_of, &reads, late, early))?;
            order.push(read);
        }
    }
    Ok(order)
}

/// The latest invocation after a block, or a pair in the wrong order.
fn follow(part: &[Operation<SetOp>], block: &[u32], before: (u32, u32)) -> Result<(u32, u32), (u32, u32)> {
    let mut late = before;
    for &at in block {
        let operation = &part[at as usize];
        if operation.ret < before.0 {
            return Err((before.1, at));
        }
        late = late.max((operation.invoke, at));
    }
    Ok(late)
}

/// Two reads each of which found what the other did not.
fn incomparable(add_of: &Lookup, one: (&[Val], u32), other: (&[Val], u32)) -> Vec<u32> {
    let only = |a: &[Val], b: &[Val]| a.iter().copied().find(|value| b.binary_search(value).is_err());
    let additions = [only(one.0, other.0), only(other.0, one.0)];
    let additions = additions.into_iter().flatten().map(|value| add_of.get(value));
    let mut core: Vec<u32> = additions.chain([one.1, other.1]).collect();
    core.sort_unstable();
    core
}

/// What shows that `late` has an earlier block than `early`, which had completed when `late` was invoked. It suffices
/// for the set of these elements alone.
fn proof(
    part: &[Operation<SetOp>],
    add_of: &Lookup,
    reads: &[(&[Val], u32)],
    late: u32,
    early: u32,
) -> Vec<u32> {
    let mut core = vec![late, early];
    match (&part[late as usize].op, &part[early as usize].op) {
        // The later read lost an element.
        (SetOp::Read(less), SetOp::Read(more)) => {
            let lost = more
                .iter()
                .copied()
                .find(|value| less.binary_search(value).is_err());
            core.extend(lost.map(|value| add_of.get(value)));
        }
        // Somebody found the later addition and not the earlier one.
        (SetOp::Add(new), SetOp::Add(old)) => {
            let between = reads
                .iter()
                .find(|(found, _)| found.binary_search(new).is_ok() && found.binary_search(old).is_err());
            core.extend(between.map(|(_, at)| *at));
        }
        _ => {}
    }
    core.sort_unstable();
    core
}

/// The set of the elements that are added in it alone: reads without the others; `None` if there are other operations.
/// If a set to which each element is added once is linearizable, so is that of some of its elements.
pub fn focus(core: &[Operation<SetOp>]) -> Option<Part<SetOp>> {
    let mut elements: Vec<Val> = core
        .iter()
        .filter_map(|operation| operation.op.element())
        .collect();
    elements.sort_unstable();
    let focused = core.iter().map(|operation| {
        let op = match &operation.op {
            SetOp::Read(found) => {
                let of_core = |value: &Val| elements.binary_search(value).is_ok();
                SetOp::Read(Arc::new(found.iter().copied().filter(of_core).collect()))
            }
            SetOp::Add(element) => SetOp::Add(*element),
            SetOp::Remove(_) | SetOp::Contains(..) => return None,
        };
        Some(Operation {
            op,
            ..operation.clone()
        })
    });
    focused.collect()
}
