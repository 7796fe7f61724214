//! From "impossible" to the few operations that prove it.
//!
//! Starting from operations that are impossible together (those that a path without search suspects, or the shortest
//! prefix that fails), operations are dropped as long as the rest stays impossible for the same reason (delta
//! debugging: Zeller and Hildebrandt, TSE 2002). "For the same reason": a read never loses a write of the value that it
//! returned, or every witness would end as "nobody wrote this"; and where all but the last operation were possible
//! without it, they stay so, or a lock's witness would end as two acquisitions whose releases were dropped.
//!
//! Beside the proof stands [how far](crate::verdict::Reached) the history can be explained.

mod broken;
mod minimise;
mod order;
mod reached;
mod words;

use std::time::Duration;

pub use self::broken::Broken;
use self::minimise::minimise;
use self::order::order;
use crate::certify;
use crate::model::{Model, Operation, Part, Shortcuts};
use crate::search::{Outcome, jit};
use crate::verdict::Witness;

/// What it may take, on top of the check itself, to make a witness small. One that is not minimal says so.
const TIME_MAX: Duration = Duration::from_secs(5);
/// And to find out how far the history can be explained.
const REACHED_TIME_MAX: Duration = Duration::from_secs(1);
/// What it may take of memory.
const MEMORY_BYTES_MAX: usize = 256 << 20;

impl<M: Model> Broken<'_, M> {
    /// The smallest impossible sub-history of operations that are impossible together; `None` if they are not.
    pub fn witness(&self, mut core: Part<M::Op>) -> Option<Witness> {
        core.sort_by_key(|operation| operation.invoke);
        let limits = self.limits.within(TIME_MAX, MEMORY_BYTES_MAX);
        let possible =
            |part: &[Operation<M::Op>]| order(self.model, part, limits).map(|order| order.is_some());
        // The small object if it shows it, else the whole.
        let focused =
            (self.model.shortcuts().focus(&core)).is_some_and(|small| possible(&small) == Some(false));
        if !focused && possible(&core) == Some(true) {
            return None;
        }
        let minimal = minimise(self.model, &mut core, focused, limits);
        // Whoever suspected them: the plain algorithm has the last word, and the search where they are too many for it.
        let small = if focused {
            self.model.shortcuts().focus(&core)
        } else {
            None
        };
        let proof = small.as_ref().unwrap_or(&core);
        let stands = certify::impossible(self.model, proof, limits)
            .unwrap_or_else(|| !matches!(jit::search(self.model, proof, limits), Outcome::Order(_)));
        stands.then(|| {
            let limits = self.limits.within(REACHED_TIME_MAX, MEMORY_BYTES_MAX);
            words::witness(self, &core, minimal, reached::reached(self, &core, limits))
        })
    }
}
