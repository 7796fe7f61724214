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

use super::Fast;
use super::lookup::{Lookup, NOBODY};
use crate::history::NEVER;
use crate::model::collections::SetOp;
use crate::model::{Operation, Part};

/// Splits a part by element; `None` if somebody read the whole set, or there is but one element.
pub fn divide(part: &[Operation<SetOp>]) -> Option<Vec<Part<SetOp>>> {
    let element = |operation: &Operation<SetOp>| match operation.op {
        SetOp::Add(value) | SetOp::Remove(value) | SetOp::Contains(value, _) => Some(value),
        SetOp::Read(_) => None,
    };
    if part.iter().any(|operation| element(operation).is_none()) {
        return None;
    }
    let mut of = Lookup::new(part.iter().filter_map(element), part.len());
    let mut parts: Vec<Part<SetOp>> = Vec::new();
    for operation in part {
        let Some(value) = element(operation) else { continue };
        let mut at = of.get(value);
        if at == NOBODY {
            at = parts.len() as u32;
            of.set(value, at);
            parts.push(Vec::with_capacity(4));
        }
        parts[at as usize].push(operation.clone());
    }
    (parts.len() > 1).then_some(parts)
}

/// Decides the operations on one element, if it is added and removed at most once each.
pub fn decide(part: &[Operation<SetOp>]) -> Option<Fast> {
    let mut life = Life::default();
    let mut element = None;
    for (position, operation) in part.iter().enumerate() {
        let (SetOp::Add(value) | SetOp::Remove(value) | SetOp::Contains(value, _)) = operation.op else {
            return None;
        };
        if element.is_some_and(|element| element != value) {
            return None;
        }
        element = Some(value);
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
        if slot.replace(position as u32).is_some() {
            return None;
        }
    }
    // Every life that the known operations allow; the unknown ones may be part of it or not.
    let known = |at: Option<u32>| at.is_some_and(|at| part[at as usize].ret != NEVER);
    for add in choices(life.add, known(life.add)) {
        for remove in choices(life.remove, known(life.remove)) {
            for removed_first in [false, true] {
                if let Some(order) = live(part, &life, add, remove, removed_first) {
                    return Some(Fast::Order(order));
                }
            }
        }
    }
    Some(Fast::Core((0..part.len() as u32).collect()))
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

/// The order of one life, if it explains everything.
fn live(
    part: &[Operation<SetOp>],
    life: &Life,
    add: Option<u32>,
    remove: Option<u32>,
    removed_first: bool,
) -> Option<Vec<u32>> {
    let Some(add) = add else {
        // It never was there.
        if life.found_invoke_max.is_some() {
            return None;
        }
        let there = (0..part.len() as u32).filter(|&at| part[at as usize].ret != NEVER);
        return Some(there.collect());
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
            (x_max - 1, Some(y_min))
        }
        None if removed_first => return None,
        None => (x_max - 1, None),
    };
    let (x, y) = match y {
        // The limits cross, and the element comes and goes at one point.
        Some(y) if y < x => (y, Some(y)),
        other => (x, other),
    };
    let mut stages: [Vec<u32>; 3] = Default::default();
    let mut gone: Vec<u32> = Vec::new();
    for (position, operation) in part.iter().enumerate() {
        let position = position as u32;
        match operation.op {
            SetOp::Contains(..) if operation.ret == NEVER => {}
            SetOp::Contains(_, true) => {
                // Meets (x, y): it completes after x and begins before y.
                if operation.ret <= x || y.is_some_and(|y| operation.invoke > y) {
                    return None;
                }
                stages[1].push(position);
            }
            SetOp::Contains(_, false) if operation.invoke <= x => stages[0].push(position),
            SetOp::Contains(_, false) => match y {
                Some(y) if operation.ret > y => gone.push(position),
                _ => return None,
            },
            SetOp::Add(_) | SetOp::Remove(_) | SetOp::Read(_) => {}
        }
    }
    let mut order = std::mem::take(&mut stages[0]);
    if removed_first && let Some(remove) = remove {
        order.push(remove);
        order.sort_unstable();
    }
    order.push(add);
    order.append(&mut stages[1]);
    if !removed_first && let Some(remove) = remove {
        order.push(remove);
    }
    order.append(&mut gone);
    Some(order)
}
