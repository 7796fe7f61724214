//! How commands that are about hosts log in to them, and what they do there.

use std::path::PathBuf;

use duress_cluster::ClusterError;
use duress_cluster::ssh::{HostAddress, OneHost, SshHosts};

use crate::spec;

/// How to log in to hosts.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Hosts")]
pub struct HostArgs {
    /// Log in to hosts with this private key
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// The variable that has the password, also of the private key
    #[arg(long, value_name = "VARIABLE")]
    pub password_env: Option<String>,
    /// Go through this host
    #[arg(long, value_name = "HOST")]
    pub jump: Option<HostAddress>,
    /// The OpenSSH client's configuration, instead of ~/.ssh/config
    #[arg(long, value_name = "FILE")]
    pub ssh_config: Option<PathBuf>,
    /// Keys of hosts that are known, instead of ~/.ssh/known_hosts
    #[arg(long, value_name = "FILE")]
    pub known_hosts: Option<PathBuf>,
    /// Where Duress keeps its things on hosts, below the home of the user who logs in
    #[arg(long, value_name = "FOLDER", default_value_t = spec::folder())]
    pub folder: String,
}

impl HostArgs {
    /// As the library has it. The error, in words, is what is missing.
    pub fn hosts(&self) -> Result<SshHosts, String> {
        let password = match &self.password_env {
            None => None,
            Some(name) => Some(std::env::var(name).map_err(|_| {
                format!("the variable {name}, which --password-env names, is not set; export it")
            })?),
        };
        Ok(SshHosts {
            hosts: Vec::new(),
            identity: self.identity.clone(),
            password,
            jump: self.jump.clone(),
            config: self.ssh_config.clone(),
            known_hosts: self.known_hosts.clone(),
            any_host_key: false,
        })
    }

    /// Logs in, and brings the program there.
    pub async fn reach(&self, host: &HostAddress) -> Result<OneHost, ClusterError> {
        let invalid = |why| ClusterError::Invalid {
            what: "the command line".to_owned(),
            why,
        };
        OneHost::reach(host, &self.hosts().map_err(invalid)?, &self.folder).await
    }
}

/// For what is asked of one host at a time.
pub fn runtime() -> Result<tokio::runtime::Runtime, ClusterError> {
    let made = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    made.map_err(|source| ClusterError::Io {
        what: "start a runtime".to_owned(),
        source,
    })
}
