//! Just-in-time search over the operations that are open, forward through the history.
//!
//! After Lowe, "Testing for Linearizability" (CCPE 2017, section 5), as a breadth-first search: between two completions
//! all that matters of the past is which of the *open* operations have taken effect, and the state. Such a
//! configuration is a few words, so time and memory grow with the length of the history and not with its square. An
//! operation takes effect as late as possible: in a run of operations that ends with the one that completes now.
//!
//! # Reductions
//!
//! Each replaces configurations by others that allow at least the same futures.
//!
//! 1. *Observations at once* (any model; operations that [observe only](Model::observes_only)). An open observation
//!    that is possible in the state takes effect. Proof: in an order where it takes effect later, move it here;
//!    everything else sees the same states.
//! 2. *Hidden writes* (operations that [overwrite](Model::overwrites)). Once an operation overwrites, every open,
//!    pending operation that overwrites *may hide*: it may have taken effect right before, unseen. So it may complete
//!    without effect, at its completion. A pending operation that may hide can do whatever one that took effect and
//!    one that did not can do.
//! 3. *No hidden run*: by 2, an overwriting operation directly after another one that nobody observed was better taken
//!    without that other. The same for any unknown operation before it: it need not have happened at all.
//! 4. *Earliest deadline* (any model). Of open, pending, equal operations the one that completes first takes effect
//!    first. Proof: swap the two.
//! 5. *Known before unknown* (any model). An unknown operation takes effect only if no equal operation that completes is
//!    pending. Proof: swap the two; the unknown one can still wait.
//! 6. *Dominance*: of two configurations with equal states and uses, one that has observed at least as much, equal
//!    in what else took effect but for 2, is enough.
//!
//! # Unknown operations
//!
//! They never leave, so their subsets would multiply without end. Equal ones are interchangeable: a count for each kind
//! is enough. And where operations that are repeated lead to few states ([reusable](Model::reusable)), counts are hardly
//! ever needed: the first search lets each such kind be used *any number of times* once it was invoked once. If even that is impossible, so is the history. If it is possible by an order that uses none more
//! often than it was invoked (the search prefers few uses), that order proves the history. Else the kinds that were
//! overused are counted from now on, and the search starts again: refinement guided by counterexamples (Clarke et al.,
//! CAV 2000), exact, and at the end of at most one search a kind.
//!
//! # Width
//!
//! The first searches keep the most promising configurations of each layer only. An order is an order; "impossible"
//! counts only if nothing was left away, else the search starts again, wider.

use super::mask::Mask;
use super::space::{Asked, Kind, Numbered, Space, Step, Timed};
use super::{Limits, Outcome};
use crate::history::NEVER;
use crate::history::values::{FastBuild, FastMap};
use crate::model::{Model, Operation};
use std::hash::BuildHasher;

/// Widths of the searches, in configurations a layer.
const WIDTHS: [usize; 5] = [128, 2048, 1 << 15, 1 << 19, usize::MAX];
/// Layers wider than this are not searched for dominated configurations: it takes pairs.
const DOMINANCE_WIDTH_MAX: usize = 96;
/// How many layers pass between two looks at the budget.
const LAYERS_BETWEEN_CHECKS: u32 = 64;
/// How many configurations are looked at between two looks at the budget.
const CONFIGS_BETWEEN_CHECKS: usize = 1 << 14;
const NOWHERE: u32 = u32::MAX;
const UNKNOWN: u32 = 1 << 31;
const HIDDEN: u32 = 1 << 30;

/// Searches for an order of the part.
pub fn search<M: Model>(model: &M, part: &[Operation<M::Op>], limits: Limits<'_>) -> Outcome {
    let (mut numbered, kinds, timed) = Numbered::new(model, part);
    let (events, open) = events(&timed);
    let problem = Problem {
        part: &timed,
        events: &events,
        kinds: &kinds,
        limits,
    };
    match open {
        0..=64 => run_all::<1>(problem, &mut numbered),
        65..=256 => run_all::<4>(problem, &mut numbered),
        257..=1024 => run_all::<16>(problem, &mut numbered),
        _ => Outcome::Exhausted(format!(
            "{open} operations are open at once, and the search takes 1024"
        )),
    }
}

