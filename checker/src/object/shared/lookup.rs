//! Numbers for values: an array where the values are dense, a hash map where they are not.

use crate::history::Val;
use crate::history::values::FastMap;

pub(crate) const NOBODY: u32 = u32::MAX;

/// Positions of a core in order, each once, without [`NOBODY`].
pub(crate) fn tidy(mut core: Vec<u32>) -> Vec<u32> {
    core.retain(|&position| position != NOBODY);
    core.sort_unstable();
    core.dedup();
    core
}

/// What a value has as its number.
pub(crate) enum Lookup {
    /// By the number of the value; small integers first, then the table.
    Dense {
        small: Vec<u32>,
        table: Vec<u32>,
    },
    Sparse(FastMap<Val, u32>),
}

impl Lookup {
    /// For these values, in a part of so many operations.
    pub fn new(values: impl Iterator<Item = Val>, length: usize) -> Self {
        let (mut small, mut table) = (0u32, 0u32);
        for value in values {
            match value.as_small() {
                Some(number) => small = small.max(number + 1),
                None => table = table.max(value.0 - Val::NIL.0 + 1),
            }
        }
        if small as usize + table as usize > length * 4 + 64 {
            return Lookup::Sparse(FastMap::default());
        }
        Lookup::Dense {
            small: vec![NOBODY; small as usize],
            table: vec![NOBODY; table as usize + 1],
        }
    }

    /// The number, or [`NOBODY`].
    pub fn get(&self, value: Val) -> u32 {
        let found = match self {
            Lookup::Dense { small, table } => match value.as_small() {
                Some(number) => small.get(number as usize),
                None => table.get((value.0 - Val::NIL.0) as usize),
            },
            Lookup::Sparse(map) => map.get(&value),
        };
        found.copied().unwrap_or(NOBODY)
    }

    /// Gives one of the values that it was made for a number.
    pub fn set(&mut self, value: Val, number: u32) {
        match self {
            Lookup::Dense { small, table } => match value.as_small() {
                Some(at) => small[at as usize] = number,
                None => table[(value.0 - Val::NIL.0) as usize] = number,
            },
            Lookup::Sparse(map) => {
                map.insert(value, number);
            }
        }
    }
}
