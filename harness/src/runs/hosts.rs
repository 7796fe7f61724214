//! Brings up nodes on hosts, and their agents.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use duress_cluster::ssh::{Machines, OnHosts, OneHost, RemoteChannel, SshCluster, SshConfig, UnitCluster};
use duress_cluster::{Cluster, NodeProgram, System, bring_up};
use duress_nemesis::agent::protocol::Mark;
use duress_nemesis::{AgentClient, AgentEnd, Agents, NemesisError};
use tokio::time::Instant;

use super::deploy::{Ground, run_name};
use super::failure::Failure;
use crate::client_hosts::{ClientHost, Setup};
use crate::spec::SshSpec;

/// Logs in to all, before anything is made there but the folders of the run.
pub async fn prepare(spec: &SshSpec, dir: &Path, nodes: PathBuf) -> Result<Machines, Failure> {
    let config = SshConfig {
        hosts: spec.to_hosts().map_err(Failure::Other)?,
        names: spec.node_names(),
        addresses: spec.addresses.clone(),
        folder: spec.folder.clone(),
        run: run_name(dir),
        dir: nodes,
    };
    Ok(Machines::prepare(config).await?)
}

/// Logs in to the hosts of clients, and brings the program there.
pub async fn prepare_clients(spec: &SshSpec) -> Result<Vec<OneHost>, Failure> {
    let how = spec.to_hosts().map_err(Failure::Other)?;
    let mut reached = Vec::new();
    for host in &spec.client_hosts {
        reached.push(OneHost::reach(host, &how, &spec.folder).await?);
    }
    Ok(reached)
}

/// Starts a worker on each of them.
pub async fn start_clients(
    hosts: &[OneHost],
    setup: &Setup,
    start: std::time::Instant,
) -> Result<Vec<ClientHost>, Failure> {
    let mut clients = Vec::new();
    for host in hosts {
        let channel = host.start(&["client-worker"]).await?;
        let greeted = ClientHost::greet(host.name(), channel, setup, start).await;
        clients.push(greeted.map_err(Failure::Other)?);
    }
    Ok(clients)
}

/// A cluster with an agent on each host.
pub struct Deployed {
    /// Where nodes are.
    pub cluster: Arc<dyn Cluster>,
    /// The same.
    pub hosts: Arc<dyn OnHosts>,
}

impl Deployed {
    fn new<C: Cluster + OnHosts + 'static>(cluster: C) -> Deployed {
        let cluster = Arc::new(cluster);
        Deployed {
            cluster: cluster.clone(),
            hosts: cluster,
        }
    }
}

/// Brings the system up on them. What is to lie under data directories is put there first, by agents that go on to be the run's.
pub async fn deploy(
    spec: &SshSpec,
    system: &System,
    machines: Machines,
    ground: Option<&Ground<'_>>,
) -> Result<(Deployed, Option<Agents>), Failure> {
    let start = Instant::now();
    if let Some(unit) = &spec.unit {
        let cluster = UnitCluster::find(machines, unit).await?;
        up(&cluster, spec, system, start).await?;
        return Ok((Deployed::new(cluster), None));
    }
    let agents = match ground {
        None => None,
        Some(ground) => {
            let agents = start_agents(&machines, ground.journal.mark()).await?;
            let folders = machines.places().map(|place| {
                let data = place.folder.join("data");
                (place.node.name.clone(), data, place.machine)
            });
            ground.put(&agents, folders.collect()).await?;
            Some(agents)
        }
    };
    let programs = programs(spec, system, &machines)?;
    let cluster = SshCluster::deploy(machines, programs).await?;
    up(&cluster, spec, system, start).await?;
    Ok((Deployed::new(cluster), agents))
}

/// Starts the nodes, and waits until they are ready.
async fn up(cluster: &dyn Cluster, spec: &SshSpec, system: &System, start: Instant) -> Result<(), Failure> {
    if let Err(error) = bring_up(cluster, &system.readiness, start + spec.ready.0).await {
        // The first error says why; one from taking down what never stood adds nothing.
        let _ = cluster.down().await;
        return Err(error.into());
    }
    Ok(())
}

/// What each node runs: folders and the program may be elsewhere on each host.
fn programs(spec: &SshSpec, system: &System, machines: &Machines) -> Result<Vec<NodeProgram>, Failure> {
    let (nodes, args) = (machines.nodes(), spec.node_args());
    let mut programs = Vec::new();
    for (index, place) in machines.places().enumerate() {
        let dir = place.folder.parent().unwrap_or(place.folder);
        let mut all = system.programs(&nodes, dir, place.duress, &args)?;
        programs.push(all.swap_remove(index));
    }
    Ok(programs)
}

/// One on each host, greeted in the name of the run that has this mark.
pub async fn start_agents(machines: &Machines, mark: &Mark) -> Result<Agents, Failure> {
    agents_of(machines.start_agents().await?, mark).await
}

/// Greets those that were started, by the names of their hosts.
pub async fn agents_of(started: Vec<(String, RemoteChannel)>, mark: &Mark) -> Result<Agents, Failure> {
    let mut agents = Vec::new();
    for (host, channel) in started {
        let agent = greet(channel, mark)
            .await
            .map_err(|error| Failure::Other(format!("start the agent on {host}: {error}")))?;
        agents.push((host, agent));
    }
    Ok(Agents::of_hosts(agents).map_err(NemesisError::from)?)
}

/// Speaks with an agent that has just been started on a host.
pub async fn greet(channel: RemoteChannel, mark: &Mark) -> Result<AgentClient, NemesisError> {
    let RemoteChannel { input, output, ended } = channel;
    let ended = async move {
        match ended.await {
            Ok(end) => AgentEnd {
                healed: end.status == Some(0),
                broke: end.broke,
                how: end.how(),
            },
            Err(_) => AgentEnd::seen("its connection was closed", false),
        }
    };
    Ok(AgentClient::greet_on_host(input, output, ended, mark).await?)
}
