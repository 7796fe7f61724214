//! What healing from a journal did.

use serde::Serialize;

/// What [`heal_from_journal`](super::heal_from_journal) did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HealReport {
    /// Sentences, one for each thing that was healed or needed no healing.
    pub done: Vec<String>,
    /// Sentences, one for each thing that may still be broken.
    pub failed: Vec<String>,
    /// Why the run was left alone: it lives.
    pub spared: Option<String>,
}
