//! Brings up what a spec says: sandboxes on this machine, or the services of a compose file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use duress_cluster::compose::{
    ComposeCluster, ComposeConfig, EngineAddress, OnEngines, Scope, WithHelper, heal,
};
use duress_cluster::local::{self, Isolation};
use duress_cluster::ssh::{OnHosts, OneHost};
use duress_cluster::{Cluster, ClusterError, Key, System};
use duress_nemesis::agent::protocol::Mark;
use duress_nemesis::kinds::{Kind, TABLE};
use duress_nemesis::storage::{NodeStorage, Storage};
use duress_nemesis::{AgentClient, Agents, Journal, NemesisError, Regain, put_storage};
use duress_results::rundir::RunDir;
use duress_workloads::clients::ClientKind;

use super::failure::Failure;
use super::regain::{HostsAgain, Told};
use super::{engines, hosts, sandboxes};
use crate::machine;
use crate::spec::{AgentHome, ClusterSpec, ComposeSpec};

/// Where nodes live.
#[derive(Clone, Copy, Debug)]
pub enum Environment {
    /// In the private namespaces that this process is in.
    Local(Isolation),
    /// On the container engine of this machine; this process is in the host's namespaces.
    Compose,
    /// On container engines of other machines.
    Engines,
    /// On hosts that are reached by SSH.
    Hosts {
        /// Where systemd starts and stops them.
        are_units: bool,
    },
}

impl Environment {
    /// Makes it ready. Must come before there are any threads: namespaces are entered by threads one by one.
    pub fn prepare(cluster: &ClusterSpec) -> Result<Self, ClusterError> {
        match cluster {
            ClusterSpec::Local(_) => local::isolate().map(Environment::Local),
            ClusterSpec::Compose(compose) => {
                match compose.stack || engines::elsewhere(&compose.engine_addresses()?) {
                    false => Ok(Environment::Compose),
                    true => Ok(Environment::Engines),
                }
            }
            ClusterSpec::Ssh(ssh) => Ok(Environment::Hosts {
                are_units: ssh.unit.is_some(),
            }),
        }
    }

    /// Refuses what can't be done here, before anything is deployed. What containers can is for the agent to say, which
    /// may have to run next to them.
    pub fn refuse(self, kinds: &[&'static dyn Kind], system: &System) -> Result<(), String> {
        match self {
            Environment::Local(isolation) => machine::refuse(isolation, kinds),
            Environment::Hosts { are_units } => {
                let done = |kind: &&dyn Kind| kind.spans_machines() && (!are_units || spares_units(*kind));
                match kinds.iter().find(|kind| !done(kind)) {
                    None => Ok(()),
                    Some(kind) => Err(format!(
                        "the fault {}, which the spec asks for, is not done to {}; leave it out, or use one of {}",
                        kind.name(),
                        if are_units { "units of systemd" } else { "hosts" },
                        names(done).join(", ")
                    )),
                }
            }
            Environment::Engines => {
                let done = |kind: &&dyn Kind| is_done_elsewhere(*kind);
                match kinds.iter().find(|kind| !done(kind)) {
                    None => Ok(()),
                    Some(kind) => Err(format!(
                        "the fault {}, which the spec asks for, is not done on engines elsewhere; leave it out, or use one of {}",
                        kind.name(),
                        names(done).join(", ")
                    )),
                }
            }
            Environment::Compose => {
                let known = system
                    .compose
                    .as_ref()
                    .is_some_and(|compose| compose.data.is_some());
                match kinds.iter().find(|kind| kind.storage().is_some() && !known) {
                    None => Ok(()),
                    Some(kind) => Err(format!(
                        "the fault {}, which the spec asks for, is about the disks of nodes, and where {} keeps its data is not known: \
                         say compose.data in its system.toml, or leave the fault out",
                        kind.name(),
                        system.name
                    )),
                }
            }
        }
    }
}

/// Whether a kind of fault is done to nodes on engines elsewhere.
pub fn is_done_elsewhere(kind: &dyn Kind) -> bool {
    kind.spans_machines() && kind.storage().is_none()
}

/// Whether a kind leaves alone what systemd has made of a unit: its control group, and what lies under its files.
fn spares_units(kind: &dyn Kind) -> bool {
    kind.storage().is_none() && !kind.changes_control_group()
}

/// The kinds of faults of which this is true.
fn names(is_meant: impl Fn(&&dyn Kind) -> bool) -> Vec<&'static str> {
    let kinds = TABLE.iter().copied().filter(is_meant);
    kinds.map(|kind| kind.name()).collect()
}

/// A cluster that is up, and where to start an agent for it.
#[derive(Clone)]
pub struct Deployed {
    /// Where nodes are.
    pub cluster: Arc<dyn Cluster>,
    /// The same, where the agent has to run in a container next to the nodes. `None`: as a child.
    agent_container: Option<Arc<dyn WithHelper>>,
    /// The same, where there is an agent on each host.
    hosts: Option<Arc<dyn OnHosts>>,
    /// Where clients ask from; none: from here.
    pub client_hosts: Arc<[OneHost]>,
    /// The same, where there is one on each engine.
    engines: Option<Arc<dyn OnEngines>>,
}

