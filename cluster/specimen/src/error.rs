//! Why a node cannot start or go on.

use std::io;
use std::path::PathBuf;

/// Why a node cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum SpecimenError {
    /// The data directory cannot be made.
    #[error("create data directory {}: {source}; choose another with --data", path.display())]
    Directory {
        /// Where it was to be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file in the data directory cannot be opened.
    #[error("open {}: {source}", path.display())]
    Open {
        /// The path or address.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Neither copy of what the node has voted can be read.
    #[error(
        "find out how it has voted: {} and its copy are damaged, and a node that votes twice in a term can bring about two leaders; \
         remove the node from the cluster, and add it again with an empty --data",
        path.display()
    )]
    VoteLost {
        /// One of the two.
        path: PathBuf,
    },
    /// The data directory belongs to another node.
    #[error("use data directory {}: it belongs to node {owner}; choose another with --data", path.display())]
    ForeignData {
        /// The path or address.
        path: PathBuf,
        /// Whose.
        owner: String,
    },
    /// The node is not among its peers.
    #[error("number node {name}: it is not among the peers; add --peer {name}=ADDRESS")]
    NotAPeer {
        /// Its name.
        name: String,
    },
    /// A peer is listed twice.
    #[error("number peer {name}: it is listed twice; give each --peer once")]
    DoublePeer {
        /// Its name.
        name: String,
    },
    /// Heartbeat and election timeouts contradict each other.
    #[error("set timeouts: {0}; --heartbeat-ms must be below --election-ms")]
    Timing(String),
    /// The address cannot be listened on.
    #[error("listen on {address}: {source}; choose another with --listen")]
    Listen {
        /// The path or address.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// The HTTP client for peers cannot be made.
    #[error("make the client for peers: {0}")]
    Http(#[source] reqwest::Error),
    /// Signals cannot be waited for.
    #[error("wait for signals: {0}")]
    Signal(#[source] io::Error),
    /// The consensus stopped by itself.
    #[error("keep the consensus running: {0}")]
    Consensus(String),
}
