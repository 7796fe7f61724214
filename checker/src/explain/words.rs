//! A proof in words.

use super::broken::Broken;
use super::order::last;
use super::proof::denied;
use crate::history::{NEVER, Row, Val};
use crate::model::{Call, Model, Operation, Telling, Words};
use crate::verdict::{Reached, Witness};

/// The witness that a core is.
pub(super) fn witness<M: Model>(
    broken: &Broken<'_, M>,
    core: &[Operation<M::Op>],
    minimal: bool,
    reached: Option<Reached>,
) -> Witness {
    let (history, key) = (broken.history, broken.key);
    let culprit = culprit(broken.model, core);
    let operations = core.iter().map(|operation| {
        let note = culprit.map_or(String::new(), |culprit| note(broken, core, operation, culprit));
        history.witness_op(operation.row, note)
    });
    Witness {
        summary: summary(broken, core, culprit),
        key: (key != Val::NONE).then(|| history.values.json(key)),
        operations: operations.collect(),
        minimal,
        reached: reached.map(Box::new),
        ..Witness::default()
    }
}

/// The operation that the rest makes impossible: one that needs what nobody had asked for yet, else the last one to
/// complete.
fn culprit<'a, M: Model>(model: &M, core: &'a [Operation<M::Op>]) -> Option<&'a Operation<M::Op>> {
    let early = core.iter().find(|operation| {
        let wanted = model.words().needs(&operation.op);
        let mut writers = producers(model, core, wanted).peekable();
        writers.peek().is_some() && writers.all(|writer| writer.invoke > operation.ret)
    });
    early.or_else(|| last(core))
}

fn producers<'a, M: Model>(
    model: &M,
    core: &'a [Operation<M::Op>],
    wanted: &[Val],
) -> impl Iterator<Item = &'a Operation<M::Op>> {
    let is_wanted = |value: &Val| wanted.contains(value);
    core.iter()
        .filter(move |operation| model.words().produces(&operation.op).iter().any(is_wanted))
}

/// What an operation contributes to the proof that the last one is impossible.
fn note<M: Model>(
    broken: &Broken<'_, M>,
    core: &[Operation<M::Op>],
    operation: &Operation<M::Op>,
    last: &Operation<M::Op>,
) -> String {
    let (model, history) = (broken.model, broken.history);
    if operation.row == last.row {
        return "impossible together with the others".to_owned();
    }
    let f =
        |operation: &Operation<M::Op>| &history.functions[history.rows[operation.row as usize].f as usize];
    let mut notes = Vec::new();
    let wanted = model.words().needs(&last.op);
    for &value in model.words().produces(&operation.op) {
        let shown = history.values.json(value);
        if wanted == [value] {
            notes.push(format!("brought in the {shown} that the {} returned", f(last)));
        } else if wanted.contains(&value) {
            notes.push(format!(
                "brought in {shown}, a part of what the {} returned",
                f(last)
            ));
        } else if core
            .iter()
            .any(|other| other.ret != NEVER && model.words().needs(&other.op).contains(&value))
        {
            notes.push(format!("brought in {shown}, which was seen"));
        }
    }
    // The same value may have been brought in at two places.
    notes.dedup();
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
    } else if operation.invoke > last.ret {
        notes.push(format!("began after the {} had completed", f(last)));
    } else if operation.ret < last.invoke {
        notes.push(format!("complete before the {} began", f(last)));
    } else {
        notes.push(format!("at the same time as the {}", f(last)));
    }
    notes.join("; ")
}

