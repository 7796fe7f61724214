//! Sets: elements are independent objects, and most elements live one simple life.
//!
//! Without reads of the whole set, a set is linearizable exactly if each element is (its presence is an object of its
//! own: Herlihy and Wing 1990, theorem 1; Horn and Kroening, FORTE 2015, partition sets so). [`divide`] splits; each
//! part then has the operations on one element.
//!
//! [`decide`] knows the elements that are added at most once and removed at most once (after Lee and Mathur, OOPSLA
//! 2025, whose sets are linear too). Let the addition take effect at `x` and the removal at `y`, later. Who found the
//! element must meet `(x, y)`, who did not must reach out of it. `x` may be as late as the addition and the first
//! completion among the finders allow, `y` as early as the removal and the last invocation among them. If those limits
//! cross, any point between them serves for both: every interval reaches out of an empty one. A removal before the
//! addition does nothing; then `y` is never. An unknown addition or removal may be left out.

use super::op::SetOp;
use crate::history::{NEVER, Val};
use crate::model::Decision;
use crate::model::{Operation, Part};
use crate::object::shared::lookup::{Lookup, NOBODY};

/// Splits a part by element, leaving out the elements whose order is found and holds; `None` if somebody read the whole
/// set, or if there is but one element.
pub fn divide(part: &[Operation<SetOp>]) -> Option<Vec<Part<SetOp>>> {
    let values: Vec<Val> = part
        .iter()
        .map(|operation| operation.op.element())
        .collect::<Option<_>>()?;
    let mut of = Lookup::new(values.iter().copied(), part.len());
    // The operations on each element: counted, then placed.
    let mut from: Vec<u32> = vec![0];
    let mut elements = Vec::with_capacity(part.len());
    for value in values {
        let mut at = of.get(value);
        if at == NOBODY {
            at = from.len() as u32 - 1;
            of.set(value, at);
            from.push(0);
        }
        from[at as usize + 1] += 1;
        elements.push(at);
    }
    for at in 1..from.len() {
        from[at] += from[at - 1];
    }
    let mut next = from.clone();
    let mut members = vec![0u32; part.len()];
    for (position, &element) in elements.iter().enumerate() {
        members[next[element as usize] as usize] = position as u32;
        next[element as usize] += 1;
    }
    let mut scratch = Scratch::default();
    let mut taken = vec![false; part.len()];
    let left = from
        .windows(2)
        .map(|range| &members[range[0] as usize..range[1] as usize]);
    let left = left.filter(|members| {
        decide_element(part, members, &mut scratch) != Some(true)
            || !holds(part, members, &scratch.order, &mut taken)
    });
    let left: Vec<Part<SetOp>> = left
        .map(|members| members.iter().map(|&at| part[at as usize].clone()).collect())
        .collect();
    // One element that is not decided is not divided either.
    (left.first().is_none_or(|first| first.len() < part.len())).then_some(left)
}

/// Decides the operations on one element, if it is added and removed at most once each.
pub fn decide(part: &[Operation<SetOp>]) -> Option<Decision> {
    let element = part.first()?.op.element()?;
    if part
        .iter()
        .any(|operation| operation.op.element() != Some(element))
    {
        return None;
    }
    let members: Vec<u32> = (0..part.len() as u32).collect();
    let mut scratch = Scratch::default();
    Some(match decide_element(part, &members, &mut scratch)? {
        true => Decision::Order(scratch.order),
        false => Decision::Core(members),
    })
}

/// Whether an order (positions in the part) explains the operations on one element: [`crate::certify`] for this one
/// case, without memory of its own.
fn holds(part: &[Operation<SetOp>], members: &[u32], order: &[u32], taken: &mut [bool]) -> bool {
    let (mut present, mut invoked_max) = (false, 0);
    for &at in order {
        let operation = &part[at as usize];
        if std::mem::replace(&mut taken[at as usize], true) || operation.ret < invoked_max {
            return false;
        }
        invoked_max = invoked_max.max(operation.invoke);
        match operation.op {
            SetOp::Add(_) => present = true,
            SetOp::Remove(_) => present = false,
            SetOp::Contains(_, found) if found == present => {}
            SetOp::Contains(..) | SetOp::Read(_) => return false,
        }
    }
    members
        .iter()
        .all(|&at| taken[at as usize] || part[at as usize].ret == NEVER)
}

/// Memory for one element after another.
#[derive(Default)]
struct Scratch {
    order: Vec<u32>,
    found: Vec<u32>,
    gone: Vec<u32>,
}

