//! What nodes said of themselves all along, in order of time, e.g. every 100 ms:
//!
//! ```text
//! n1  leads in term 4, applied 812     n1  leads in term 4, applied 840     n1  no answer     n1  follows in term 5 …
//! ```

use std::collections::BTreeMap;

/// What one look at a node showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Nanoseconds since the run began.
    pub time: u64,
    /// Whether the node answered. If not, the rest says nothing.
    pub up: bool,
    /// Whether it said that it leads.
    pub leads: bool,
    /// Its term.
    pub term: u64,
    /// Up to which index it had applied the log.
    pub applied: u64,
}

/// What was seen of each node, in order of time.
pub type Series = BTreeMap<String, Vec<Sample>>;
