//! What is broken ad hoc: containers, or hosts.

use std::sync::Arc;

use duress_cluster::Cluster;
use duress_cluster::compose::RunningContainers;
use duress_cluster::ssh::RunningHosts;
use duress_nemesis::agent::protocol::Mark;
use duress_nemesis::{Agents, AwaitReady};

use super::ready::{HostReady, Ready};
use crate::runs::deploy::Deployed;
use crate::runs::failure::Failure;
use crate::runs::hosts::agents_of;
use crate::spec::AgentHome;

/// Nodes that run already.
#[derive(Clone)]
pub enum Broken {
    /// Containers, and where their agent runs.
    Containers(Arc<RunningContainers>, AgentHome),
    /// Hosts, with an agent on each.
    Hosts(Arc<RunningHosts>),
}

impl Broken {
    /// As a cluster.
    pub fn cluster(&self) -> Arc<dyn Cluster> {
        match self {
            Broken::Containers(running, _) => running.clone(),
            Broken::Hosts(running) => running.clone(),
        }
    }

    /// Starts what breaks them.
    pub async fn start_agents(&self, mark: &Mark) -> Result<Agents, Failure> {
        match self {
            Broken::Containers(running, home) => {
                let deployed = Deployed::containers(running.clone(), *home).await?;
                deployed.start_agents(mark).await
            }
            Broken::Hosts(running) => agents_of(running.start_agents().await?, mark).await,
        }
    }

    /// Tells when a node is ready again.
    pub fn ready(&self) -> Arc<dyn AwaitReady> {
        match self {
            Broken::Containers(running, _) => Arc::new(Ready(running.clone())),
            Broken::Hosts(_) => Arc::new(HostReady),
        }
    }
}
