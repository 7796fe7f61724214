//! What a log did wrong, in its own words.

use super::op::LogOp;
use crate::history::Val;
use crate::model::{Operation, Telling};

/// `the read of process 2 shows "b" before "a", which had been appended first`, and what else can be said of few values.
pub(super) fn tell(telling: &Telling<'_, LogOp>) -> Option<String> {
    match &telling.culprit.op {
        LogOp::Read(found) => read(telling, found),
        LogOp::Append(_, Some(offset)) => {
            let same = (telling.core.iter()).find(|other| {
                other.row != telling.culprit.row
                    && matches!(other.op, LogOp::Append(_, Some(of_other)) if of_other == *offset)
            })?;
            Some(format!(
                "{} and {} were both told the offset {offset}",
                telling.who(same),
                telling.who(telling.culprit)
            ))
        }
        LogOp::Append(_, None) => None,
    }
}

fn read(telling: &Telling<'_, LogOp>, found: &[Val]) -> Option<String> {
    let look = telling.culprit;
    let reader = telling.who(look);
    let appends = |value: Val| {
        let of_value =
            move |other: &&Operation<LogOp>| matches!(other.op, LogOp::Append(of, _) if of == value);
        telling.part.iter().filter(of_value)
    };
    let invented = (found.iter()).find(|&&value| !appends(value).any(|append| append.invoke < look.ret));
    if let Some(&value) = invented {
        let value = telling.value(value);
        return Some(format!(
            "the read of {reader} shows {value}, which nobody had asked to append by then"
        ));
    }
    let place = |value: Val| found.iter().position(|&other| other == value);
    let appended: Vec<(Val, &Operation<LogOp>)> = (telling.core.iter())
        .filter_map(|operation| match operation.op {
            // One of several with the same value stands anywhere.
            LogOp::Append(value, _) if appends(value).count() == 1 => Some((value, operation)),
            _ => None,
        })
        .collect();
    for (first, append) in &appended {
        if telling.before(append, look) && place(*first).is_none() {
            return Some(format!(
                "the read of {reader} misses {}, which {} had appended before",
                telling.value(*first),
                telling.who(append)
            ));
        }
        let swapped = (appended.iter()).find(|(second, later)| {
            telling.before(append, later) && place(*second).is_some() && place(*second) < place(*first)
        });
        if let Some((second, _)) = swapped {
            return Some(format!(
                "the read of {reader} shows {} before {}, which had been appended first",
                telling.value(*second),
                telling.value(*first)
            ));
        }
    }
    // Two reads that can't both be the beginning of one log.
    let other = telling.earlier().find_map(|other| match &other.op {
        LogOp::Read(before) if !found.starts_with(before) => Some((other, before.len())),
        _ => None,
    })?;
    Some(format!(
        "the read of {reader} does not begin with the {} values that {} had read before",
        other.1,
        telling.who(other.0)
    ))
}
