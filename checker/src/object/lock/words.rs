//! What a lock did wrong, in its own words.

use super::op::LockOp;
use crate::history::NEVER;
use crate::model::{Operation, Telling};

/// `process 2 acquired it while process 1 held it`, and what else can be said of two holders.
pub(super) fn tell(telling: &Telling<'_, LockOp>) -> Option<String> {
    tokens(telling)
        .or_else(|| holders(telling))
        .or_else(|| released(telling))
}

/// Acquisitions of which the first had completed when the second was asked for.
fn one_after_the_other<'a>(
    telling: &Telling<'a, LockOp>,
) -> impl Iterator<Item = (&'a Operation<LockOp>, &'a Operation<LockOp>)> {
    let telling = *telling;
    let acquires = (telling.core.iter())
        .filter(|operation| operation.ret != NEVER && matches!(operation.op, LockOp::Acquire(..)));
    acquires
        .clone()
        .flat_map(move |first| acquires.clone().map(move |second| (first, second)))
        .filter(move |(first, second)| telling.before(first, second))
}

/// Tokens that do not grow.
fn tokens(telling: &Telling<'_, LockOp>) -> Option<String> {
    one_after_the_other(telling).find_map(|(first, second)| match (first.op, second.op) {
        (LockOp::Acquire(_, Some(before)), LockOp::Acquire(_, Some(after))) if after <= before => {
            Some(format!(
                "{} got the token {after} after {} had got {before}: tokens must grow",
                telling.who(second),
                telling.who(first)
            ))
        }
        _ => None,
    })
}

/// Two that held it at once: nobody had asked to release it between the two acquisitions.
fn holders(telling: &Telling<'_, LockOp>) -> Option<String> {
    one_after_the_other(telling)
        .find(|(first, second)| {
            let between = |other: &Operation<LockOp>| other.ret > first.invoke && other.invoke < second.ret;
            !telling
                .part
                .iter()
                .any(|other| matches!(other.op, LockOp::Release(_)) && between(other))
        })
        .map(|(first, second)| {
            format!(
                "{} acquired it while {} held it: nobody had asked to release it",
                telling.who(second),
                telling.who(first)
            )
        })
}

/// A release of what nobody held.
fn released(telling: &Telling<'_, LockOp>) -> Option<String> {
    let LockOp::Release(_) = telling.culprit.op else {
        return None;
    };
    let who = telling.who(telling.culprit);
    let acquired = telling
        .part
        .iter()
        .any(|other| matches!(other.op, LockOp::Acquire(..)) && other.invoke < telling.culprit.ret);
    (!acquired).then(|| format!("{who} released it, and nobody had asked to acquire it by then"))
}
