//! The operations and states of a search as numbers, and what leads where, computed once each.

use std::hash::Hash;

use crate::history::values::FastMap;
use crate::model::Model;

/// Where an operation leads from a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is impossible there.
    No,
    /// To one state.
    To(u32),
    /// To several, listed in [`Space::several`].
    Several(u32),
}

/// What a search has to know about an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub observes: bool,
    pub overwrites: bool,
    pub reusable: bool,
}

const CACHE_MAX: usize = 1 << 12;

/// Interned operations, states and steps.
pub(crate) struct Space<'m, M: Model> {
    model: &'m M,
    kinds: Vec<(M::Op, Kind)>,
    of_op: FastMap<M::Op, u32>,
    states: Vec<M::State>,
    of_state: FastMap<M::State, u32>,
    steps: FastMap<u64, Step>,
    /// Direct-mapped, in front of `steps`.
    cache: Vec<(u64, Step)>,
    several: Vec<Vec<u32>>,
    next: Vec<M::State>,
}

impl<'m, M: Model> Space<'m, M> {
    /// For a part of so many operations.
    pub fn new(model: &'m M, length: usize) -> Self {
        let mut space = Space {
            model,
            kinds: Vec::new(),
            of_op: FastMap::default(),
            states: Vec::new(),
            of_state: FastMap::default(),
            steps: FastMap::default(),
            cache: vec![(u64::MAX, Step::No); (length * 4).next_power_of_two().clamp(16, CACHE_MAX)],
            several: Vec::new(),
            next: Vec::new(),
        };
        let initial = model.initial();
        intern(&mut space.of_state, &mut space.states, initial);
        space
    }

    /// The number of an operation; equal operations have the same.
    pub fn kind_of(&mut self, op: &M::Op) -> u32 {
        if let Some(&kind) = self.of_op.get(op) {
            return kind;
        }
        let kind = self.kinds.len() as u32;
        let known = Kind {
            observes: self.model.observes_only(op),
            overwrites: self.model.overwrites(op),
            reusable: self.model.reusable(op),
        };
        self.kinds.push((op.clone(), known));
        self.of_op.insert(op.clone(), kind);
        kind
    }

    /// The number of an operation that was met before.
    pub fn known_kind(&self, op: &M::Op) -> Option<u32> {
        self.of_op.get(op).copied()
    }

    pub fn kind(&self, kind: u32) -> Kind {
        self.kinds[kind as usize].1
    }

    pub fn step(&mut self, state: u32, kind: u32) -> Step {
        let key = u64::from(state) << 32 | u64::from(kind);
        let line = (state.wrapping_mul(0x9E37_79B1) ^ kind.wrapping_mul(0x85EB_CA6B)) as usize >> 7
            & (self.cache.len() - 1);
        let (cached, step) = self.cache[line];
        if cached == key {
            return step;
        }
        let step = match self.steps.get(&key) {
            Some(step) => *step,
            None => {
                let step = self.compute(state, kind);
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

    pub fn bytes(&self) -> usize {
        self.states.len() * (2 * size_of::<M::State>() + 16)
            + self.steps.len() * 24
            + self.kinds.len() * (2 * size_of::<M::Op>() + 16)
    }

    fn compute(&mut self, state: u32, kind: u32) -> Step {
        self.next.clear();
        let op = &self.kinds[kind as usize].0;
        self.model.step(&self.states[state as usize], op, &mut self.next);
        if self.next.len() > 1 {
            let next = std::mem::take(&mut self.next);
            let mut states: Vec<u32> = (next.into_iter())
                .map(|state| intern(&mut self.of_state, &mut self.states, state))
                .collect();
            states.sort_unstable();
            states.dedup();
            self.several.push(states);
            return Step::Several(self.several.len() as u32 - 1);
        }
        match self.next.pop() {
            None => Step::No,
            Some(state) => Step::To(intern(&mut self.of_state, &mut self.states, state)),
        }
    }
}

fn intern<T: Clone + Eq + Hash>(index: &mut FastMap<T, u32>, all: &mut Vec<T>, item: T) -> u32 {
    if let Some(&at) = index.get(&item) {
        return at;
    }
    let at = all.len() as u32;
    all.push(item.clone());
    index.insert(item, at);
    at
}
