//! Delta debugging: operations are dropped as long as the rest stays impossible for the same reason.

use super::statement::{Statement, last_to_complete};
use crate::history::Val;
use crate::history::values::FastMap;
use crate::limits::Limits;

/// Finds what a core does not need: the positions of those that it does, and whether everything was tried. `possible`: whether those at
/// some positions are possible together; `None` if nobody knows. `focused`: what is impossible is the smaller object of the core.
pub(super) fn minimise(
    core: &[Statement<'_>],
    focused: bool,
    limits: Limits<'_>,
    possible: &dyn Fn(&[u32]) -> Option<bool>,
) -> (Vec<u32>, bool) {
    let all: Vec<u32> = (0..core.len() as u32).collect();
    let culprit = last_to_complete(Statement::rets(core)).map(|at| at as u32);
    let without = |some: &[u32]| -> Vec<u32> {
        let others = some.iter().filter(|at| Some(**at) != culprit);
        others.copied().collect()
    };
    let one_is_to_blame = possible(&without(&all)) == Some(true);
    // Whether operations are impossible together, and for the same reason as the whole; `None` if nobody knows.
    let proves = |some: &[u32]| {
        if one_is_to_blame && !some.iter().any(|at| Some(*at) == culprit) {
            return Some(false);
        }
        Some(!possible(some)? && (!one_is_to_blame || possible(&without(some)) == Some(true)))
    };
    let exhausted = || limits.exhausted(0).is_some();
    let mut kept = all;
    if !focused {
        // First whole values, with all that brought them in or saw them: single operations that do so can't go before
        // the last one that saw the value has gone.
        let blamed: Vec<Val> = (culprit.iter())
            .flat_map(|at| core[*at as usize].touches())
            .collect();
        let mut values: Vec<Val> = core.iter().flat_map(Statement::touches).collect();
        values.retain(|value| !blamed.contains(value));
        values.sort_unstable();
        values.dedup();
        let before = first_brought_in(core, &kept);
        let of_values = |values: &[Val]| -> Vec<u32> {
            let is_kept = |value: Val| values.binary_search(&value).is_ok() || blamed.contains(&value);
            let some = (0..core.len() as u32).filter(|at| core[*at as usize].touches().all(is_kept));
            with_reason(core, some.collect(), &before)
        };
        shrink(&mut values, exhausted, |_, values| proves(&of_values(values)));
        kept = of_values(&values);
    }
    let minimal = shrink(&mut kept, exhausted, |dropped, rest| {
        if focused || keeps_reason(core, dropped, rest) {
            proves(rest)
        } else {
            Some(false)
        }
    });
    (kept, minimal)
}

/// Drops items, many at once and then fewer, as long as those that are left will do; whether everything was tried.
/// `will_do` gets what is dropped and what is left, and doesn't always know.
fn shrink<T: Copy>(
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
            let rest = [&items[..from], &items[to..]].concat();
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
fn first_brought_in(core: &[Statement<'_>], some: &[u32]) -> FastMap<Val, u32> {
    let mut first = FastMap::default();
    for &at in some {
        let Statement { produces, invoke, .. } = core[at as usize];
        for &value in produces {
            let earliest = first.entry(value).or_insert(invoke);
            *earliest = invoke.min(*earliest);
        }
    }
    first
}

/// Those of some operations of a core that need no value that nobody among them brings in, though somebody in the core does,
/// by what was [brought in](first_brought_in) there. Who began after an operation completed brings in nothing for it.
fn with_reason(core: &[Statement<'_>], mut some: Vec<u32>, before: &FastMap<Val, u32>) -> Vec<u32> {
    loop {
        let (left, count) = (first_brought_in(core, &some), some.len());
        some.retain(|&at| {
            let Statement { needs, ret, .. } = core[at as usize];
            let brought_in =
                |by: &FastMap<Val, u32>, value: &Val| by.get(value).is_some_and(|invoke| *invoke < ret);
            let has_gone = |value: &Val| brought_in(before, value) && !brought_in(&left, value);
            !needs.iter().any(has_gone)
        });
        if some.len() == count {
            return some;
        }
    }
}

/// Whether nothing that is left needs a value that a dropped operation brought in, and began to before it completed.
fn keeps_reason(core: &[Statement<'_>], dropped: &[u32], rest: &[u32]) -> bool {
    let of = |some: &[u32]| -> Vec<&Statement<'_>> { some.iter().map(|&at| &core[at as usize]).collect() };
    let (dropped, rest) = (of(dropped), of(rest));
    let brought_by_dropped = |value: &Val, ret: u32| {
        let mut begun = dropped.iter().filter(|dropped| dropped.invoke < ret);
        begun.any(|dropped| dropped.produces.contains(value))
    };
    let needs_it =
        |left: &&Statement<'_>| (left.needs.iter()).any(|value| brought_by_dropped(value, left.ret));
    !rest.iter().any(needs_it)
}
