//! Just-in-time search over the operations that are open, forward through the history.
//!
//! After Lowe, "Testing for Linearizability" (CCPE 2017, section 5), as a breadth-first search: between two completions
//! all that matters of the past is which of the *open* operations have taken effect, and the state. Such a
//! configuration is a few words, so time and memory grow with the length of the history and not with its square. An
//! operation takes effect as late as possible: in a run of operations that ends with the one that completes now. One
//! pass from layer to layer is `sweep.rs`; here is what passes are made, and what their ends mean.
//!
//! # Reductions
//!
//! Each replaces configurations by others that allow at least the same futures.
//!
//! 1. *Observations at once* (any model; operations that [observe only]). An open observation
//!    that is possible in the state takes effect. Proof: in an order where it takes effect later, move it here;
//!    everything else sees the same states.
//! 2. *Hidden writes* (operations that [overwrite]). Once an operation overwrites, every open,
//!    pending operation that overwrites *may hide*: it may have taken effect right before, unseen. So it may complete
//!    without effect, at its completion. A pending operation that may hide can do whatever one that took effect and
//!    one that did not can do. Which ones may hide is one number, the earliest completion `due` of one that may not:
//!    until then something has to overwrite, and whatever does lets all that are open then hide, so those that complete
//!    later may as well be pending.
//! 3. *No hidden run*: by 2, an overwriting operation directly after another one that nobody observed was better taken
//!    without that other. The same for any unknown operation before it: it need not have happened at all. And one that
//!    leaves the state as it is, while nothing is due, was better left pending.
//! 4. *Earliest deadline* (any model). Of open, pending, equal operations the one that completes first takes effect
//!    first. Proof: swap the two.
//! 5. *Known before unknown* (any model). An unknown operation takes effect only if no equal operation that completes is
//!    pending. Proof: swap the two; the unknown one can still wait.
//! 6. *Dominance* (any model). Of two configurations `A` and `B` in one state, `A` is enough if it has observed at least
//!    as much, is due no earlier, has used unknown operations no more often, and each operation that only `A` took is
//!    matched by an equal one that only `B` took and that completes later; where operations can't hide, all that only
//!    `B` took must be matched. Proof: when `B` goes on to take one of the former, `A` takes its match, which is still
//!    open then; what overwrites and only `B` took stays pending in `A`, where it hides by the time that it is due.
//! 7. *Equal observations together* (any model). Where a pending observation waits, equal ones that complete later may
//!    as well be pending. Proof: when the first is made, the others are open, and are made too.
//! 8. *Unknown on demand* (operations that always lead to one state, where whatever is open and does not overwrite is
//!    [possible in one state] only). An unknown operation is tried only if it leads to a state that an
//!    open operation waits for, if need be through other unknown operations. Proof: what comes directly after it in its
//!    run either overwrites, then it need not have happened (3); or is possible in its state, then somebody waited for
//!    that. If it is the last of the run, it did nothing but let the one that completes hide; then that one shows itself
//!    instead, and the unknown one waits.
//!
//! # Unknown operations
//!
//! They never leave, so their subsets would multiply without end. Equal ones are interchangeable: a count for each kind
//! is enough. And where operations that are repeated lead to few states ([reusable]), counts are hardly
//! ever needed: the first search lets each such kind be used *any number of times* once it was invoked once. If even
//! that is impossible, so is the history. If it is possible by an order that uses none more often than it was invoked
//! (the search prefers few uses), that order proves the history. Else the kinds that were overused are counted from now
//! on, and the search starts again: refinement guided by counterexamples (Clarke et al., CAV 2000), exact, and at the
//! end of at most one search a kind.
//!
//! # Width, and dead ends
//!
//! A pass keeps a few configurations of each layer, the most promising ones, looks at a few on the way, and uses
//! unknown operations only where nothing else is left. An order that it finds is an order. Where it finds none, a *dead
//! end*, this proves nothing unless nothing was left away. So two things are tried by turns, each time with more
//! effort:
//!
//! - *Another way.* The pass goes on from a layer before the dead end that was kept, wider, and becomes narrow again once
//!   it is well past it. This comes first, since most dead ends are none.
//! - *A proof.* A pass that leaves nothing away begins a little before the dead end, with everything that may have
//!   happened until there and more: in any state, all open observations made, all that overwrites and is open hidden and
//!   still to be used, all else that is open optional, no unknown operation used. Each configuration in which a legal
//!   order may stand there is dominated by one of these (6). If even they lead nowhere, neither does the history, and
//!   what completed before does not matter ([`Outcome::Impossible::since`](super::Outcome::Impossible)). Any state: those
//!   in which something is possible that completes in between, for others allow nothing that these don't; where
//!   operations have no single state that they are possible in, all that the operations can lead to, if these are few.
//!
//! In the end it goes back to the beginning and leaves nothing away.
//!
//! Where no proof can begin in the middle, an unknown operation that was needed long ago is found late or never by a
//! pass that saves them, and one that does not save them is lost among them. So both take turns, each time with more
//! patience.
//!
//! [observe only]: crate::model::Hints::observes_only
//! [overwrite]: crate::model::Hints::overwrites
//! [possible in one state]: crate::model::Hints::only_in
//! [reusable]: crate::model::Hints::reusable

