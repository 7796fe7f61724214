//! Sets of open operations, by slot.

/// A set of slots below `64 * N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mask<const N: usize>(pub [u64; N]);

impl<const N: usize> Mask<N> {
    pub const EMPTY: Self = Mask([0; N]);

    pub fn has(&self, slot: usize) -> bool {
        self.0[slot / 64] & (1 << (slot % 64)) != 0
    }

    pub fn set(&mut self, slot: usize) {
        self.0[slot / 64] |= 1 << (slot % 64);
    }

    pub fn clear(&mut self, slot: usize) {
        self.0[slot / 64] &= !(1 << (slot % 64));
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    pub fn minus(&self, other: &Self) -> Self {
        Mask(std::array::from_fn(|at| self.0[at] & !other.0[at]))
    }

    pub fn and(&self, other: &Self) -> Self {
        Mask(std::array::from_fn(|at| self.0[at] & other.0[at]))
    }

    pub fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    pub fn slots(self) -> impl Iterator<Item = usize> {
        (0..N).flat_map(move |at| {
            let mut word = self.0[at];
            std::iter::from_fn(move || {
                let bit = word.trailing_zeros() as usize;
                (word != 0).then(|| {
                    word &= word - 1;
                    at * 64 + bit
                })
            })
        })
    }
}
