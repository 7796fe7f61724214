//! What a fault of a disk is to do, as its steps take it.

use std::collections::BTreeSet;

use crate::layer::call::{Call, Effect, Rule};

/// What is to become of which calls.
#[derive(Clone, Debug)]
pub struct Asked {
    pub calls: BTreeSet<Call>,
    pub path: Option<String>,
    pub effect: Effect,
}

impl Asked {
    /// Of this fault.
    pub fn rule(&self, fault: u64, seed: u64) -> Rule {
        Rule {
            fault,
            calls: self.calls.clone(),
            path: self.path.clone(),
            effect: self.effect.clone(),
            seed,
        }
    }
}
