//! A stack on a Swarm, from a file that `docker stack deploy` takes: nodes are services of one task each.
//!
//! ```text
//! stack.yaml ─ docker stack config ─▶ resolved ─ file::add ─▶ stack.deployed.yaml ─ docker stack deploy ─▶ the manager
//!                                                                                                         └─▶ tasks, wherever the Swarm puts them
//! ```
//!
//! A task that has ended does not come back: its service gets another, which is another container, on whichever machine the Swarm chooses. So
//! where a node is, is looked up each time, among the containers of all engines that Duress was told of. The overlay network of a stack leads
//! nowhere from outside; nodes are reached at the ports that they publish on their own machine (`mode: host`).

mod file;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::UpdateServiceOptionsBuilder;
use futures_util::future::{join_all, try_join_all};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::config::ComposeConfig;
use super::container::{node_of, program_state, source_address};
use super::engine::address::EngineAddress;
use super::engine::{Engine, Kind, engine_error};
use super::helper::{self, Helper};
use super::many::OnEngines;
use super::mark::{Mark, RUN_LABEL, project_name};
use super::plan::absolute;
use super::sweep;
use super::tool::{self, UP_TIME_MAX};
use super::{cluster, member};
use crate::folder::Folder;
use crate::{Cluster, ClusterError, Node, NodeAddresses, Place, ProgramState, wait_ready};

/// What was deployed, in the run's directory.
const DEPLOYED_FILE: &str = "stack.deployed.yaml";
/// Until a task that was asked for runs. Engines look for its image in a registry first.
const TASK_TIME_MAX: Duration = Duration::from_secs(60);
const TASK_PAUSE: Duration = Duration::from_millis(50);
const LOG_LINES_IN_ERRORS: usize = 15;

/// A stack that is deployed.
pub struct StackCluster {
    config: ComposeConfig,
    mark: Mark,
    /// By the number of their machine, from 1; the first is a manager.
    engines: Vec<(String, Engine)>,
    /// The engine's name of the network by which nodes are addressed.
    network: String,
    nodes: Vec<Node>,
    is_down: AtomicBool,
}

impl StackCluster {
    /// Deploys it and waits until every node is ready. `config` is of the manager's engine, `workers` are those of other machines of the Swarm.
    /// After an error nothing of it is left.
    pub async fn deploy(config: ComposeConfig, workers: &[EngineAddress]) -> Result<Self, ClusterError> {
        config.check()?;
        let addresses: Vec<&EngineAddress> = std::iter::once(&config.engine).chain(workers).collect();
        let engines = try_join_all(addresses.iter().map(|address| Engine::connect(address))).await?;
        engines[0].check_manager().await?;
        let project = config.project(&engines[0]);
        let file_name = config.file.display().to_string();
        let config_call = ["docker", "stack", "config", "--compose-file", &file_name];
        let yaml = tool::run(&project, &config_call, TASK_TIME_MAX).await?;
        let mut file: Value = yaml_serde::from_str(&yaml).map_err(|error| ClusterError::Invalid {
            what: format!("understand the stack file {file_name}"),
            why: error.to_string(),
        })?;
        file::check(&file, &config.nodes, &config.ports)?;
        let key = file::shared_network(&file, &config.nodes, config.network.as_deref())?;
        let directory = absolute(&config.directory)?;
        let mark = Mark::new(&config.key, &config.run, &directory);
        file::add(&mut file, &config.nodes, &mark.labels());
        cluster::make_folder(&directory).await?;
        Folder::open(&directory)?.replace(DEPLOYED_FILE, format!("{file:#}\n").as_bytes())?;

        let stack = project_name(&config.run);
        let deployed = directory.join(DEPLOYED_FILE).display().to_string();
        let up = [
            "docker",
            "stack",
            "deploy",
            "--resolve-image",
            "never",
            "--compose-file",
            &deployed,
            &stack,
        ];
        let names = addresses.iter().map(ToString::to_string);
        let mut cluster = StackCluster {
            mark,
            engines: names.zip(engines).collect(),
            network: format!("{stack}_{key}"),
            nodes: Vec::new(),
            is_down: AtomicBool::new(false),
            config: ComposeConfig { directory, ..config },
        };
        let up = match tool::run(&project, &up, UP_TIME_MAX).await {
            Ok(_) => cluster.settle().await,
            Err(error) => Err(error),
        };
        match up {
            Ok(()) => Ok(cluster),
            Err(error) => {
                // What went wrong first is what the user needs to know.
                let _ = cluster.down().await;
                Err(error)
            }
        }
    }

