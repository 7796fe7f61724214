//! The operations that are open at a point of the history.

use super::mask::Mask;
use super::space::NO_STATE;
use super::timeline::Timeline;
use crate::history::values::FastMap;

/// What is known of an open operation that completes.
#[derive(Clone, Copy)]
pub(super) struct Open<const N: usize> {
    pub position: u32,
    pub kind: u32,
    pub ret: u32,
    /// Equal open operations that must take effect, and complete earlier.
    pub earlier: Mask<N>,
    /// Equal open operations that complete later.
    pub later: Mask<N>,
}

/// Unknown operations of one kind.
#[derive(Clone, Copy)]
pub(super) struct Unknown {
    pub kind: u32,
    pub invoked: u32,
    /// Whether its uses are counted.
    pub counted: bool,
}

/// What is open now. Nothing here depends on what took effect, so there is one for all configurations of a layer.
pub(super) struct Openings<'a, const N: usize> {
    timeline: &'a Timeline<'a>,
    counted: &'a [u32],
    slots: Vec<Open<N>>,
    /// All slots in use.
    pub open: Mask<N>,
    /// Those of operations that observe only.
    pub observers: Mask<N>,
    /// Those of operations that overwrite.
    pub overwriters: Mask<N>,
    /// Those of other operations that need not take effect; only where a search begins in the middle has it any.
    pub optional: Mask<N>,
    /// Unknown operations that were invoked, by kind.
    pub unknowns: Vec<Unknown>,
    unknown_of: FastMap<u32, usize>,
    /// Those of them that always lead to one state, by that state.
    unknown_to: FastMap<u32, Vec<u32>>,
    /// The others.
    unknown_anywhere: bool,
}

impl<'a, const N: usize> Openings<'a, N> {
    pub fn new(timeline: &'a Timeline<'a>, counted: &'a [u32]) -> Self {
        let nothing = Open {
            position: 0,
            kind: 0,
            ret: 0,
            earlier: Mask::EMPTY,
            later: Mask::EMPTY,
        };
        Openings {
            timeline,
            counted,
            slots: vec![nothing; timeline.open_max],
            open: Mask::EMPTY,
            observers: Mask::EMPTY,
            overwriters: Mask::EMPTY,
            optional: Mask::EMPTY,
            unknowns: Vec::new(),
            unknown_of: FastMap::default(),
            unknown_to: FastMap::default(),
            unknown_anywhere: false,
        }
    }

    /// What was open before an event, of which the positions are known.
    pub fn again(timeline: &'a Timeline<'a>, counted: &'a [u32], number: usize, open: &[u32]) -> Self {
        let mut openings = Openings::new(timeline, counted);
        for &position in open {
            openings.open(position);
        }
        for kind in timeline.unknown_before(number) {
            openings.unknown(kind);
        }
        openings
    }

    pub fn at(&self, slot: usize) -> &Open<N> {
        &self.slots[slot]
    }

    /// The positions of what is open.
    pub fn positions(&self) -> Vec<u32> {
        self.open.slots().map(|slot| self.slots[slot].position).collect()
    }

    /// Nothing that is open now has to take effect any more.
    pub fn make_optional(&mut self) {
        self.optional = self.open.minus(&self.observers).minus(&self.overwriters);
        for slot in self.open.slots() {
            self.slots[slot].earlier = self.slots[slot].earlier.minus(&self.optional);
        }
    }

    /// An operation that completes is invoked.
    pub fn open(&mut self, position: u32) {
        let operation = self.timeline.part[position as usize];
        let slot = self.timeline.slot(position);
        let (mut earlier, mut later) = (Mask::EMPTY, Mask::EMPTY);
        for other in self.open.slots() {
            let known = &mut self.slots[other];
            if known.kind != operation.kind {
                continue;
            }
            if known.ret < operation.ret {
                known.later.set(slot);
                if !self.optional.has(other) {
                    earlier.set(other);
                }
            } else {
                known.earlier.set(slot);
                later.set(other);
            }
        }
        self.slots[slot] = Open {
            position,
            kind: operation.kind,
            ret: operation.ret,
            earlier,
            later,
        };
        self.open.set(slot);
        let about = self.timeline.kinds[operation.kind as usize];
        if about.observes {
            self.observers.set(slot);
        } else if about.overwrites {
            self.overwriters.set(slot);
        }
    }

    /// An operation completes.
    pub fn close(&mut self, slot: usize) {
        self.open.clear(slot);
        self.observers.clear(slot);
        self.overwriters.clear(slot);
        self.optional.clear(slot);
        let closed = self.slots[slot];
        // What completes first has nothing earlier, but for what was optional.
        for other in self.open.slots() {
            if self.slots[other].kind == closed.kind {
                self.slots[other].earlier.clear(slot);
                self.slots[other].later.clear(slot);
            }
        }
    }

    /// Adds the unknown operations, by their place in `unknowns`, that may bring about something that an open operation
    /// waits for (reduction 8).
    pub fn wanted(&self, wanted: &mut Vec<u32>) {
        let waiting = self.open.minus(&self.overwriters);
        let homes = waiting
            .slots()
            .map(|slot| self.timeline.kinds[self.slots[slot].kind as usize].home);
        let mut states: Vec<u32> = homes.collect();
        if self.unknown_anywhere || states.contains(&NO_STATE) {
            wanted.extend(0..self.unknowns.len() as u32);
            return;
        }
        states.sort_unstable();
        states.dedup();
        let mut at = 0;
        while at < states.len() {
            for &unknown in self.unknown_to.get(&states[at]).into_iter().flatten() {
                wanted.push(unknown);
                // One that does not overwrite waits for a state itself.
                let about = self.timeline.kinds[self.unknowns[unknown as usize].kind as usize];
                if !about.overwrites && !states.contains(&about.home) {
                    states.push(about.home);
                }
            }
            at += 1;
        }
    }

    /// An unknown operation is invoked.
    pub fn unknown(&mut self, kind: u32) {
        let at = *self.unknown_of.entry(kind).or_insert_with(|| {
            let about = self.timeline.kinds[kind as usize];
            let (reusable, number) = (about.reusable, self.unknowns.len() as u32);
            match about.target {
                NO_STATE => self.unknown_anywhere = true,
                target => self.unknown_to.entry(target).or_default().push(number),
            }
            self.unknowns.push(Unknown {
                kind,
                invoked: 0,
                counted: !reusable || self.counted.contains(&kind),
            });
            self.unknowns.len() - 1
        });
        self.unknowns[at].invoked += 1;
    }
}
