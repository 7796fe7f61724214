//! Configurations, and which of two is enough.

use std::hash::BuildHasher;

use super::mask::Mask;
use super::openings::Openings;
use super::uses::UseTable;
use crate::history::NEVER;
use crate::history::values::FastBuild;

/// What has happened, as far as it matters for what may happen.
#[derive(Clone, Copy)]
pub(super) struct Config<const N: usize> {
    /// Open operations that took effect.
    pub done: Mask<N>,
    /// When the first completes of the open operations that overwrite, are pending and may not hide (reduction 2).
    /// All that complete earlier may hide.
    pub due: u32,
    pub state: u32,
    /// Uses of counted unknown operations: a number of the [`UseTable`].
    pub used: u32,
    /// Uses of the others.
    pub cost: u32,
    /// The last operation of a run was unobserved and need not have been taken (reduction 3).
    pub idle: bool,
    /// How it came about: an index of the [`Trail`](super::trail::Trail).
    pub trail: u32,
}

impl<const N: usize> Config<N> {
    /// Whether both allow the same, whatever they cost.
    pub fn same(&self, other: &Self) -> bool {
        self.state == other.state
            && self.used == other.used
            && self.due == other.due
            && self.idle == other.idle
            && self.done == other.done
    }

    pub fn hash(&self) -> u64 {
        FastBuild::default().hash_one((
            self.done,
            u64::from(self.state) << 32 | u64::from(self.used),
            u64::from(self.due) << 1 | u64::from(self.idle),
        ))
    }

    /// Low where much was observed and little used; never lower than that of a configuration that
    /// [dominates](dominates) it.
    pub fn score(&self, now: &Openings<'_, N>) -> i32 {
        let seen = self.done.and(&now.observers).count();
        let taken = self.done.and(&now.overwriters).count();
        let must = now
            .open
            .minus(&now.observers)
            .minus(&now.overwriters)
            .minus(&now.optional);
        let moved = self.done.and(&must).count();
        let hidden = match self.due {
            NEVER => now.overwriters.count(),
            due => now
                .overwriters
                .slots()
                .filter(|&slot| now.at(slot).ret < due)
                .count() as u32,
        };
        2 * (self.cost + taken) as i32 - (seen + hidden + 2 * moved) as i32
    }
}

/// Whether whatever is possible from `b` is possible from `a`, at no higher cost (reduction 6).
pub(super) fn dominates<const N: usize>(
    a: &Config<N>,
    b: &Config<N>,
    now: &Openings<'_, N>,
    uses: &UseTable,
) -> bool {
    if a.state != b.state || a.cost > b.cost || a.due < b.due {
        return false;
    }
    let (more, less) = (a.done.minus(&b.done), b.done.minus(&a.done));
    // Observations: at least as many done. What is optional: at least as much left.
    if !less.and(&now.observers).is_empty() || !more.and(&now.optional).is_empty() {
        return false;
    }
    if a.used != b.used && !uses.at_most(a.used, b.used) {
        return false;
    }
    // Of each kind, for every operation that only `a` took, another that only `b` took, of a later deadline.
    let more = more.minus(&now.observers);
    let less = less.minus(&now.observers).minus(&now.optional);
    for slot in more.slots() {
        let later = &now.at(slot).later;
        if more.and(later).count() >= less.and(later).count() {
            return false;
        }
    }
    // What has to take effect and can't hide must be matched the other way round too.
    more.minus(&now.overwriters).count() == less.minus(&now.overwriters).count()
}
