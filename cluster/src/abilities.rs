//! What some clusters can do beside what every [`Cluster`](crate::Cluster) can. Each is asked for by a method there, which
//! gives `None` where the cluster can't.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use tokio::io::DuplexStream;
use tokio::task::AbortHandle;

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

/// Programs of a client can be run inside the cluster, in services that are no nodes.
#[async_trait]
pub trait ServicePrograms: Send + Sync {
    /// Fails unless this service runs.
    async fn check_service(&self, service: &str) -> Result<(), ClusterError>;

    /// Whether programs there reach this node by its name. A replica has none that holds everywhere.
    fn knows(&self, node: &str) -> bool;

    /// Starts a program there, with these variables beside those of the service, in its working directory. Must be called
    /// on the runtime that the cluster was deployed on: the program ends with it.
    async fn start_program(
        &self,
        service: &str,
        argv: &[String],
        env: &BTreeMap<String, String>,
    ) -> Result<ServiceProgram, ClusterError>;
}

/// A program that runs in a service. The end of its input is its end, and of all in its process group; so is dropping
/// `connection`, and the end of the controller.
pub struct ServiceProgram {
    /// Its standard input.
    pub input: DuplexStream,
    /// Its standard output.
    pub output: DuplexStream,
    /// Its standard error, and at the end of it a line that says how the program ended: [`PROGRAM_ENDED`] and an exit
    /// status, as a shell counts. Who reads the output has to read this, too: they come by one connection.
    pub errors: DuplexStream,
    /// What carries all three.
    pub connection: Connection,
}

/// How the last line begins that a [`ServiceProgram`] has on its standard error.
pub const PROGRAM_ENDED: &str = "duress: the program ended with exit status: ";

/// A connection that is open until this is dropped.
pub struct Connection(pub(crate) [AbortHandle; 2]);

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Connection")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}
