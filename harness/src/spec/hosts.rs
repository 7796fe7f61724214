//! `[cluster.ssh]`: nodes on hosts that exist.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use duress_cluster::ssh::{HostAddress, SshHosts};
use serde::{Deserialize, Serialize};

use super::SystemRef;
use crate::duration::SpecDuration;

/// A cluster of hosts that are reached by SSH.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SshSpec {
    /// What is deployed.
    pub system: SystemRef,
    /// A node each: `user@host:port`, or a `Host` of the OpenSSH client's configuration.
    pub hosts: Vec<HostAddress>,
    /// By what nodes and clients reach each host, where that is not what it is logged in to by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Ipv4Addr>,
    /// Where clients ask from, each by a worker and with a clock of its own; none: from here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub client_hosts: Vec<HostAddress>,
    /// A private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<PathBuf>,
    /// The variable of the environment that has the password, also of the private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    /// The host to go through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<HostAddress>,
    /// The OpenSSH client's configuration, instead of `~/.ssh/config`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
    /// Keys of hosts that are known, instead of `~/.ssh/known_hosts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_hosts: Option<PathBuf>,
    /// Whether a host must have the key that is known.
    #[serde(default = "yes")]
    pub check_host_keys: bool,
    /// Where Duress keeps its things on hosts, below the home of the user who logs in.
    #[serde(default = "folder")]
    pub folder: String,
    /// Defects of the specimen to switch on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defects: Vec<String>,
    /// Arguments added to the system's command line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// The unit of systemd that the node is on each host, e.g. `etcd`; absent: Duress starts the system's program itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// How long the nodes may take to become ready.
    #[serde(default = "ready")]
    pub ready: SpecDuration,
}

fn yes() -> bool {
    true
}

/// Where Duress keeps its things on hosts.
pub fn folder() -> String {
    ".duress".to_owned()
}

fn ready() -> SpecDuration {
    SpecDuration::seconds(30)
}

impl SshSpec {
    /// Names of the nodes, in order.
    pub fn node_names(&self) -> Vec<String> {
        (1..=self.hosts.len())
            .map(|number| format!("n{number}"))
            .collect()
    }

    /// What is added to the command line of every node.
    pub fn node_args(&self) -> Vec<String> {
        let defect = |defect: &String| ["--defect".to_owned(), defect.clone()];
        let defects = self.defects.iter().flat_map(defect);
        defects.chain(self.args.iter().cloned()).collect()
    }

    /// How to log in. The error, in words, is what is missing of it.
    pub fn to_hosts(&self) -> Result<SshHosts, String> {
        let password = match &self.password_env {
            None => None,
            Some(name) => Some(std::env::var(name).map_err(|_| {
                format!("the variable {name}, which cluster.ssh.password-env names, is not set; export it")
            })?),
        };
        Ok(SshHosts {
            hosts: self.hosts.clone(),
            identity: self.identity.clone(),
            password,
            jump: self.jump.clone(),
            config: self.config.clone(),
            known_hosts: self.known_hosts.clone(),
            any_host_key: !self.check_host_keys,
        })
    }
}
