//! Sets of configurations, one for each completion.

use super::config::{Config, dominates};
use super::openings::Openings;
use super::uses::UseTable;

/// Only layers up to this width are searched for dominated configurations: it takes pairs.
const DOMINANCE_WIDTH_MAX: usize = 1 << 11;
/// Configurations without duplicates.
pub(super) struct Layer<const N: usize> {
    pub configs: Vec<Config<N>>,
    /// Empty, or an open-addressing table of indices into `configs`, counted from 1.
    slots: Vec<u32>,
}

impl<const N: usize> Layer<N> {
    pub fn new() -> Self {
        Layer {
            configs: Vec::new(),
            slots: Vec::new(),
        }
    }

    pub fn clear(&mut self) {
        self.configs.clear();
        self.slots.clear();
    }

    /// The configurations, to be changed; they must stay different from each other.
    pub fn change(&mut self) -> &mut Vec<Config<N>> {
        self.slots.clear();
        &mut self.configs
    }

    /// Adds a configuration, or replaces its equal if that cost more.
    pub fn add(&mut self, config: Config<N>) {
        const SMALL: usize = 12;
        if self.slots.is_empty() {
            if self.configs.len() < SMALL {
                match self.configs.iter_mut().find(|same| same.same(&config)) {
                    Some(same) if config.cost < same.cost => *same = config,
                    Some(_) => {}
                    None => self.configs.push(config),
                }
                return;
            }
            self.rehash((self.configs.len() * 4).next_power_of_two());
        }
        if self.configs.len() * 2 >= self.slots.len() {
            self.rehash(self.slots.len() * 2);
        }
        let mask = self.slots.len() - 1;
        let mut at = config.hash() as usize & mask;
        while self.slots[at] != 0 {
            let same = &mut self.configs[self.slots[at] as usize - 1];
            if same.same(&config) {
                if config.cost < same.cost {
                    *same = config;
                }
                return;
            }
            at = (at + 1) & mask;
        }
        self.configs.push(config);
        self.slots[at] = self.configs.len() as u32;
    }

    pub fn bytes(&self) -> usize {
        self.configs.capacity() * size_of::<Config<N>>() + self.slots.capacity() * 4
    }

    fn rehash(&mut self, size: usize) {
        self.slots.clear();
        self.slots.resize(size, 0);
        for (position, config) in self.configs.iter().enumerate() {
            let mut at = config.hash() as usize & (size - 1);
            while self.slots[at] != 0 {
                at = (at + 1) & (size - 1);
            }
            self.slots[at] = position as u32 + 1;
        }
    }

    /// Lets configurations that have become equal be one; `spare` is memory.
    pub fn merge(&mut self, spare: &mut Layer<N>) {
        if self.configs.len() < 2 {
            return;
        }
        spare.clear();
        for config in &self.configs {
            spare.add(*config);
        }
        std::mem::swap(self, spare);
    }

    /// Leaves away what is dominated (reduction 6), and what is beyond the width. Whether nothing else was left away.
    pub fn thin(&mut self, width: usize, now: &Openings<'_, N>, uses: &UseTable) -> bool {
        let count = self.configs.len();
        if count < 2 || (count > DOMINANCE_WIDTH_MAX && count <= width) {
            return true;
        }
        let mut exact = true;
        let mut scored: Vec<(i32, u32, Config<N>)> = (self.configs.iter())
            .map(|config| (config.score(now), config.state, *config))
            .collect();
        scored.sort_by_key(|(score, state, _)| (*score, *state));
        if count > DOMINANCE_WIDTH_MAX {
            exact = false;
            scored.truncate(width.max(DOMINANCE_WIDTH_MAX));
        }
        let pairs = scored.len() <= DOMINANCE_WIDTH_MAX;
        let configs = self.change();
        configs.clear();
        for (_, _, config) in scored {
            // What dominates has no higher score.
            if pairs && configs.iter().any(|kept| dominates(kept, &config, now, uses)) {
                continue;
            }
            if configs.len() == width {
                exact = false;
                break;
            }
            configs.push(config);
        }
        exact
    }
}