/// The agent is this very program.
const AGENT_ARGV: [&str; 2] = ["/proc/self/exe", "agent"];

impl Deployed {
    /// Containers that are up, and an agent that is to run there.
    pub async fn containers<C: WithHelper + 'static>(
        cluster: Arc<C>,
        agent: AgentHome,
    ) -> Result<Deployed, ClusterError> {
        let contained = needs_container(agent, &*cluster).await?;
        Ok(Deployed::agent_at(cluster, contained))
    }

    /// The same, where it is known whether the agent has to run in a container.
    fn agent_at<C: WithHelper + 'static>(cluster: Arc<C>, contained: bool) -> Deployed {
        let mut deployed = Deployed::new(cluster.clone());
        deployed.agent_container = contained.then_some(cluster as Arc<dyn WithHelper>);
        deployed
    }

    /// The same, where the agent is a child.
    fn new(cluster: Arc<dyn Cluster>) -> Deployed {
        Deployed {
            cluster,
            agent_container: None,
            hosts: None,
            client_hosts: Arc::default(),
            engines: None,
        }
    }

    /// How agents are had again whose connection broke, where that can be.
    pub fn regain(&self, mark: &Mark, told: Told) -> Option<Arc<dyn Regain>> {
        let hosts = self.hosts.clone()?;
        Some(Arc::new(HostsAgain::new(hosts, mark.clone(), told)))
    }

    /// Starts agents where they can reach the nodes' processes, and greets them in the name of the run that has this mark.
    pub async fn start_agents(&self, mark: &Mark) -> Result<Agents, Failure> {
        match (&self.hosts, &self.engines) {
            (Some(hosts), _) => hosts::start_agents(hosts.machines(), mark).await,
            (None, Some(engines)) => engines::start_agents(&**engines, mark).await,
            (None, None) => start_agent(self.agent_container.as_deref(), mark).await,
        }
    }
}

/// Next to the nodes of this cluster, or as a child.
async fn start_agent(next_to: Option<&dyn WithHelper>, mark: &Mark) -> Result<Agents, Failure> {
    let greeted = match next_to {
        None => AgentClient::spawn(&AGENT_ARGV.map(str::to_owned), mark).await,
        Some(compose) => {
            if let Some(engine) = compose.engine_elsewhere() {
                let helper = compose
                    .start_helper(&engines::agent_arguments().each_ref().map(String::as_str))
                    .await?;
                return engines::agent_of(engine, helper, mark).await;
            }
            let helper = compose.start_helper(&AGENT_ARGV[1..]).await?;
            AgentClient::greet(helper.input, helper.output, engines::end(helper.ended), mark).await
        }
    };
    Ok(greeted.map_err(NemesisError::from)?.into())
}

/// Whether the agent has to run in a container next to the nodes. A child must be root among the nodes' processes.
async fn needs_container(home: AgentHome, cluster: &dyn WithHelper) -> Result<bool, ClusterError> {
    Ok(match home {
        AgentHome::Child => false,
        AgentHome::Container => true,
        AgentHome::Auto => {
            cluster.engine_elsewhere().is_some()
                || !nix::unistd::geteuid().is_root()
                || !cluster.sees_processes().await?
        }
    })
}

/// Brings the cluster up, for this client. When this fails, nothing of it is left. What is to lie under data directories is put there
/// before any program of a node runs, by an agent that goes on to be the run's.
pub async fn deploy(
    cluster: &ClusterSpec,
    system: &System,
    client: &ClientKind,
    environment: Environment,
    dir: &RunDir,
    key: &Key,
    ground: Option<&Ground<'_>>,
) -> Result<(Deployed, Option<Agents>), Failure> {
    match (environment, cluster) {
        (Environment::Compose, ClusterSpec::Compose(compose)) => {
            let mut config = compose_config(compose, system, dir.path(), key.clone());
            config.programs_in = client.service.clone();
            for (engine, _) in compose.engine_addresses()? {
                config = engines::on(config, compose, system, engine);
            }
            let Some(ground) = ground else {
                let cluster = Arc::new(ComposeCluster::deploy(config).await?);
                return Ok((Deployed::containers(cluster, compose.agent).await?, None));
            };
            config.own_data = true;
            let (cluster, (agent, contained)) = ComposeCluster::deploy_on(config, async |cluster| {
                let contained = match compose.agent {
                    AgentHome::Auto => !nix::unistd::geteuid().is_root() || !cluster.shares_this_machine(),
                    home => home == AgentHome::Container,
                };
                let next_to = contained.then_some(cluster as &dyn WithHelper);
                let agent = ground.lay(next_to, cluster.data_folders()).await?;
                Ok::<_, Failure>((agent, contained))
            })
            .await?;
            Ok((Deployed::agent_at(Arc::new(cluster), contained), Some(agent)))
        }
        (Environment::Engines, ClusterSpec::Compose(compose)) => {
            let mut config = compose_config(compose, system, dir.path(), key.clone());
            config.programs_in = client.service.clone();
            let up = engines::deploy(compose, system, config, compose.engine_addresses()?).await?;
            let mut deployed = Deployed::new(up.cluster);
            deployed.engines = Some(up.engines);
            Ok((deployed, None))
        }
        (Environment::Local(isolation), ClusterSpec::Local(local)) => {
            let agent = match ground {
                // Before there are sandboxes: they see what is mounted when they are made.
                Some(ground) => Some(ground.lay(None, sandboxes::data_folders(local, dir)?).await?),
                None => None,
            };
            let deployed = Deployed::new(sandboxes::deploy(local, system, isolation, dir).await?);
            Ok((deployed, agent))
        }
        (Environment::Hosts { .. }, ClusterSpec::Ssh(ssh)) => {
            let client_hosts = hosts::prepare_clients(ssh).await?;
            let machines = hosts::prepare(ssh, dir.path(), dir.nodes()).await?;
            let (up, agents) = hosts::deploy(ssh, system, machines, ground).await?;
            let mut deployed = Deployed::new(up.cluster);
            deployed.hosts = Some(up.hosts);
            deployed.client_hosts = client_hosts.into();
            Ok((deployed, agents))
        }
        _ => Err(Failure::Other(
            "the cluster that is asked for was not prepared".to_owned(),
        )),
    }
}