use super::Outcome;
use super::effort::{Effort, Stop};
use super::space::{Asked, Numbered, Space};
use super::sweep::Sweep;
use super::timeline::{Event, Timeline};
use super::uses::Uses;
use crate::limits::Limits;
use crate::model::{Model, Operation};

/// How many times wider a search becomes at each dead end that it can't get past.
const WIDENING: usize = 8;
/// So often it is widened; then it looks at everything.
const WIDENINGS_MAX: u32 = 6;
/// How many configurations the first proof of a dead end may look at.
const PROOF_CONFIGS: usize = 1 << 13;
/// Where no proof can begin in the middle, two styles of search take turns. So many configurations the first may look
/// at,
const FIRST_ALLOWANCE: usize = 10_000;
/// and so many more for each operation;
const FIRST_ALLOWANCE_EACH: usize = 128;
/// and each round so many times more.
const PATIENCE: usize = 4;
/// A proof may begin in any of the states if there are at most so many,
const STATES_MAX: usize = 64;
/// and so many different operations.
const KINDS_MAX: usize = 1 << 12;

/// Where a search begins, before it is widened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How many configurations of a layer are kept.
    pub width: usize,
    /// How many are looked at on the way to the next layer.
    pub work: usize,
    /// How many layers lie between two that are kept to go back to.
    pub layers_between_checkpoints: usize,
    /// How many layers to go back from a dead end at first; `None`: twice as many as operations are open at once.
    pub layers_back: Option<usize>,
}

impl Pace {
    /// What proved itself on histories of 5 to 100 clients.
    pub const USUAL: Pace = Pace {
        width: 16,
        work: 64,
        layers_between_checkpoints: 32,
        layers_back: None,
    };

    /// So narrow that it has to go back, to widen and to prove dead ends even on a handful of operations. For tests.
    pub const NARROWEST: Pace = Pace {
        width: 1,
        work: 1,
        layers_between_checkpoints: 1,
        layers_back: Some(1),
    };

    /// Never goes back far enough, so that it ends with a look at everything. For tests.
    pub const STUCK: Pace = Pace {
        layers_back: Some(0),
        ..Pace::NARROWEST
    };
}

/// Searches for an order of the part.
pub fn search<M: Model>(model: &M, part: &[Operation<M::Op>], limits: Limits<'_>) -> Outcome {
    search_at(model, part, limits, Pace::USUAL)
}

/// The same at another pace. It changes how long the search takes, and which order is found where there are several.
pub fn search_at<M: Model>(model: &M, part: &[Operation<M::Op>], limits: Limits<'_>, pace: Pace) -> Outcome {
    let (mut numbered, kinds, timed) = Numbered::new(model, part);
    let timeline = Timeline::new(&timed, &kinds);
    let mut problem = Problem {
        timeline: &timeline,
        limits,
        pace,
        all_have_homes: timeline.all_have_homes(),
        states: None,
    };
    match timeline.open_max {
        0..=64 => problem.solve::<1>(&mut numbered),
        65..=256 => problem.solve::<4>(&mut numbered),
        257..=1024 => problem.solve::<16>(&mut numbered),
        open => Outcome::Exhausted(format!(
            "{open} operations are open at once, and the search takes 1024"
        )),
    }
}

