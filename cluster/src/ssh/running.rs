//! Hosts that run already, and that Duress deployed nothing on: what is broken is their network.

use std::net::IpAddr;

use async_trait::async_trait;

use super::machines::{Machine, Machines};
use super::{RemoteChannel, SshConfig};
use crate::{Cluster, ClusterError, Node, Place, ProgramState};

/// Hosts, each of which is a node as a whole: its network is the node's, and its first process stands for what lives in it.
pub struct RunningHosts {
    machines: Machines,
    nodes: Vec<Node>,
}

impl RunningHosts {
    /// Logs in to them, and brings the program there.
    pub async fn find(config: SshConfig) -> Result<RunningHosts, ClusterError> {
        let machines = Machines::prepare(config).await?;
        let nodes = machines.nodes();
        Ok(RunningHosts { machines, nodes })
    }

    /// What the nodes are called.
    pub fn names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.name.clone()).collect()
    }

    /// Starts an agent on each, in order.
    pub async fn start_agents(&self) -> Result<Vec<(String, RemoteChannel)>, ClusterError> {
        self.machines.start_agents().await
    }
}

#[async_trait]
impl Cluster for RunningHosts {
    fn kind(&self) -> &'static str {
        "ssh"
    }

    fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    fn client_addresses(&self) -> Vec<IpAddr> {
        self.machines.from.clone()
    }

    fn observer_addresses(&self) -> Option<Vec<IpAddr>> {
        None
    }

    async fn place(&self, node: &str) -> Result<Place, ClusterError> {
        let (machine, Machine { node, .. }) = self.machines.of_node(node)?;
        Ok(Place {
            name: node.name.clone(),
            pid: 1,
            keeper: true,
            addresses: vec![IpAddr::V4(node.ipv4)],
            data: None,
            group: None,
            machine,
        })
    }

    /// It runs, or nobody could be logged in.
    async fn start(&self, node: &str) -> Result<(), ClusterError> {
        self.machines.of_node(node).map(drop)
    }

    async fn state(&self, node: &str) -> Result<ProgramState, ClusterError> {
        self.machines.of_node(node).map(|_| ProgramState::Running)
    }

    async fn log_tail(&self, _node: &str, _lines_max: usize) -> String {
        String::new()
    }

    /// Nothing but the folder of what was not a run.
    async fn down(&self) -> Result<(), ClusterError> {
        for machine in &self.machines.all {
            machine.remove_run().await?;
        }
        Ok(())
    }
}
