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
    let object = match key {
        Val::NONE => String::new(),
        key => format!(" of {}", history.values.json(key)),
    };
    // The last one to complete is what the rest makes impossible.
    let last = (core.iter())
        .filter(|operation| operation.ret != NEVER)
        .max_by_key(|operation| operation.ret);
    let operations = core.iter().map(|operation| {
        let note = last.map_or(String::new(), |last| note(model, history, &core, operation, last));
        history.witness_op(operation.row, note)
    });
    Some(Witness {
        summary: summary(model, history, &object, &core, last),
        key: (key != Val::NONE).then(|| history.values.json(key)),
        operations: operations.collect(),
        minimal,
    })
}

/// What an operation contributes to the proof that the last one is impossible.
fn note<M: Model>(
    model: &M,
    history: &History,
    core: &[Operation<M::Op>],
    operation: &Operation<M::Op>,
    last: &Operation<M::Op>,
) -> String {
    if operation.row == last.row {
        return "impossible together with the others".to_owned();
    }
    let f =
        |operation: &Operation<M::Op>| &history.functions[history.rows[operation.row as usize].f as usize];
    let mut notes = Vec::new();
    let wanted = model.needs(&last.op);
    if let Some(value) = model.produces(&operation.op) {
        let shown = history.values.json(value);
        if Some(value) == wanted {
            notes.push(format!("brought in the {shown} that the {} returned", f(last)));
        } else if core
            .iter()
            .any(|other| other.ret != NEVER && model.needs(&other.op) == Some(value))
        {
            notes.push(format!("brought in {shown}, which was seen"));
        }
    }
    if operation.ret == NEVER {
        let open = history.rows[operation.row as usize].ret != NEVER;
        notes.push(
            if open {
                "still open at that time"
            } else {
                "may take effect at any later time, or never"
            }
            .to_owned(),
        );
    } else if operation.ret < last.invoke {
        notes.push(format!("complete before the {} began", f(last)));
    } else {
        notes.push(format!("at the same time as the {}", f(last)));
    }
    notes.join("; ")
}

/// Whether nothing that is left needs a value that a dropped operation brought in.
fn keeps_reason<M: Model>(model: &M, dropped: &[Operation<M::Op>], rest: &[Operation<M::Op>]) -> bool {
    let produced: Vec<Val> = (dropped.iter())
        .filter_map(|operation| model.produces(&operation.op))
        .collect();
    let mut needed = rest.iter().filter_map(|operation| model.needs(&operation.op));
    produced.is_empty() || !needed.any(|value| produced.contains(&value))
}

fn summary<M: Model>(
    model: &M,
    history: &History,
    object: &str,
    core: &[Operation<M::Op>],
    last: Option<&Operation<M::Op>>,
) -> String {
    let Some(last) = last else {
        return format!("no order of these operations{object} explains their results");
    };
    let shown = history.witness_op(last.row, String::new());
    let result = shown.result.unwrap_or(serde_json::Value::Null);
    let claim = format!("{}{object} returned {result}", shown.f);
    let Some(wanted) = model.needs(&last.op) else {
        return format!(
            "{claim}, which {} other operations together make impossible",
            core.len() - 1
        );
    };
    let writers: Vec<_> = core
        .iter()
        .filter(|other| model.produces(&other.op) == Some(wanted))
        .collect();
    if writers.is_empty() && core.len() == 1 {
        return format!("{claim}, which nobody wrote");
    }
    // What had certainly taken the place of the value, and what shows it.
    let newer = core.iter().filter(|other| {
        other.ret < last.invoke
            && writers.iter().all(|writer| writer.ret < other.invoke)
            && other.row != last.row
    });
    for other in newer {
        if let Some(value) = model.produces(&other.op).filter(|&value| value != wanted) {
            let f = &history.functions[history.rows[other.row as usize].f as usize];
            let value = history.values.json(value);
            return format!("{claim} after the {f} of {value} had been acknowledged");
        }
    }
    let seen = core.iter().filter(|other| other.ret < last.invoke);
    for other in seen {
        if let Some(value) = model.needs(&other.op).filter(|&value| value != wanted) {
            let value = history.values.json(value);
            return format!("{claim} after {value} had been seen in its place");
        }
    }
    format!(
        "{claim}, which {} other operations together make impossible",
        core.len() - 1
    )
}
