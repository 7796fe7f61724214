//! What some clusters can do beside what every [`Cluster`](crate::Cluster) can. Each is asked for by a method there, which
//! gives `None` where the cluster can't.

use async_trait::async_trait;

use crate::logs::{FileEnd, LogFile};
use crate::{ClusterError, Node};

/// Nodes may come back at another address than they had.
#[async_trait]
pub trait NodeAddresses: Send + Sync {
    /// The node with its addresses of now. Fails where it has none, as while it does not run.
    async fn current(&self, node: &str) -> Result<Node, ClusterError>;
}

/// A node can be given another image, e.g. another version of the system.
#[async_trait]
pub trait ReplaceImage: Send + Sync {
    /// Stops a node and starts it again from another image, on the same data. Returns when it runs, not when it is ready.
    /// The image must be on the machine already.
    async fn replace_image(&self, node: &str, image: &str) -> Result<(), ClusterError>;
}

/// Files in nodes can be read, whether or not their programs run.
#[async_trait]
pub trait NodeFiles: Send + Sync {
    /// The last `bytes_max` bytes of a regular file. Links are not followed out of the node.
    async fn read_end(&self, node: &str, file: &LogFile, bytes_max: u64) -> Result<FileEnd, ClusterError>;
}