/// What a history may have come to: a state, and how often each unknown operation was used on the way there.
pub type Configuration<M> = (<M as Model>::State, Vec<(<M as Model>::Op, u32)>);

/// Every configuration after a part that begins and ends while nothing that completes is open.
///
/// Unknown operations from before have to be in the part again, invoked at its beginning. The error is
/// never [`Outcome::Order`].
pub fn advance<M: Model>(
    model: &M,
    from: &[Configuration<M>],
    part: &[Operation<M::Op>],
    limits: Limits<'_>,
) -> Result<Vec<Configuration<M>>, Outcome> {
    let (mut numbered, kinds, timed) = Numbered::new(model, part);
    let timeline = Timeline::new(&timed, &kinds);
    if timeline.open_max > 256 {
        let open = timeline.open_max;
        return Err(Outcome::Exhausted(format!(
            "{open} operations are open at once, and a stream takes 256"
        )));
    }
    // Every use counts: what comes later is not known yet.
    let counted: Vec<u32> = (0..kinds.len() as u32).collect();
    let mut sweep = Sweep::<4>::new(&timeline, &counted, limits, usize::MAX);
    for (state, uses) in from {
        let mut uses: Vec<(u32, u32)> = (uses.iter())
            .filter_map(|(op, count)| Some((numbered.kind_of(op)?, *count)))
            .collect();
        uses.sort_unstable();
        sweep.start(numbered.number_of(state.clone()), uses.into());
    }
    let mut space = Space::new(&mut numbered, &kinds, part.len());
    let passed = sweep.pass(&mut space, Effort::EXACT, usize::MAX);
    match passed {
        Ok(()) => {}
        Err(Stop::Dead(at)) => return Err(Outcome::Impossible { at, since: 0 }),
        Err(Stop::Exhausted(reason)) => return Err(Outcome::Exhausted(reason)),
        // Its allowance has no end.
        Err(Stop::Tired) => return Err(Outcome::Exhausted("the search was cut short".to_owned())),
    }
    let ends = sweep.layer.configs.iter().map(|config| {
        let uses = sweep.uses.get(config.used).iter();
        let uses = uses.map(|&(kind, count)| (numbered.op(kind).clone(), count));
        (numbered.state(config.state).clone(), uses.collect())
    });
    Ok(ends.collect())
}

struct Problem<'a> {
    timeline: &'a Timeline<'a>,
    limits: Limits<'a>,
    pace: Pace,
    /// Everything that does not overwrite is possible in one state only.
    all_have_homes: bool,
    /// Else all states, if they are few.
    states: Option<Vec<u32>>,
}

/// How a search goes about it.
#[derive(Clone, Copy)]
struct Style {
    /// Narrow passes use unknown operations only where nothing else is left.
    frugal: bool,
    /// How many configurations it may look at.
    allowance: usize,
}

impl Style {
    /// What is tried next, in turns with more and more patience.
    fn other(self) -> Style {
        let allowance = if self.frugal { 1 } else { PATIENCE };
        Style {
            frugal: !self.frugal,
            allowance: self.allowance.saturating_mul(allowance),
        }
    }
}

enum End {
    Order(Vec<u32>),
    /// Its allowance is spent.
    Tired,
    Overused(Vec<u32>),
    Impossible {
        at: u32,
        since: u32,
    },
    Exhausted(String),
}

