//! One pass through the events, layer by layer: what may have happened when an operation completes, from what may
//! have happened when the one before it did.

use super::checkpoints::{Checkpoint, Checkpoints};
use super::config::Config;
use super::effort::{Effort, Stop};
use super::layer::Layer;
use super::mask::Mask;
use super::openings::Openings;
use super::space::{Space, Step};
use super::timeline::{Event, Timeline};
use super::trail::{NOWHERE, Trail, What};
use super::uses::{UseTable, Uses};
use crate::history::NEVER;
use crate::limits::Limits;

/// How many configurations are looked at, or layers begun, between two looks at the budget.
const LOOKS_BETWEEN_CHECKS: usize = 1 << 10;
/// While nothing has been found yet, a layer may take so many times its work.
const PATIENCE: usize = 16;

/// The operation that completes now.
#[derive(Clone, Copy)]
struct Completion {
    slot: usize,
    position: u32,
    ret: u32,
    /// Whether it may hide already where the run begins, so that only showing is news.
    hid: bool,
}

pub(super) struct Sweep<'a, const N: usize> {
    timeline: &'a Timeline<'a>,
    counted: &'a [u32],
    limits: Limits<'a>,
    /// The next event.
    pub event: usize,
    /// How many operations have completed.
    pub layers: usize,
    /// Nothing possible was left away so far.
    pub exact: bool,
    /// How many configurations may still be looked at.
    pub allowance: usize,
    pub layer: Layer<N>,
    pub uses: UseTable,
    pub trail: Trail,
    now: Openings<'a, N>,
    next: Layer<N>,
    /// Configurations of the run that ends with the current completion.
    work: Layer<N>,
    /// The unknown operations that are worth a try.
    wanted: Vec<u32>,
    checkpoints: Checkpoints<N>,
    looked: usize,
}

impl<'a, const N: usize> Sweep<'a, N> {
    /// A pass from the beginning, without any configuration.
    pub fn new(
        timeline: &'a Timeline<'a>,
        counted: &'a [u32],
        limits: Limits<'a>,
        layers_between_checkpoints: usize,
    ) -> Self {
        Sweep {
            timeline,
            counted,
            limits,
            event: 0,
            layers: 0,
            exact: true,
            allowance: usize::MAX,
            layer: Layer::new(),
            uses: UseTable::default(),
            trail: Trail::new(),
            now: Openings::new(timeline, counted),
            next: Layer::new(),
            work: Layer::new(),
            wanted: Vec::new(),
            checkpoints: Checkpoints::new(layers_between_checkpoints),
            looked: 0,
        }
    }

    /// Adds a configuration to the first layer.
    pub fn start(&mut self, state: u32, uses: Uses) {
        let used = self.uses.number(uses);
        self.layer.add(Config {
            done: Mask::EMPTY,
            due: NEVER,
            state,
            used,
            cost: 0,
            idle: false,
            trail: NOWHERE,
        });
    }

    /// A pass that begins at the last checkpoint at or before so many layers, in any state, everything open then being
    /// done or optional, whichever is better. `states` are all that there are; without, each operation has to have its
    /// home, and the homes of those up to the current event are enough.
    pub fn anywhere(&self, layers: usize, states: Option<&[u32]>) -> Option<Self> {
        let from = self.checkpoints.before(layers)?;
        let mut sweep = Sweep::new(self.timeline, self.counted, self.limits, usize::MAX);
        sweep.now = Openings::again(self.timeline, self.counted, from.event, &from.open);
        sweep.now.make_optional();
        (sweep.event, sweep.layers) = (from.event, from.layers);
        // In a legal order, before the first operation that completes and does not overwrite, either something
        // overwrites, then any state will do; or only unknown ones come, which its home makes unnecessary.
        let homes = || {
            let known = (from.open.iter().copied()).chain(self.timeline.invoked(from.event, self.event));
            self.timeline.homes(known)
        };
        for state in states.map_or_else(homes, <[u32]>::to_vec) {
            sweep.start(state, Uses::default());
        }
        for config in sweep.layer.change() {
            config.done = sweep.now.observers;
        }
        Some(sweep)
    }

    /// Goes back to the last checkpoint at or before so many layers.
    pub fn back(&mut self, layers: usize) {
        if let Some(to) = self.checkpoints.back(layers) {
            (self.event, self.layers, self.exact) = (to.event, to.layers, to.exact);
            self.now = Openings::again(self.timeline, self.counted, to.event, &to.open);
            self.layer.clear();
            self.layer.change().extend_from_slice(&to.configs);
        }
    }

