//! Layers of a pass that are kept to go back to.

use super::config::Config;

/// A layer that was kept.
pub(super) struct Checkpoint<const N: usize> {
    /// The event that comes next.
    pub event: usize,
    /// How many operations had completed.
    pub layers: usize,
    /// Nothing possible had been left away.
    pub exact: bool,
    /// Positions of what was open.
    pub open: Vec<u32>,
    pub configs: Vec<Config<N>>,
}

/// The layers that were kept, in order.
pub(super) struct Checkpoints<const N: usize> {
    kept: Vec<Checkpoint<N>>,
    layers_between: usize,
}

impl<const N: usize> Checkpoints<N> {
    pub fn new(layers_between: usize) -> Self {
        Checkpoints {
            kept: Vec::new(),
            layers_between,
        }
    }

    /// Whether it is time to keep one, after so many layers.
    pub fn due(&self, layers: usize) -> bool {
        let last = self.kept.last();
        last.is_none_or(|last| layers - last.layers >= self.layers_between)
    }

    pub fn keep(&mut self, checkpoint: Checkpoint<N>) {
        self.kept.push(checkpoint);
    }

    /// The last one at or before so many layers.
    pub fn before(&self, layers: usize) -> Option<&Checkpoint<N>> {
        self.kept.iter().rfind(|checkpoint| checkpoint.layers <= layers)
    }

    /// The same, or the first of all; those after it are forgotten.
    pub fn back(&mut self, layers: usize) -> Option<&Checkpoint<N>> {
        let keep = self
            .kept
            .partition_point(|checkpoint| checkpoint.layers <= layers);
        self.kept.truncate(keep.max(1));
        self.kept.last()
    }

    /// All configurations that are kept.
    pub fn configs(&mut self) -> impl Iterator<Item = &mut Config<N>> {
        self.kept
            .iter_mut()
            .flat_map(|checkpoint| &mut checkpoint.configs)
    }

    /// About how much memory they take.
    pub fn bytes(&self) -> usize {
        let each = self
            .kept
            .iter()
            .map(|kept| kept.configs.capacity() * size_of::<Config<N>>() + kept.open.capacity() * 4 + 64);
        each.sum()
    }
}
