//! How far a history that fails can be explained.

use super::broken::Broken;
use super::order::{last, order};
use crate::history::NEVER;
use crate::limits::Limits;
use crate::model::{Hints, Model, Operation, Words, prefix};
use crate::verdict::{Ordered, Reached};

/// How many operations of an order are shown: its end. A drawing of more is no longer taken in at a glance.
const ORDER_MAX: usize = 12;
/// How many states are shown.
const STATES_MAX: usize = 8;

/// Finds the shortest prefix that fails, and what explains the one before it. `None` if the budget is spent, or nothing
/// completes.
pub(super) fn reached<M: Model>(
    broken: &Broken<'_, M>,
    core: &[Operation<M::Op>],
    limits: Limits<'_>,
) -> Option<Reached> {
    let mut rets: Vec<u32> = broken.part.iter().map(|operation| operation.ret).collect();
    rets.retain(|&ret| ret != NEVER);
    rets.sort_unstable();
    // A prefix that has all of the core fails, and often not before.
    let end = last(core)?.ret;
    let (mut possible, mut fails) = (0, rets.partition_point(|&ret| ret < end));
    let mut explained = None;
    let mut middle = fails.saturating_sub(1);
    // The first `possible` completions can be explained, those up to `fails` can't.
    while possible < fails {
        let before = prefix(broken.part, rets[middle]);
        match order(broken.model, &before, limits)? {
            Some(order) => {
                possible = middle + 1;
                explained = Some(order);
            }
            None => fails = middle,
        }
        middle = (possible + fails) / 2;
    }
    let end = rets[fails];
    // Nothing had completed before: nothing needs an explanation.
    let order = explained.filter(|_| fails > 0).unwrap_or_default();
    let (mut states, mut open) = (Vec::new(), Vec::new());
    for (state, late) in states_after(broken.model, broken.part, &order, end) {
        let state = broken.model.words().show(&state, &broken.history.values);
        if !states.contains(&state) {
            states.push(state);
            open.extend(late.filter(|late| !open.contains(late)));
        }
    }
    let witness_op = |row| broken.history.witness_op(row, String::new());
    let failing = witness_op(broken.part.iter().find(|operation| operation.ret == end)?.row);
    let end = broken.history.index(end);
    // Where operations leave a choice, not every one is followed.
    let leaves = match states.len() {
        0 => "what can't be said".to_owned(),
        _ => states.join(" or "),
    };
    let fails = format!(
        "the {} of process {} that completes there",
        failing.f, failing.process
    );
    let sentence = match order.len() {
        0 => format!("Nothing completed before event {end}, which leaves {leaves}; {fails} does not fit."),
        count => format!(
            "What completed before event {end} can be put in an order, of {count} operation{}, which leaves {leaves}; {fails} \
             fits no such order.",
            if count == 1 { "" } else { "s" },
        ),
    };
    Some(Reached {
        fails_at: end,
        ordered: order.len() as u64,
        order: end_of(broken, &order),
        open: open.into_iter().map(witness_op).collect(),
        states,
        failing,
        sentence,
    })
}

/// The end of an order, each operation as early as those before it allow. That is in time: had one before it been
/// invoked after its completion, the order would not respect real time.
fn end_of<M: Model>(broken: &Broken<'_, M>, order: &[u32]) -> Vec<Ordered> {
    let row = |&at: &u32| broken.part[at as usize].row;
    let (before, end) = order.split_at(order.len().saturating_sub(ORDER_MAX));
    let invoked = |row: u32| broken.history.times[row as usize].invoked;
    let mut effect = before.iter().map(row).map(invoked).max().unwrap_or(0);
    end.iter()
        .map(row)
        .map(|row| {
            effect = effect.max(invoked(row));
            Ordered {
                operation: broken.history.witness_op(row, String::new()),
                effect,
            }
        })
        .collect()
}

/// States that an object may be in at a completion that no order explains, after an order of all that completed before;
/// a few of them. What is open then may have taken effect at last: such a state comes with the row of that operation.
fn states_after<M: Model>(
    model: &M,
    part: &[Operation<M::Op>],
    order: &[u32],
    end: u32,
) -> Vec<(M::State, Option<u32>)> {
    let mut states = vec![model.initial()];
    let (mut next, mut all) = (Vec::new(), Vec::new());
    let mut placed = vec![false; part.len()];
    for &at in order {
        placed[at as usize] = true;
        let op = &part[at as usize].op;
        if let [state] = states.as_mut_slice()
            && model.hints().apply(state, op) == Some(true)
        {
            continue;
        }
        for state in &states {
            model.step(state, op, &mut next);
            all.extend(next.drain(..).take(STATES_MAX));
        }
        all.truncate(STATES_MAX);
        std::mem::swap(&mut states, &mut all);
        all.clear();
    }
    let open: Vec<&Operation<M::Op>> = (part.iter().zip(&placed))
        .filter(|(operation, placed)| !**placed && operation.invoke < end && operation.ret > end)
        .map(|(operation, _)| operation)
        .collect();
    let mut found: Vec<(M::State, Option<u32>)> = states.iter().map(|state| (state.clone(), None)).collect();
    for (state, operation) in states
        .iter()
        .flat_map(|state| open.iter().map(move |open| (state, open)))
    {
        model.step(state, &operation.op, &mut next);
        for state in next.drain(..) {
            if found.len() < STATES_MAX && !found.iter().any(|(known, _)| *known == state) {
                found.push((state, Some(operation.row)));
            }
        }
    }
    found
}
