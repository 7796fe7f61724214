//! What a command line names that is to be broken: containers, or hosts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use duress_checker::history::Effect;
use duress_cluster::Key;
use duress_cluster::compose::{EngineAddress, Found as FoundContainers, RunningConfig, RunningContainers};
use duress_cluster::ssh::{HostAddress, RunningHosts, SshConfig};
use duress_nemesis::Schedule;

use super::plan::Refusal;
use super::{Args, Never};
use crate::ad_hoc::Broken;
use crate::spec::AgentHome;

/// Before a host.
const HOST: &str = "host:";

/// Nodes that are there.
pub enum Found {
    /// Containers.
    Containers(Box<FoundContainers>),
    /// Hosts.
    Hosts(Box<RunningHosts>),
}

/// Finds what is named.
pub async fn find(args: &Args, run: &str) -> Result<Found, Never> {
    let hosts: Vec<&str> = args
        .on
        .iter()
        .filter_map(|name| name.strip_prefix(HOST))
        .collect();
    if hosts.is_empty() {
        let running = RunningConfig {
            engine: EngineAddress::of_environment()?,
            on: args.on.clone(),
            nodes: args.nodes.clone(),
            network: args.network.clone(),
        };
        return Ok(Found::Containers(Box::new(
            RunningContainers::find(&running).await?,
        )));
    }
    if hosts.len() < args.on.len() {
        let what = "--on: hosts and containers can't be broken together".to_owned();
        return Err(Refusal::Arguments(what).into());
    }
    if !args.nodes.is_empty() || args.network.is_some() {
        let what = "--nodes and --network are about containers; name the hosts by --on".to_owned();
        return Err(Refusal::Arguments(what).into());
    }
    let read = |host: &&str| host.parse::<HostAddress>();
    let addresses: Result<Vec<HostAddress>, String> = hosts.iter().map(read).collect();
    let addresses = addresses.map_err(|why| Refusal::Arguments(format!("--on: {why}")))?;
    let names: Vec<String> = addresses.iter().map(|address| address.host.clone()).collect();
    let mut hosts = args.hosts.hosts().map_err(Refusal::Arguments)?;
    hosts.hosts = addresses;
    let config = SshConfig {
        hosts,
        names,
        addresses: Vec::new(),
        folder: args.hosts.folder.clone(),
        run: run.to_owned(),
        dir: PathBuf::new(),
    };
    Ok(Found::Hosts(Box::new(RunningHosts::find(config).await?)))
}

impl Found {
    /// What they are called.
    pub fn names(&self) -> Vec<String> {
        match self {
            Found::Containers(found) => found.names(),
            Found::Hosts(found) => found.names(),
        }
    }

    /// Refuses what would hit a host as a whole: every process there descends from the one that stands for it.
    pub fn refuse(&self, schedule: &Schedule) -> Result<(), Refusal> {
        let mut kinds = schedule.faults.iter().map(|planned| planned.fault.kind());
        if let Found::Containers(found) = self {
            let Some(engine) = found.engine_elsewhere() else {
                return Ok(());
            };
            return match kinds.find(|kind| !kind.spans_machines() || kind.storage().is_some()) {
                None => Ok(()),
                Some(kind) => Err(Refusal::Arguments(format!(
                    "{} is not done on engines elsewhere, as {engine} is; run duress on the engine's own machine",
                    kind.name()
                ))),
            };
        }
        for kind in kinds {
            if kind.effect() != Effect::Cuts || !kind.spans_machines() {
                return Err(Refusal::Arguments(format!(
                    "{} of a host that Duress deployed nothing on would hit all that runs there, so only partitions are done; deploy the \
                     system with [cluster.ssh] for more",
                    kind.name()
                )));
            }
        }
        Ok(())
    }

    /// As what is broken under this name.
    pub fn in_the_name_of(self, run: &str, dir: &Path, key: &Key, agent: AgentHome) -> Broken {
        match self {
            Found::Containers(found) => {
                Broken::Containers(Arc::new(found.in_the_name_of(run, dir, key)), agent)
            }
            Found::Hosts(found) => Broken::Hosts(Arc::from(found)),
        }
    }
}
