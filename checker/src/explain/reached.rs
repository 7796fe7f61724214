//! How far a history that fails can be explained.

use super::{Broken, last, order, prefix};
use crate::history::NEVER;
use crate::model::{Model, Operation};
use crate::search::Limits;
use crate::verdict::Reached;

/// How many operations of an order are shown: its end.
const ORDER_MAX: usize = 20;
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
                explained = Some((before, order));
            }
            None => fails = middle,
        }
        middle = (possible + fails) / 2;
    }
    let end = rets[fails];
    // Nothing had completed before: nothing needs an explanation.
    let (before, order) = match explained.filter(|_| fails > 0) {
        Some(explained) => explained,
        None => (prefix(broken.part, 0), Vec::new()),
    };
    let states = states_after(broken.model, &before, &order);
    let values = &broken.history.values;
    let mut shown: Vec<String> = Vec::new();
    for state in &states {
        let state = broken.model.show(state, values);
        if !shown.contains(&state) {
            shown.push(state);
        }
    }
    let failing = broken.part.iter().find(|operation| operation.ret == end)?;
    let failing = broken.history.witness_op(failing.row, String::new());
    let index = |position| broken.history.index(position);
    let sentence = format!(
        "What completed before event {} can be put in an order, of {} operations, which leaves {}; the {} of process {} that \
         completes there fits no such order.",
        index(end),
        order.len(),
        shown.join(" or "),
        failing.f,
        failing.process,
    );
    let end_of_order = &order[order.len().saturating_sub(ORDER_MAX)..];
    Some(Reached {
        fails_at: index(end),
        ordered: order.len() as u64,
        order: end_of_order
            .iter()
            .map(|&at| index(before[at as usize].invoke))
            .collect(),
        states: shown,
        sentence,
    })
}

/// States that an object may be in after an order, a few of them: what is open may have taken effect at last.
fn states_after<M: Model>(model: &M, before: &[Operation<M::Op>], order: &[u32]) -> Vec<M::State> {
    let mut states = vec![model.initial()];
    let (mut next, mut all) = (Vec::new(), Vec::new());
    let mut placed = vec![false; before.len()];
    for &at in order {
        placed[at as usize] = true;
        let op = &before[at as usize].op;
        if let [state] = states.as_mut_slice()
            && model.apply(state, op) == Some(true)
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
    for state in states.clone() {
        for (operation, _) in before.iter().zip(&placed).filter(|(_, placed)| !**placed) {
            model.step(&state, &operation.op, &mut next);
            for state in next.drain(..) {
                if states.len() < STATES_MAX && !states.contains(&state) {
                    states.push(state);
                }
            }
        }
    }
    states
}
