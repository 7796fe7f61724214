//! The operations and states of a search as numbers, and what leads where, computed once each.
//!
//! The search itself knows numbers only, so there is one search and not one for each model; a model is asked behind
//! [`Asked`], once for each state and kind of operation that meet.

use indexmap::IndexSet;

use crate::history::values::{FastBuild, FastMap};
use crate::model::{Hints, Model, Operation};

/// Where an operation leads from a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is impossible there.
    No,
    /// To one state.
    To(u32),
    /// To several, listed in [`Space::several`].
    Several(u32),
}

/// What a search has to know about an operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub observes: bool,
    pub overwrites: bool,
    pub reusable: bool,
    /// The only state in which it is possible, or [`NO_STATE`].
    pub home: u32,
    /// The state in which it leaves every state that it is possible in, or [`NO_STATE`].
    pub target: u32,
}

/// Instead of a state.
pub(super) const NO_STATE: u32 = u32::MAX;

/// An operation of the part; equal operations have equal kinds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timed {
    pub kind: u32,
    pub invoke: u32,
    pub ret: u32,
}

/// A model that is asked in numbers.
pub(super) trait Asked {
    /// Adds the states in which a kind of operation leaves a state.
    fn step(&mut self, state: u32, kind: u32, next: &mut Vec<u32>);
    /// About how much memory its states take.
    fn bytes(&self) -> usize;
}

/// A model with its operations and states numbered. State 0 is the initial one.
pub(super) struct Numbered<'m, M: Model> {
    model: &'m M,
    ops: Vec<M::Op>,
    states: IndexSet<M::State, FastBuild>,
    /// What the states take on the heap, about.
    heap_bytes: usize,
    next: Vec<M::State>,
}

impl<'m, M: Model> Numbered<'m, M> {
    pub fn new(model: &'m M, part: &[Operation<M::Op>]) -> (Self, Vec<Kind>, Vec<Timed>) {
        let hints = model.hints();
        let mut of_op: FastMap<&M::Op, u32> = FastMap::default();
        let (mut ops, mut kinds, mut timed) = (Vec::new(), Vec::new(), Vec::with_capacity(part.len()));
        for operation in part {
            let kind = *of_op.entry(&operation.op).or_insert_with_key(|op| {
                ops.push((*op).clone());
                kinds.push(Kind {
                    observes: hints.observes_only(op),
                    overwrites: hints.overwrites(op),
                    reusable: hints.reusable(op),
                    home: NO_STATE,
                    target: NO_STATE,
                });
                ops.len() as u32 - 1
            });
            timed.push(Timed {
                kind,
                invoke: operation.invoke,
                ret: operation.ret,
            });
        }
        let mut numbered = Numbered {
            model,
            ops,
            states: IndexSet::default(),
            heap_bytes: 0,
            next: Vec::new(),
        };
        numbered.number_of(model.initial());
        for (kind, about) in kinds.iter_mut().enumerate() {
            let home = hints.only_in(&numbered.ops[kind]);
            about.home = home.map_or(NO_STATE, |home| numbered.number_of(home));
            // What overwrites does the same everywhere.
            let from = if about.overwrites { 0 } else { about.home };
            if from != NO_STATE {
                let mut next = Vec::new();
                numbered.step(from, kind as u32, &mut next);
                if let [target] = *next {
                    about.target = target;
                }
            }
        }
        (numbered, kinds, timed)
    }
}

impl<M: Model> Numbered<'_, M> {
    /// The number of an operation of the part.
    pub fn kind_of(&self, op: &M::Op) -> Option<u32> {
        self.ops
            .iter()
            .position(|other| other == op)
            .map(|kind| kind as u32)
    }

    /// The operation of a number.
    pub fn op(&self, kind: u32) -> &M::Op {
        &self.ops[kind as usize]
    }

    /// The number of a state.
    pub fn number_of(&mut self, state: M::State) -> u32 {
        let (number, new) = self.states.insert_full(state);
        if new {
            self.heap_bytes += self.model.hints().heap_bytes(&self.states[number]);
        }
        number as u32
    }

    /// The state of a number.
    pub fn state(&self, number: u32) -> &M::State {
        &self.states[number as usize]
    }
}

