//! Hosts that exist, reached by SSH: each is a node, whose program runs there as it would in a sandbox here.
//!
//! ```text
//! controller ── SSH ── host 1: duress agent         breaks and heals there
//!            │                 duress sandbox n1    the keeper of the node: its own PID, mount and UTS namespaces ── the program
//!            └─ SSH ── host 2: …
//! ```
//!
//! A node has the network of its host, addresses and packet filter included; its processes are apart from all others of the host.
//!
//! - [`SshHosts`] says which hosts, and how to log in to them. `address` reads `user@host:port`, `config` an OpenSSH client's.
//! - [`Remote`] is all that is asked of an SSH client: run a command, upload a file, hold a channel. `session` and `pump` do it with
//!   libssh2, a thread a host; nothing else knows it. A `connection` that broke is made again when something is asked of it, a
//!   `pool` has several.
//! - `units` speaks for nodes that systemd starts and stops, as a [`crate::Cluster`], too.
//! - `program` brings this very program to a host, once for each build. `cluster` speaks for the hosts as a [`crate::Cluster`].
//!
//! **What is broken over there does not outlive the connection.** An agent heals everything and ends when its input does, and also when it
//! hears nothing for [`SILENCE_MAX`]. A node has nothing to do with who breaks it: its keeper waits for another connection, and ends the node
//! when it has heard nothing for as long.

mod address;
mod channel;
mod cluster;
mod config;
mod connection;
mod files;
mod keeper;
mod known;
mod login;
mod machines;
mod one;
mod plain;
mod pool;
mod program;
mod pump;
mod remote;
mod running;
mod session;
mod shell;
mod unit;
mod units;
mod upload;

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

use crate::ClusterError;

pub use address::HostAddress;
pub use cluster::SshCluster;
pub use machines::{MachinePlace, Machines, SshConfig};
pub use one::OneHost;
pub(crate) use plain::PlainHost;
pub use remote::{Host, Remote, RemoteChannel, RemoteEnd};
pub use running::RunningHosts;
pub use units::UnitCluster;

/// An agent or a keeper on a host that has heard nothing from its controller for this long takes it for dead, heals and ends. Longer than
/// the controller waits for an answer.
pub const SILENCE_MAX: Duration = Duration::from_secs(15);

/// A cluster on hosts, with an agent on each.
#[async_trait]
pub trait OnHosts: Send + Sync {
    /// The hosts.
    fn machines(&self) -> &Machines;

    /// After the connection to a machine broke: returns when there is another, and the node there has lived on. The error says why that can't
    /// be.
    async fn until_up(&self, machine: u32) -> Result<(), ClusterError>;
}

/// Which hosts, and how to log in to them. What is not said here is looked up in the configuration of the OpenSSH client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshHosts {
    /// A node each, in order.
    pub hosts: Vec<HostAddress>,
    /// A private key.
    pub identity: Option<PathBuf>,
    /// The password, also of the private key.
    pub password: Option<String>,
    /// The host to go through.
    pub jump: Option<HostAddress>,
    /// The client's configuration; `None`: `~/.ssh/config`, if there is one.
    pub config: Option<PathBuf>,
    /// Keys of hosts that are known; `None`: `~/.ssh/known_hosts` and `/etc/ssh/ssh_known_hosts`.
    pub known_hosts: Option<PathBuf>,
    /// True: any host is taken for the one that is meant.
    pub any_host_key: bool,
}
