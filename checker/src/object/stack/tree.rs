//! Segment trees: how many intervals cover a slot, and the first small number from somewhere on. All in `O(log n)`.

use std::ops::Range;

/// How many intervals cover each of some slots.
pub(crate) struct Cover {
    /// A power of two.
    leaves: usize,
    /// For each node, the least count of its slots, without what the nodes above it add to all of theirs.
    least: Vec<i32>,
    added: Vec<i32>,
}

impl Cover {
    pub fn new(slots: usize, intervals: impl Iterator<Item = Range<u32>>) -> Cover {
        let leaves = slots.next_power_of_two();
        let mut least = vec![0; leaves * 2];
        for interval in intervals {
            least[leaves + interval.start as usize] += 1;
            least[leaves + interval.end as usize] -= 1;
        }
        for slot in leaves + 1..leaves * 2 {
            least[slot] += least[slot - 1];
        }
        for node in (1..leaves).rev() {
            least[node] = least[node * 2].min(least[node * 2 + 1]);
        }
        Cover {
            leaves,
            added: vec![0; leaves * 2],
            least,
        }
    }

    /// Takes one of the intervals away.
    pub fn remove(&mut self, interval: Range<u32>) {
        let (mut low, mut high) = (
            self.leaves + interval.start as usize,
            self.leaves + interval.end as usize,
        );
        let (first, last) = (low, high - 1);
        while low < high {
            for node in [(low & 1 == 1).then_some(low), (high & 1 == 1).then(|| high - 1)]
                .into_iter()
                .flatten()
            {
                self.least[node] -= 1;
                self.added[node] -= 1;
            }
            low = low.div_ceil(2);
            high /= 2;
        }
        for mut node in [first, last] {
            while node > 1 {
                node /= 2;
                self.least[node] = self.least[node * 2].min(self.least[node * 2 + 1]) + self.added[node];
            }
        }
    }

    /// The first slot from one on that nothing covers. The last slot must be free.
    pub fn first_free(&self, from: u32) -> u32 {
        let mut node = self.leaves + from as usize;
        // What the nodes above it add.
        let mut above: i32 = std::iter::successors(Some(node / 2), |&at| Some(at / 2))
            .take_while(|&at| at > 0)
            .map(|at| self.added[at])
            .sum();
        // Up to the first subtree to the right with a free slot…
        while self.least[node] + above > 0 {
            while node & 1 == 1 {
                node /= 2;
                above -= self.added[node];
            }
            node += 1;
        }
        // …and down to it.
        while node < self.leaves {
            above += self.added[node];
            node *= 2;
            if self.least[node] + above > 0 {
                node += 1;
            }
        }
        (node - self.leaves) as u32
    }
}

/// Numbers of which the first small one is wanted.
pub(crate) struct Least {
    leaves: usize,
    count: usize,
    least: Vec<u32>,
}

impl Least {
    const GONE: u32 = u32::MAX;

    pub fn new(numbers: Vec<u32>) -> Least {
        let (leaves, count) = (numbers.len().next_power_of_two(), numbers.len());
        let mut least = vec![Self::GONE; leaves * 2];
        least[leaves..leaves + count].copy_from_slice(&numbers);
        for node in (1..leaves).rev() {
            least[node] = least[node * 2].min(least[node * 2 + 1]);
        }
        Least { leaves, count, least }
    }

    pub fn is_there(&self, at: usize) -> bool {
        self.least[self.leaves + at] != Self::GONE
    }

    pub fn remove(&mut self, at: usize) {
        let mut node = self.leaves + at;
        self.least[node] = Self::GONE;
        while node > 1 {
            node /= 2;
            self.least[node] = self.least[node * 2].min(self.least[node * 2 + 1]);
        }
    }

    /// The first from a place on that is below a bound.
    pub fn first_below(&self, from: usize, bound: u32) -> Option<usize> {
        if from >= self.count {
            return None;
        }
        let mut node = self.leaves + from;
        while self.least[node] >= bound {
            while node & 1 == 1 {
                node /= 2;
            }
            if node == 0 {
                return None;
            }
            node += 1;
        }
        while node < self.leaves {
            node *= 2;
            if self.least[node] >= bound {
                node += 1;
            }
        }
        Some(node - self.leaves)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Random;

    #[test]
    fn trees_find_what_a_look_at_everything_finds() {
        for seed in 0..300 {
            let mut random = Random::new(seed);
            let slots = 2 + random.below(40);
            let mut intervals: Vec<Range<u32>> = (0..random.below(20))
                .map(|_| {
                    let start = random.below(slots - 1) as u32;
                    start..start + 1 + random.below(slots - 1 - u64::from(start)) as u32
                })
                .collect();
            let mut cover = Cover::new(slots as usize, intervals.iter().cloned());
            let mut starts: Vec<u32> = intervals.iter().map(|interval| interval.start).collect();
            let mut least = Least::new(starts.clone());
            loop {
                for from in 0..slots as u32 {
                    let free = |slot: &u32| !intervals.iter().any(|interval| interval.contains(slot));
                    assert_eq!(
                        Some(cover.first_free(from)),
                        (from..slots as u32).find(free),
                        "seed {seed}"
                    );
                    let bound = random.below(slots) as u32;
                    let small = (from as usize..starts.len()).find(|&at| starts[at] < bound);
                    assert_eq!(least.first_below(from as usize, bound), small, "seed {seed}");
                }
                if intervals.is_empty() {
                    break;
                }
                let at = random.below(intervals.len() as u64) as usize;
                let gone = std::mem::replace(&mut intervals[at], 0..0);
                if gone.is_empty() {
                    break;
                }
                cover.remove(gone);
                least.remove(at);
                starts[at] = u32::MAX;
            }
        }
    }
}
