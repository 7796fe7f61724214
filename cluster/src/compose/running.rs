//! Containers that run already, and that Duress did not start: those of a compose project, or any by name.
//!
//! They are looked at and started again once they were killed. Nothing else of them is changed, and they are never taken
//! down: what faults do to them is for the nemesis to undo.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use async_trait::async_trait;
use bollard::models::{ContainerInspectResponse, HealthStatusEnum};

use super::container::{addresses_on, networks, node_of, program_state, source_address};
use super::engine::address::EngineAddress;
use super::engine::{Engine, Kind, Thing};
use super::helper::{self, Helper, WithHelper};
use super::mark::Mark;
use super::member;
use super::sweep::{self, COMPOSE_PROJECT_LABEL};
use crate::{Cluster, ClusterError, Key, Node, NodeAddresses, Place, ProgramState};

/// Which containers.
#[derive(Clone, Debug)]
pub struct RunningConfig {
    /// The engine.
    pub engine: EngineAddress,
    /// Names of compose projects, and names or ids of containers.
    pub on: Vec<String>,
    /// The services or containers that are nodes. Empty: all of them.
    pub nodes: Vec<String>,
    /// The network on which they are broken, as Compose or the engine calls it. `None`: all that they are on.
    pub network: Option<String>,
}

/// Containers that run already, and are only looked at so far.
#[derive(Debug)]
pub struct Found {
    engine: Engine,
    nodes: Vec<Node>,
    containers: BTreeMap<String, String>,
    gateways: Vec<IpAddr>,
    /// The engine's name of the one that was asked for.
    network: Option<String>,
    /// What the engine is called, if it is on another machine.
    elsewhere: Option<String>,
}

impl Found {
    /// What their engine is called, if it is on another machine.
    pub fn engine_elsewhere(&self) -> Option<&str> {
        self.elsewhere.as_deref()
    }

    /// Names of the nodes, in order.
    pub fn names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.name.clone()).collect()
    }

    /// The same as a cluster of this run, a name that no other run on the engine has: what is made there is sealed with the
    /// key, and says where the journal is.
    pub fn in_the_name_of(self, run: &str, directory: &Path, key: &Key) -> RunningContainers {
        RunningContainers {
            mark: Mark::new(key, run, directory),
            found: self,
        }
    }
}

/// Containers that run already.
#[derive(Debug)]
pub struct RunningContainers {
    mark: Mark,
    found: Found,
}

impl RunningContainers {
    /// Finds them. Fails where one is missing, does not run, or has no address to break.
    pub async fn find(config: &RunningConfig) -> Result<Found, ClusterError> {
        let engine = Engine::connect(&config.engine).await?;
        let elsewhere = (!config.engine.is_here()).then(|| config.engine.to_string());
        let found = chosen(members(&engine, &config.on).await?, &config.nodes)?;
        let mut containers = BTreeMap::new();
        let mut inspected = Vec::new();
        for (name, id) in found {
            let container = engine.container(&id).await?;
            let state = program_state(&container.state.clone().unwrap_or_default());
            if let ProgramState::Stopped { how } = state {
                return Err(unsupported(
                    &format!("break {name}"),
                    &format!("its container does not run ({how}); start it, or name the others with --nodes"),
                ));
            }
            containers.insert(name.clone(), id);
            inspected.push((name, container));
        }
        let network = match &config.network {
            Some(network) => Some(named_network(&inspected, network)?),
            None => None,
        };
        let shared = match &network {
            Some(network) => network.clone(),
            None => any_shared_network(&inspected)?,
        };
        let mut nodes = Vec::new();
        let mut gateways = Vec::new();
        for (name, container) in &inspected {
            let node = node_of(container, name, &shared, None)?;
            let addresses = std::iter::once(node.ipv4.into()).chain(node.ipv6.map(IpAddr::from));
            // Addresses of containers on another machine lead nowhere from here.
            for address in addresses.filter(|_| elsewhere.is_none()) {
                let source = source_address(address)?;
                if !gateways.contains(&source) {
                    gateways.push(source);
                }
            }
            nodes.push(node);
        }
        Ok(Found {
            engine,
            nodes,
            containers,
            gateways,
            network,
            elsewhere,
        })
    }

    /// Whether it runs, and where it has a health check, is healthy.
    pub async fn is_ready(&self, node: &str) -> Result<bool, ClusterError> {
        let container = self.found.engine.container(self.id(node)?).await?;
        let state = container.state.unwrap_or_default();
        let healthy = match state.health.as_ref().and_then(|health| health.status) {
            None | Some(HealthStatusEnum::EMPTY | HealthStatusEnum::NONE | HealthStatusEnum::HEALTHY) => true,
            Some(HealthStatusEnum::STARTING | HealthStatusEnum::UNHEALTHY) => false,
        };
        Ok(program_state(&state) == ProgramState::Running && healthy)
    }

    fn id(&self, node: &str) -> Result<&str, ClusterError> {
        let id = self.found.containers.get(node).map(String::as_str);
        id.ok_or_else(|| ClusterError::UnknownNode {
            name: node.to_owned(),
            known: self
                .found
                .containers
                .keys()
                .cloned()
                .collect::<Vec<_>>()
                .join(", "),
        })
    }
}

#[async_trait]
impl WithHelper for RunningContainers {
    async fn start_helper(&self, arguments: &[&str]) -> Result<Helper, ClusterError> {
        helper::start(&self.found.engine, &self.mark, arguments).await
    }

    fn engine_elsewhere(&self) -> Option<String> {
        self.found.elsewhere.clone()
    }

    fn id_on_engine(&self, node: &str) -> Result<String, ClusterError> {
        self.id(node).map(str::to_owned)
    }
}

