//! What is needed to heal a fault, as plain data.
//!
//! The agent remembers an [`InForce`] for each fault before it touches anything; the journal tells the same of a run that is
//! dead. Either is healed by [`crate::heal::heal`].

use crate::agent::protocol::{Identity, Process};

/// A fault that is, or may be, in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Name of its kind.
    pub kind: String,
    /// Where it acts.
    pub nodes: Vec<Identity>,
    /// All processes that it stopped, at all nodes. `None`: it was cut off while it stopped them.
    pub held: Option<Vec<Process>>,
}

impl InForce {
    /// Before anything is touched.
    pub fn new(kind: String, nodes: Vec<Identity>) -> Self {
        InForce {
            kind,
            nodes,
            held: None,
        }
    }
}
