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
use crate::history::{History, NEVER, Val};
use crate::model::shortcuts::Fast;
use crate::model::{Model, Operation, Part};
use crate::object::register::Register;
use crate::search::{Limits, Outcome, jit, wgl};
use crate::verdict::Witness;

/// What it may take beside the check itself to make a witness small. One that is not minimal says so.
const TIME_MAX: Duration = Duration::from_secs(5);
/// And to find out how far the history can be explained.
const REACHED_TIME_MAX: Duration = Duration::from_secs(1);
/// What one question may take of it, whether fewer operations prove as much.
const QUESTION_TIME_MAX: Duration = Duration::from_millis(200);
/// So few operations are judged sooner by the plain algorithm, which needs no preparation.
const PLAIN_MAX: usize = 12;
/// What it may take of memory.
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
        let limits = self.limits.within(TIME_MAX, MEMORY_BYTES_MAX);
        let possible =
            |part: &[Operation<M::Op>]| order(self.model, part, limits).map(|order| order.is_some());
        // The small object if it shows it, else the whole.
        let focused = (self.model.focus(&core)).is_some_and(|small| possible(&small) == Some(false));
        if !focused && possible(&core) == Some(true) {
            return None;
        }
        let minimal = self.minimise(&mut core, focused, limits);
        // Whoever suspected them: the plain algorithm has the last word, and the search where they are too many for it.
        let small = if focused { self.model.focus(&core) } else { None };
        let proof = small.as_ref().unwrap_or(&core);
        let stands = certify::impossible(self.model, proof, limits)
            .unwrap_or_else(|| !matches!(jit::search(self.model, proof, limits), Outcome::Order(_)));
        stands.then(|| {
            let limits = self.limits.within(REACHED_TIME_MAX, MEMORY_BYTES_MAX);
            words::witness(self, &core, minimal, reached::reached(self, &core, limits))
        })
    }

    /// Drops what is not needed; whether everything was tried.
    fn minimise(&self, core: &mut Part<M::Op>, focused: bool, limits: Limits<'_>) -> bool {
        let possible = |part: &[Operation<M::Op>]| {
            let limits = limits.within(QUESTION_TIME_MAX, MEMORY_BYTES_MAX);
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
        let is_culprit = |operation: &Operation<M::Op>| Some(operation.row) == culprit;
        let without = |part: &[Operation<M::Op>]| -> Part<M::Op> {
            part.iter()
                .filter(|operation| !is_culprit(operation))
                .cloned()
                .collect()
        };
        let one_is_to_blame = possible(&without(core)) == Some(true);
        // Whether operations are impossible together, and for the same reason as the whole; `None` if nobody knows.
        let proves = |part: &[Operation<M::Op>]| {
            if one_is_to_blame && !part.iter().any(is_culprit) {
                return Some(false);
            }
            Some(!possible(part)? && (!one_is_to_blame || possible(&without(part)) == Some(true)))
        };
        let (model, exhausted) = (self.model, || limits.exhausted(0).is_some());
        // First whole values, with all that brought them in or saw them: single operations that do so can't go before
        // the last one that saw the value has gone.
        let touched = |operation: &Operation<M::Op>| -> Vec<Val> {
            let needed = model.needs(&operation.op).iter();
            needed.chain(model.produces(&operation.op)).copied().collect()
        };
        let blamed: Vec<Val> = (core.iter().filter(|operation| is_culprit(operation)))
            .flat_map(touched)
            .collect();
        let mut values: Vec<Val> = core.iter().flat_map(touched).collect();
        values.retain(|value| !blamed.contains(value));
        values.sort_unstable();
        values.dedup();
        let of_values = |values: &[Val], core: &[Operation<M::Op>]| -> Part<M::Op> {
            let is_kept = |value: &Val| values.binary_search(value).is_ok() || blamed.contains(value);
            let kept = |operation: &&Operation<M::Op>| touched(operation).iter().all(is_kept);
            core.iter().filter(kept).cloned().collect()
        };
        if !focused {
            let whole = core.clone();
            shrink(&mut values, exhausted, |_, values| {
                proves(&of_values(values, &whole))
            });
            *core = of_values(&values, &whole);
        }
        shrink(core, exhausted, |dropped, rest| {
            if focused || keeps_reason(model, dropped, rest) {
                proves(rest)
            } else {
                Some(false)
            }
        })
    }
}

/// Drops items, many at once and then fewer, as long as those that are left will do; whether everything was tried.
/// `will_do` gets what is dropped and what is left, and doesn't always know.
fn shrink<T: Clone>(
    items: &mut Vec<T>,
    exhausted: impl Fn() -> bool,
    will_do: impl Fn(&[T], &[T]) -> Option<bool>,
) -> bool {
    let mut step = items.len().div_ceil(2).max(1);
    loop {
        // What was left open when more was dropped at once says nothing about single items.
        let (mut from, mut shrunk, mut minimal) = (0, false, true);
        while from < items.len() {
            if exhausted() {
                return false;
            }
            let to = (from + step).min(items.len());
            let rest: Vec<T> = items[..from].iter().chain(&items[to..]).cloned().collect();
            match will_do(&items[from..to], &rest) {
                Some(true) => {
                    *items = rest;
                    shrunk = true;
                }
                Some(false) => from = to,
                None => {
                    minimal = false;
                    from = to;
                }
            }
        }
        if step == 1 && !shrunk {
            return minimal;
        }
        step = (step / 2).max(1);
    }
}

/// An order of a part, or that there is none, the quickest way; `None` if the budget is spent.
fn order<M: Model>(model: &M, part: &[Operation<M::Op>], limits: Limits<'_>) -> Option<Option<Vec<u32>>> {
    match model.decide(part) {
        Some(Fast::Core(_)) => return Some(None),
        Some(found) if certify::explains(model, part, &found) => {
            return Some(found.order().map(<[u32]>::to_vec));
        }
        Some(_) | None => {}
    }
    let register = if part.len() > PLAIN_MAX {
        model.as_register(part)
    } else {
        None
    };
    let found = match &register {
        Some(register) => jit::search(&Register { cas: true }, &register.part, limits),
        None if part.len() > PLAIN_MAX => jit::search(model, part, limits),
        None => wgl::search(model, part, limits),
    };
    match found {
        Outcome::Order(order) => Some(Some(match register {
            Some(register) => register.original(&order),
            None => order,
        })),
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
        .flat_map(|operation| model.produces(&operation.op).iter().copied())
        .collect();
    let mut needed = rest.iter().flat_map(|operation| model.needs(&operation.op));
    produced.is_empty() || !needed.any(|value| produced.contains(value))
}
