//! Chance that replays: every draw of the nemesis comes from here.
//!
//! Only the stream of ChaCha is promised to stay the same from release to release; how `rand` makes ranges and shuffles
//! of it is not. So the few draws that are needed are made here.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub(crate) struct Dice(ChaCha12Rng);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        // Spread by hand, for the same reason: how `seed_from_u64` does it is its own affair.
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Dice(ChaCha12Rng::from_seed(key))
    }

    pub fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number that every reader of JSON takes for what it is: below 2⁵³.
    pub fn seed(&mut self) -> u64 {
        self.number() >> 11
    }

    /// From 0 to `count - 1`; 0 where there is nothing to draw from. (Lemire 2019, without the rejection: the bias is
    /// below 2⁻⁴⁰ for the counts here.)
    pub fn below(&mut self, count: u64) -> u64 {
        ((u128::from(self.number()) * u128::from(count)) >> 64) as u64
    }

    /// Fisher–Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_pinned() {
        let mut dice = Dice::new(7);
        let drawn: Vec<u64> = (0..8).map(|_| dice.below(1000)).collect();
        let mut items: Vec<u8> = (0..8).collect();
        dice.shuffle(&mut items);
        // Changing these numbers breaks the replay of every seed that people have written down.
        assert_eq!(drawn, [828, 920, 55, 533, 685, 697, 545, 767]);
        assert_eq!(items, [7, 6, 1, 3, 0, 2, 4, 5]);
    }
}