fn summary<M: Model>(
    broken: &Broken<'_, M>,
    core: &[Operation<M::Op>],
    last: Option<&Operation<M::Op>>,
) -> String {
    let (model, history) = (broken.model, broken.history);
    let object = match broken.key {
        Val::NONE => String::new(),
        key => format!(" of {}", history.values.json(key)),
    };
    let Some(last) = last else {
        return format!("no order of these operations{object} explains their results");
    };
    let telling = Telling {
        core,
        culprit: last,
        part: broken.part,
        history,
    };
    if let Some(told) = model.words().tell(&telling) {
        return match broken.key {
            Val::NONE => told,
            key => format!("{}: {told}", history.values.json(key)),
        };
    }
    let shown = history.witness_op(last.row, String::new());
    let result = shown.result.unwrap_or(serde_json::Value::Null);
    let claim = match (denied(model, last), model.words().found(&last.op)) {
        (Some(value), _) => {
            let value = history.values.json(value);
            format!(
                "{} {}{object} found another value than {value}",
                shown.f, shown.value
            )
        }
        (None, Some(value)) => {
            let value = history.values.json(value);
            format!("{} {}{object} found {value}", shown.f, shown.value)
        }
        (None, None) => format!("{}{object} returned {result}", shown.f),
    };
    let wanted = model.words().needs(&last.op);
    if wanted.is_empty() {
        return format!("{claim}, {}", by_others(core.len() - 1));
    }
    let writers: Vec<_> = producers(model, core, wanted).collect();
    if writers.is_empty() && core.len() == 1 {
        return format!("{claim}, {}", nobody(broken, wanted));
    }
    if !writers.is_empty() && writers.iter().all(|writer| writer.invoke > last.ret) {
        return format!("{claim}, {}", later(broken, writers[0]));
    }
    // What had certainly taken the place of the value, and what shows it.
    let newer = core.iter().filter(|other| {
        other.ret < last.invoke
            && writers.iter().all(|writer| writer.ret < other.invoke)
            && other.row != last.row
    });
    for other in newer {
        let instead = |value: &&Val| !wanted.contains(value);
        if let Some(&value) = model.words().produces(&other.op).iter().find(instead) {
            let f = &history.functions[history.rows[other.row as usize].f as usize];
            let value = history.values.json(value);
            return format!("{claim} after the {f} of {value} had been acknowledged");
        }
    }
    let seen = core.iter().filter(|other| other.ret < last.invoke);
    for other in seen {
        if let Some(value) = model
            .words()
            .needs(&other.op)
            .iter()
            .find(|value| !wanted.contains(value))
        {
            let value = history.values.json(*value);
            return format!("{claim} after {value} had been seen in its place");
        }
    }
    format!("{claim}, {}", by_others(core.len() - 1))
}

/// What can be said of any contradiction.
fn by_others(count: usize) -> String {
    match count {
        0 => "which nothing that had been asked for until then can lead to".to_owned(),
        1 => "which no order with the other operation explains".to_owned(),
        count => format!("which no order with the {count} other operations explains"),
    }
}

/// Why nobody can have written values that were seen.
fn nobody<M: Model>(broken: &Broken<'_, M>, wanted: &[Val]) -> String {
    if let Some(writer) = producers(broken.model, broken.part, wanted).next() {
        return later(broken, writer);
    }
    let history = broken.history;
    let wrote = |row: &&Row| {
        let call = Call {
            f: &history.functions[row.f as usize],
            process: u64::from(row.process),
            key: row.key,
            argument: row.argument,
            result: None,
            values: &history.values,
        };
        let op = broken.model.operation(&call);
        broken.model.part(&call) == broken.key
            && matches!(op, Ok(Some(op)) if broken.model.words().produces(&op).iter().any(|value| wanted.contains(value)))
    };
    let refused = history.rows.iter().filter(|row| row.refused());
    match history.failures.iter().chain(refused).find(wrote) {
        Some(row) => format!(
            "which only a {} that failed wrote",
            history.functions[row.f as usize]
        ),
        None => "which nobody wrote".to_owned(),
    }
}

fn later<M: Model>(broken: &Broken<'_, M>, writer: &Operation<M::Op>) -> String {
    let f = broken.history.rows[writer.row as usize].f;
    format!(
        "which only a later {} wrote",
        broken.history.functions[f as usize]
    )
}
