//! Brings up nodes on container engines of other machines, and their agents.

use std::sync::Arc;

use duress_cluster::compose::{
    ComposeConfig, EngineAddress, EnginesCluster, Helper, OnEngines, Part, StackCluster,
};
use duress_cluster::ssh::SILENCE_MAX;
use duress_cluster::{Cluster, Readiness, System};
use duress_nemesis::agent::protocol::Mark;
use duress_nemesis::{AgentClient, AgentEnd, Agents, NemesisError};

use super::failure::Failure;
use crate::spec::ComposeSpec;

/// Whether this is more than the one engine of this machine.
pub fn elsewhere(engines: &[(EngineAddress, Vec<String>)]) -> bool {
    engines.len() > 1 || engines.iter().any(|(engine, _)| !engine.is_here())
}

/// The same cluster on one of these engines.
pub fn on(
    mut config: ComposeConfig,
    spec: &ComposeSpec,
    system: &System,
    engine: EngineAddress,
) -> ComposeConfig {
    config.reach = spec.reach.of(&engine);
    config.engine = engine;
    let asked = match system.readiness {
        Readiness::Http { port, .. } | Readiness::Tcp { port } => Some(port),
        Readiness::Command { .. } => None,
    };
    config.ports = std::iter::once(system.port).chain(asked).collect();
    config.ports.dedup();
    config
}

/// A cluster with an agent on each engine.
pub struct Deployed {
    /// Where nodes are.
    pub cluster: Arc<dyn Cluster>,
    /// The same.
    pub engines: Arc<dyn OnEngines>,
}

impl Deployed {
    fn new<C: Cluster + OnEngines + 'static>(cluster: C) -> Deployed {
        let cluster = Arc::new(cluster);
        Deployed {
            cluster: cluster.clone(),
            engines: cluster,
        }
    }
}

/// Brings it up on all of them.
pub async fn deploy(
    spec: &ComposeSpec,
    system: &System,
    config: ComposeConfig,
    engines: Vec<(EngineAddress, Vec<String>)>,
) -> Result<Deployed, Failure> {
    if spec.stack {
        let mut engines = engines.into_iter().map(|(engine, _)| engine);
        let Some(manager) = engines.next() else {
            return Err(Failure::Other(
                "there is no engine to deploy a stack on".to_owned(),
            ));
        };
        let workers: Vec<EngineAddress> = engines.collect();
        let config = ComposeConfig {
            nodes: spec.nodes.clone(),
            ..on(config, spec, system, manager)
        };
        return Ok(Deployed::new(StackCluster::deploy(config, &workers).await?));
    }
    let part = |(machine, (engine, nodes)): (u32, (EngineAddress, Vec<String>))| ComposeConfig {
        nodes,
        part: Some(Part {
            machine,
            cluster: spec.nodes.clone(),
        }),
        ..on(config.clone(), spec, system, engine)
    };
    let parts = (1..).zip(engines).map(part).collect();
    Ok(Deployed::new(EnginesCluster::deploy(parts).await?))
}

/// What an agent is told that hears nothing when the connection to its engine is cut.
pub fn agent_arguments() -> [String; 3] {
    [
        "agent".to_owned(),
        "--silence-max-ms".to_owned(),
        SILENCE_MAX.as_millis().to_string(),
    ]
}

/// One beside the nodes on each engine. Each is greeted as soon as it runs: bringing the program to another engine may take longer than an agent
/// waits for a sign of life.
pub async fn start_agents(cluster: &dyn OnEngines, mark: &Mark) -> Result<Agents, Failure> {
    let arguments = agent_arguments();
    let arguments = arguments.each_ref().map(String::as_str);
    let mut agents = Vec::new();
    for (index, engine) in cluster.engine_names().into_iter().enumerate() {
        let helper = cluster.start_helper_on(index, &arguments).await?;
        agents.push(greet(engine, helper, mark).await?);
    }
    together(agents)
}

/// Greets the agent on the only engine there is.
pub async fn agent_of(engine: String, helper: Helper, mark: &Mark) -> Result<Agents, Failure> {
    together(vec![greet(engine, helper, mark).await?])
}

fn together(agents: Vec<(String, AgentClient)>) -> Result<Agents, Failure> {
    Ok(Agents::of_hosts(agents).map_err(NemesisError::from)?)
}

/// In the name of the run that has this mark.
async fn greet(engine: String, helper: Helper, mark: &Mark) -> Result<(String, AgentClient), Failure> {
    let (input, output) = (helper.input, helper.output);
    match AgentClient::greet_on_host(input, output, end(helper.ended), mark).await {
        Ok(agent) => Ok((engine, agent)),
        Err(error) => Err(Failure::Other(format!("start the agent on {engine}: {error}"))),
    }
}

/// How an agent in a container ended.
pub async fn end(ended: tokio::task::JoinHandle<Result<i64, String>>) -> AgentEnd {
    let status = ended.await.map_err(|error| error.to_string());
    match status.and_then(|status| status) {
        Ok(status) => AgentEnd::seen(format!("exit status: {status}"), status == 0),
        Err(how) => AgentEnd::seen(how, false),
    }
}
