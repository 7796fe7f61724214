//! What the two halves of a fault that ends connections say to each other: [`Order`] and [`Ended`], [`Question`] and its answers,
//! [`RulesSeen`] as the answer to a look, [`Closed`] as that to healing.

use duress_cluster::Place;
use serde::{Deserialize, Serialize};

use crate::agent::tcp::Connection;

/// What to do: first the one, then the other. The two ends of a connection may be on machines of their own, so an order for each end is
/// sent by itself. Answer: those of `abort` that were there, a list of [`Ended`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Order {
    /// Where it is kept from connections that their other ends are gone.
    pub spare: Vec<At>,
    /// Where they are aborted.
    pub abort: Vec<At>,
}

/// Connections with one of their ends at a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct At {
    /// The node.
    pub place: Place,
    /// The connections.
    pub connections: Vec<Ended>,
}

/// A connection that was established at both ends, and is aborted at one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The node where it is aborted.
    pub forgot: String,
    /// As it was there.
    pub there: Connection,
    /// The node at the other end.
    pub kept: String,
    /// As it is there.
    pub here: Connection,
}

/// What the controller's half wants to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Which connections are established. Answer: a list of [`Established`].
    Established {
        /// Where to look.
        places: Vec<Place>,
    },
    /// At which of these places there are rules of a fault. Answer: a list of sentences, none if nothing is left.
    Left {
        /// Its number.
        fault: u64,
        /// Where to look.
        places: Vec<Place>,
    },
}

/// The connections of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Established {
    /// The node.
    pub node: String,
    /// Its ends of them.
    pub connections: Vec<Connection>,
}

/// What is there of the rules at a keeping node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesSeen {
    /// The node.
    pub node: String,
    /// What is not there, in words.
    pub missing: Vec<String>,
    /// Segments with RST that were kept from it.
    pub dropped: u64,
}

/// What was undone at a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The node.
    pub node: String,
    /// Segments with RST that were kept from it.
    pub dropped: u64,
    /// Connections that were half-open still, and were ended at this end, too.
    pub connections: usize,
}
