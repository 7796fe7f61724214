//! Where nodes live: brings clusters up, tells where they are, runs things in them, takes them down.
//!
//! Knows nothing of faults or operations. Three kinds behind one trait, [`Cluster`]: `local` (Linux namespaces, no
//! daemon, the embedded default), `compose` (Docker Compose) and `ssh` (hosts that exist).

mod abilities;
pub mod clock_offset;
pub mod compose;
pub mod controller;
pub mod doctor;
mod exec;
mod files;
mod folder;
mod http;
pub mod key;
mod limits;
pub mod local;
mod logs;
pub mod procfs;
mod program;
mod readiness;
pub mod ssh;
mod status;
mod systems;
mod tools;

pub use abilities::{
    Connection, NodeAddresses, NodeFiles, PROGRAM_ENDED, ReplaceImage, ServiceProgram, ServicePrograms,
};
pub use controller::Controller;
pub use exec::{Ended, run_in};
pub use key::{Key, KeyError};
pub use limits::raise_open_files;
pub use logs::{FileEnd, LogFile, LogPath, collect_logs};
pub use program::{NodeProgram, TemplateValues};
pub use readiness::{Readiness, bring_up, try_ready, wait_ready};
pub use status::{
    Answer, AskStatus, Facts, Method, NodeStatus, Pointer, Role, Roles, StatusAsk, StatusProbe, StatusRequest,
};
pub use systems::{ComposeSystem, Durability, System, Versions};

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// One member of a cluster, as long as the cluster lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// `n1`, `n2`… or the name of the service in a compose file. Unique in the cluster.
    pub name: String,
    /// Fixed for the life of the cluster, unless it has [`NodeAddresses`].
    pub ipv4: Ipv4Addr,
    /// The same.
    pub ipv6: Option<Ipv6Addr>,
    /// Where its ports are reached from here, if that is not at its address: those that a container publishes on another machine. May change
    /// with every start.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub published: BTreeMap<u16, SocketAddr>,
}

impl Node {
    /// One that is reached at its addresses.
    pub fn new(name: impl Into<String>, ipv4: Ipv4Addr, ipv6: Option<Ipv6Addr>) -> Node {
        Node {
            name: name.into(),
            ipv4,
            ipv6,
            published: BTreeMap::new(),
        }
    }

    /// Where one of its ports is reached from here.
    pub fn at(&self, port: u16) -> SocketAddr {
        let published = self.published.get(&port).copied();
        published.unwrap_or_else(|| SocketAddr::new(self.ipv4.into(), port))
    }
}

/// Where a node is at this moment. In a container it changes with every restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The node's name.
    pub name: String,
    /// A process, as numbered where the agent runs, that lives in the node's network, mount, PID and UTS namespaces as
    /// long as they do. The agent enters the node through `/proc/PID/ns/*`.
    pub pid: u32,
    /// True where `pid` is Duress' own init of a sandbox: kills, pauses and clocks must spare it. False where it is
    /// the node's own program.
    pub keeper: bool,
    /// Every address that others reach it by.
    pub addresses: Vec<IpAddr>,
    /// The node's data directory, as seen where the agent runs.
    pub data: Option<PathBuf>,
    /// The control group that the node's processes are in, where that and nothing else tells them from others: a unit of systemd, on a host.
    /// As in `/proc/PID/cgroup`, e.g. `/system.slice/etcd.service`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Which machine it lives on, where a cluster has several: hosts have numbers from 1, and a node there has the network of its host.
    /// 0: the one that there is.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub machine: u32,
}

/// Whether to leave a number out.
pub fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Whether a node's program runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ProgramState {
    /// It was started and has not ended.
    Running,
    /// It ended, or was never started.
    Stopped {
        /// How, e.g. `exit status 1`, `signal 9`.
        how: String,
    },
}

/// A deployed cluster. Dropping it takes it down as well as a drop can; [`Cluster::down`] does it in order.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// `local`, `compose` or `ssh`.
    fn kind(&self) -> &'static str;

    /// All nodes, in the order of the spec.
    fn nodes(&self) -> &[Node];

    /// The addresses that clients' requests come from: what is cut when clients are cut from a node.
    fn client_addresses(&self) -> Vec<IpAddr>;

    /// The addresses that the harness looks at nodes from. Never cut by a fault, and never one of the clients'.
    /// `None` where the two can't be told apart.
    fn observer_addresses(&self) -> Option<Vec<IpAddr>>;

    /// Tells where nodes are now, where their addresses may change.
    fn node_addresses(&self) -> Option<&dyn NodeAddresses> {
        None
    }

    /// Gives nodes other images, where they have images.
    fn images(&self) -> Option<&dyn ReplaceImage> {
        None
    }

    /// Reads files in nodes.
    fn node_files(&self) -> Option<&dyn NodeFiles> {
        None
    }

    /// Runs programs in services that are no nodes.
    fn service_programs(&self) -> Option<&dyn ServicePrograms> {
        None
    }

    /// Where the node is now.
    async fn place(&self, node: &str) -> Result<Place, ClusterError>;

    /// Starts the node's program if it doesn't run. Returns when it runs, not when it is ready.
    async fn start(&self, node: &str) -> Result<(), ClusterError>;

    /// Whether the node's program runs.
    async fn state(&self, node: &str) -> Result<ProgramState, ClusterError>;

    /// The last lines that the node's program wrote, for error messages.
    async fn log_tail(&self, node: &str, lines_max: usize) -> String;

    /// Ends every process of the cluster and removes all that was made for it, except logs and data directories.
    async fn down(&self) -> Result<(), ClusterError>;
}

/// Why a cluster could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// No node has that name.
    #[error("no node {name:?}; there are {known}")]
    UnknownNode {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// The host can't do it.
    #[error("{what}: {why}")]
    Unsupported {
        /// What was tried.
        what: String,
        /// Why it can't be done here, and what to do.
        why: String,
    },
    /// This machine has no descriptor, memory or port left. Says nothing of the node.
    #[error("{what}: {why}")]
    Local {
        /// What was tried.
        what: String,
        /// What there is none of, and what to do.
        why: String,
    },
    /// What was asked makes no sense.
    #[error("{what}: {why}")]
    Invalid {
        /// The name, value or argument that is wrong.
        what: String,
        /// Why, and what would be right.
        why: String,
    },
    /// A part of the cluster did not do what it was asked within the time it has for it.
    #[error("{what}: nothing after {limit_ms} ms{detail}")]
    Timeout {
        /// What was waited for, on which node.
        what: String,
        /// How long.
        limit_ms: u64,
        /// What is known about the reason, e.g. the last lines of a log; starts with `: ` when there is any.
        detail: String,
    },
    /// A call to the operating system or a helper program failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, on which node, file or interface.
        what: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}