/// What is to lie under the data directories of a run, whose journal this is.
pub struct Ground<'a> {
    /// The lowest first.
    pub storage: &'a [Storage],
    /// Of the run.
    pub journal: &'a Journal,
}

impl Ground<'_> {
    /// Starts an agent, which puts it there, after the journal has it. The agent's end is the end of it.
    async fn lay(
        &self,
        next_to: Option<&dyn WithHelper>,
        folders: Vec<(String, PathBuf)>,
    ) -> Result<Agents, Failure> {
        let agents = start_agent(next_to, self.journal.mark()).await?;
        let folders = folders.into_iter().map(|(node, data)| (node, data, 0));
        self.put(&agents, folders.collect()).await?;
        Ok(agents)
    }

    /// Puts it there, of nodes with their data directories and machines.
    pub async fn put(&self, agents: &Agents, folders: Vec<(String, PathBuf, u32)>) -> Result<(), Failure> {
        let node = |(node, directory, machine)| NodeStorage {
            node,
            directory,
            under: self.storage.to_vec(),
            machine,
        };
        let nodes = folders.into_iter().map(node).collect();
        Ok(put_storage(agents, self.journal, nodes).await?)
    }
}

/// Makes sure that nothing is left of a deployment that was given up. Sandboxes are gone with their keeper.
pub async fn swept(cluster: &ClusterSpec, dir: &RunDir, key: &Key) -> Result<(), Failure> {
    let ClusterSpec::Compose(compose) = cluster else {
        return Ok(());
    };
    let scope = Scope::Run(run_name(dir.path()));
    for (engine, _) in compose.engine_addresses()? {
        // Where there is no engine, nothing was made.
        if matches!(&engine, EngineAddress::Unix(socket) if !socket.exists()) {
            continue;
        }
        match tokio::time::timeout(SWEEP_TIME_MAX, heal(&engine, key, &scope)).await {
            Ok(healed) => drop(healed?),
            Err(_) => {
                return Err(Failure::Other(format!(
                    "after {SWEEP_TIME_MAX:?} the engine at {engine} has not removed what there was of the cluster; `duress heal {}` does it",
                    dir.path().display()
                )));
            }
        }
    }
    Ok(())
}

/// An engine that is alive removes a dozen containers in a few seconds.
const SWEEP_TIME_MAX: Duration = Duration::from_secs(30);

fn compose_config(spec: &ComposeSpec, system: &System, dir: &Path, key: Key) -> ComposeConfig {
    let nodes: Vec<&str> = spec.nodes.iter().map(String::as_str).collect();
    let mut config = ComposeConfig::new(&spec.file, &nodes, &run_name(dir), dir, key);
    config.variables = spec.variables.clone();
    if let Some(compose) = &system.compose {
        if let Some(versions) = &compose.version {
            let version = spec.version.as_ref().unwrap_or(&versions.default);
            config
                .variables
                .entry(versions.variable.clone())
                .or_insert_with(|| version.clone());
        }
        config.data = compose.data.clone();
    }
    config.readiness = Some(system.readiness.clone());
    config.ready_within = spec.ready.0;
    config.network = spec.network.clone();
    config.own_data = spec.own_data;
    config
}

/// A name for the engine from a run's directory, which no other run has: time and seed, and this process, since two may
/// begin in the same second.
pub fn run_name(dir: &Path) -> String {
    run_name_of(dir, std::process::id())
}

/// The same for the run of this controller.
pub fn run_name_of(dir: &Path, controller: u32) -> String {
    let name = dir
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    format!("{}-{controller}", plain.trim_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_names_suit_the_engine() {
        let name = run_name(Path::new("/r/runs/etcd/20260102T030405Z-17"));
        assert_eq!(name, format!("20260102t030405z-17-{}", std::process::id()));
    }
}