    /// Waits until all tasks run and nodes are ready.
    async fn settle(&mut self) -> Result<(), ClusterError> {
        for name in self.config.nodes.clone() {
            self.await_task(&name, &BTreeSet::new()).await?;
            let node = self.current(&name).await?;
            self.nodes.push(node);
        }
        let Some(readiness) = self.config.readiness.clone() else {
            return Ok(());
        };
        let deadline = Instant::now() + self.config.ready_within;
        let waits = self
            .config
            .nodes
            .iter()
            .map(|node| wait_ready(&*self, node, &readiness, deadline));
        try_join_all(waits).await.map(drop)
    }

    /// Every container that a node has or had, each with the number of its engine.
    async fn containers(&self, node: &str) -> Result<Vec<(usize, ContainerInspectResponse)>, ClusterError> {
        let label = format!("{RUN_LABEL}={}", self.config.run);
        let mut found = Vec::new();
        for (index, (_, engine)) in self.engines.iter().enumerate() {
            for thing in engine.list(Kind::Container, &label).await? {
                if self.mark.is_on(&thing) && sweep::service_of(&thing.labels) == Some(node) {
                    found.push((index, engine.container(&thing.id).await?));
                }
            }
        }
        Ok(found)
    }

    /// The one that runs, or the last that did.
    async fn container(&self, node: &str) -> Result<(usize, ContainerInspectResponse), ClusterError> {
        let all = self.containers(node).await?;
        let last = all
            .into_iter()
            .max_by_key(|(_, container)| (runs(container), container.created.clone()));
        last.ok_or_else(|| ClusterError::Unsupported {
            what: format!("find the container of {node}"),
            why: "the Swarm has started no task of it on the engines that Duress knows; `docker stack ps` says why, and every machine of the \
                  Swarm has to be named by [[cluster.compose.engines]]"
                .to_owned(),
        })
    }

    /// Waits until a task runs whose container is none of these.
    async fn await_task(&self, node: &str, old: &BTreeSet<String>) -> Result<(), ClusterError> {
        let began = Instant::now();
        loop {
            let all = self.containers(node).await?;
            let is_new = |container: &ContainerInspectResponse| {
                container.id.as_ref().is_some_and(|id| !old.contains(id))
            };
            let new: Vec<_> = all
                .into_iter()
                .filter(|(_, container)| is_new(container))
                .collect();
            if new.iter().any(|(_, container)| runs(container)) {
                return Ok(());
            }
            let ended = new
                .iter()
                .find_map(|(index, container)| match state_of(container) {
                    ProgramState::Stopped { how } if how != "never started" => {
                        Some((*index, container.id.clone()?, how))
                    }
                    _ => None,
                });
            if let Some((index, id, how)) = ended {
                let log = self.engines[index].1.log_tail(&id, LOG_LINES_IN_ERRORS).await;
                return Err(ClusterError::Unsupported {
                    what: format!("start {node}"),
                    why: format!("its program has ended: {how}; it wrote last:\n{}", log.trim_end()),
                });
            }
            if began.elapsed() > TASK_TIME_MAX {
                return Err(ClusterError::Timeout {
                    what: format!("wait until the Swarm starts {node}"),
                    limit_ms: TASK_TIME_MAX.as_millis() as u64,
                    detail: "; `docker stack ps --no-trunc` on the manager says why".to_owned(),
                });
            }
            sleep(TASK_PAUSE).await;
        }
    }

