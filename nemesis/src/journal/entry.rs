//! What the lines of a journal say.

use std::path::PathBuf;

use duress_cluster::Controller;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::protocol::{Identity, Mark};
use crate::storage::NodeStorage;

/// Version of the journal's format. Lines of version 1 had no seals.
pub const JOURNAL_FORMAT: u32 = 2;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Entry {
    /// First line.
    Run(RunEntry),
    /// This is about to be put under data directories.
    Storage {
        /// Where, and what.
        nodes: Vec<NodeStorage>,
    },
    /// Nothing of that is left.
    StorageRemoved,
    /// A fault is about to be injected.
    Open {
        /// Its number.
        fault: u64,
        /// Name of its kind.
        kind: String,
        /// Where it will act.
        nodes: Vec<Identity>,
    },
    /// What was done, as its kind wrote it down.
    Held {
        /// The fault's number.
        fault: u64,
        /// For the kind to read: what it takes to heal, beside the nodes.
        #[serde(alias = "processes")]
        data: Value,
    },
    /// A node came back elsewhere, and the fault was put in force there.
    Moved {
        /// The fault's number.
        fault: u64,
        /// Where the node is now.
        node: Identity,
    },
    /// Nothing of the fault is left.
    Closed {
        /// Its number.
        fault: u64,
    },
}

/// Whose journal it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEntry {
    /// [`JOURNAL_FORMAT`] of its writer.
    pub format: u32,
    /// Tells the run from all others.
    pub id: String,
    /// The controller that drives the run.
    pub controller: Controller,
    /// Where the journal is.
    pub directory: PathBuf,
    /// What its chains in packet filters are named after.
    pub mark: Mark,
    /// Processes are only what they were within one boot.
    pub boot: String,
    /// The agent's process.
    pub agent: u32,
    /// The hosts that the nodes live on, if they live on hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostEntry>,
}

/// A host that nodes live on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostEntry {
    /// Its number, as places have it.
    pub machine: u32,
    /// As it is logged in to.
    pub host: String,
    /// Processes are only what they were within one boot.
    pub boot: String,
    /// The agent's process there.
    pub agent: u32,
}