/// A state in which a history may stand, and how often unknown operations were used on the way there.
pub type Standing<M> = (<M as Model>::State, Vec<(<M as Model>::Op, u32)>);

/// Where a history may stand after a part that begins and ends while nothing that completes is open.
///
/// Unknown operations from before have to be in the part again, invoked at its beginning. The error is
/// never [`Outcome::Order`].
pub fn advance<M: Model>(
    model: &M,
    from: &[Standing<M>],
    part: &[Operation<M::Op>],
    limits: Limits<'_>,
) -> Result<Vec<Standing<M>>, Outcome> {
    let (mut numbered, kinds, timed) = Numbered::new(model, part);
    let (events, open) = events(&timed);
    if open > 256 {
        return Err(Outcome::Exhausted(format!(
            "{open} operations are open at once, and a stream takes 256"
        )));
    }
    let starts: Vec<(u32, Uses)> = (from.iter())
        .map(|(state, uses)| {
            let mut uses: Vec<(u32, u32)> = (uses.iter())
                .filter_map(|(op, count)| Some((numbered.kind_of(op)?, *count)))
                .collect();
            uses.sort_unstable();
            (numbered.number_of(state), uses.into())
        })
        .collect();
    // Every use counts: what comes later is not known yet.
    let counted: Vec<u32> = (0..kinds.len() as u32).collect();
    let problem = Problem {
        part: &timed,
        events: &events,
        kinds: &kinds,
        limits,
    };
    let mut search = Search::<4>::new(problem, &mut numbered, &counted, usize::MAX);
    search.layer.clear();
    for (state, uses) in starts {
        search.start(state, uses);
    }
    let ended = search.pass();
    let ends: Vec<(u32, Uses)> = (search.layer.configs.iter())
        .map(|config| (config.state, search.uses[config.used as usize].clone()))
        .collect();
    match ended {
        Some(End::Impossible { at }) => Err(Outcome::Impossible { at }),
        Some(End::Exhausted(reason)) => Err(Outcome::Exhausted(reason)),
        Some(End::Order(_) | End::Overused(_)) | None => Ok((ends.into_iter())
            .map(|(state, uses)| {
                let uses = uses
                    .iter()
                    .map(|&(kind, count)| (numbered.op(kind).clone(), count));
                (numbered.state(state).clone(), uses.collect())
            })
            .collect()),
    }
}

#[derive(Clone, Copy)]
struct Problem<'a> {
    part: &'a [Timed],
    events: &'a [u32],
    kinds: &'a [Kind],
    limits: Limits<'a>,
}

fn run_all<const N: usize>(problem: Problem<'_>, asked: &mut dyn Asked) -> Outcome {
    let mut counted: Vec<u32> = Vec::new();
    let mut width = 0;
    loop {
        let mut search = Search::<N>::new(problem, asked, &counted, WIDTHS[width]);
        match search.run() {
            End::Order(order) => return Outcome::Order(order),
            End::Overused(kinds) => counted.extend(kinds),
            End::Impossible { at } if !search.narrowed => return Outcome::Impossible { at },
            End::Impossible { .. } => width += 1,
            End::Exhausted(reason) => return Outcome::Exhausted(reason),
        }
    }
}

enum End {
    Order(Vec<u32>),
    Overused(Vec<u32>),
    Impossible { at: u32 },
    Exhausted(String),
}

/// What has happened, as far as it matters for what may happen.
#[derive(Clone, Copy)]
struct Config<const N: usize> {
    /// Open operations that took effect.
    done: Mask<N>,
    /// Pending open operations that may hide (reduction 2).
    hide: Mask<N>,
    state: u32,
    /// Uses of counted unknown operations: index into `Search::uses`.
    used: u32,
    /// Uses of the others.
    cost: u32,
    /// The last operation of a run was unobserved and need not have been taken (reduction 3).
    idle: bool,
    /// How it came about: index into `Search::trail`.
    trail: u32,
}

impl<const N: usize> Config<N> {
    fn same(&self, other: &Self) -> bool {
        self.state == other.state
            && self.used == other.used
            && self.idle == other.idle
            && self.done == other.done
            && self.hide == other.hide
    }

    fn hash(&self) -> u64 {
        FastBuild::default().hash_one((
            self.done,
            self.hide,
            u64::from(self.state) << 32 | u64::from(self.used),
            self.idle,
        ))
    }
}

