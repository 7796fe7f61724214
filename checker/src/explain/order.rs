//! Whether a part can be explained, the quickest way.

use super::statement::last_to_complete;
use crate::certify;
use crate::limits::Limits;
use crate::model::{Decision, Model, Operation, Part, Shortcuts};
use crate::search::{Outcome, jit, wgl};

/// So few operations are judged sooner by the plain algorithm, which needs no preparation.
const PLAIN_MAX: usize = 12;

/// An order of a part, or that there is none, the quickest way; `None` if the budget is spent.
pub(super) fn order<M: Model>(
    model: &M,
    part: &[Operation<M::Op>],
    limits: Limits<'_>,
) -> Option<Option<Vec<u32>>> {
    match model.shortcuts().decide(part) {
        Some(Decision::Core(_)) => return Some(None),
        Some(found) if certify::explains(model, part, &found) => {
            return Some(found.order().map(<[u32]>::to_vec));
        }
        Some(_) | None => {}
    }
    let found = if part.len() > PLAIN_MAX {
        match model.shortcuts().search(part, limits) {
            Some(Ok(found)) => return Some(found.order().map(<[u32]>::to_vec)),
            Some(Err(_)) => return None,
            None => jit::search(model, part, limits),
        }
    } else {
        wgl::search(model, part, limits)
    };
    match found {
        Outcome::Order(order) => Some(Some(order)),
        Outcome::Impossible { .. } => Some(None),
        Outcome::Exhausted(_) => None,
    }
}

/// All but the last one to complete.
pub(super) fn without_last<Op: Clone>(core: &[Operation<Op>]) -> Part<Op> {
    let last = last_to_complete(core.iter().map(|operation| operation.ret));
    let others = core.iter().enumerate().filter(|(at, _)| Some(*at) != last);
    others.map(|(_, operation)| operation.clone()).collect()
}