impl<M: Model> Asked for Numbered<'_, M> {
    fn step(&mut self, state: u32, kind: u32, next: &mut Vec<u32>) {
        let mut reached = std::mem::take(&mut self.next);
        let from = &self.states[state as usize];
        self.model.step(from, &self.ops[kind as usize], &mut reached);
        next.extend(reached.drain(..).map(|state| self.number_of(state)));
        self.next = reached;
    }

    fn bytes(&self) -> usize {
        // The table has an index for each state, next to the state and its hash, the table at most half empty.
        let states = self.states.len() * (size_of::<M::State>() + 8 + 2 * size_of::<usize>());
        states + self.heap_bytes + self.ops.len() * size_of::<M::Op>()
    }
}

const CACHE_MAX: usize = 1 << 12;

/// Steps, remembered.
pub(super) struct Space<'a> {
    asked: &'a mut dyn Asked,
    kinds: &'a [Kind],
    steps: FastMap<u64, Step>,
    /// Direct-mapped, in front of `steps`.
    cache: Vec<(u64, Step)>,
    several: Vec<Vec<u32>>,
    next: Vec<u32>,
}

impl<'a> Space<'a> {
    /// For a part of so many operations.
    pub fn new(asked: &'a mut dyn Asked, kinds: &'a [Kind], length: usize) -> Self {
        let lines = (length * 4).next_power_of_two().clamp(16, CACHE_MAX);
        Space {
            asked,
            kinds,
            steps: FastMap::default(),
            cache: vec![(u64::MAX, Step::No); lines],
            several: Vec::new(),
            next: Vec::new(),
        }
    }

    pub fn kind(&self, kind: u32) -> Kind {
        self.kinds[kind as usize]
    }

    pub fn step(&mut self, state: u32, kind: u32) -> Step {
        let key = u64::from(state) << 32 | u64::from(kind);
        let mixed = state.wrapping_mul(0x9E37_79B1) ^ kind.wrapping_mul(0x85EB_CA6B);
        let line = (mixed >> 7) as usize & (self.cache.len() - 1);
        let (cached, step) = self.cache[line];
        if cached == key {
            return step;
        }
        let step = match self.steps.get(&key) {
            Some(step) => *step,
            None => {
                let step = self.ask(state, kind);
                self.steps.insert(key, step);
                step
            }
        };
        self.cache[line] = (key, step);
        step
    }

    /// The states of a [`Step::Several`].
    pub fn several(&self, at: u32) -> &[u32] {
        &self.several[at as usize]
    }

    /// All states that any operations lead to; `None` if there are more than so many.
    pub fn states(&mut self, count_max: usize) -> Option<Vec<u32>> {
        let mut states = vec![0];
        let mut at = 0;
        while at < states.len() {
            for kind in 0..self.kinds.len() as u32 {
                let next: &[u32] = match self.step(states[at], kind) {
                    Step::No => &[],
                    Step::To(state) => &[state],
                    Step::Several(several) => self.several(several),
                };
                for state in next {
                    if !states.contains(state) {
                        states.push(*state);
                    }
                }
                if states.len() > count_max {
                    return None;
                }
            }
            at += 1;
        }
        Some(states)
    }

    pub fn bytes(&self) -> usize {
        self.asked.bytes() + self.steps.len() * 24
    }

    fn ask(&mut self, state: u32, kind: u32) -> Step {
        self.next.clear();
        self.asked.step(state, kind, &mut self.next);
        match *self.next.as_slice() {
            [] => Step::No,
            [state] => Step::To(state),
            _ => {
                self.next.sort_unstable();
                self.next.dedup();
                self.several.push(self.next.clone());
                Step::Several(self.several.len() as u32 - 1)
            }
        }
    }
}
