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
mod proof;
mod reached;
mod words;

use std::time::Duration;

pub use self::broken::Broken;
use self::minimise::minimise;
use self::order::order;
use self::proof::Proof;
use crate::certify::{self, Path};
use crate::model::{Model, Operation, Part, Shortcuts};
use crate::verdict::Witness;

/// What it may take to have the operations that were found judged by another algorithm.
const WHOLE_TIME_MAX: Duration = Duration::from_secs(1);
/// And those that are left of them.
const CONFIRM_TIME_MAX: Duration = Duration::from_secs(5);
/// What it may take, on top of the check itself, to make a witness small. One that is not minimal says so.
const TIME_MAX: Duration = Duration::from_secs(5);
/// And to find out how far the history can be explained.
const REACHED_TIME_MAX: Duration = Duration::from_secs(1);
/// What it may take of memory.
const MEMORY_BYTES_MAX: usize = 256 << 20;

/// What became of operations that are said to be impossible together.
pub enum Judged {
    /// They are, by another algorithm too; or a few of them are.
    Confirmed(Box<Witness>),
    /// Nobody else could tell in time.
    Unconfirmed(Box<Witness>),
    /// They are not.
    Possible,
}

impl<M: Model> Broken<'_, M> {
    /// Has operations that are said to be impossible together judged by somebody else, and makes the smallest impossible
    /// sub-history of them. The time for that is its own, and not what is left of the budget.
    pub fn judge(&self, mut core: Part<M::Op>, found_by: Path) -> Judged {
        core.sort_by_key(|operation| operation.invoke);
        let confirmed = |proof: &[Operation<M::Op>], time_max: Duration| {
            let limits = self.limits.anew(time_max, MEMORY_BYTES_MAX);
            certify::confirmed(self.model, proof, found_by, limits)
        };
        let limits = self.limits.anew(TIME_MAX, MEMORY_BYTES_MAX);
        let proof = Proof::new(self.model, self.part, &core);
        // The small object if it shows it, else the whole.
        // Only what was decided without search promises that a smaller object shows it.
        let focus = |core: &[Operation<M::Op>]| match found_by {
            Path::Direct => self.model.shortcuts().focus(core),
            Path::Reduced | Path::Search => None,
        };
        let impossible = |part: &Part<M::Op>| matches!(order(self.model, part, limits), Some(None));
        let small = focus(&core).filter(impossible);
        let focused = small.is_some();
        // As they were found they stand for the whole. If they are too many to be judged, those that are shown have to.
        let mut stands = confirmed(&small.unwrap_or_else(|| proof.of(&core)), WHOLE_TIME_MAX);
        if stands == Some(false) {
            return Judged::Possible;
        }
        let minimal = minimise(self.model, &mut core, &proof, focused, limits);
        if stands.is_none() {
            let small = focus(&core).filter(|_| focused);
            stands = confirmed(&small.unwrap_or_else(|| proof.of(&core)), CONFIRM_TIME_MAX);
        }
        let witness = || {
            let limits = self.limits.anew(REACHED_TIME_MAX, MEMORY_BYTES_MAX);
            Box::new(words::witness(
                self,
                &core,
                minimal,
                reached::reached(self, &core, limits),
            ))
        };
        match stands {
            Some(true) => Judged::Confirmed(witness()),
            Some(false) => Judged::Possible,
            None => Judged::Unconfirmed(witness()),
        }
    }
}
