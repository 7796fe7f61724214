//! What to deploy, and how.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::engine::Engine;
use super::engine::address::EngineAddress;
use super::mark::project_name;
use super::tool::Project;
use crate::folder::check_name;
use crate::{ClusterError, Key, Readiness};

/// What part of a cluster an engine has whose other nodes are on other engines, or that is on another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The number of the engine's machine, from 1.
    pub machine: u32,
    /// All nodes of the cluster, in order.
    pub cluster: Vec<String>,
}

/// How nodes are reached from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// At their own addresses.
    Addresses,
    /// At the ports that they publish on the engine's machine.
    Ports,
}

/// What to deploy, and how.
#[derive(Clone, Debug)]
pub struct ComposeConfig {
    /// The user's compose file.
    pub file: PathBuf,
    /// Services that are nodes, in order.
    pub nodes: Vec<String>,
    /// Name of the run: lower-case letters, digits and `-`. No other run on the engine may have it.
    pub run: String,
    /// The run's directory: the override file, logs, and data directories where asked for.
    pub directory: PathBuf,
    /// Variables for the `${…}` of the compose file, e.g. `ETCD=3.5.1`.
    pub variables: BTreeMap<String, String>,
    /// How to tell that a node is ready. `None`: by the file's own healthcheck, and where there is none, by the
    /// container's running.
    pub readiness: Option<Readiness>,
    /// How long the whole cluster may take to become ready.
    pub ready_within: Duration,
    /// The network to address nodes by, where they share several.
    pub network: Option<String>,
    /// The nodes' data directory, as seen in their containers.
    pub data: Option<String>,
    /// Whether the data directory shall be a folder of the run's directory, as disk faults need.
    pub own_data: bool,
    /// The service that programs of a client will be run in: no node.
    pub programs_in: Option<String>,
    /// The engine.
    pub engine: EngineAddress,
    /// How nodes are reached from here.
    pub reach: Reach,
    /// The ports inside containers at which nodes are asked things.
    pub ports: Vec<u16>,
    /// Where it is one of several engines that have a cluster together.
    pub part: Option<Part>,
    /// What proves to [`heal`](super::heal) that the run made what it made.
    pub key: Key,
}

impl ComposeConfig {
    /// A cluster of these services, ready when the file's own healthchecks say so.
    pub fn new(file: &Path, nodes: &[&str], run: &str, directory: &Path, key: Key) -> Self {
        ComposeConfig {
            file: file.to_owned(),
            nodes: nodes.iter().map(|&node| node.to_owned()).collect(),
            run: run.to_owned(),
            directory: directory.to_owned(),
            variables: BTreeMap::new(),
            readiness: None,
            ready_within: Duration::from_secs(60),
            network: None,
            data: None,
            own_data: false,
            programs_in: None,
            engine: EngineAddress::default(),
            reach: Reach::Addresses,
            ports: Vec::new(),
            part: None,
            key,
        }
    }

    /// Names become parts of labels, of names on the engine and of file names.
    pub(super) fn check(&self) -> Result<(), ClusterError> {
        let refuse = |what: &str, why: &str| {
            Err(ClusterError::Unsupported {
                what: what.to_owned(),
                why: why.to_owned(),
            })
        };
        if self.nodes.is_empty() {
            return refuse(
                "deploy a cluster without nodes",
                "name at least one service of the compose file",
            );
        }
        for node in &self.nodes {
            check_name(node)?;
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.run.is_empty() || !self.run.chars().all(plain) {
            return refuse(
                &format!("name a run {:?}", self.run),
                "the engine takes lower-case letters, digits and hyphens only",
            );
        }
        if self.own_data && self.part.is_some() {
            return refuse(
                "take over the nodes' data directories",
                "their engine is elsewhere, and the run's directory is here; leave out own-data and the faults of disks",
            );
        }
        if self.own_data && self.data.is_none() {
            return refuse(
                "take over the nodes' data directories",
                "it is not said where they are in the containers; add the system's `data`",
            );
        }
        Ok(())
    }

    /// All nodes of the cluster, those on other engines too.
    pub(super) fn cluster(&self) -> &[String] {
        self.part.as_ref().map_or(&self.nodes, |part| &part.cluster)
    }

    /// Whether some nodes are on other engines.
    pub(super) fn is_spread(&self) -> bool {
        self.cluster().len() > self.nodes.len()
    }

    /// Number of the engine's machine; 0: the only one.
    pub(super) fn machine(&self) -> u32 {
        self.part.as_ref().map_or(0, |part| part.machine)
    }

    /// As the tool is told about it, nothing added yet.
    pub(super) fn project(&self, engine: &Engine) -> Project {
        Project {
            name: project_name(&self.run),
            file: self.file.clone(),
            additions: None,
            variables: self.variables.clone(),
            socket: engine.socket().to_owned(),
        }
    }
}
