//! Deciding one part: its own path without search, else its own search, else the general one; and nothing is believed
//! that [`certify`] has not looked at.

use crate::certify;
use crate::explain::Broken;
use crate::history::{History, Val};
use crate::limits::Limits;
use crate::model::{Decision, Model, Part, Shortcuts};
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
    let mut suspects = None;
    match model.shortcuts().decide(part) {
        Some(Decision::Core(core)) => suspects = Some(core),
        Some(found) if certify::explains(model, part, &found) => return Finding::Holds,
        // An order that does not hold is no answer; the search decides.
        Some(_) | None => {}
    }
    let broken = Broken {
        model,
        history,
        key,
        part,
        limits,
    };
    if let Some(core) = suspects {
        let core: Part<M::Op> = core.iter().map(|&at| part[at as usize].clone()).collect();
        if let Some(witness) = broken.witness(core) {
            return Finding::Broken(Box::new(witness));
        }
    }
    let found = match model.shortcuts().search(part, limits) {
        Some(found) => Found::from(found, part),
        None => search(model, part, limits),
    };
    let witness = match found {
        Found::Order(order) if certify::order_holds(model, part, &order) => return Finding::Holds,
        Found::Order(_) => None,
        Found::Core(core) => broken.witness(core),
        Found::Exhausted(reason) => return Finding::Undecided(reason),
    };
    match witness {
        Some(witness) => Finding::Broken(Box::new(witness)),
        None => Finding::Undecided(CONTRADICTION.to_owned()),
    }
}

/// What a search found about a part.
enum Found<Op> {
    /// An order that explains it.
    Order(Vec<u32>),
    /// Operations that are impossible together.
    Core(Part<Op>),
    /// Nothing, and why.
    Exhausted(String),
}

impl<Op: Clone> Found<Op> {
    /// What a model's own search found about a part.
    fn from(found: Result<Decision, String>, part: &Part<Op>) -> Found<Op> {
        match found {
            Ok(Decision::Core(core)) => {
                Found::Core(core.iter().map(|&at| part[at as usize].clone()).collect())
            }
            Ok(Decision::Order(order) | Decision::Choices(order, _)) => Found::Order(order),
            Err(reason) => Found::Exhausted(reason),
        }
    }
}

fn search<M: Model>(model: &M, part: &Part<M::Op>, limits: Limits<'_>) -> Found<M::Op> {
    match jit::search(model, part, limits) {
        Outcome::Order(order) => Found::Order(order),
        Outcome::Impossible { at, since } => Found::Core(suspects(model, part, at, since)),
        Outcome::Exhausted(reason) => Found::Exhausted(reason),
    }
}