/// Whether the operations at some positions, all on one element, can be explained; then the scratch has the order.
/// `None` if the element is added or removed more than once.
fn decide_element(part: &[Operation<SetOp>], members: &[u32], scratch: &mut Scratch) -> Option<bool> {
    let mut life = Life::default();
    for &position in members {
        let operation = &part[position as usize];
        let slot = match operation.op {
            SetOp::Add(_) => &mut life.add,
            SetOp::Remove(_) => &mut life.remove,
            SetOp::Contains(_, true) if operation.ret == NEVER => continue,
            SetOp::Contains(_, true) => {
                life.found_ret_min = life.found_ret_min.min(operation.ret);
                life.found_invoke_max = life.found_invoke_max.max(Some(operation.invoke));
                continue;
            }
            SetOp::Contains(_, false) | SetOp::Read(_) => continue,
        };
        if slot.replace(position).is_some() {
            return None;
        }
    }
    // Every life that the known operations allow; the unknown ones may be part of it or not.
    let known = |at: Option<u32>| at.is_some_and(|at| part[at as usize].ret != NEVER);
    for add in choices(life.add, known(life.add)) {
        for remove in choices(life.remove, known(life.remove)) {
            for removed_first in [false, true] {
                if live(part, members, &life, add, remove, removed_first, scratch).is_some() {
                    return Some(true);
                }
            }
        }
    }
    Some(false)
}

fn choices(at: Option<u32>, known: bool) -> impl Iterator<Item = Option<u32>> {
    let without = (!known && at.is_some()).then_some(None);
    std::iter::once(at).chain(without)
}

#[derive(Default)]
struct Life {
    add: Option<u32>,
    remove: Option<u32>,
    found_ret_min: Bound,
    found_invoke_max: Option<u32>,
}

/// A position that starts as no limit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Bound(u32);

impl Default for Bound {
    fn default() -> Self {
        Bound(NEVER)
    }
}

impl Bound {
    fn min(self, other: u32) -> Bound {
        Bound(self.0.min(other))
    }
}

/// Puts the order of one life into the scratch, if it explains everything.
fn live(
    part: &[Operation<SetOp>],
    members: &[u32],
    life: &Life,
    add: Option<u32>,
    remove: Option<u32>,
    removed_first: bool,
    scratch: &mut Scratch,
) -> Option<()> {
    let Scratch { order, found, gone } = scratch;
    order.clear();
    found.clear();
    gone.clear();
    let Some(add) = add else {
        // It never was there.
        let there = members.iter().filter(|&&at| part[at as usize].ret != NEVER);
        order.extend(there);
        return life.found_invoke_max.is_none().then_some(());
    };
    let addition = &part[add as usize];
    let x_max = life.found_ret_min.min(addition.ret).0;
    if x_max < addition.invoke {
        return None;
    }
    let removal = remove.map(|remove| &part[remove as usize]);
    // Points lie between events: `p` is right after event `p`.
    let (x, y) = match removal {
        Some(removal) if removed_first => {
            // It takes effect before the addition, as late an addition as there may be.
            if removal.invoke >= x_max {
                return None;
            }
            (x_max - 1, None)
        }
        Some(removal) => {
            let y_min = removal
                .invoke
                .max(life.found_invoke_max.unwrap_or(0))
                .max(addition.invoke);
            if y_min >= removal.ret {
                return None;
            }
            // If the limits cross, the element comes and goes at one point.
            ((x_max - 1).min(y_min), Some(y_min))
        }
        None if removed_first => return None,
        None => (x_max - 1, None),
    };
    // Who saw nothing before the addition, and where the removal came first, it, by invocation; then the addition, who
    // found it, the removal, and who saw nothing after it.
    for &position in members {
        let operation = &part[position as usize];
        match operation.op {
            SetOp::Contains(..) if operation.ret == NEVER => {}
            SetOp::Contains(_, true) => {
                // Meets (x, y): it completes after x and begins before y.
                if operation.ret <= x || y.is_some_and(|y| operation.invoke > y) {
                    return None;
                }
                found.push(position);
            }
            SetOp::Contains(_, false) if operation.invoke <= x => order.push(position),
            SetOp::Contains(_, false) => match y {
                Some(y) if operation.ret > y => gone.push(position),
                _ => return None,
            },
            SetOp::Remove(_) if removed_first && Some(position) == remove => order.push(position),
            SetOp::Add(_) | SetOp::Remove(_) | SetOp::Read(_) => {}
        }
    }
    order.push(add);
    order.append(found);
    if !removed_first {
        order.extend(remove);
    }
    order.append(gone);
    Some(())
}
