//! Delta debugging: operations are dropped as long as the rest stays impossible for the same reason.

use std::time::Duration;

use super::order::{last, order};
use super::proof::Proof;
use crate::history::Val;
use crate::history::values::FastMap;
use crate::limits::Limits;
use crate::model::{Model, Operation, Part, Shortcuts, Words};

/// What one question may take of the time, whether fewer operations prove as much.
const QUESTION_TIME_MAX: Duration = Duration::from_millis(200);
/// And of memory.
const QUESTION_BYTES_MAX: usize = 256 << 20;

/// Drops what a core does not need; whether everything was tried. `focused`: what is impossible is its smaller object.
pub(super) fn minimise<M: Model>(
    model: &M,
    core: &mut Part<M::Op>,
    proof: &Proof<M::Op>,
    focused: bool,
    limits: Limits<'_>,
) -> bool {
    let possible = |part: &[Operation<M::Op>]| {
        let limits = limits.within(QUESTION_TIME_MAX, QUESTION_BYTES_MAX);
        if !focused {
            return order(model, &proof.of(part), limits).map(|order| order.is_some());
        }
        // What says nothing about a small object is no contradiction in it.
        let small = model.shortcuts().focus(part);
        small.map_or(Some(true), |small| {
            order(model, &small, limits).map(|order| order.is_some())
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
    let exhausted = || limits.exhausted(0).is_some();
    // First whole values, with all that brought them in or saw them: single operations that do so can't go before
    // the last one that saw the value has gone.
    let touched = |operation: &Operation<M::Op>| -> Vec<Val> {
        let needed = model.words().needs(&operation.op).iter();
        needed
            .chain(model.words().produces(&operation.op))
            .copied()
            .collect()
    };
    let blamed: Vec<Val> = (core.iter().filter(|operation| is_culprit(operation)))
        .flat_map(touched)
        .collect();
    let mut values: Vec<Val> = core.iter().flat_map(touched).collect();
    values.retain(|value| !blamed.contains(value));
    values.sort_unstable();
    values.dedup();
    if !focused {
        let whole = core.clone();
        let before = first_brought_in(model, &whole);
        let of_values = |values: &[Val]| -> Part<M::Op> {
            let is_kept = |value: &Val| values.binary_search(value).is_ok() || blamed.contains(value);
            let kept = |operation: &&Operation<M::Op>| touched(operation).iter().all(is_kept);
            with_reason(model, whole.iter().filter(kept).cloned().collect(), &before)
        };
        shrink(&mut values, exhausted, |_, values| proves(&of_values(values)));
        *core = of_values(&values);
    }
    shrink(core, exhausted, |dropped, rest| {
        if focused || keeps_reason(model, dropped, rest) {
            proves(rest)
        } else {
            Some(false)
        }
    })
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

/// The first invocation of those that bring in each value.
fn first_brought_in<M: Model>(model: &M, part: &[Operation<M::Op>]) -> FastMap<Val, u32> {
    let mut first = FastMap::default();
    for operation in part {
        for &value in model.words().produces(&operation.op) {
            let invoke = first.entry(value).or_insert(operation.invoke);
            *invoke = operation.invoke.min(*invoke);
        }
    }
    first
}

/// Those of some operations of a core that need no value that nobody among them brings in, though somebody in the core does,
/// by what was [brought in](first_brought_in) there. Who began after an operation completed brings in nothing for it.
fn with_reason<M: Model>(model: &M, mut some: Part<M::Op>, before: &FastMap<Val, u32>) -> Part<M::Op> {
    loop {
        let (left, count) = (first_brought_in(model, &some), some.len());
        some.retain(|operation| {
            let brought_in = |by: &FastMap<Val, u32>, value: &Val| {
                by.get(value).is_some_and(|invoke| *invoke < operation.ret)
            };
            let has_gone = |value: &Val| brought_in(before, value) && !brought_in(&left, value);
            !model.words().needs(&operation.op).iter().any(has_gone)
        });
        if some.len() == count {
            return some;
        }
    }
}

/// Whether nothing that is left needs a value that a dropped operation brought in, and began to before it completed.
fn keeps_reason<M: Model>(model: &M, dropped: &[Operation<M::Op>], rest: &[Operation<M::Op>]) -> bool {
    let produced: Vec<(Val, u32)> = (dropped.iter())
        .flat_map(|operation| {
            let values = model.words().produces(&operation.op).iter();
            values.map(|value| (*value, operation.invoke))
        })
        .collect();
    let needs_it = |operation: &Operation<M::Op>| {
        let mut needed = model.words().needs(&operation.op).iter();
        needed.any(|needed| {
            let brings = |(value, invoke): &(Val, u32)| value == needed && *invoke < operation.ret;
            produced.iter().any(brings)
        })
    };
    produced.is_empty() || !rest.iter().any(needs_it)
}
