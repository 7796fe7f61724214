//! From "impossible" to the few operations that prove it.
//!
//! Starting from the shortest prefix that fails, operations are dropped as long as the rest stays impossible for the
//! same reason (delta debugging: Zeller and Hildebrandt, TSE 2002). "For the same reason": a read never loses a write
//! of the value that it returned, or every witness would end as "nobody wrote this".

use crate::history::{History, NEVER, Val};
use crate::model::{Model, Operation, Part};
use crate::search::{Limits, Outcome, jit};
use crate::verdict::Witness;

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

/// The smallest impossible sub-history of operations that are impossible together; `None` if they are not.
pub fn witness<M: Model>(
    model: &M,
    history: &History,
    key: Val,
    core: Part<M::Op>,
    limits: Limits<'_>,
) -> Option<Witness> {
    let mut minimal = true;
    let mut core = core;
    core.sort_by_key(|operation| operation.invoke);
    let impossible = |part: &Part<M::Op>| match jit::search(model, part, limits) {
        Outcome::Impossible { .. } => Some(true),
        Outcome::Order(_) => Some(false),
        Outcome::Exhausted(_) => None,
    };
    if impossible(&core) == Some(false) {
        return None;
    }
    let mut step = core.len().div_ceil(2).max(1);
    loop {
        let mut from = 0;
        let mut shrunk = false;
        while from < core.len() {
            let to = (from + step).min(core.len());
            let rest: Part<M::Op> = core[..from].iter().chain(&core[to..]).cloned().collect();
            if keeps_reason(model, &core[from..to], &rest) {
                match impossible(&rest) {
                    Some(true) => {
                        core = rest;
                        shrunk = true;
                        continue;
                    }
                    Some(false) => {}
                    None => minimal = false,
                }
            }
            from = to;
        }
        if step == 1 && !shrunk {
            break;
        }
        step = (step / 2).max(1);
    }
    let summary = summary(model, history, key, &core);
    let operations = core
        .iter()
        .map(|operation| {
            let mut shown = history.witness_op(operation.row, String::new());
            if operation.ret == NEVER && shown.completed.is_some() {
                shown.note = "still open when the violation was complete".to_owned();
            }
            shown
        })
        .collect();
    Some(Witness {
        summary,
        key: (key != Val::NONE).then(|| history.values.json(key)),
        operations,
        minimal,
    })
}

/// Whether nothing that is left needs a value that a dropped operation brought in.
fn keeps_reason<M: Model>(model: &M, dropped: &[Operation<M::Op>], rest: &[Operation<M::Op>]) -> bool {
    let produced: Vec<Val> = (dropped.iter())
        .filter_map(|operation| model.produces(&operation.op))
        .collect();
    let mut needed = rest.iter().filter_map(|operation| model.needs(&operation.op));
    produced.is_empty() || !needed.any(|value| produced.contains(&value))
}

fn summary<M: Model>(model: &M, history: &History, key: Val, core: &[Operation<M::Op>]) -> String {
    let object = match key {
        Val::NONE => String::new(),
        key => format!(" of {}", history.values.json(key)),
    };
    // The last one to complete is what the rest makes impossible.
    let last = core
        .iter()
        .filter(|operation| operation.ret != NEVER)
        .max_by_key(|operation| operation.ret);
    let Some(last) = last else {
        return format!("no order of these operations{object} explains their results");
    };
    let shown = history.witness_op(last.row, String::new());
    let result = shown.result.unwrap_or(serde_json::Value::Null);
    let nobody = model
        .needs(&last.op)
        .is_some_and(|value| core.iter().all(|other| model.produces(&other.op) != Some(value)));
    let others = core.len() - 1;
    match (nobody, others) {
        (true, _) => format!("{}{object} returned {result}, which nobody wrote", shown.f),
        (false, 0) => format!(
            "{}{object} returned {result}, which is impossible in the initial state",
            shown.f
        ),
        (false, _) => format!(
            "no order of these {} operations{object} lets {} by process {} return {result}",
            core.len(),
            shown.f,
            shown.process
        ),
    }
}
