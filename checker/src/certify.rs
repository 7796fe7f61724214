//! Checks orders and cores without trusting whoever found them.
//!
//! What is certified: a part is only said to hold together with an order that [`order_holds`] has replayed, whether a
//! shortcut or the search found it. A part is only said to be violated together with operations that
//! [`impossible`] has found impossible too, by an algorithm that shares nothing with those that found them, as long as
//! they are no more than [`CORE_MAX`]. What is not: a core that stays larger, which the search has judged twice, as part
//! of the whole and by itself; and that the operations are those of the history, which is the reader's part.
//! Models that divide their parts into objects are trusted to do so rightly.

use std::hash::Hash;

use indexmap::IndexSet;

use crate::history::NEVER;
use crate::history::values::FastBuild;
use crate::limits::Limits;
use crate::model::{Decision, Hints, Model, Operation, Shortcuts};
use crate::search::{Outcome, wgl};
use crate::verdict::Budget;

/// Cores of more operations are not judged by the plain algorithm.
pub const CORE_MAX: usize = 32;
/// How many states an order may lead to at once.
pub const STATES_MAX: usize = 1 << 14;
/// What it may spend on one.
const CORE_BYTES_MAX: usize = 64 << 20;

/// Whether what a path without search found is an order that [explains](order_holds) the part.
pub fn explains<M: Model>(model: &M, part: &[Operation<M::Op>], found: &Decision) -> bool {
    match found {
        Decision::Order(order) => order_holds(model, part, order),
        Decision::Choices(order, choices) => {
            let mut part = part.to_vec();
            let chosen = choices.iter().all(|&(at, value)| {
                let op = part
                    .get(at as usize)
                    .and_then(|operation| model.shortcuts().taking(&operation.op, value));
                op.map(|op| part[at as usize].op = op).is_some()
            });
            chosen && order_holds(model, &part, order)
        }
        Decision::Core(_) => false,
    }
}

/// Whether an order (positions in the part) explains the part: every operation at most once and everything that
/// completed exactly once, no operation before one that completed before it began, and the model allows each step.
///
/// Where a model leaves a choice, every choice is followed; an order that leads to more than [`STATES_MAX`] states at once
/// is not accepted.
pub fn order_holds<M: Model>(model: &M, part: &[Operation<M::Op>], order: &[u32]) -> bool {
    let mut taken = vec![false; part.len()];
    let mut states = vec![model.initial()];
    let (mut next, mut all) = (Vec::new(), Vec::new());
    let mut invoked_max = 0;
    for &position in order {
        let Some(operation) = part.get(position as usize) else {
            return false;
        };
        if std::mem::replace(&mut taken[position as usize], true) || operation.ret < invoked_max {
            return false;
        }
        invoked_max = invoked_max.max(operation.invoke);
        if let [state] = states.as_mut_slice()
            && let Some(possible) = model.hints().apply(state, &operation.op)
        {
            if !possible {
                return false;
            }
            continue;
        }
        for state in &states {
            model.step(state, &operation.op, &mut next);
            all.append(&mut next);
        }
        std::mem::swap(&mut states, &mut all);
        all.clear();
        dedup(&mut states);
        if states.is_empty() || states.len() > STATES_MAX {
            return false;
        }
    }
    part.iter()
        .zip(&taken)
        .all(|(operation, taken)| *taken || operation.ret == NEVER)
}

/// Whether a few operations are impossible together, by the plain algorithm; `None` if they are too many for it.
pub fn impossible<M: Model>(model: &M, core: &[Operation<M::Op>], limits: Limits<'_>) -> Option<bool> {
    if core.len() > CORE_MAX {
        return None;
    }
    let budget = Budget {
        memory_bytes_max: CORE_BYTES_MAX,
        ..limits.budget
    };
    match wgl::search(model, core, Limits { budget, ..limits }) {
        Outcome::Impossible { .. } => Some(true),
        Outcome::Order(_) => Some(false),
        Outcome::Exhausted(_) => None,
    }
}

fn dedup<State: Eq + Hash>(states: &mut Vec<State>) {
    if states.len() > 1 {
        let different: IndexSet<State, FastBuild> = states.drain(..).collect();
        states.extend(different);
    }
}

/// Whether any order explains the part, by trying all of them: for a handful of operations, and obviously right.
pub fn brute_force<M: Model>(model: &M, part: &[Operation<M::Op>]) -> bool {
    fn go<M: Model>(model: &M, part: &[Operation<M::Op>], state: &M::State, taken: &mut Vec<bool>) -> bool {
        let left = |taken: &[bool]| (0..part.len()).filter(|&at| !taken[at]).collect::<Vec<_>>();
        let open = left(taken);
        if open.iter().all(|&at| part[at].ret == NEVER) {
            return true;
        }
        let first_return = open.iter().map(|&at| part[at].ret).min().unwrap_or(NEVER);
        for at in open {
            if part[at].invoke > first_return {
                continue;
            }
            let mut next = Vec::new();
            model.step(state, &part[at].op, &mut next);
            taken[at] = true;
            if next.iter().any(|state| go(model, part, state, taken)) {
                return true;
            }
            taken[at] = false;
        }
        false
    }
    go(model, part, &model.initial(), &mut vec![false; part.len()])
}