/// One operation that took effect.
#[derive(Clone, Copy)]
struct Taken {
    before: u32,
    /// Position in the part; or with [`UNKNOWN`], a kind; with [`HIDDEN`], it hid before the last that overwrote.
    what: u32,
    /// Position in the history before which it took effect.
    at: u32,
}

/// A layer without duplicates.
struct Layer<const N: usize> {
    configs: Vec<Config<N>>,
    slots: Vec<u32>,
}

impl<const N: usize> Layer<N> {
    fn new() -> Self {
        Layer {
            configs: Vec::new(),
            slots: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.configs.clear();
        self.slots.clear();
    }

    /// Adds a configuration, or replaces its equal if that cost more; whether it is new.
    fn add(&mut self, config: Config<N>) -> bool {
        const SMALL: usize = 12;
        if self.slots.is_empty() {
            if let Some(same) = self.configs.iter_mut().find(|same| same.same(&config)) {
                if config.cost < same.cost {
                    *same = config;
                }
                return false;
            }
            self.configs.push(config);
            if self.configs.len() > SMALL {
                self.rehash(64);
            }
            return true;
        }
        if self.configs.len() * 2 >= self.slots.len() {
            self.rehash(self.slots.len() * 2);
        }
        let mask = self.slots.len() - 1;
        let mut at = config.hash() as usize & mask;
        while self.slots[at] != 0 {
            let same = &mut self.configs[self.slots[at] as usize - 1];
            if same.same(&config) {
                if config.cost < same.cost {
                    *same = config;
                }
                return false;
            }
            at = (at + 1) & mask;
        }
        self.configs.push(config);
        self.slots[at] = self.configs.len() as u32;
        true
    }

    fn rehash(&mut self, size: usize) {
        self.slots.clear();
        self.slots.resize(size, 0);
        for (position, config) in self.configs.iter().enumerate() {
            let mut at = config.hash() as usize & (size - 1);
            while self.slots[at] != 0 {
                at = (at + 1) & (size - 1);
            }
            self.slots[at] = position as u32 + 1;
        }
    }
}

/// What is known of an open operation.
#[derive(Clone, Copy)]
struct Open<const N: usize> {
    position: u32,
    kind: u32,
    ret: u32,
    /// Equal open operations that complete earlier.
    earlier: Mask<N>,
}

/// The operation that completes now.
#[derive(Clone, Copy)]
struct Completion {
    slot: usize,
    position: u32,
    ret: u32,
    /// Whether it may hide already where the run begins, so that only showing is news.
    hid: bool,
}

/// How often counted kinds were used, in order of the kind.
type Uses = Box<[(u32, u32)]>;

fn uses_of(uses: &Uses, kind: u32) -> u32 {
    let at = uses.binary_search_by_key(&kind, |(kind, _)| *kind);
    at.map_or(0, |at| uses[at].1)
}

/// Unknown operations of one kind.
struct Unknown {
    kind: u32,
    invoked: u32,
    /// Whether its uses are counted.
    counted: bool,
}

struct Search<'a, const N: usize> {
    part: &'a [Timed],
    events: &'a [u32],
    space: Space<'a>,
    limits: Limits<'a>,
    width: usize,
    narrowed: bool,
    layer: Layer<N>,
    next: Layer<N>,
    /// Configurations of the run that ends with the current completion.
    work: Layer<N>,
    slots: Vec<Option<Open<N>>>,
    open: Mask<N>,
    observers: Mask<N>,
    overwriters: Mask<N>,
    unknowns: Vec<Unknown>,
    unknown_of: FastMap<u32, usize>,
    counted: Vec<u32>,
    uses: Vec<Uses>,
    use_of: FastMap<Uses, u32>,
    use_bytes: usize,
    trail: Vec<Taken>,
    trail_max: usize,
}