    /// Goes on until so many operations have completed, or to the end.
    pub fn pass(&mut self, space: &mut Space<'_>, effort: Effort, layers_end: usize) -> Result<(), Stop> {
        while self.event < self.timeline.len() && self.layers < layers_end {
            match self.timeline.event(self.event) {
                Event::Invoke(position) => self.invoke(space, position),
                Event::Complete(position) => {
                    if self.checkpoints.due(self.layers) {
                        self.checkpoints.keep(Checkpoint {
                            event: self.event,
                            layers: self.layers,
                            exact: self.exact,
                            open: self.now.positions(),
                            configs: self.layer.configs.clone(),
                        });
                    }
                    self.complete(space, position, effort)?;
                    self.layers += 1;
                    if self.layer.configs.is_empty() {
                        return Err(Stop::Dead(position));
                    }
                }
            }
            self.event += 1;
        }
        Ok(())
    }

    fn invoke(&mut self, space: &mut Space<'_>, position: u32) {
        let operation = self.timeline.part[position as usize];
        let about = space.kind(operation.kind);
        if operation.ret == NEVER {
            if !about.observes {
                self.now.unknown(operation.kind);
            }
            return;
        }
        self.now.open(position);
        let slot = self.timeline.slot(position);
        if about.observes {
            let later = self.now.at(slot).later;
            for config in self.layer.change() {
                if space.step(config.state, operation.kind) != Step::No {
                    config.done.set(slot);
                    let what = What::Known(position);
                    config.trail = self.trail.take(config.trail, what, operation.invoke + 1);
                } else {
                    // When this one is made, those that complete later can be made as well (reduction 7).
                    config.done = config.done.minus(&later);
                }
            }
            self.layer.merge(&mut self.next);
        } else if about.overwrites {
            for config in self.layer.change() {
                config.due = config.due.min(operation.ret);
            }
            self.layer.merge(&mut self.next);
        }
    }

    /// Everything that must have happened when an operation completes.
    fn complete(&mut self, space: &mut Space<'_>, position: u32, effort: Effort) -> Result<(), Stop> {
        let slot = self.timeline.slot(position);
        let ret = self.timeline.part[position as usize].ret;
        let to = Completion {
            slot,
            position,
            ret,
            hid: false,
        };
        self.look(space)?;
        self.next.clear();
        self.work.clear();
        let mut spared = Vec::new();
        for at in 0..self.layer.configs.len() {
            let config = self.layer.configs[at];
            if config.done.has(slot) {
                self.finish(config, to);
            } else if self.may_end(&config, to) {
                // It may as well show.
                spared.push(config);
                self.finish(config, to);
            } else {
                self.work.add(config);
            }
        }
        for config in spared {
            self.work.add(config);
        }
        let spares = effort.frugal && !self.now.unknowns.is_empty();
        self.run(space, to, effort.work, !spares)?;
        if spares && self.next.configs.is_empty() {
            self.run(space, to, effort.work, true)?;
        } else if spares {
            self.exact = false;
        }
        self.now.close(slot);
        std::mem::swap(&mut self.layer, &mut self.next);
        self.exact &= self.layer.thin(effort.width, &self.now, &self.uses);
        if self.trail.long() {
            let kept = self.checkpoints.configs();
            self.trail.forget(kept.chain(self.layer.change()));
        }
        Ok(())
    }

    /// Takes operations until the one that completes has happened.
    fn run(&mut self, space: &mut Space<'_>, to: Completion, work: usize, unknown: bool) -> Result<(), Stop> {
        self.wanted.clear();
        if unknown {
            self.now.wanted(&mut self.wanted);
        }
        let mut at = 0;
        while at < self.work.configs.len() {
            self.look(space)?;
            let found = !self.next.configs.is_empty();
            if at >= work && (found || at / PATIENCE >= work) {
                self.exact = false;
                break;
            }
            let config = self.work.configs[at];
            let hid = self.may_end(&config, to);
            self.expand(space, config, Completion { hid, ..to });
            at += 1;
        }
        Ok(())
    }

