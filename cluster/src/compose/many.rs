//! One cluster on engines of other machines: on one, or with its nodes spread over several.
//!
//! ```text
//! compose.yaml ─▶ engine 1: n1, n2, and all that is no node      machine 1, an agent
//!              ─▶ engine 2: n3                                   machine 2, an agent
//! ```
//!
//! Each engine has a project of the same name and mark, made of the same file, with those nodes that are to live there. Nodes know each other by
//! name: what is on other engines stands in their `/etc/hosts`. They are on a network that spans the engines ([`super::spread`]).

use std::collections::BTreeMap;
use std::net::IpAddr;

use async_trait::async_trait;
use futures_util::future::{join_all, try_join_all};

use super::cluster::ComposeCluster;
use super::config::ComposeConfig;
use super::helper::{Helper, WithHelper};
use crate::{
    Cluster, ClusterError, FileEnd, LogFile, Node, NodeAddresses, NodeFiles, Place, ProgramState,
    ReplaceImage, ServiceProgram, ServicePrograms,
};

/// A cluster with an agent on each engine.
#[async_trait]
pub trait OnEngines: Send + Sync {
    /// What the engines are called, in the order of the numbers of their machines.
    fn engine_names(&self) -> Vec<String>;

    /// Runs this program with these arguments beside the nodes on one of them, by its place in that order.
    async fn start_helper_on(&self, engine: usize, arguments: &[&str]) -> Result<Helper, ClusterError>;
}

/// A cluster on engines of other machines.
pub struct EnginesCluster {
    /// By the number of their machine, from 1.
    parts: Vec<ComposeCluster>,
    nodes: Vec<Node>,
}

impl EnginesCluster {
    /// Brings it up and waits until every node is ready. After an error nothing of it is left.
    pub async fn deploy(parts: Vec<ComposeConfig>) -> Result<Self, ClusterError> {
        let order: Vec<String> = parts
            .first()
            .map(|part| part.cluster().to_vec())
            .unwrap_or_default();
        // Nothing is made anywhere before all engines have agreed.
        let parts = try_join_all(parts.into_iter().map(ComposeCluster::plan)).await?;
        let mut cluster = EnginesCluster {
            parts,
            nodes: Vec::new(),
        };
        match cluster.up(&order).await {
            Ok(()) => Ok(cluster),
            Err(error) => {
                // What went wrong first is what the user needs to know.
                let _ = cluster.down().await;
                Err(error)
            }
        }
    }

    async fn up(&mut self, order: &[String]) -> Result<(), ClusterError> {
        self.check_apart().await?;
        // All, whatever becomes of one: what is half made can't be removed.
        let made = self.parts.iter_mut().map(|part| async {
            part.up(&["up", "--detach"]).await?;
            part.find_nodes().await
        });
        join_all(made).await.into_iter().collect::<Result<(), _>>()?;
        let known = self.parts.iter().flat_map(Cluster::nodes);
        let mut by_name: BTreeMap<&str, &Node> = known.map(|node| (node.name.as_str(), node)).collect();
        let ordered = order.iter().filter_map(|name| by_name.remove(name.as_str()));
        self.nodes = ordered.cloned().collect();
        try_join_all(self.parts.iter().map(ComposeCluster::await_ready))
            .await
            .map(drop)
    }

    /// Two addresses may lead to one engine, on which the two projects would be one.
    async fn check_apart(&self) -> Result<(), ClusterError> {
        let ids = try_join_all(self.parts.iter().map(ComposeCluster::engine_id)).await?;
        for (index, id) in ids.iter().enumerate() {
            if let Some(other) = ids[..index].iter().position(|other| other == id) {
                return Err(ClusterError::Invalid {
                    what: format!(
                        "the engines {} and {}",
                        self.parts[other].engine_name(),
                        self.parts[index].engine_name()
                    ),
                    why: "they are one and the same; name it once, with all of its nodes".to_owned(),
                });
            }
        }
        Ok(())
    }

    fn part(&self, node: &str) -> Result<&ComposeCluster, ClusterError> {
        let has = |part: &&ComposeCluster| part.nodes().iter().any(|own| own.name == node);
        self.parts.iter().find(has).ok_or_else(|| {
            let known: Vec<&str> = self.nodes.iter().map(|node| node.name.as_str()).collect();
            ClusterError::UnknownNode {
                name: node.to_owned(),
                known: known.join(", "),
            }
        })
    }
}

#[async_trait]
impl OnEngines for EnginesCluster {
    fn engine_names(&self) -> Vec<String> {
        self.parts.iter().map(ComposeCluster::engine_name).collect()
    }

    async fn start_helper_on(&self, engine: usize, arguments: &[&str]) -> Result<Helper, ClusterError> {
        self.parts[engine].start_helper(arguments).await
    }
}

#[async_trait]
impl Cluster for EnginesCluster {
    fn kind(&self) -> &'static str {
        "compose"
    }

    fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    fn client_addresses(&self) -> Vec<IpAddr> {
        let mut all: Vec<IpAddr> = self.parts.iter().flat_map(Cluster::client_addresses).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn observer_addresses(&self) -> Option<Vec<IpAddr>> {
        None
    }

    fn node_addresses(&self) -> Option<&dyn NodeAddresses> {
        Some(self)
    }

    fn images(&self) -> Option<&dyn ReplaceImage> {
        Some(self)
    }

    fn node_files(&self) -> Option<&dyn NodeFiles> {
        Some(self)
    }

    fn service_programs(&self) -> Option<&dyn ServicePrograms> {
        Some(self)
    }

    async fn place(&self, node: &str) -> Result<Place, ClusterError> {
        self.part(node)?.place(node).await
    }

    async fn start(&self, node: &str) -> Result<(), ClusterError> {
        self.part(node)?.start(node).await
    }

    async fn state(&self, node: &str) -> Result<ProgramState, ClusterError> {
        self.part(node)?.state(node).await
    }

    async fn log_tail(&self, node: &str, lines_max: usize) -> String {
        match self.part(node) {
            Ok(part) => part.log_tail(node, lines_max).await,
            Err(error) => error.to_string(),
        }
    }

    async fn down(&self) -> Result<(), ClusterError> {
        join_all(self.parts.iter().map(Cluster::down))
            .await
            .into_iter()
            .collect()
    }
}

#[async_trait]
impl NodeAddresses for EnginesCluster {
    async fn current(&self, node: &str) -> Result<Node, ClusterError> {
        self.part(node)?.current(node).await
    }
}

#[async_trait]
impl NodeFiles for EnginesCluster {
    async fn read_end(&self, node: &str, file: &LogFile, bytes_max: u64) -> Result<FileEnd, ClusterError> {
        self.part(node)?.read_end(node, file, bytes_max).await
    }
}

#[async_trait]
impl ReplaceImage for EnginesCluster {
    async fn replace_image(&self, node: &str, image: &str) -> Result<(), ClusterError> {
        self.part(node)?.replace_image(node, image).await
    }
}

/// What is no node is on the first engine.
#[async_trait]
impl ServicePrograms for EnginesCluster {
    async fn check_service(&self, service: &str) -> Result<(), ClusterError> {
        self.parts[0].check_service(service).await
    }

    fn knows(&self, node: &str) -> bool {
        self.parts[0].knows(node)
    }

    async fn start_program(
        &self,
        service: &str,
        argv: &[String],
        env: &BTreeMap<String, String>,
    ) -> Result<ServiceProgram, ClusterError> {
        self.parts[0].start_program(service, argv, env).await
    }
}
