//! Deciding one part: its own path without search, else its own search, else the general one; and nothing is believed
//! that [`certify`] has not looked at.

use crate::certify;
use crate::explain::Broken;
use crate::history::{History, Val};
use crate::limits::Limits;
use crate::model::{Decision, Model, Operation, Part, Shortcuts};
use crate::search::{Outcome, jit, suspects};
use crate::verdict::Witness;

/// What was found about one part.
pub(super) enum Finding {
    Holds,
    Broken(Box<Witness>),
    Undecided(String),
}

/// Says that an answer did not stand up to being checked.
const CONTRADICTION: &str = "what the search found could not be verified: please report this history";

/// Decides one part, object by object where it can be divided.
pub(super) fn decide<M: Model>(
    model: &M,
    history: &History,
    key: Val,
    part: &Part<M::Op>,
    limits: Limits<'_>,
) -> Finding {
    let Some(parts) = model.shortcuts().divide(part) else {
        return decide_whole(model, history, key, part, limits);
    };
    let mut undecided = None;
    for part in &parts {
        match decide_whole(model, history, key, part, limits) {
            Finding::Holds => {}
            broken @ Finding::Broken(_) => return broken,
            Finding::Undecided(reason) => undecided = undecided.or(Some(reason)),
        }
    }
    undecided.map_or(Finding::Holds, Finding::Undecided)
}

/// Decides one object.
fn decide_whole<M: Model>(
    model: &M,
    history: &History,
    key: Val,
    part: &Part<M::Op>,
    limits: Limits<'_>,
) -> Finding {
    let broken = Broken {
        model,
        history,
        key,
        part,
        limits,
    };
    match model.shortcuts().decide(part) {
        Some(Decision::Core(core)) => {
            if let Some(witness) = broken.witness(at(part, &core)) {
                return Finding::Broken(Box::new(witness));
            }
        }
        Some(found) if certify::explains(model, part, &found) => return Finding::Holds,
        // An order that does not hold is no answer; the search decides.
        Some(_) | None => {}
    }
    let core = match model.shortcuts().search(part, limits) {
        Some(Ok(Decision::Core(core))) => Some(at(part, &core)),
        Some(Ok(found)) if certify::explains(model, part, &found) => return Finding::Holds,
        Some(Ok(_)) => None,
        Some(Err(reason)) => return Finding::Undecided(reason),
        None => match jit::search(model, part, limits) {
            Outcome::Order(order) if certify::order_holds(model, part, &order) => return Finding::Holds,
            Outcome::Order(_) => None,
            Outcome::Impossible { at, since } => Some(suspects(model, part, at, since)),
            Outcome::Exhausted(reason) => return Finding::Undecided(reason),
        },
    };
    match core.and_then(|core| broken.witness(core)) {
        Some(witness) => Finding::Broken(Box::new(witness)),
        None => Finding::Undecided(CONTRADICTION.to_owned()),
    }
}

/// The operations at these positions of a part.
fn at<Op: Clone>(part: &[Operation<Op>], positions: &[u32]) -> Part<Op> {
    positions.iter().map(|&at| part[at as usize].clone()).collect()
}