    /// One more configuration is looked at, or one more layer begun.
    fn look(&mut self, space: &Space<'_>) -> Result<(), Stop> {
        if self.allowance == 0 {
            return Err(Stop::Tired);
        }
        self.allowance -= 1;
        self.looked += 1;
        if self.looked >= LOOKS_BETWEEN_CHECKS {
            self.looked = 0;
            if let Some(reason) = self.limits.exhausted(self.bytes() + space.bytes()) {
                return Err(Stop::Exhausted(reason));
            }
        }
        Ok(())
    }

    /// Whether the completing operation may complete without having been taken.
    fn may_end(&self, config: &Config<N>, to: Completion) -> bool {
        self.now.optional.has(to.slot) || (self.now.overwriters.has(to.slot) && to.ret < config.due)
    }

    /// Takes every operation that may be next.
    fn expand(&mut self, space: &mut Space<'_>, config: Config<N>, to: Completion) {
        let pending = self.now.open.minus(&self.now.observers).minus(&config.done);
        for candidate in pending.slots() {
            let open = *self.now.at(candidate);
            let overwrites = self.now.overwriters.has(candidate);
            if (config.idle && overwrites) || !open.earlier.minus(&config.done).is_empty() {
                continue;
            }
            let step = space.step(config.state, open.kind);
            // One that changes nothing is of use only to hide others behind it.
            if overwrites && step == Step::To(config.state) && config.due == NEVER {
                continue;
            }
            let mut after = config;
            after.done.set(candidate);
            after.idle = overwrites;
            if overwrites {
                after.due = NEVER;
            }
            self.follow(space, after, step, What::Known(open.position), to);
        }
        for at in 0..self.wanted.len() {
            let unknown = self.now.unknowns[self.wanted[at] as usize];
            let overwrites = space.kind(unknown.kind).overwrites;
            if config.idle && overwrites {
                continue;
            }
            let step = space.step(config.state, unknown.kind);
            let futile = step == Step::To(config.state) && !(overwrites && config.due != NEVER);
            let pending_equal =
                |slot: usize| self.now.at(slot).kind == unknown.kind && !self.now.optional.has(slot);
            if step == Step::No || futile || pending.slots().any(pending_equal) {
                continue;
            }
            let mut after = config;
            if !unknown.counted {
                after.cost += 1;
            } else if self.uses.count(config.used, unknown.kind) < unknown.invoked {
                after.used = self.uses.once_more(config.used, unknown.kind);
            } else {
                continue;
            }
            if overwrites {
                after.due = NEVER;
            }
            after.idle = true;
            self.follow(space, after, step, What::Unknown(unknown.kind), to);
        }
    }

    fn follow(&mut self, space: &mut Space<'_>, after: Config<N>, step: Step, what: What, to: Completion) {
        match step {
            Step::No => {}
            Step::To(state) => self.arrive(space, after, state, what, to),
            Step::Several(several) => {
                for at in 0..space.several(several).len() {
                    let state = space.several(several)[at];
                    self.arrive(space, after, state, what, to);
                }
            }
        }
    }

    fn arrive(
        &mut self,
        space: &mut Space<'_>,
        mut after: Config<N>,
        state: u32,
        what: What,
        to: Completion,
    ) {
        after.state = state;
        after.trail = self.trail.take(after.trail, what, to.ret);
        for observer in self.now.observers.minus(&after.done).slots() {
            let open = self.now.at(observer);
            if space.step(state, open.kind) != Step::No {
                after.done.set(observer);
                let what = What::Known(open.position);
                after.trail = self.trail.take(after.trail, what, to.ret);
                after.idle = false;
            }
        }
        if after.done.has(to.slot) {
            self.finish(after, to);
            return;
        }
        // It may hide from now on, and complete so; or show in spite of that.
        if !to.hid && self.may_end(&after, to) {
            self.finish(after, to);
        }
        self.work.add(after);
    }

    /// The completing operation has happened.
    fn finish(&mut self, mut config: Config<N>, to: Completion) {
        if !config.done.has(to.slot) && self.now.overwriters.has(to.slot) {
            let what = What::Hidden(to.position);
            config.trail = self.trail.take(config.trail, what, to.ret);
        }
        config.done.clear(to.slot);
        config.idle = false;
        self.next.add(config);
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        self.layer.bytes()
            + self.next.bytes()
            + self.work.bytes()
            + self.trail.bytes()
            + self.uses.bytes()
            + self.checkpoints.bytes()
    }
}
