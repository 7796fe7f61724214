//! Checks orders and cores without trusting whoever found them.
//!
//! - *It holds*: only together with an order that [`order_holds`] has replayed, whoever found it, and that
//!   [holds value by value](Model::holds_exactly) where states are fingerprints.
//! - *It is violated*: only together with operations that an algorithm that did not find them has found impossible too
//!   ([`confirmed`]). That is the plain one (Wing and Gong's) where it can, which shares nothing with any other.
//!
//! What is not certified: that the operations are those of the history, which is the reader's part; and that a model
//! [divides](crate::model::Shortcuts::divide) and [resolves](crate::model::Shortcuts::resolve) its parts rightly, which
//! [`crate::laws`] compares with trying all orders.

use std::hash::Hash;

use indexmap::IndexSet;

use crate::history::values::FastBuild;
use crate::history::{NEVER, Values};
use crate::limits::Limits;
use crate::model::{Decision, Hints, Model, Operation, Shortcuts};
use crate::search::{Outcome, jit, wgl};
use crate::verdict::Budget;

/// Of cores up to so many operations the plain algorithm is asked first; larger ones are others' before they are its.
pub const CORE_MAX: usize = 32;
/// How many states an order may lead to at once.
pub const STATES_MAX: usize = 1 << 14;
/// What the plain algorithm may spend on a core.
const CORE_BYTES_MAX: usize = 64 << 20;

/// Who found an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Path {
    /// A model's [decision without search](Shortcuts::decide).
    Direct,
    /// A model's [own search](Shortcuts::search).
    Reduced,
    /// The [general search](jit).
    Search,
}

impl Path {
    /// All of them.
    pub const ALL: [Path; 3] = [Path::Direct, Path::Reduced, Path::Search];

    /// As a verdict names it.
    pub fn name(self) -> &'static str {
        match self {
            Path::Direct => "direct",
            Path::Reduced => "reduced search",
            Path::Search => "search",
        }
    }
}

/// Whether what was found is an order that explains the part, and does so value by value.
pub fn holds<M: Model>(model: &M, part: &[Operation<M::Op>], found: &Decision, values: &Values) -> bool {
    let exactly = |order| {
        let mut ops = part.iter().map(|operation| &operation.op);
        !ops.any(|op| model.sees_fingerprint(op)) || model.holds_exactly(part, order, values)
    };
    explains(model, part, found) && found.order().is_some_and(exactly)
}

/// Whether what was found is an order that [explains](order_holds) the part.
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

/// Whether some operations are impossible together, by an algorithm other than the one that found them; `None` if none
/// could tell within its limits.
pub fn confirmed<M: Model>(
    model: &M,
    core: &[Operation<M::Op>],
    found_by: Path,
    limits: Limits<'_>,
) -> Option<bool> {
    let small = core.len() <= CORE_MAX;
    let plain_first = small.then(|| impossible(model, core, limits)).flatten();
    let other = || match found_by {
        Path::Direct => told(jit::search(model, core, limits)),
        Path::Search => directly(model, core),
        // It has parts of both.
        Path::Reduced => None,
    };
    let plain_last = || (!small).then(|| impossible(model, core, limits)).flatten();
    plain_first.or_else(other).or_else(plain_last)
}

/// Whether some operations are impossible together, by the plain algorithm; `None` if they are too many for it.
pub fn impossible<M: Model>(model: &M, core: &[Operation<M::Op>], limits: Limits<'_>) -> Option<bool> {
    let budget = Budget {
        memory_bytes_max: limits.budget.memory_bytes_max.min(CORE_BYTES_MAX),
        ..limits.budget
    };
    told(wgl::search(model, core, Limits { budget, ..limits }))
}

fn told(outcome: Outcome) -> Option<bool> {
    match outcome {
        Outcome::Impossible { .. } => Some(true),
        Outcome::Order(_) => Some(false),
        Outcome::Exhausted(_) => None,
    }
}

fn directly<M: Model>(model: &M, core: &[Operation<M::Op>]) -> Option<bool> {
    match model.shortcuts().decide(core)? {
        Decision::Core(_) => Some(true),
        found => explains(model, core, &found).then_some(false),
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
