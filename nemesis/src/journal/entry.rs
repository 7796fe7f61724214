//! What the lines of a journal say.

use std::path::PathBuf;

use duress_cluster::Controller;
use serde::{Deserialize, Serialize};

use crate::agent::protocol::{Identity, Mark, Process};

/// Version of the journal's format. Lines of version 1 had no seals.
pub const JOURNAL_FORMAT: u32 = 2;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Entry {
    /// First line.
    Run(RunEntry),
    /// A fault is about to be injected.
    Open {
        /// Its number.
        fault: u64,
        /// Name of its kind.
        kind: String,
        /// Where it will act.
        nodes: Vec<Identity>,
    },
    /// These processes were stopped.
    Held {
        /// The fault's number.
        fault: u64,
        /// All that it holds.
        processes: Vec<Process>,
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
}
