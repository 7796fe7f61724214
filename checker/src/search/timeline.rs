//! The history as a search goes through it: invocations and completions in time order, and a slot for each operation.
//!
//! Slots are given back when an operation completes, so a set of open operations is a small mask
//! ([`Mask`](super::mask::Mask)). Unknown operations never complete; they have none.

use super::space::{Kind, NO_STATE, Timed};
use crate::history::NEVER;

const COMPLETES: u32 = 1 << 31;

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The operation at this position of the part is invoked.
    Invoke(u32),
    /// It completes.
    Complete(u32),
}

pub(super) struct Timeline<'a> {
    pub part: &'a [Timed],
    pub kinds: &'a [Kind],
    /// How many operations that complete are open at once, at most.
    pub open_max: usize,
    events: Vec<u32>,
    slots: Vec<u16>,
    /// Where unknown operations that may change something are invoked: numbers of events.
    unknown: Vec<u32>,
}

impl<'a> Timeline<'a> {
    pub fn new(part: &'a [Timed], kinds: &'a [Kind]) -> Self {
        let mut completions: Vec<(u32, u32)> = (part.iter().enumerate())
            .filter(|(_, operation)| operation.ret != NEVER)
            .map(|(position, operation)| (operation.ret, position as u32))
            .collect();
        completions.sort_unstable();
        let mut timeline = Timeline {
            part,
            kinds,
            open_max: 0,
            events: Vec::with_capacity(part.len() + completions.len()),
            slots: vec![0; part.len()],
            unknown: Vec::new(),
        };
        let mut completions = completions.into_iter().peekable();
        let mut free: Vec<u16> = Vec::new();
        for (position, operation) in part.iter().enumerate() {
            while let Some((_, done)) = completions.next_if(|(ret, _)| *ret < operation.invoke) {
                timeline.events.push(done | COMPLETES);
                free.push(timeline.slots[done as usize]);
            }
            if operation.ret != NEVER {
                timeline.slots[position] = free.pop().unwrap_or_else(|| {
                    timeline.open_max += 1;
                    (timeline.open_max - 1) as u16
                });
            } else if !kinds[operation.kind as usize].observes {
                timeline.unknown.push(timeline.events.len() as u32);
            }
            timeline.events.push(position as u32);
        }
        timeline
            .events
            .extend(completions.map(|(_, done)| done | COMPLETES));
        timeline
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    pub fn event(&self, number: usize) -> Event {
        let event = self.events[number];
        if event & COMPLETES == 0 {
            Event::Invoke(event)
        } else {
            Event::Complete(event & !COMPLETES)
        }
    }

    /// The slot of an operation that completes.
    pub fn slot(&self, position: u32) -> usize {
        usize::from(self.slots[position as usize])
    }

    /// The positions of operations that are invoked between two events.
    pub fn invoked(&self, from: usize, to: usize) -> impl Iterator<Item = u32> {
        let events = self.events[from..to].iter();
        events.copied().filter(|event| event & COMPLETES == 0)
    }

    /// The states that these operations are possible in, where each is possible in one only.
    pub fn homes(&self, positions: impl Iterator<Item = u32>) -> Vec<u32> {
        let home = |position: u32| self.kinds[self.part[position as usize].kind as usize].home;
        let mut homes: Vec<u32> = positions.map(home).filter(|&home| home != NO_STATE).collect();
        homes.sort_unstable();
        homes.dedup();
        homes
    }

    /// Whether everything that does not overwrite is possible in one state only.
    pub fn all_have_homes(&self) -> bool {
        self.kinds
            .iter()
            .all(|kind| kind.overwrites || kind.home != NO_STATE)
    }

    /// The kinds of the unknown operations invoked before an event.
    pub fn unknown_before(&self, number: usize) -> impl Iterator<Item = u32> {
        let end = self.unknown.partition_point(|&event| (event as usize) < number);
        self.unknown[..end]
            .iter()
            .map(|&event| self.part[self.events[event as usize] as usize].kind)
    }
}