impl<'a, const N: usize> Search<'a, N> {
    fn new(problem: Problem<'a>, asked: &'a mut dyn Asked, counted: &[u32], width: usize) -> Self {
        let mut search = Search {
            part: problem.part,
            events: problem.events,
            space: Space::new(asked, problem.kinds, problem.part.len()),
            limits: problem.limits,
            width,
            narrowed: false,
            layer: Layer::new(),
            next: Layer::new(),
            work: Layer::new(),
            slots: vec![None; 64 * N],
            open: Mask::EMPTY,
            observers: Mask::EMPTY,
            overwriters: Mask::EMPTY,
            unknowns: Vec::new(),
            unknown_of: FastMap::default(),
            counted: counted.to_vec(),
            uses: Vec::new(),
            use_of: FastMap::default(),
            use_bytes: 0,
            trail: Vec::new(),
            trail_max: 1 << 16,
        };
        search.start(0, Uses::default());
        search
    }

    /// Adds a configuration to the first layer.
    fn start(&mut self, state: u32, uses: Uses) {
        let used = self.number_of(uses);
        self.layer.add(Config {
            done: Mask::EMPTY,
            hide: Mask::EMPTY,
            state,
            used,
            cost: 0,
            idle: false,
            trail: NOWHERE,
        });
    }

    fn run(&mut self) -> End {
        match self.pass() {
            Some(end) => end,
            None => self.order(),
        }
    }

    /// Goes through all events; `None` if something is possible at the end.
    fn pass(&mut self) -> Option<End> {
        let mut since = 0;
        for &event in self.events {
            let position = event & !COMPLETES;
            if event & COMPLETES == 0 {
                self.invoke(position);
                continue;
            }
            since += 1;
            if since >= LAYERS_BETWEEN_CHECKS {
                since = 0;
                if let Some(reason) = self.limits.exhausted(self.bytes()) {
                    return Some(End::Exhausted(reason));
                }
            }
            let ret = self.part[position as usize].ret;
            if let Err(reason) = self.complete(position, ret) {
                return Some(End::Exhausted(reason));
            }
            if self.layer.configs.is_empty() {
                return Some(End::Impossible { at: position });
            }
        }
        None
    }

    fn invoke(&mut self, position: u32) {
        let operation = self.part[position as usize];
        let kind = operation.kind;
        if operation.ret == NEVER {
            if !self.space.kind(kind).observes {
                let known = self.unknown_of.entry(kind).or_insert_with(|| {
                    self.unknowns.push(Unknown {
                        kind,
                        invoked: 0,
                        counted: !self.space.kind(kind).reusable || self.counted.contains(&kind),
                    });
                    self.unknowns.len() - 1
                });
                self.unknowns[*known].invoked += 1;
            }
            return;
        }
        let free = (0..64 * N).find(|&slot| !self.open.has(slot));
        let Some(slot) = free else { return };
        let mut earlier = Mask::EMPTY;
        for other in self.open.slots() {
            if let Some(known) = &mut self.slots[other]
                && known.kind == kind
            {
                if known.ret < operation.ret {
                    earlier.set(other);
                } else {
                    known.earlier.set(slot);
                }
            }
        }
        self.slots[slot] = Some(Open {
            position,
            kind,
            ret: operation.ret,
            earlier,
        });
        self.open.set(slot);
        let about = self.space.kind(kind);
        if about.observes {
            self.observers.set(slot);
            for at in 0..self.layer.configs.len() {
                let config = &mut self.layer.configs[at];
                if self.space.step(config.state, kind) != Step::No {
                    config.done.set(slot);
                    config.trail = take(&mut self.trail, config.trail, position, operation.invoke + 1);
                }
            }
            // They still differ from each other, but no longer lie where their hash says.
            if !self.layer.slots.is_empty() {
                self.layer.slots.clear();
            }
        } else if about.overwrites {
            self.overwriters.set(slot);
        }
    }