    /// Asks the manager for another task.
    async fn ask_for_task(&self, node: &str) -> Result<(), ClusterError> {
        let docker = self.engines[0].1.docker();
        let name = format!("{}_{node}", project_name(&self.config.run));
        let failed = |error| engine_error(format!("start a task of {node}"), error);
        let service = docker.inspect_service(&name, None).await.map_err(failed)?;
        let version = service
            .version
            .and_then(|version| version.index)
            .unwrap_or_default();
        let mut spec = service.spec.unwrap_or_default();
        let task = spec.task_template.get_or_insert_default();
        task.force_update = Some(task.force_update.unwrap_or_default() + 1);
        let options = UpdateServiceOptionsBuilder::new().version(version as i32).build();
        docker
            .update_service(&name, spec, options, None)
            .await
            .map_err(failed)
            .map(drop)
    }
}

fn state_of(container: &ContainerInspectResponse) -> ProgramState {
    program_state(&container.state.clone().unwrap_or_default())
}

fn runs(container: &ContainerInspectResponse) -> bool {
    state_of(container) == ProgramState::Running
}

#[async_trait]
impl OnEngines for StackCluster {
    fn engine_names(&self) -> Vec<String> {
        self.engines.iter().map(|(name, _)| name.clone()).collect()
    }

    async fn start_helper_on(&self, engine: usize, arguments: &[&str]) -> Result<Helper, ClusterError> {
        helper::start(&self.engines[engine].1, &self.mark, arguments).await
    }
}

#[async_trait]
impl Cluster for StackCluster {
    fn kind(&self) -> &'static str {
        "stack"
    }

    fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    fn client_addresses(&self) -> Vec<IpAddr> {
        let machines = self.engines.iter().filter_map(|(_, engine)| engine.machine());
        let sources: BTreeSet<IpAddr> = machines
            .filter_map(|machine| source_address(machine.into()).ok())
            .collect();
        sources.into_iter().collect()
    }

    fn observer_addresses(&self) -> Option<Vec<IpAddr>> {
        None
    }

    fn node_addresses(&self) -> Option<&dyn NodeAddresses> {
        Some(self)
    }

    async fn place(&self, node: &str) -> Result<Place, ClusterError> {
        let (index, container) = self.container(node).await?;
        Ok(Place {
            addresses: super::container::addresses_on(&container, Some(&self.network)),
            machine: index as u32 + 1,
            ..member::place(&container, node)?
        })
    }

    async fn start(&self, node: &str) -> Result<(), ClusterError> {
        let noticed = Instant::now() + member::NOTICE_TIME_ELSEWHERE;
        while self.state(node).await? == ProgramState::Running {
            if Instant::now() >= noticed {
                return Ok(());
            }
            sleep(TASK_PAUSE).await;
        }
        let old = self.containers(node).await?;
        let old: BTreeSet<String> = old
            .into_iter()
            .filter_map(|(_, container)| container.id)
            .collect();
        self.ask_for_task(node).await?;
        self.await_task(node, &old).await
    }

    async fn state(&self, node: &str) -> Result<ProgramState, ClusterError> {
        self.container(node)
            .await
            .map(|(_, container)| state_of(&container))
    }

    async fn log_tail(&self, node: &str, lines_max: usize) -> String {
        match self.container(node).await {
            Ok((index, container)) => {
                let id = container.id.unwrap_or_default();
                self.engines[index].1.log_tail(&id, lines_max).await
            }
            Err(error) => error.to_string(),
        }
    }

    async fn down(&self) -> Result<(), ClusterError> {
        if self.is_down.load(Ordering::Acquire) {
            return Ok(());
        }
        let swept = self
            .engines
            .iter()
            .map(|(_, engine)| sweep::sweep(engine, &self.mark));
        join_all(swept).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.is_down.store(true, Ordering::Release);
        Ok(())
    }
}

/// A task that is started anew may be on another machine, at another address.
#[async_trait]
impl NodeAddresses for StackCluster {
    async fn current(&self, node: &str) -> Result<Node, ClusterError> {
        let (index, container) = self.container(node).await?;
        node_of(&container, node, &self.network, self.engines[index].1.machine())
    }
}

impl Drop for StackCluster {
    fn drop(&mut self) {
        if !self.is_down.load(Ordering::Acquire) {
            cluster::sweep_on_drop(self.config.engine.clone(), self.mark.clone());
        }
    }
}
