//! What the two halves of a fault of a disk say to each other.

use duress_cluster::Place;
use serde::{Deserialize, Serialize};

use crate::layer::call::{Call, Counts, Rule};

/// What to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// To the calls of all of these.
    pub places: Vec<Place>,
    /// The same for all, but for what is drawn.
    pub rule: Rule,
}

/// What the controller's half wants to know: what becomes of the agent's own calls of these kinds, in data directories.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Question {
    /// Of these nodes.
    pub nodes: Vec<Place>,
    /// Which calls.
    pub calls: Vec<Call>,
    /// How often each.
    pub times: u32,
}

/// What the layer of a node has met of a fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeCounts {
    /// The node.
    pub node: String,
    /// `None`: there is no rule of that fault.
    pub counts: Option<Counts>,
}

/// What became of the agent's own calls in a data directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeSamples {
    /// The node.
    pub node: String,
    /// One for each call.
    pub samples: Vec<Sample>,
}

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Which.
    pub call: Call,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// How it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
}