    /// Everything that must have happened when an operation completes.
    fn complete(&mut self, position: u32, ret: u32) -> Result<(), String> {
        let found =
            (self.open.slots()).find(|&slot| self.slots[slot].is_some_and(|open| open.position == position));
        let Some(slot) = found else { return Ok(()) };
        let to = Completion {
            slot,
            position,
            ret,
            hid: false,
        };
        self.next.clear();
        self.work.clear();
        for at in 0..self.layer.configs.len() {
            let mut config = self.layer.configs[at];
            config.idle = false;
            if config.done.has(slot) {
                self.finish(config, to);
                continue;
            }
            // One that may hide may as well show.
            if config.hide.has(slot) {
                self.finish(config, to);
            }
            self.work.add(config);
        }
        let mut at = 0;
        while at < self.work.configs.len() {
            if at % CONFIGS_BETWEEN_CHECKS == CONFIGS_BETWEEN_CHECKS - 1
                && let Some(reason) = self.limits.exhausted(self.bytes())
            {
                return Err(reason);
            }
            let config = self.work.configs[at];
            let hid = config.hide.has(slot);
            self.expand(config, Completion { hid, ..to });
            at += 1;
        }
        self.open.clear(slot);
        self.observers.clear(slot);
        self.overwriters.clear(slot);
        self.slots[slot] = None;
        for other in self.open.slots() {
            if let Some(known) = &mut self.slots[other] {
                known.earlier.clear(slot);
            }
        }
        std::mem::swap(&mut self.layer, &mut self.next);
        self.thin();
        if self.trail.len() > self.trail_max {
            self.forget();
        }
        Ok(())
    }

    /// Takes every operation that may be next.
    fn expand(&mut self, config: Config<N>, to: Completion) {
        let pending = self.open.minus(&self.observers).minus(&config.done);
        for candidate in pending.slots() {
            let Some(open) = self.slots[candidate] else {
                continue;
            };
            let overwrites = self.overwriters.has(candidate);
            if (config.idle && overwrites) || !open.earlier.minus(&config.done).is_empty() {
                continue;
            }
            let mut after = config;
            after.done.set(candidate);
            if overwrites {
                after.hide = self.overwriters.minus(&after.done);
            }
            after.idle = overwrites;
            after.hide.clear(candidate);
            let step = self.space.step(config.state, open.kind);
            self.follow(after, step, open.position, to);
        }
        for at in 0..self.unknowns.len() {
            let Unknown {
                kind,
                invoked,
                counted,
            } = self.unknowns[at];
            let overwrites = self.space.kind(kind).overwrites;
            if config.idle && overwrites {
                continue;
            }
            let step = self.space.step(config.state, kind);
            // One that changes nothing is of use only to hide others behind it.
            let hides = || {
                let exposed = self.overwriters.minus(&config.done).minus(&config.hide);
                overwrites && !exposed.is_empty()
            };
            let futile = step == Step::To(config.state) && !hides();
            if step == Step::No || futile || self.pending_equal(&pending, kind) {
                continue;
            }
            let mut after = config;
            if !counted {
                after.cost += 1;
            } else if uses_of(&self.uses[config.used as usize], kind) < invoked {
                after.used = self.used_once_more(config.used, kind);
            } else {
                continue;
            }
            if overwrites {
                after.hide = self.overwriters.minus(&after.done);
            }
            after.idle = true;
            self.follow(after, step, kind | UNKNOWN, to);
        }
    }

    fn pending_equal(&self, pending: &Mask<N>, kind: u32) -> bool {
        pending
            .slots()
            .any(|slot| self.slots[slot].is_some_and(|open| open.kind == kind))
    }

    fn used_once_more(&mut self, used: u32, kind: u32) -> u32 {
        let mut uses = self.uses[used as usize].to_vec();
        match uses.binary_search_by_key(&kind, |(kind, _)| *kind) {
            Ok(at) => uses[at].1 += 1,
            Err(at) => uses.insert(at, (kind, 1)),
        }
        self.number_of(uses.into())
    }

    fn number_of(&mut self, uses: Uses) -> u32 {
        if let Some(&at) = self.use_of.get(&uses) {
            return at;
        }
        let at = self.uses.len() as u32;
        self.use_bytes += uses.len() * 16 + 64;
        self.uses.push(uses.clone());
        self.use_of.insert(uses, at);
        at
    }

    fn follow(&mut self, after: Config<N>, step: Step, what: u32, to: Completion) {
        match step {
            Step::No => {}
            Step::To(state) => self.arrive(after, state, what, to),
            Step::Several(several) => {
                for at in 0..self.space.several(several).len() {
                    let state = self.space.several(several)[at];
                    self.arrive(after, state, what, to);
                }
            }
        }
    }

