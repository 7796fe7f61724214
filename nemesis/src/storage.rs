//! What is put under the data directories of nodes before they start, so that faults can be done to their disks.
//!
//! A kind of fault says what it needs ([`crate::kinds::Kind::storage`]). What the kinds of a run need together is put in place by the
//! agent, before any node's program runs; where none needs anything, nothing is. Several lie on top of each other, each over the same
//! directory, and what a node sees is the uppermost:
//!
//! ```text
//! nodes/n1/data   what the node sees
//!   layer         ours, by FUSE: passes calls on, or does something to them
//!   file system   of its own, on a file
//!   the folder    of the run
//! ```
//!
//! The journal has it before anything is touched. It is removed by the agent at the end of its input, and by `duress heal`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Something that lies under a data directory. Their order is that in which they are put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// A file system of its own, that can be cut off from its disk.
    FileSystem,
    /// A file system of ours, which passes on every call: see [`crate::layer`].
    Layer,
}

/// What lies under the data directory of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStorage {
    /// The node.
    pub node: String,
    /// Its data directory, as named on the machine where it lives, without links in it.
    pub directory: PathBuf,
    /// What lies there, the lowest first.
    pub under: Vec<Storage>,
    /// The machine that it is on, as in [`duress_cluster::Place`].
    #[serde(default, skip_serializing_if = "duress_cluster::is_zero")]
    pub machine: u32,
}

/// What all of these together take, the lowest first.
pub fn together(needs: impl IntoIterator<Item = Storage>) -> Vec<Storage> {
    let mut all: Vec<Storage> = needs.into_iter().collect();
    all.sort_unstable();
    all.dedup();
    all
}
