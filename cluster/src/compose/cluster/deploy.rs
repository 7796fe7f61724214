//! Brings a cluster up: the override file is written, the tool makes the project, the engine tells what came of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use super::ComposeCluster;
use crate::compose::config::ComposeConfig;
use crate::compose::container::{node_of, restart_policy, source_address};
use crate::compose::engine::{Engine, Kind};
use crate::compose::mark::{Mark, RUN_LABEL};
use crate::compose::plan::{absolute, ensure_images, plan, resolve};
use crate::compose::sweep;
use crate::compose::tool::{Tool, UP_TIME_MAX};
use crate::folder::Folder;
use crate::{Cluster, ClusterError};

/// Parallel runs that look for a free subnet at the same time may find the same one; the engine gives it to one of them.
const SUBNET_TRIES_MAX: u32 = 8;

impl ComposeCluster {
    /// Brings the cluster up and waits until every node is ready. After an error nothing of it is left.
    pub async fn deploy(config: ComposeConfig) -> Result<Self, ClusterError> {
        let mut cluster = ComposeCluster::plan(config).await?;
        let up = match cluster.up(&["up", "--detach"]).await {
            Ok(()) => cluster.settle().await,
            Err(error) => Err(error),
        };
        cluster.kept_if(up).await.map(|(cluster, ())| cluster)
    }

    /// The same, with something that is done after containers and volumes are made and before anything runs.
    pub async fn deploy_on<T, E: From<ClusterError>>(
        config: ComposeConfig,
        lay: impl AsyncFnOnce(&ComposeCluster) -> Result<T, E>,
    ) -> Result<(Self, T), E> {
        let mut cluster = ComposeCluster::plan(config).await?;
        let laid = match cluster.up(&["up", "--no-start"]).await {
            Ok(()) => lay(&cluster).await,
            Err(error) => Err(error.into()),
        };
        let laid = match laid {
            Ok(laid) => cluster.go_on().await.map(|()| laid).map_err(E::from),
            Err(error) => Err(error),
        };
        cluster.kept_if(laid).await
    }

    /// The cluster, with what came of it; taken down where something went wrong.
    async fn kept_if<T, E>(self, done: Result<T, E>) -> Result<(Self, T), E> {
        match done {
            Ok(done) => Ok((self, done)),
            Err(error) => {
                // What went wrong first is what the user needs to know.
                let _ = self.down().await;
                Err(error)
            }
        }
    }

    /// Starts what is made.
    async fn go_on(&mut self) -> Result<(), ClusterError> {
        let up = ["up", "--detach"];
        self.tool.run(&self.project, &up, UP_TIME_MAX).await?;
        self.settle().await
    }

    /// Learns where nodes are, and waits until they are ready.
    async fn settle(&mut self) -> Result<(), ClusterError> {
        self.find_nodes().await?;
        self.await_ready().await
    }

    /// All that is known before anything is made.
    pub(in crate::compose) async fn plan(config: ComposeConfig) -> Result<Self, ClusterError> {
        config.check()?;
        let engine = Engine::connect(&config.engine).await?;
        let tool = Tool::find().await?;
        let resolved = resolve(&engine, &tool, &config).await?;
        let directory = absolute(&config.directory)?;
        let mut project = config.project(&engine);
        ensure_images(&engine, &tool, &project, &resolved).await?;
        project.additions = Some(directory.join(override_name(config.machine())));
        Ok(ComposeCluster {
            mark: Mark::new(&config.key, &config.run, &directory),
            config: ComposeConfig { directory, ..config },
            tool,
            project,
            resolved,
            additions: Mutex::default(),
            engine,
            nodes: Vec::new(),
            gateways: Vec::new(),
            containers: Mutex::default(),
            is_down: AtomicBool::new(false),
        })
    }

