//! Where nodes take clients' requests.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Where a node takes clients' requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The node's name.
    pub node: String,
    /// Address and port.
    pub address: SocketAddr,
}

impl Endpoint {
    /// Whether others mean it by this: its name, or its IP address.
    pub fn is_called(&self, name: &str) -> bool {
        self.node == name || name.parse() == Ok(self.address.ip())
    }
}

/// The endpoints of all nodes, as of now. Asked for each attempt: a node that was started again may be elsewhere.
pub trait Endpoints: Send + Sync {
    /// How many nodes there are. At least 1.
    fn count(&self) -> usize;

    /// Where this node, from 0, takes requests as far as is known now. Must not wait.
    fn endpoint(&self, node: usize) -> Arc<Endpoint>;

    /// An attempt there brought no answer, so the node may have moved. Must not wait: a look-up goes on in the background.
    fn doubt(&self, node: usize);
}

/// Nodes that never move.
impl Endpoints for Vec<Arc<Endpoint>> {
    fn count(&self) -> usize {
        self.len()
    }

    fn endpoint(&self, node: usize) -> Arc<Endpoint> {
        self[node].clone()
    }

    fn doubt(&self, _node: usize) {}
}
