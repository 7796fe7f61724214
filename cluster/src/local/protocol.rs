//! What the controller and the init of a sandbox say to each other: one JSON object a line.
//!
//! ```text
//! ◀ {"up":{"pid":4711}}
//! ▶ {"network":{"lines":"addr add 10.77.0.11/24 dev eth0\n…","hosts":"/runs/1/nodes/n1/hosts"}}
//! ◀ "networked"
//! ▶ {"start":{"id":1,"argv":["etcd","--name","n1"],"env":{},"directory":"/runs/1/nodes/n1/data","log":"…/log"}}
//! ◀ {"started":{"id":1}}
//! ◀ {"exited":{"how":"signal 9"}}
//! ▶ {"stop":{"grace_ms":500}}
//! ```
//!
//! The end of the controller's side is the order to die; on a host, where it may be the connection that broke, `"end"` is. See
//! [`super::on_host`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// From the controller.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    /// The cable is plugged in: give `eth0` its addresses. Done once.
    Network { lines: String, hosts: PathBuf },
    /// Start the program unless it runs.
    Start(StartOrder),
    /// End the program: politely, then by force.
    Stop { grace_ms: u64 },
    /// Nothing but that the controller lives. On a host, where the end of it may not be seen.
    Alive,
    /// Die. On a host.
    End,
}

/// How to start the node's program.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StartOrder {
    /// Comes back with the answer.
    pub id: u64,
    pub argv: Vec<String>,
    /// On top of the controller's own.
    pub env: BTreeMap<String, String>,
    /// The program's working directory.
    pub directory: PathBuf,
    /// Gets what it writes, after what is there.
    pub log: PathBuf,
    /// The soft limit of open files; absent: the controller's.
    #[serde(default)]
    pub open_files: Option<u64>,
}

/// From the init of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Event {
    /// The namespaces are there. `pid` is the init's as the controller sees it.
    Up { pid: u32 },
    /// The node has its addresses.
    Networked,
    /// The program runs, now or already.
    Started { id: u64 },
    /// The program could not be started.
    Refused { id: u64, why: String },
    /// The program has ended, and everything it started with it.
    Exited { how: String },
    /// The sandbox could not be set up; it ends.
    Failed { what: String },
    /// What counts of all that was said: the first thing on a connection that was made again.
    Again(Vec<Event>),
}
