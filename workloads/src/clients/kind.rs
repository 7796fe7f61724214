//! What each client says of itself before it is made: what it can be asked, and how.

use std::net::IpAddr;
use std::time::Duration;

use duress_http::RequestError;
use serde::{Deserialize, Serialize};

use crate::generator::CatalogueEntry;
use crate::op::Operation;
use crate::service::Service;
use crate::workload::catalogue;

/// How a client reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadMode {
    /// The leader confirms with a majority that it still leads.
    #[default]
    Linearizable,
    /// The leader trusts its lease.
    Lease,
    /// Any node answers from its own state. Stale by design. etcd calls it serializable.
    #[serde(alias = "serializable")]
    Local,
}

impl ReadMode {
    /// As specs have it.
    pub fn as_str(self) -> &'static str {
        match self {
            ReadMode::Linearizable => "linearizable",
            ReadMode::Lease => "lease",
            ReadMode::Local => "local",
        }
    }
}

/// What a client is told when it is made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The address that requests come from.
    pub from: Option<IpAddr>,
    /// How to read.
    pub read: ReadMode,
    /// For how long locks are lent. `None`: the workload has no locks.
    pub lease: Option<Duration>,
    /// Whether each write of a register looks at all keys first.
    pub long_writes: bool,
    /// The longest body of an answer, in bytes. A longer one proves nothing.
    pub body_max: usize,
}

/// A client, before it is made.
#[derive(Clone, Copy, Debug)]
pub struct ClientKind {
    /// As in `system.toml`.
    pub name: &'static str,
    /// What it can be asked. It must refuse whatever else is asked.
    pub operations: &'static [Operation],
    /// How it can read.
    pub reads: &'static [ReadMode],
    /// Whether it reads what a single member holds; see [`Service::content`].
    pub reads_members: bool,
    /// Makes one. It is shared by all processes.
    pub make: fn(Options) -> Result<Box<dyn Service>, RequestError>,
}

impl ClientKind {
    /// What a workload asks that this client does not carry.
    pub fn lacks(&self, workload: &CatalogueEntry) -> Option<Operation> {
        let mut asked = workload.operations.iter();
        asked
            .find(|operation| !self.operations.contains(operation))
            .copied()
    }

    /// The workloads that it carries.
    pub fn workloads(&self) -> Vec<&'static str> {
        let carried = catalogue()
            .into_iter()
            .filter(|workload| self.lacks(workload).is_none());
        carried.map(|workload| workload.name).collect()
    }
}