impl Problem<'_> {
    fn solve<const N: usize>(&mut self, asked: &mut dyn Asked) -> Outcome {
        let mut space = Space::new(asked, self.timeline.kinds, self.timeline.part.len());
        if !self.all_have_homes && self.timeline.kinds.len() <= KINDS_MAX {
            self.states = space.states(STATES_MAX);
        }
        let mut counted: Vec<u32> = Vec::new();
        let mut style = Style {
            frugal: true,
            allowance: match self.can_prove() {
                true => usize::MAX,
                false => FIRST_ALLOWANCE + FIRST_ALLOWANCE_EACH * self.timeline.part.len(),
            },
        };
        loop {
            match self.refined::<N>(&mut space, &counted, style) {
                End::Order(order) => return Outcome::Order(order),
                End::Overused(kinds) => counted.extend(kinds),
                End::Tired => style = style.other(),
                End::Impossible { at, since } => return Outcome::Impossible { at, since },
                End::Exhausted(reason) => return Outcome::Exhausted(reason),
            }
        }
    }

    /// Searches with the uses of these unknown operations counted.
    fn refined<const N: usize>(&self, space: &mut Space<'_>, counted: &[u32], style: Style) -> End {
        let between = self.pace.layers_between_checkpoints;
        let mut sweep = Sweep::<N>::new(self.timeline, counted, self.limits, between);
        sweep.start(0, Uses::default());
        sweep.allowance = style.allowance;
        // How often the dead end that is furthest was come to.
        let (mut furthest, mut met) = (0, 0);
        let narrow = Effort {
            width: self.pace.width,
            work: self.pace.work,
            frugal: style.frugal,
        };
        let (mut effort, mut until) = (narrow, usize::MAX);
        loop {
            let at = match sweep.pass(space, effort, until) {
                Ok(()) if sweep.event == self.timeline.len() => break,
                Ok(()) => {
                    (effort, until) = (narrow, usize::MAX);
                    continue;
                }
                Err(Stop::Dead(at)) => at,
                Err(Stop::Exhausted(reason)) => return End::Exhausted(reason),
                Err(Stop::Tired) => return End::Tired,
            };
            let dead = sweep.layers;
            met = if dead > furthest { 1 } else { met + 1 };
            furthest = furthest.max(dead);
            // Where it is certain, what is left to find is why. Else most dead ends are none, and so the first answer
            // to one is another way and no proof.
            let proofs = if sweep.exact {
                1..=WIDENINGS_MAX
            } else {
                met - 1..=met - 1
            };
            for widenings in proofs.filter(|&widenings| widenings > 0) {
                match self.prove(space, &sweep, dead, widenings) {
                    Ok(Some(impossible)) => return impossible,
                    Ok(None) => {}
                    Err(reason) => return End::Exhausted(reason),
                }
            }
            if sweep.exact {
                return End::Impossible { at, since: 0 };
            }
            if met > WIDENINGS_MAX {
                sweep.back(0);
                (effort, until) = (Effort::EXACT, usize::MAX);
            } else {
                let back = self.layers_back(met);
                sweep.back(dead.saturating_sub(back));
                let wider = WIDENING.pow(met);
                effort = Effort {
                    width: narrow.width.saturating_mul(wider),
                    work: narrow.work.saturating_mul(wider),
                    frugal: false,
                };
                until = furthest + back;
            }
        }
        let best = sweep.layer.configs.iter().min_by_key(|config| config.cost);
        let Some(best) = best else {
            return End::Order(Vec::new());
        };
        match sweep
            .trail
            .order(best.trail, self.timeline.part, self.timeline.kinds)
        {
            Ok(order) => End::Order(order),
            Err(overused) => End::Overused(overused),
        }
    }

    /// Whether a proof may begin in the middle.
    fn can_prove(&self) -> bool {
        self.all_have_homes || self.states.is_some()
    }

    /// How far to go back from a dead end.
    fn layers_back(&self, widenings: u32) -> usize {
        let first = self.pace.layers_back.unwrap_or(self.timeline.open_max * 2);
        first << (2 * (widenings - 1))
    }

    /// Tries to prove that a dead end is one whatever happened up to a layer.
    fn prove<const N: usize>(
        &self,
        space: &mut Space<'_>,
        sweep: &Sweep<'_, N>,
        dead: usize,
        widenings: u32,
    ) -> Result<Option<End>, String> {
        if !self.can_prove() {
            return Ok(None);
        }
        let from = dead.saturating_sub(self.layers_back(widenings));
        let Some(mut proof) = sweep.anywhere(from, self.states.as_deref()) else {
            return Ok(None);
        };
        let first = proof.event;
        proof.allowance = PROOF_CONFIGS * WIDENING.pow(widenings);
        match proof.pass(space, Effort::EXACT, dead) {
            Err(Stop::Dead(at)) if proof.exact => {
                let since = match self.timeline.event(first) {
                    Event::Invoke(position) => self.timeline.part[position as usize].invoke,
                    Event::Complete(position) => self.timeline.part[position as usize].ret,
                };
                Ok(Some(End::Impossible { at, since }))
            }
            Err(Stop::Exhausted(reason)) => Err(reason),
            Ok(()) | Err(Stop::Dead(_) | Stop::Tired) => Ok(None),
        }
    }
}
