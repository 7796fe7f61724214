//! Histories by seed: for tests, benchmarks and whoever wants to try a checker.
//!
//! [`small`] makes a handful of operations with arbitrary results, most of them impossible: food for comparing a
//! checker with the brute force.

use crate::history::NEVER;
use crate::model::{Operation, Part};

/// A seeded source of numbers (splitmix64: Steele, Lea, Flood, OOPSLA 2014). The same seed gives the same numbers in
/// every version.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Starts at a seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.any()) * u128::from(bound)) >> 64) as u64
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Operations that overlap at random, up to `length` of them, each made by `op`; `info` percent never complete.
///
/// At most `width` are open at once, so that small histories are not all concurrent.
pub fn small<Op>(
    random: &mut Random,
    length: u64,
    width: u64,
    info: u64,
    mut op: impl FnMut(&mut Random, bool) -> Op,
) -> Part<Op> {
    let mut part: Part<Op> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut position = 0;
    while (part.len() as u64) < length || !open.is_empty() {
        let begin = (part.len() as u64) < length
            && (open.len() as u64) < width
            && (open.is_empty() || random.percent(55));
        if begin {
            let unknown = random.percent(info);
            if !unknown {
                open.push(part.len());
            }
            let op = op(random, unknown);
            part.push(Operation {
                op,
                invoke: position,
                ret: NEVER,
                row: part.len() as u32,
            });
        } else {
            let at = open.swap_remove(random.below(open.len() as u64) as usize);
            part[at].ret = position;
        }
        position += 1;
    }
    part
}
