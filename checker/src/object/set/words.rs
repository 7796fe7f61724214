//! What a set did wrong, in its own words.

use super::op::SetOp;
use crate::history::Val;
use crate::model::{Operation, Telling};

/// `a read misses 1, which process 3 had added before and nobody removed`, and what else can be said of one element.
pub(super) fn tell(telling: &Telling<'_, SetOp>) -> Option<String> {
    let look = telling.culprit;
    match &look.op {
        SetOp::Contains(value, true) => {
            shown(telling, *value).map(|why| format!("{} was found, {why}", telling.value(*value)))
        }
        SetOp::Contains(value, false) => {
            missing(telling, *value).map(|why| format!("{} was not found, {why}", telling.value(*value)))
        }
        SetOp::Read(elements) => {
            let reader = telling.who(look);
            let invented = elements
                .iter()
                .find_map(|&value| Some((value, shown(telling, value)?)));
            if let Some((value, why)) = invented {
                return Some(format!(
                    "the read of {reader} shows {}, {why}",
                    telling.value(value)
                ));
            }
            let lost = added(telling).filter(|value| !elements.contains(value));
            lost.into_iter().find_map(|value| {
                let why = missing(telling, value)?;
                Some(format!(
                    "the read of {reader} misses {}, {why}",
                    telling.value(value)
                ))
            })
        }
        SetOp::Add(_) | SetOp::Remove(_) => None,
    }
}

/// The elements that are added in the proof.
fn added<'a>(telling: &Telling<'a, SetOp>) -> impl Iterator<Item = Val> + use<'a> {
    telling.core.iter().filter_map(|operation| match operation.op {
        SetOp::Add(value) => Some(value),
        _ => None,
    })
}

/// Why an element can't be missing: it had been added, and nobody had asked to remove it by then.
fn missing(telling: &Telling<'_, SetOp>, value: Val) -> Option<String> {
    let look = telling.culprit;
    let by_then = |operation: &&Operation<SetOp>| operation.invoke < look.ret;
    let removed = telling.part.iter().filter(by_then);
    if removed.into_iter().any(|other| other.op == SetOp::Remove(value)) {
        return None;
    }
    let add = telling.earlier().find(|other| other.op == SetOp::Add(value))?;
    Some(format!(
        "which {} had added before and nobody removed",
        telling.who(add)
    ))
}

/// Why an element can't be there: nobody had asked to add it by then, or it had been removed since.
fn shown(telling: &Telling<'_, SetOp>, value: Val) -> Option<String> {
    let look = telling.culprit;
    let by_then = |operation: &&Operation<SetOp>| operation.invoke < look.ret;
    let adds = || {
        (telling.part.iter())
            .filter(by_then)
            .filter(|other| other.op == SetOp::Add(value))
    };
    if adds().next().is_none() {
        return Some("which nobody had asked to add by then".to_owned());
    }
    // A removal after every add, and over before it was looked for.
    let removal = (telling.part.iter()).find(|other| {
        other.op == SetOp::Remove(value)
            && telling.before(other, look)
            && adds().all(|add| telling.before(add, other))
    })?;
    Some(format!("which {} had removed before", telling.who(removal)))
}
