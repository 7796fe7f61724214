//! What the two halves of a partition say to each other: [`Rule`]s are the order, [`Took`] the answer to it, [`RulesSeen`] that to
//! a look, [`Dropped`] that to healing. A question is a list of points, its answer who hears whom; or, where nodes live on several machines,
//! what probes have [`Met`].

use std::net::IpAddr;

use duress_cluster::Place;
use serde::{Deserialize, Serialize};

use crate::agent::protocol::Point;

/// How long a command took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Took {
    /// In microseconds.
    pub micros: u64,
}

/// What a node is to drop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The receiving node.
    pub place: Place,
    /// Sources of the packets.
    pub drop_from: Vec<IpAddr>,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Question {
    /// Who of these hears whom? Answer: a `Reachability`.
    Points(Vec<Point>),
    /// These probes were sent: which links of theirs are meant to be cut? Answer: a list of sender and receiver.
    Met {
        /// The probes.
        met: Vec<Met>,
    },
}

/// Probes that were sent to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Met {
    /// The receiver.
    pub place: Place,
    /// The sender.
    pub from: IpAddr,
    /// How many.
    pub sent: u32,
}

/// What is there of a fault's rules at a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesSeen {
    /// The receiving node.
    pub node: String,
    /// Inode of the network namespace that the rules are in. Counters begin anew in another one.
    pub net: u64,
    /// Which parts of the rules are not there, e.g. `the jump from INPUT`.
    pub missing: Vec<String>,
    /// What was dropped, by source.
    pub dropped: Vec<DroppedFrom>,
}

/// What a rule dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedFrom {
    /// Source of the packets.
    pub from: IpAddr,
    /// Packets, by the counter of the rule.
    pub packets: u64,
    /// Packets that the agent itself sent through this link, to probe it, while the rule was in force.
    pub probes: u64,
}

/// What the rules of a fault dropped at a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The receiving node.
    pub node: String,
    /// Packets, by the counters of the rules.
    pub packets: u64,
}