    pub(in crate::compose) async fn up(&mut self, call: &[&str]) -> Result<(), ClusterError> {
        let services = self.services();
        let call: Vec<&str> = call
            .iter()
            .copied()
            .chain(services.iter().map(String::as_str))
            .collect();
        make_folder(&self.config.directory).await?;
        let mut last_error = None;
        for attempt in 0..SUBNET_TRIES_MAX {
            let additions = plan(&self.engine, &self.config, &self.resolved, attempt).await?;
            for folder in additions.data.values() {
                make_folder(&folder.outside).await?;
            }
            *self.additions.get_mut().expect("no panic while it is held") = additions;
            self.write_override().await?;
            match self.tool.run(&self.project, &call, UP_TIME_MAX).await {
                Ok(_) => return Ok(()),
                Err(error) if is_overlap(&error) => {
                    last_error = Some(error);
                    sweep::sweep(&self.engine, &self.mark).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(last_error.expect("the loop ends early unless a subnet was refused"))
    }

    /// Writes the override file as it is now.
    pub(super) async fn write_override(&self) -> Result<(), ClusterError> {
        Folder::open(&self.config.directory)?.replace(
            &override_name(self.config.machine()),
            self.override_yaml().as_bytes(),
        )
    }

    /// Learns addresses from the engine, and makes sure that the override did what it was for.
    pub(in crate::compose) async fn find_nodes(&mut self) -> Result<(), ClusterError> {
        self.find_containers().await?;
        let shared = self.shared_network()?;
        for name in &self.config.nodes {
            let container = self.engine.container(&self.container_of(name)?).await?;
            if let Some(policy) = restart_policy(&container) {
                return Err(ClusterError::Unsupported {
                    what: format!("keep {name} down once it is killed"),
                    why: format!("its container has restart policy {policy} in spite of the override"),
                });
            }
            let node = node_of(&container, name, &shared, self.machine())?;
            let to: Vec<IpAddr> = match self.machine() {
                Some(machine) => vec![machine.into()],
                None => std::iter::once(node.ipv4.into())
                    .chain(node.ipv6.map(IpAddr::from))
                    .collect(),
            };
            for address in to {
                let source = source_address(address)?;
                if !self.gateways.contains(&source) {
                    self.gateways.push(source);
                }
            }
            self.nodes.push(node);
        }
        Ok(())
    }

    /// What is brought up here, as words for the tool. Of a cluster on several engines: the nodes that are here; on the first one also what is no
    /// node and behind no profile. Services elsewhere that these depend on are not started here.
    fn services(&self) -> Vec<String> {
        if !self.config.is_spread() {
            return Vec::new();
        }
        let is_node = |service: &str| {
            let mut nodes = self.config.cluster().iter();
            nodes.any(|node| {
                self.resolved
                    .member(node)
                    .is_some_and(|member| member.service == service)
            })
        };
        let others = self.resolved.services().filter(|service| {
            self.config.machine() == 1
                && !is_node(service)
                && self.resolved.service(service)["profiles"].is_null()
        });
        let here = self.config.nodes.iter().map(String::as_str).chain(others);
        std::iter::once("--no-deps")
            .chain(here)
            .map(str::to_owned)
            .collect()
    }

    /// Learns which container each node is.
    pub(super) async fn find_containers(&self) -> Result<(), ClusterError> {
        let refuse = |service: &str, why: &str| {
            Err(ClusterError::Unsupported {
                what: format!("use service {service} as a node"),
                why: why.to_owned(),
            })
        };
        let nodes = &self.config.nodes;
        let label = format!("{RUN_LABEL}={}", self.config.run);
        let mut found = BTreeMap::new();
        for thing in self.engine.list(Kind::Container, &label).await? {
            if !self.mark.is_on(&thing) {
                continue;
            }
            let service = sweep::service_of(&thing.labels).unwrap_or_default();
            let is_it = |node: &&String| {
                self.resolved.member(node).is_some_and(|member| {
                    member.service == service
                        && member
                            .replica
                            .is_none_or(|_| member.replica == sweep::replica_of(&thing.labels))
                })
            };
            if let Some(node) = nodes.iter().find(is_it)
                && found.insert(node.clone(), thing.id).is_some()
            {
                return refuse(node, "it has several containers; a node is one");
            }
        }
        if let Some(missing) = nodes.iter().find(|node| !found.contains_key(*node)) {
            return refuse(
                missing,
                "Compose made no container for it; is it behind a profile that is not active?",
            );
        }
        *self.containers.lock().expect("no panic while it is held") = found;
        Ok(())
    }
}

/// Name of the override file in the run's directory, of the engine on this machine.
fn override_name(machine: u32) -> String {
    match machine {
        0 => "compose.override.yaml".to_owned(),
        machine => format!("compose.override.{machine}.yaml"),
    }
}

/// The engine's words for "somebody else has this subnet", by several versions.
fn is_overlap(error: &ClusterError) -> bool {
    let said = std::error::Error::source(error).map(|source| source.to_string().to_lowercase());
    said.is_some_and(|said| said.contains("overlap") || said.contains("conflicts with network"))
}

pub(in crate::compose) async fn make_folder(folder: &Path) -> Result<(), ClusterError> {
    let made = tokio::fs::create_dir_all(folder).await;
    made.map_err(|source| ClusterError::Io {
        what: format!("make the folder {}", folder.display()),
        source,
    })
}
