//! How far a history that fails can be explained.

use super::statement::{Statement, last_to_complete};
use crate::history::{History, NEVER};
use crate::model::{Hints, Model, Operation};
use crate::verdict::{Ordered, Reached};

/// How many operations of an order are shown: its end. A drawing of more is no longer taken in at a glance.
const ORDER_MAX: usize = 12;
/// How many states are shown.
const STATES_MAX: usize = 8;

/// What a model says of the beginnings of a part.
pub(super) struct Beginnings<'a> {
    /// An order of what had [begun](crate::model::prefix) before a completion, or that there is none; `None` if the budget is spent.
    pub order: &'a dyn Fn(u32) -> Option<Option<Vec<u32>>>,
    /// [States after](states_after) such an order, at a completion that none explains.
    pub states: &'a dyn Fn(&[u32], u32) -> Vec<After>,
}

/// A state that an object may be in, as a person reads it, and the row of the open operation that has led there, if one has.
pub(super) struct After {
    pub state: String,
    pub late: Option<u32>,
}

/// Finds the shortest prefix that fails, and what explains the one before it. `None` if the budget is spent, or nothing
/// completes. Of a part, completion and row of each operation.
pub(super) fn reached(
    history: &History,
    part: &[(u32, u32)],
    core: &[Statement<'_>],
    beginnings: &Beginnings<'_>,
) -> Option<Reached> {
    let mut rets: Vec<u32> = part.iter().map(|(ret, _)| *ret).collect();
    rets.retain(|&ret| ret != NEVER);
    rets.sort_unstable();
    // A prefix that has all of the core fails, and often not before.
    let end = core[last_to_complete(Statement::rets(core))?].ret;
    let (mut possible, mut fails) = (0, rets.partition_point(|&ret| ret < end));
    let mut explained = None;
    let mut middle = fails.saturating_sub(1);
    // The first `possible` completions can be explained, those up to `fails` can't.
    while possible < fails {
        match (beginnings.order)(rets[middle])? {
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
    for After { state, late } in (beginnings.states)(&order, end) {
        if !states.contains(&state) {
            states.push(state);
            open.extend(late.filter(|late| !open.contains(late)));
        }
    }
    let witness_op = |row| history.witness_op(row, String::new());
    let failing = witness_op(part.iter().find(|(ret, _)| *ret == end)?.1);
    let end = history.index(end);
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
    let rows: Vec<u32> = order.iter().map(|&at| part[at as usize].1).collect();
    Some(Reached {
        fails_at: end,
        ordered: order.len() as u64,
        order: end_of(history, &rows),
        open: open.into_iter().map(witness_op).collect(),
        states,
        failing,
        sentence,
    })
}

/// The end of an order of rows, each operation as early as those before it allow. That is in time: had one before it been
/// invoked after its completion, the order would not respect real time.
fn end_of(history: &History, order: &[u32]) -> Vec<Ordered> {
    let invoked = |row: u32| history.times[row as usize].invoked;
    let (before, end) = order.split_at(order.len().saturating_sub(ORDER_MAX));
    let mut effect = before.iter().copied().map(invoked).max().unwrap_or(0);
    let ordered = end.iter().map(|&row| {
        effect = effect.max(invoked(row));
        Ordered {
            operation: history.witness_op(row, String::new()),
            effect,
        }
    });
    ordered.collect()
}

/// States that an object may be in at a completion that no order explains, after an order of all that completed before;
/// a few of them. What is open then may have taken effect at last: such a state comes with the row of that operation.
pub(super) fn states_after<M: Model>(
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
