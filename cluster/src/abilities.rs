//! What some clusters can do beside what every [`Cluster`](crate::Cluster) can. Each is asked for by a method there, which
//! gives `None` where the cluster can't.

use async_trait::async_trait;

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
