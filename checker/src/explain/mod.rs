//! From "impossible" to the few operations that prove it.
//!
//! Starting from operations that are impossible together (those that a path without search suspects, or the shortest
//! prefix that fails), operations are dropped as long as the rest stays impossible for the same reason (delta debugging:
//! Zeller and Hildebrandt, TSE 2002). "For the same reason": a read never loses a write of the value that it returned,
//! or every witness would end as "nobody wrote this"; and where all but the last operation were possible without it, they
//! stay so, or a lock's witness would end as two acquisitions whose releases were dropped.
//!
//! Beside the proof stands [how far](crate::verdict::Reached) the history can be explained.

mod reached;
mod words;

use std::time::Duration;

use crate::certify;
use crate::fast::Fast;
use crate::history::{History, NEVER, Val};
use crate::model::{Model, Operation, Part};
use crate::search::{Limits, Outcome, jit};
use crate::verdict::{Budget, Witness};

/// What an explanation may take beside the check itself. A witness that is not minimal says so.
const TIME_MAX: Duration = Duration::from_secs(5);
/// The same of memory.
const MEMORY_BYTES_MAX: usize = 256 << 20;

/// What the history looked like at a completion: what began before it; what was still open then is unknown.
pub fn prefix<Op: Clone>(part: &[Operation<Op>], end: u32) -> Part<Op> {
    let begun = part.iter().filter(|operation| operation.invoke < end);
    begun
        .map(|operation| Operation {
            ret: if operation.ret <= end {
                operation.ret
            } else {
                NEVER
            },
            ..operation.clone()
        })
        .collect()
}

/// An object whose history is impossible.
pub struct Broken<'a, M: Model> {
    /// What it should have been.
    pub model: &'a M,
    /// Where it is from.
    pub history: &'a History,
    /// Its name, or [`Val::NONE`].
    pub key: Val,
    /// All of its operations.
    pub part: &'a [Operation<M::Op>],
    /// What may be spent.
    pub limits: Limits<'a>,
}

impl<M: Model> Broken<'_, M> {
    /// The smallest impossible sub-history of operations that are impossible together; `None` if they are not.
    pub fn witness(&self, mut core: Part<M::Op>) -> Option<Witness> {
        core.sort_by_key(|operation| operation.invoke);
        let spent = self.limits.elapsed;
        let time_ms_max = (spent() + TIME_MAX).as_millis() as u64;
        let budget = self.limits.budget;
        let limits = Limits {
            budget: Budget {
                time_ms_max: time_ms_max.min(budget.time_ms_max),
                memory_bytes_max: MEMORY_BYTES_MAX.min(budget.memory_bytes_max),
            },
            elapsed: spent,
        };
        let possible =
            |part: &[Operation<M::Op>]| order(self.model, part, limits).map(|order| order.is_some());
        // The small object if it shows it, else the whole.
        let focused = (self.model.focus(&core)).is_some_and(|small| possible(&small) == Some(false));
        if !focused && possible(&core) == Some(true) {
            return None;
        }
        let reached = reached::reached(self, &core, limits);
        let minimal = self.minimise(&mut core, focused, limits);
        // Whoever suspected them: the search and nothing else has the last word, as far as it gets.
        let small = if focused { self.model.focus(&core) } else { None };
        match jit::search(self.model, small.as_ref().unwrap_or(&core), limits) {
            Outcome::Order(_) => None,
            Outcome::Impossible { .. } | Outcome::Exhausted(_) => {
                Some(words::witness(self, &core, minimal, reached))
            }
        }
    }

    /// Drops what is not needed; whether everything was tried.
    fn minimise(&self, core: &mut Part<M::Op>, focused: bool, limits: Limits<'_>) -> bool {
        let possible = |part: &[Operation<M::Op>]| {
            if !focused {
                return order(self.model, part, limits).map(|order| order.is_some());
            }
            // What says nothing about a small object is no contradiction in it.
            let small = self.model.focus(part);
            small.map_or(Some(true), |small| {
                order(self.model, &small, limits).map(|order| order.is_some())
            })
        };
        let culprit = last(core).map(|operation| operation.row);
        let without = |part: &[Operation<M::Op>]| -> Part<M::Op> {
            part.iter()
                .filter(|operation| Some(operation.row) != culprit)
                .cloned()
                .collect()
        };
        let one_is_to_blame = possible(&without(core)) == Some(true);
        let mut minimal = true;
        let mut step = core.len().div_ceil(2).max(1);
        loop {
            let mut from = 0;
            let mut shrunk = false;
            while from < core.len() {
                if limits.exhausted(0).is_some() {
                    return false;
                }
                let to = (from + step).min(core.len());
                let rest: Part<M::Op> = core[..from].iter().chain(&core[to..]).cloned().collect();
                let blamed = !one_is_to_blame || rest.iter().any(|operation| Some(operation.row) == culprit);
                if blamed && (focused || keeps_reason(self.model, &core[from..to], &rest)) {
                    match possible(&rest) {
                        Some(false) if !one_is_to_blame || possible(&without(&rest)) == Some(true) => {
                            *core = rest;
                            shrunk = true;
                            continue;
                        }
                        Some(_) => {}
                        None => minimal = false,
                    }
                }
                from = to;
            }
            if step == 1 && !shrunk {
                return minimal;
            }
            step = (step / 2).max(1);
        }
    }
}

/// An order of a part, or that there is none, the quickest way; `None` if the budget is spent.
fn order<M: Model>(model: &M, part: &[Operation<M::Op>], limits: Limits<'_>) -> Option<Option<Vec<u32>>> {
    match model.decide(part) {
        Some(Fast::Order(order)) if certify::order_holds(model, part, &order) => return Some(Some(order)),
        Some(Fast::Core(_)) => return Some(None),
        Some(Fast::Order(_)) | None => {}
    }
    match jit::search(model, part, limits) {
        Outcome::Order(order) => Some(Some(order)),
        Outcome::Impossible { .. } => Some(None),
        Outcome::Exhausted(_) => None,
    }
}

/// The last one to complete.
fn last<Op>(core: &[Operation<Op>]) -> Option<&Operation<Op>> {
    let known = core.iter().filter(|operation| operation.ret != NEVER);
    known.max_by_key(|operation| operation.ret)
}

/// Whether nothing that is left needs a value that a dropped operation brought in.
fn keeps_reason<M: Model>(model: &M, dropped: &[Operation<M::Op>], rest: &[Operation<M::Op>]) -> bool {
    let produced: Vec<Val> = (dropped.iter())
        .filter_map(|operation| model.produces(&operation.op))
        .collect();
    let mut needed = rest.iter().filter_map(|operation| model.needs(&operation.op));
    produced.is_empty() || !needed.any(|value| produced.contains(&value))
}
