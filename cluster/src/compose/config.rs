//! What to deploy, and how.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::mark::project_name;
use super::tool::Project;
use crate::folder::check_name;
use crate::{ClusterError, Key, Readiness};

/// Where the engine listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

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
    /// The engine's socket.
    pub socket: PathBuf,
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
            socket: DEFAULT_SOCKET.into(),
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
        if self.own_data && self.data.is_none() {
            return refuse(
                "take over the nodes' data directories",
                "it is not said where they are in the containers; add the system's `data`",
            );
        }
        Ok(())
    }

    /// As the tool is told about it, nothing added yet.
    pub(super) fn project(&self) -> Project {
        Project {
            name: project_name(&self.run),
            file: self.file.clone(),
            additions: None,
            variables: self.variables.clone(),
            socket: self.socket.clone(),
        }
    }
}
