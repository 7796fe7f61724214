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
use self::order::{last, order, without_last};
use self::proof::Proof;
use crate::certify::{self, Path};
use crate::history::NEVER;
use crate::model::{Model, Operation, Part, Shortcuts, prefix};
use crate::verdict::Witness;

/// What it may take to have the operations that were found judged by another algorithm.
const FOUND_TIME_MAX: Duration = Duration::from_secs(1);
/// And of memory, if a search found them, for then it is the plain algorithm that is asked: enough for some dozens, which is
/// what most violations come down to at once.
const FOUND_BYTES_MAX: usize = 4 << 20;
/// And those that are left of them.
const SHOWN_TIME_MAX: Duration = Duration::from_secs(5);
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
    ///
    /// What a decision without search finds is impossible whatever else there was, so that is what has to be confirmed. So
    /// is what a search finds, if it is possible without the last of them: else it is impossible by what is missing in it,
    /// and the whole prefix has to be confirmed. If that is too much for anybody else, those
    /// that are shown have to do.
    pub fn judge(&self, mut core: Part<M::Op>, found_by: Path) -> Judged {
        core.sort_by_key(|operation| operation.invoke);
        let confirmed = |proof: &[Operation<M::Op>], time_max: Duration, bytes_max: usize| {
            let limits = self.limits.anew(time_max, bytes_max);
            certify::confirmed(self.model, proof, found_by, limits)
        };
        let limits = self.limits.anew(TIME_MAX, MEMORY_BYTES_MAX);
        let possible =
            |part: &[Operation<M::Op>]| order(self.model, part, limits).map(|order| order.is_some());
        let focus = |core: &[Operation<M::Op>]| self.model.shortcuts().focus(core);
        let mut proof = Proof::new(self.model, self.part, &core);
        let last_is_to_blame =
            || possible(&without_last(&core)) == Some(true) && possible(&proof.of(&core)) == Some(false);
        if found_by != Path::Direct && !last_is_to_blame() {
            core = prefix(self.part, last(&core).map_or(NEVER, |last| last.ret));
            proof = Proof::new(self.model, self.part, &core);
        }
        // The small object if it shows it, which is promised of what was decided without search.
        let small = focus(&core).filter(|_| found_by == Path::Direct);
        let small = small.filter(|small| possible(small) == Some(false));
        let focused = small.is_some();
        let found_bytes_max = match found_by {
            Path::Direct => MEMORY_BYTES_MAX,
            Path::Reduced | Path::Search => FOUND_BYTES_MAX,
        };
        let found = small.unwrap_or_else(|| proof.of(&core));
        let mut stands = confirmed(&found, FOUND_TIME_MAX, found_bytes_max);
        if stands == Some(false) {
            return Judged::Possible;
        }
        let minimal = minimise(self.model, &mut core, &proof, focused, limits);
        if stands.is_none() {
            let small = focus(&core).filter(|_| focused);
            let shown = small.unwrap_or_else(|| proof.of(&core));
            stands = confirmed(&shown, SHOWN_TIME_MAX, MEMORY_BYTES_MAX);
        }
        let witness = || {
            let limits = self.limits.anew(REACHED_TIME_MAX, MEMORY_BYTES_MAX);
            let reached = reached::reached(self, &core, limits);
            Box::new(words::witness(self, &core, minimal, reached))
        };
        match stands {
            Some(true) => Judged::Confirmed(witness()),
            Some(false) => Judged::Possible,
            None => Judged::Unconfirmed(witness()),
        }
    }
}
