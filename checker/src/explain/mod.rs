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
mod statement;
mod words;

use std::time::Duration;

pub use self::broken::Broken;
use self::minimise::minimise;
use self::order::{order, without_last};
use self::proof::Proof;
use self::reached::{After, Beginnings, reached, states_after};
use self::statement::{Statement, last_to_complete};
use self::words::{Core, Told};
use crate::certify::{self, Path};
use crate::history::{NEVER, Val};
use crate::limits::Limits;
use crate::model::{Hints, Model, Operation, Part, Shortcuts, Words, prefix, put_in_order};
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
/// What one question may take of the time, whether fewer operations prove as much.
const QUESTION_TIME_MAX: Duration = Duration::from_millis(200);
/// And of memory.
const QUESTION_BYTES_MAX: usize = 256 << 20;
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
    /// What a decision without search finds is impossible whatever else there was, so that is what has to be confirmed. If
    /// that is too much for anybody else, those that are shown have to do.
    ///
    /// So it is with what a search finds, unless what is left of it is impossible by what is missing in it: then
    /// the whole prefix has to be confirmed. But few operations may [show it](Shortcuts::contradiction) at once.
    pub fn judge(&self, mut core: Part<M::Op>, found_by: Path) -> Judged {
        put_in_order(&mut core);
        let limits = self.limits.anew(TIME_MAX, MEMORY_BYTES_MAX);
        if found_by == Path::Direct {
            // The small object if it shows it, which is promised of what was decided without search.
            let small = self.model.shortcuts().focus(&core);
            let focused = small.is_some_and(|small| self.possible(&small, limits) == Some(false));
            return self.judge_all(core, focused, found_by, limits);
        }
        let judged = self.judge_contradiction(limits);
        let judged = judged.or_else(|| self.judge_suspects(core.clone(), found_by, limits));
        judged.unwrap_or_else(|| {
            let last = last_to_complete(core.iter().map(|operation| operation.ret));
            let core = prefix(self.part, last.map_or(NEVER, |at| core[at].ret));
            self.judge_all(core, false, found_by, limits)
        })
    }

    /// Judges what can be found without search, once a search has found the part impossible.
    fn judge_contradiction(&self, limits: Limits<'_>) -> Option<Judged> {
        let found = self.model.shortcuts().contradiction(self.part)?;
        let core = found.iter().map(|&at| self.part[at as usize].clone()).collect();
        let judged = self.judge_all(core, false, Path::Direct, limits);
        Some(judged).filter(|judged| matches!(judged, Judged::Confirmed(_)))
    }

    /// Judges what a search suspects, and the few operations that are left of it; `None` if they don't show it.
    fn judge_suspects(&self, core: Part<M::Op>, found_by: Path, limits: Limits<'_>) -> Option<Judged> {
        let proof = Proof::new(self.model, self.part, &core);
        let whole = || self.confirmed(&proof.of(core.clone()), found_by, FOUND_TIME_MAX, FOUND_BYTES_MAX);
        if !self.few_are_enough() && whole() == Some(false) {
            return None;
        }
        let mut few = core;
        let minimal = self.minimise(&mut few, &proof, false, limits);
        if few.len() > certify::CORE_MAX || self.possible(&without_last(&few), limits) != Some(true) {
            return None;
        }
        let stands = self.confirmed(&proof.of(few.clone()), found_by, SHOWN_TIME_MAX, MEMORY_BYTES_MAX);
        (stands == Some(true)).then(|| Judged::Confirmed(self.witness(&few, minimal)))
    }

    /// Judges operations that are impossible whatever else there was. `focused`: what is impossible is their smaller object.
    fn judge_all(&self, mut core: Part<M::Op>, focused: bool, found_by: Path, limits: Limits<'_>) -> Judged {
        let proof = Proof::new(self.model, self.part, &core);
        let object = |core: &[Operation<M::Op>]| {
            let small = self.model.shortcuts().focus(core).filter(|_| focused);
            small.unwrap_or_else(|| proof.of(core.to_vec()))
        };
        let bytes_max = match found_by {
            Path::Direct => MEMORY_BYTES_MAX,
            Path::Reduced | Path::Search => FOUND_BYTES_MAX,
        };
        let mut stands = self.confirmed(&object(&core), found_by, FOUND_TIME_MAX, bytes_max);
        if stands == Some(false) {
            return Judged::Possible;
        }
        let minimal = self.minimise(&mut core, &proof, focused, limits);
        if stands.is_none() {
            stands = self.confirmed(&object(&core), found_by, SHOWN_TIME_MAX, MEMORY_BYTES_MAX);
        }
        match stands {
            Some(true) => Judged::Confirmed(self.witness(&core, minimal)),
            Some(false) => Judged::Possible,
            None => Judged::Unconfirmed(self.witness(&core, minimal)),
        }
    }

    /// Whether the object holds one value at a time, so that a few operations are a [proof](Proof) whatever else there was.
    fn few_are_enough(&self) -> bool {
        let brings = self.model.words().bringing(Val::NONE);
        brings.is_some_and(|op| self.model.hints().overwrites(&op))
    }

    fn possible(&self, part: &[Operation<M::Op>], limits: Limits<'_>) -> Option<bool> {
        order(self.model, part, limits).map(|order| order.is_some())
    }

    fn confirmed(
        &self,
        proof: &[Operation<M::Op>],
        found_by: Path,
        time_max: Duration,
        bytes_max: usize,
    ) -> Option<bool> {
        certify::confirmed(self.model, proof, found_by, self.limits.anew(time_max, bytes_max))
    }

    /// Drops what a core does not need; whether everything was tried. `focused`: what is impossible is its smaller object.
    fn minimise(
        &self,
        core: &mut Part<M::Op>,
        proof: &Proof<M::Op>,
        focused: bool,
        limits: Limits<'_>,
    ) -> bool {
        let some =
            |kept: &[u32]| -> Part<M::Op> { kept.iter().map(|&at| core[at as usize].clone()).collect() };
        let possible = |kept: &[u32]| {
            let limits = limits.within(QUESTION_TIME_MAX, QUESTION_BYTES_MAX);
            if !focused {
                return self.possible(&proof.of(some(kept)), limits);
            }
            // What says nothing about a small object is no contradiction in it.
            let small = self.model.shortcuts().focus(&some(kept));
            small.map_or(Some(true), |small| self.possible(&small, limits))
        };
        let (kept, minimal) = minimise(&Statement::all(self.model, core), focused, limits, &possible);
        *core = some(&kept);
        minimal
    }

    fn witness(&self, core: &[Operation<M::Op>], minimal: bool) -> Box<Witness> {
        let Broken {
            model,
            history,
            key,
            part,
            ..
        } = *self;
        let limits = self.limits.anew(REACHED_TIME_MAX, MEMORY_BYTES_MAX);
        let after = |(state, late)| After {
            state: model.words().show(&state, &history.values),
            late,
        };
        let beginnings = Beginnings {
            order: &|end| order(model, &prefix(part, end), limits),
            states: &|order, end| {
                states_after(model, part, order, end)
                    .into_iter()
                    .map(after)
                    .collect()
            },
        };
        let completions: Vec<(u32, u32)> = part
            .iter()
            .map(|operation| (operation.ret, operation.row))
            .collect();
        let core = Core {
            history,
            key,
            statements: Statement::all(model, core),
            model: &Told { broken: self, core },
        };
        let reached = reached(history, &completions, &core.statements, &beginnings);
        Box::new(core.witness(minimal, reached))
    }
}
