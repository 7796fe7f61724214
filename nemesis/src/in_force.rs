//! What is needed to heal a fault, as plain data.
//!
//! The agent remembers an [`InForce`] for each fault before it touches anything; the journal tells the same of a run that is
//! dead. Either is healed by [`crate::heal::heal`].

use serde_json::Value;

use crate::agent::protocol::Identity;

/// A fault that is, or may be, in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Name of its kind.
    pub kind: String,
    /// Where it acts.
    pub nodes: Vec<Identity>,
    /// What its kind wrote down of what it did, at all nodes: its own data. `None`: it was cut off before it could say.
    pub held: Option<Value>,
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

    /// With what it takes to heal it, where that is known already. Null: it is not.
    pub fn with(self, held: Value) -> Self {
        InForce {
            held: Some(held).filter(|held| !held.is_null()),
            ..self
        }
    }
}
