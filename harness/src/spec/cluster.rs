//! What is deployed: `[cluster.local]`, `[cluster.compose]` or `[cluster.ssh]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EngineSpec, ReachSpec, SshSpec, SystemRef};
use crate::duration::SpecDuration;

/// What is deployed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterSpec {
    /// Sandboxes made of Linux namespaces, on this machine.
    Local(LocalSpec),
    /// Services of a compose file, on a container engine.
    Compose(ComposeSpec),
    /// Hosts that exist.
    Ssh(SshSpec),
}

/// A cluster from a compose file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ComposeSpec {
    /// What is deployed: says which client to use, and when a node is ready.
    pub system: SystemRef,
    /// The compose file; a relative path starts from the spec.
    pub file: PathBuf,
    /// Services that are nodes, in order.
    pub nodes: Vec<String>,
    /// Version of the system, where its compose file takes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Variables for the `${…}` of the compose file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// The network to address nodes by, where they share several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Whether data directories shall be folders of the run's directory, as disk faults need.
    #[serde(default)]
    pub own_data: bool,
    /// The engine, if it is another than that of the environment: an address, or the name of a docker context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The folder with `ca.pem`, `cert.pem` and `key.pem`, for an engine that is reached by TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<PathBuf>,
    /// Engines that have the nodes together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub engines: Vec<EngineSpec>,
    /// How nodes are reached from here.
    #[serde(default)]
    pub reach: ReachSpec,
    /// Whether it is deployed as a stack of a Swarm.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stack: bool,
    /// Where the agent runs.
    #[serde(default)]
    pub agent: AgentHome,
    /// How long the nodes may take to become ready.
    #[serde(default = "default_compose_ready")]
    pub ready: SpecDuration,
    /// How much longer every packet between nodes takes, each way, from the first operation to the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<SpecDuration>,
}

/// Where the agent of a compose cluster runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentHome {
    /// As a child where the controller is root and sees the nodes' processes, else in a container.
    #[default]
    Auto,
    /// As a child of the controller.
    Child,
    /// In a helper container beside the nodes.
    Container,
}

fn default_compose_ready() -> SpecDuration {
    SpecDuration::seconds(60)
}

/// A cluster of local sandboxes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LocalSpec {
    /// What is deployed.
    pub system: SystemRef,
    /// Number of nodes.
    #[serde(default = "default_nodes")]
    pub nodes: usize,
    /// Defects of the specimen to switch on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defects: Vec<String>,
    /// Arguments added to the system's command line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// How long the nodes may take to become ready.
    #[serde(default = "default_ready")]
    pub ready: SpecDuration,
    /// How much longer every packet between nodes takes, each way, from the first operation to the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<SpecDuration>,
}

fn default_nodes() -> usize {
    5
}

fn default_ready() -> SpecDuration {
    SpecDuration::seconds(20)
}

impl ClusterSpec {
    /// Name of its table, as in `[cluster.local]`.
    pub fn name(&self) -> &'static str {
        match self {
            ClusterSpec::Local(_) => "local",
            ClusterSpec::Compose(_) => "compose",
            ClusterSpec::Ssh(_) => "ssh",
        }
    }

    /// Whether clients ask from hosts of their own.
    pub fn has_client_hosts(&self) -> bool {
        matches!(self, ClusterSpec::Ssh(ssh) if !ssh.client_hosts.is_empty())
    }

    /// Name of the system, or of its folder.
    pub fn system(&self) -> &str {
        self.system_ref().name()
    }

    /// Which system.
    pub fn system_ref(&self) -> &SystemRef {
        match self {
            ClusterSpec::Local(local) => &local.system,
            ClusterSpec::Compose(compose) => &compose.system,
            ClusterSpec::Ssh(ssh) => &ssh.system,
        }
    }

    /// The same, to be made absolute.
    pub(super) fn system_ref_mut(&mut self) -> &mut SystemRef {
        match self {
            ClusterSpec::Local(local) => &mut local.system,
            ClusterSpec::Compose(compose) => &mut compose.system,
            ClusterSpec::Ssh(ssh) => &mut ssh.system,
        }
    }

    /// Names of the nodes, in order.
    pub fn node_names(&self) -> Vec<String> {
        match self {
            ClusterSpec::Local(local) => local.node_names(),
            ClusterSpec::Compose(compose) => compose.nodes.clone(),
            ClusterSpec::Ssh(ssh) => ssh.node_names(),
        }
    }

    /// How long the nodes may take to become ready.
    pub fn ready_limit(&self) -> Duration {
        match self {
            ClusterSpec::Local(local) => local.ready.0,
            ClusterSpec::Compose(compose) => compose.ready.0,
            ClusterSpec::Ssh(ssh) => ssh.ready.0,
        }
    }

    /// How much longer every packet between nodes takes.
    pub fn latency(&self) -> Option<Duration> {
        let latency = match self {
            ClusterSpec::Local(local) => local.latency,
            ClusterSpec::Compose(compose) => compose.latency,
            ClusterSpec::Ssh(_) => None,
        };
        latency.map(|latency| latency.0)
    }

    /// Defects that are switched on.
    pub fn defects(&self) -> &[String] {
        match self {
            ClusterSpec::Local(local) => &local.defects,
            ClusterSpec::Compose(_) => &[],
            ClusterSpec::Ssh(ssh) => &ssh.defects,
        }
    }

    /// The same cluster as it should be.
    pub fn switch_defects_off(&mut self) {
        match self {
            ClusterSpec::Local(local) => local.defects.clear(),
            ClusterSpec::Ssh(ssh) => ssh.defects.clear(),
            ClusterSpec::Compose(_) => {}
        }
    }
}

impl ComposeSpec {
    /// These services of this compose file, with nothing else said.
    pub fn of(system: SystemRef, file: PathBuf, nodes: Vec<String>) -> Self {
        ComposeSpec {
            system,
            file,
            nodes,
            version: None,
            variables: BTreeMap::new(),
            network: None,
            own_data: false,
            engine: None,
            certificates: None,
            engines: Vec::new(),
            reach: ReachSpec::default(),
            stack: false,
            agent: AgentHome::default(),
            ready: default_compose_ready(),
            latency: None,
        }
    }
}

impl LocalSpec {
    /// With nothing else said.
    pub fn of(system: SystemRef) -> Self {
        LocalSpec {
            system,
            nodes: default_nodes(),
            defects: Vec::new(),
            args: Vec::new(),
            ready: default_ready(),
            latency: None,
        }
    }

    /// Names of the nodes, in order.
    pub fn node_names(&self) -> Vec<String> {
        (1..=self.nodes).map(|number| format!("n{number}")).collect()
    }

    /// What is added to the command line of every node.
    pub fn node_args(&self) -> Vec<String> {
        let defects = self
            .defects
            .iter()
            .flat_map(|defect| ["--defect".to_owned(), defect.clone()]);
        defects.chain(self.args.iter().cloned()).collect()
    }
}
