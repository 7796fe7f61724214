//! How often unknown operations were used, where that is counted.

use crate::history::values::FastMap;

/// How often each kind was used, in order of the kind.
pub(super) type Uses = Box<[(u32, u32)]>;

/// Counts, numbered, so that configurations share them.
#[derive(Default)]
pub(super) struct UseTable {
    all: Vec<Uses>,
    numbers: FastMap<Uses, u32>,
    bytes: usize,
}

impl UseTable {
    pub fn get(&self, number: u32) -> &Uses {
        &self.all[number as usize]
    }

    pub fn number(&mut self, uses: Uses) -> u32 {
        if let Some(&number) = self.numbers.get(&uses) {
            return number;
        }
        let number = self.all.len() as u32;
        self.bytes += uses.len() * 16 + 64;
        self.all.push(uses.clone());
        self.numbers.insert(uses, number);
        number
    }

    /// How often a kind was used.
    pub fn count(&self, number: u32, kind: u32) -> u32 {
        let uses = self.get(number);
        let at = uses.binary_search_by_key(&kind, |(kind, _)| *kind);
        at.map_or(0, |at| uses[at].1)
    }

    /// The same with one more use of a kind.
    pub fn once_more(&mut self, number: u32, kind: u32) -> u32 {
        let mut uses = self.get(number).to_vec();
        match uses.binary_search_by_key(&kind, |(kind, _)| *kind) {
            Ok(at) => uses[at].1 += 1,
            Err(at) => uses.insert(at, (kind, 1)),
        }
        self.number(uses.into())
    }

    /// Whether no kind was used more often.
    pub fn at_most(&self, a: u32, b: u32) -> bool {
        self.get(a)
            .iter()
            .all(|&(kind, uses)| uses <= self.count(b, kind))
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
