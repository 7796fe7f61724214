//! One host, for commands that are about it and not about a cluster.

use std::collections::BTreeSet;
use std::path::Path;

use super::login::Login;
use super::machines::{log_in, start_agent};
use super::program::{Brought, Program};
use super::{Host, HostAddress, RemoteChannel, RemoteEnd, SshHosts, shell};
use crate::ClusterError;

/// What a command of Duress writes there, at most.
const OUTPUT_BYTES_MAX: u64 = 4 << 20;

/// A host that somebody is logged in to, and that has the program.
pub struct OneHost {
    host: Host,
    brought: Brought,
}

impl OneHost {
    /// What the host is called once it is logged in to: `root@10.0.0.11:22`.
    pub fn name_of(address: &HostAddress, hosts: &SshHosts) -> Result<String, ClusterError> {
        Login::of(address, hosts).map(|login| login.name)
    }

    /// Logs in, and brings the program there. `folder` is below the home of the user who logs in.
    pub async fn reach(
        address: &HostAddress,
        hosts: &SshHosts,
        folder: &str,
    ) -> Result<OneHost, ClusterError> {
        let program = Program::this().await?;
        let host = log_in(Login::of(address, hosts)?).await?;
        let brought = program.bring(&host, folder).await?;
        Ok(OneHost { host, brought })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.host.name
    }

    /// Runs this program there, as root, with these arguments. Gives what it wrote, and how it ended.
    pub async fn run(&self, arguments: &[&str]) -> Result<(String, RemoteEnd), ClusterError> {
        let words = std::iter::once(self.brought.duress.as_str()).chain(arguments.iter().copied());
        let (bytes, end) = self
            .host
            .bytes(&self.host.as_root(words), OUTPUT_BYTES_MAX)
            .await?;
        Ok((String::from_utf8_lossy(&bytes).into_owned(), end))
    }

    /// Starts this program there with these arguments, as the user who logged in.
    pub async fn start(&self, arguments: &[&str]) -> Result<RemoteChannel, ClusterError> {
        let words = std::iter::once(self.brought.duress.as_str()).chain(arguments.iter().copied());
        self.host
            .remote
            .open(&format!("exec {}", shell::line(words)))
            .await
    }

    /// Starts an agent there.
    pub async fn start_agent(&self) -> Result<RemoteChannel, ClusterError> {
        // It only heals.
        start_agent(&self.host, &self.brought.duress, &BTreeSet::new()).await
    }

    /// Removes what a run left in its folder there. Says whether there was something.
    pub async fn remove_run(&self, run: &str) -> Result<bool, ClusterError> {
        let folder = Path::new(&self.brought.folder).join("runs").join(run);
        let folder = folder.display().to_string();
        let there = self.host.as_root(["test", "-d", &folder]);
        if self.host.ended(&there).await?.1.status != Some(0) {
            return Ok(false);
        }
        let remove = self.host.as_root(["rm", "-rf", "--one-file-system", &folder]);
        self.host.run(&remove).await.map(|_| true)
    }

    /// The marks of runs that have chains in its packet filters.
    pub async fn marks(&self) -> Result<Vec<String>, ClusterError> {
        let script = "for save in iptables-save ip6tables-save; do $save 2>/dev/null; done; true";
        let (said, _) = self.host.ended(&self.host.script_as_root(script)).await?;
        let mut marks: Vec<String> = said
            .lines()
            .filter_map(|line| line.strip_prefix(":DURESS-")?.get(..8))
            .map(str::to_owned)
            .collect();
        marks.sort_unstable();
        marks.dedup();
        Ok(marks)
    }
}