#[async_trait]
impl Cluster for RunningContainers {
    fn kind(&self) -> &'static str {
        "running"
    }

    fn nodes(&self) -> &[Node] {
        &self.found.nodes
    }

    fn client_addresses(&self) -> Vec<IpAddr> {
        self.found.gateways.clone()
    }

    fn observer_addresses(&self) -> Option<Vec<IpAddr>> {
        None
    }

    fn node_addresses(&self) -> Option<&dyn NodeAddresses> {
        Some(self)
    }

    async fn place(&self, node: &str) -> Result<Place, ClusterError> {
        let container = self.found.engine.container(self.id(node)?).await?;
        Ok(Place {
            addresses: addresses_on(&container, self.found.network.as_deref()),
            machine: u32::from(self.found.elsewhere.is_some()),
            ..member::place(&container, node)?
        })
    }

    async fn start(&self, node: &str) -> Result<(), ClusterError> {
        let machine = u32::from(self.found.elsewhere.is_some());
        member::start(&self.found.engine, self.id(node)?, node, machine).await
    }

    async fn state(&self, node: &str) -> Result<ProgramState, ClusterError> {
        let container = self.found.engine.container(self.id(node)?).await?;
        Ok(program_state(&container.state.unwrap_or_default()))
    }

    async fn log_tail(&self, node: &str, lines_max: usize) -> String {
        match self.id(node) {
            Ok(id) => self.found.engine.log_tail(id, lines_max).await,
            Err(error) => error.to_string(),
        }
    }

    /// Removes the helper container, if there is one. The nodes stay.
    async fn down(&self) -> Result<(), ClusterError> {
        sweep::sweep(&self.found.engine, &self.mark).await.map(drop)
    }
}

/// The engine may give a container that is started again another address.
#[async_trait]
impl NodeAddresses for RunningContainers {
    async fn current(&self, node: &str) -> Result<Node, ClusterError> {
        let container = self.found.engine.container(self.id(node)?).await?;
        let network = match &self.found.network {
            Some(network) => network.clone(),
            None => any_shared_network(&[(node.to_owned(), container.clone())])?,
        };
        node_of(&container, node, &network, None)
    }
}

fn unsupported(what: &str, why: &str) -> ClusterError {
    ClusterError::Unsupported {
        what: what.to_owned(),
        why: why.to_owned(),
    }
}

/// Names and ids of what is meant by names of projects and containers.
async fn members(engine: &Engine, on: &[String]) -> Result<BTreeMap<String, String>, ClusterError> {
    let mut all = BTreeMap::new();
    for name in on {
        let things = engine
            .list(Kind::Container, &format!("{COMPOSE_PROJECT_LABEL}={name}"))
            .await?;
        let found = match things.is_empty() {
            false => of_project(&things),
            true => vec![engine.named(name).await?.ok_or_else(|| {
                unsupported(
                    &format!("find {name}"),
                    "the engine has no compose project and no container of that name; `docker ps` lists containers, \
                     `docker compose ls` projects",
                )
            })?],
        };
        all.extend(found);
    }
    Ok(all)
}

/// Names and ids of a project's containers.
fn of_project(things: &[Thing]) -> Vec<(String, String)> {
    let name = |thing: &Thing| sweep::name_among(thing, things).unwrap_or_else(|| thing.name.clone());
    things
        .iter()
        .map(|thing| (name(thing), thing.id.clone()))
        .collect()
}

/// Those that are asked for, or all.
fn chosen(
    mut found: BTreeMap<String, String>,
    nodes: &[String],
) -> Result<BTreeMap<String, String>, ClusterError> {
    if nodes.is_empty() {
        return Ok(found);
    }
    let known = found.keys().cloned().collect::<Vec<_>>().join(", ");
    let take = |name: &String| {
        let id = found.remove(name).ok_or_else(|| ClusterError::UnknownNode {
            name: name.clone(),
            known: known.clone(),
        })?;
        Ok((name.clone(), id))
    };
    nodes.iter().map(take).collect()
}

type Inspected = (String, ContainerInspectResponse);

/// The engine's name of a network that somebody asked for by that name or by Compose's.
fn named_network(nodes: &[Inspected], asked: &str) -> Result<String, ClusterError> {
    let all: BTreeSet<&str> = nodes
        .iter()
        .flat_map(|(_, container)| networks(container))
        .collect();
    let is_it = |network: &&&str| **network == asked || network.ends_with(&format!("_{asked}"));
    let network = all
        .iter()
        .find(|network| **network == asked)
        .or_else(|| all.iter().find(is_it));
    network.map(|network| (*network).to_owned()).ok_or_else(|| {
        let known: Vec<&str> = all.into_iter().collect();
        unsupported(
            &format!("break the network {asked}"),
            &format!("no node is on it; there are {}", known.join(", ")),
        )
    })
}

/// The first network, by name, that all of them are on.
fn any_shared_network(nodes: &[Inspected]) -> Result<String, ClusterError> {
    let of = |(_, container): &Inspected| networks(container).map(str::to_owned).collect::<BTreeSet<_>>();
    let mut shared = nodes.first().map(of).unwrap_or_default();
    for node in nodes {
        shared = shared.intersection(&of(node)).cloned().collect();
    }
    shared.into_iter().next().ok_or_else(|| {
        let each = nodes.iter().map(|node| {
            let of = of(node).into_iter().collect::<Vec<_>>().join(", ");
            format!("{}: {}", node.0, if of.is_empty() { "none" } else { &of })
        });
        unsupported(
            "address the nodes",
            &format!(
                "there is no network that all of them are on ({}); name those that share one with --nodes",
                each.collect::<Vec<_>>().join("; ")
            ),
        )
    })
}