    fn arrive(&mut self, mut after: Config<N>, state: u32, what: u32, to: Completion) {
        after.state = state;
        after.trail = take(&mut self.trail, after.trail, what, to.ret);
        for observer in self.observers.minus(&after.done).slots() {
            if let Some(open) = self.slots[observer]
                && self.space.step(state, open.kind) != Step::No
            {
                after.done.set(observer);
                after.trail = take(&mut self.trail, after.trail, open.position, to.ret);
                after.idle = false;
            }
        }
        if after.done.has(to.slot) {
            self.finish(after, to);
            return;
        }
        // It may hide from now on, and complete so; or show in spite of that.
        if after.hide.has(to.slot) && !to.hid {
            self.finish(after, to);
        }
        self.work.add(after);
    }

    /// The completing operation has happened.
    fn finish(&mut self, mut config: Config<N>, to: Completion) {
        if config.hide.has(to.slot) {
            config.trail = take(&mut self.trail, config.trail, to.position | HIDDEN, to.ret);
        }
        config.done.clear(to.slot);
        config.hide.clear(to.slot);
        config.idle = false;
        self.next.add(config);
    }

    /// Leaves away what is dominated (reduction 6), and what is beyond the width.
    fn thin(&mut self) {
        let configs = &mut self.layer.configs;
        if configs.len() > self.width {
            self.narrowed = true;
            let mutators = self.open.minus(&self.observers);
            let score = |config: &Config<N>| {
                let seen = config.done.and(&self.observers).count() + config.hide.count();
                (config.cost + config.done.and(&mutators).count()) as i64 * 2 - i64::from(seen)
            };
            configs.select_nth_unstable_by_key(self.width - 1, score);
            configs.truncate(self.width);
            self.layer.slots.clear();
        }
        if configs.len() < 2 || configs.len() > DOMINANCE_WIDTH_MAX {
            return;
        }
        let mut at = 0;
        while at < configs.len() {
            let dominated = (0..configs.len()).any(|other| {
                other != at
                    && dominates(
                        &configs[other],
                        &configs[at],
                        &self.observers,
                        &self.overwriters,
                        &self.uses,
                    )
            });
            if dominated {
                configs.swap_remove(at);
                self.layer.slots.clear();
            } else {
                at += 1;
            }
        }
    }

    fn bytes(&self) -> usize {
        let configs =
            self.layer.configs.capacity() + self.next.configs.capacity() + self.work.configs.capacity();
        let slots = self.layer.slots.capacity() + self.next.slots.capacity() + self.work.slots.capacity();
        configs * size_of::<Config<N>>()
            + slots * 4
            + self.trail.capacity() * size_of::<Taken>()
            + self.use_bytes
            + self.space.bytes()
    }

    /// Drops the trails of configurations that led nowhere.
    fn forget(&mut self) {
        let mut keep = vec![false; self.trail.len()];
        for config in &self.layer.configs {
            let mut at = config.trail;
            while at != NOWHERE && !std::mem::replace(&mut keep[at as usize], true) {
                at = self.trail[at as usize].before;
            }
        }
        let mut moved = vec![NOWHERE; self.trail.len()];
        let mut kept = 0;
        for at in 0..self.trail.len() {
            if keep[at] {
                let taken = self.trail[at];
                // What came before has a smaller number, so it has moved already.
                let before = if taken.before == NOWHERE {
                    NOWHERE
                } else {
                    moved[taken.before as usize]
                };
                self.trail[kept] = Taken { before, ..taken };
                moved[at] = kept as u32;
                kept += 1;
            }
        }
        self.trail.truncate(kept);
        for config in &mut self.layer.configs {
            if config.trail != NOWHERE {
                config.trail = moved[config.trail as usize];
            }
        }
        self.trail_max = (kept * 2).max(1 << 16);
    }

