//! How configurations came about, and the order of operations that one stands for.

use std::collections::VecDeque;

use super::config::Config;
use super::space::{Kind, Timed};
use crate::history::NEVER;
use crate::history::values::FastMap;

/// The beginning of every trail.
pub(super) const NOWHERE: u32 = u32::MAX;
const UNKNOWN: u32 = 1 << 31;
const HIDDEN: u32 = 1 << 30;
/// Trails shorter than this are not worth tidying.
const FORGET_MIN: usize = 1 << 16;

/// What took effect.
#[derive(Clone, Copy)]
pub(super) enum What {
    /// The operation at this position.
    Known(u32),
    /// The operation at this position, unseen, before the last that overwrote.
    Hidden(u32),
    /// An unknown operation of this kind.
    Unknown(u32),
}

/// One operation that took effect.
#[derive(Clone, Copy)]
struct Taken {
    before: u32,
    /// The operation with its flags.
    what: u32,
    /// Position in the history before which it took effect.
    at: u32,
}

/// Parent pointers: all that is kept of the past.
pub(super) struct Trail {
    taken: Vec<Taken>,
    forget_at: usize,
}

impl Trail {
    pub fn new() -> Self {
        Trail {
            taken: Vec::new(),
            forget_at: FORGET_MIN,
        }
    }

    /// Adds an operation that took effect before a position of the history.
    pub fn take(&mut self, before: u32, what: What, at: u32) -> u32 {
        let what = match what {
            What::Known(position) => position,
            What::Hidden(position) => position | HIDDEN,
            What::Unknown(kind) => kind | UNKNOWN,
        };
        self.taken.push(Taken { before, what, at });
        self.taken.len() as u32 - 1
    }

    pub fn bytes(&self) -> usize {
        self.taken.capacity() * size_of::<Taken>()
    }

    /// Whether it is time to forget trails that led nowhere.
    pub fn long(&self) -> bool {
        self.taken.len() > self.forget_at
    }

    /// Drops what none of these configurations came by.
    pub fn forget<'c, const N: usize>(&mut self, configs: impl Iterator<Item = &'c mut Config<N>>) {
        let configs: Vec<&mut Config<N>> = configs.collect();
        let mut keep = vec![false; self.taken.len()];
        for config in &configs {
            let mut at = config.trail;
            while at != NOWHERE && !std::mem::replace(&mut keep[at as usize], true) {
                at = self.taken[at as usize].before;
            }
        }
        let mut moved = vec![NOWHERE; self.taken.len()];
        let mut kept = 0;
        for at in 0..self.taken.len() {
            if keep[at] {
                let taken = self.taken[at];
                // What came before has a smaller number, so it has moved already.
                let before = match taken.before {
                    NOWHERE => NOWHERE,
                    before => moved[before as usize],
                };
                self.taken[kept] = Taken { before, ..taken };
                moved[at] = kept as u32;
                kept += 1;
            }
        }
        self.taken.truncate(kept);
        for config in configs {
            if config.trail != NOWHERE {
                config.trail = moved[config.trail as usize];
            }
        }
        self.forget_at = (kept * 2).max(FORGET_MIN);
    }

    /// The order that a trail stands for; or the kinds of unknown operations that it uses more often than they were
    /// invoked.
    pub fn order(&self, end: u32, part: &[Timed], kinds: &[Kind]) -> Result<Vec<u32>, Vec<u32>> {
        let mut trail = Vec::new();
        let mut at = end;
        while at != NOWHERE {
            trail.push(self.taken[at as usize]);
            at = self.taken[at as usize].before;
        }
        trail.reverse();
        let mut unused: FastMap<u32, VecDeque<u32>> = FastMap::default();
        for (position, operation) in part.iter().enumerate() {
            if operation.ret == NEVER {
                unused
                    .entry(operation.kind)
                    .or_default()
                    .push_back(position as u32);
            }
        }
        let mut overused: Vec<u32> = Vec::new();
        let mut order: Vec<u32> = Vec::with_capacity(trail.len());
        let mut placed = vec![false; part.len()];
        let mut visible = 0;
        // What hides stands before the last that overwrote; several may, so they are collected on the way.
        let mut hidden: Vec<(usize, u32)> = Vec::new();
        for taken in trail {
            let position = if taken.what & UNKNOWN != 0 {
                let kind = taken.what & !UNKNOWN;
                let instance = unused.get_mut(&kind).and_then(VecDeque::pop_front);
                match instance.filter(|&position| part[position as usize].invoke < taken.at) {
                    Some(position) => position,
                    None => {
                        if !overused.contains(&kind) {
                            overused.push(kind);
                        }
                        continue;
                    }
                }
            } else {
                taken.what & !HIDDEN
            };
            // An observation that was asked for again stands where it was made first.
            if std::mem::replace(&mut placed[position as usize], true) {
                continue;
            }
            if taken.what & UNKNOWN == 0 && taken.what & HIDDEN != 0 {
                hidden.push((visible, position));
                continue;
            }
            if kinds[part[position as usize].kind as usize].overwrites {
                visible = order.len();
            }
            order.push(position);
        }
        if !overused.is_empty() {
            return Err(overused);
        }
        if hidden.is_empty() {
            return Ok(order);
        }
        let mut whole = Vec::with_capacity(order.len() + hidden.len());
        let mut hidden = hidden.into_iter().peekable();
        for (at, position) in order.into_iter().enumerate() {
            while let Some((_, hiding)) = hidden.next_if(|(before, _)| *before <= at) {
                whole.push(hiding);
            }
            whole.push(position);
        }
        Ok(whole)
    }
}
