//! The clients that there are: `client = "…"` of a `system.toml` names one.

use std::net::IpAddr;
use std::time::Duration;

use duress_http::Trouble;

use crate::etcd::Etcd;
use crate::service::Service;
use crate::specimen::{ReadMode, Specimen};
use crate::{CatalogueEntry, Operation, catalogue};

/// What a client is told when it is made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The address that requests come from.
    pub from: Option<IpAddr>,
    /// How to read.
    pub read: ReadMode,
    /// For how long locks are lent.
    pub lease: Duration,
    /// Whether each write of a register looks at all keys first.
    pub long_writes: bool,
    /// The longest body of an answer, in bytes.
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
    /// Makes one. It is shared by all processes.
    pub make: fn(Options) -> Result<Box<dyn Service>, Trouble>,
}

/// Every client.
pub static TABLE: [ClientKind; 2] = [SPECIMEN, ETCD];

const SPECIMEN: ClientKind = ClientKind {
    name: "specimen",
    operations: &[
        Operation::on_key("read"),
        Operation::on_key("write"),
        Operation::on_key("cas"),
    ],
    reads: &[ReadMode::Linearizable, ReadMode::Lease, ReadMode::Local],
    make: |options| {
        Ok(Box::new(Specimen::new(
            options.from,
            options.read,
            options.body_max,
        )?))
    },
};

const ETCD: ClientKind = ClientKind {
    name: "etcd",
    operations: &[
        Operation::on_key("read"),
        Operation::on_key("write"),
        Operation::on_key("cas"),
        Operation::on_key("append"),
        Operation::on_all("add"),
        Operation::on_all("read"),
        Operation::on_key("acquire"),
        Operation::on_key("hold"),
        Operation::on_key("release"),
    ],
    reads: &[ReadMode::Linearizable, ReadMode::Local],
    make: |options| {
        let Options {
            from,
            read,
            lease,
            long_writes,
            body_max,
        } = options;
        let client = Etcd::new(from, read, lease, body_max)?;
        Ok(Box::new(client.with_long_writes(long_writes)))
    },
};

/// The client of this name. The error names those that there are.
pub fn named(name: &str) -> Result<&'static ClientKind, String> {
    TABLE.iter().find(|client| client.name == name).ok_or_else(|| {
        let known: Vec<&str> = TABLE.iter().map(|client| client.name).collect();
        format!("no client {name:?}; there are {}", known.join(", "))
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_carries_what_it_says() {
        let carried = |name| named(name).map(ClientKind::workloads);
        assert_eq!(carried("specimen"), Ok(vec!["register"]));
        assert_eq!(carried("etcd"), Ok(vec!["register", "set", "append", "lock"]));
        let error = carried("oracle").unwrap_err();
        assert_eq!(error, "no client \"oracle\"; there are specimen, etcd");
    }
}