    /// The order that the cheapest configuration stands for, if its unknown operations were there to be used.
    fn order(&self) -> End {
        let Some(best) = self.layer.configs.iter().min_by_key(|config| config.cost) else {
            return End::Order(Vec::new());
        };
        let mut trail = Vec::new();
        let mut at = best.trail;
        while at != NOWHERE {
            trail.push(self.trail[at as usize]);
            at = self.trail[at as usize].before;
        }
        trail.reverse();
        let mut unused: FastMap<u32, std::collections::VecDeque<u32>> = FastMap::default();
        for (position, operation) in self.part.iter().enumerate() {
            if operation.ret == NEVER {
                unused
                    .entry(operation.kind)
                    .or_default()
                    .push_back(position as u32);
            }
        }
        let mut overused: Vec<u32> = Vec::new();
        let mut order: Vec<u32> = Vec::with_capacity(trail.len());
        let mut visible = 0;
        // What hides stands before the last that overwrote; several may, so they are collected on the way.
        let mut hidden: Vec<(usize, u32)> = Vec::new();
        for taken in trail {
            if taken.what & UNKNOWN != 0 {
                let kind = taken.what & !UNKNOWN;
                let instance = unused.get_mut(&kind).and_then(|unused| unused.pop_front());
                match instance.filter(|&position| self.part[position as usize].invoke < taken.at) {
                    Some(position) => {
                        if self.space.kind(kind).overwrites {
                            visible = order.len();
                        }
                        order.push(position);
                    }
                    None if !overused.contains(&kind) => overused.push(kind),
                    None => {}
                }
            } else if taken.what & HIDDEN != 0 {
                hidden.push((visible, taken.what & !HIDDEN));
            } else {
                let overwrites = self.space.kind(self.part[taken.what as usize].kind).overwrites;
                if overwrites {
                    visible = order.len();
                }
                order.push(taken.what);
            }
        }
        if !overused.is_empty() {
            return End::Overused(overused);
        }
        if hidden.is_empty() {
            return End::Order(order);
        }
        let mut whole = Vec::with_capacity(order.len() + hidden.len());
        let mut hidden = hidden.into_iter().peekable();
        for (at, position) in order.into_iter().enumerate() {
            while let Some((_, hiding)) = hidden.next_if(|(before, _)| *before <= at) {
                whole.push(hiding);
            }
            whole.push(position);
        }
        End::Order(whole)
    }
}

fn take(trail: &mut Vec<Taken>, before: u32, what: u32, at: u32) -> u32 {
    trail.push(Taken { before, what, at });
    trail.len() as u32 - 1
}

fn dominates<const N: usize>(
    a: &Config<N>,
    b: &Config<N>,
    observers: &Mask<N>,
    overwriters: &Mask<N>,
    uses: &[Uses],
) -> bool {
    if a.state != b.state || a.cost > b.cost {
        return false;
    }
    if a.used != b.used {
        let (a, b) = (&uses[a.used as usize], &uses[b.used as usize]);
        if a.iter().any(|&(kind, uses)| uses > uses_of(b, kind)) {
            return false;
        }
    }
    let mut equal = a.used == b.used && a.cost == b.cost;
    for at in 0..N {
        let (seen, blind) = (observers.0[at], overwriters.0[at]);
        let other = !(seen | blind);
        let (a_done, b_done, a_hide, b_hide) = (a.done.0[at], b.done.0[at], a.hide.0[at], b.hide.0[at]);
        let lacks = (seen & b_done & !a_done)
            | (other & (a_done ^ b_done))
            | (blind & ((b_hide & !a_hide) | (b_done & !a_done & !a_hide) | (a_done & !b_done)));
        if lacks != 0 {
            return false;
        }
        equal &= a_done == b_done && a_hide == b_hide;
    }
    !equal
}

const COMPLETES: u32 = 1 << 31;

/// Invocations and completions in time order, and how many operations that complete are open at most at once.
fn events(part: &[Timed]) -> (Vec<u32>, usize) {
    let mut completions: Vec<(u32, u32)> = (part.iter().enumerate())
        .filter(|(_, operation)| operation.ret != NEVER)
        .map(|(position, operation)| (operation.ret, position as u32))
        .collect();
    completions.sort_unstable();
    let mut events = Vec::with_capacity(part.len() + completions.len());
    let (mut open, mut open_max) = (0usize, 0usize);
    let mut completions = completions.into_iter().peekable();
    for (position, operation) in part.iter().enumerate() {
        while let Some((_, done)) = completions.next_if(|(ret, _)| *ret < operation.invoke) {
            events.push(done | COMPLETES);
            open -= 1;
        }
        events.push(position as u32);
        if operation.ret != NEVER {
            open += 1;
            open_max = open_max.max(open);
        }
    }
    events.extend(completions.map(|(_, done)| done | COMPLETES));
    (events, open_max)
}
