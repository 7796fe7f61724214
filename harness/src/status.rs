//! How nodes are asked for their status: by HTTP, or by a program of the client `exec`, which is another than those of the load.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use duress_cluster::{AskStatus, Cluster, ClusterError, Node, StatusAsk, StatusProbe, System};
use duress_workloads::clients::{ClientKind, Options, ReadMode};
use duress_workloads::{Endpoint, RequestError, Service};
use serde_json::Value;

use crate::programs;

/// The longest status, in bytes.
const STATUS_MAX: usize = 64 << 10;

/// Asks as this system says, from `local`, if it has a status.
pub async fn probe(
    cluster: &Arc<dyn Cluster>,
    system: &System,
    kind: &ClientKind,
    local: Option<IpAddr>,
) -> Result<Option<StatusProbe>, ClusterError> {
    let Some(request) = &system.status else {
        return Ok(None);
    };
    let mut program: Option<Arc<dyn AskStatus>> = None;
    if request.ask == StatusAsk::Exec {
        let options = Options {
            from: local,
            read: ReadMode::Local,
            lease: None,
            long_writes: false,
            body_max: STATUS_MAX,
            programs: programs::of(cluster, kind).await?,
        };
        let service = (kind.make)(options).map_err(|error| ClusterError::Local {
            what: format!("make the client {}", kind.name),
            why: error.to_string(),
        })?;
        program = Some(Arc::new(ByProgram {
            service,
            port: system.port,
        }));
    }
    StatusProbe::new(request.clone(), system.port, local, program).map(Some)
}

struct ByProgram {
    service: Box<dyn Service>,
    port: u16,
}

#[async_trait]
impl AskStatus for ByProgram {
    async fn ask(&self, node: &Node) -> Result<Value, ClusterError> {
        let what = || format!("ask {} for its status", node.name);
        let endpoint = Endpoint {
            node: node.name.clone(),
            address: node.at(self.port),
        };
        self.service.status(&endpoint).await.map_err(|error| match error {
            RequestError::Local(why) => ClusterError::Local { what: what(), why },
            error => ClusterError::Io {
                what: what(),
                source: std::io::Error::other(error),
            },
        })
    }
}
