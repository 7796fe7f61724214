//! The container engine: what is there, how it is, what it wrote.
//!
//! A thin layer over `bollard` that speaks this crate's words: containers are found by label, never by name, and every
//! error says what was tried.

mod about;
pub(in crate::compose) mod address;
mod archive;
mod context;
mod line;
mod logs;
mod tls;
mod way;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bollard::Docker;
use bollard::errors::Error::DockerResponseServerError as Refused;
use bollard::models::{ContainerInspectResponse, ImageConfig};
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListServicesOptionsBuilder,
    ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder,
};

pub(in crate::compose) use self::about::About;
use self::address::EngineAddress;
use self::line::Line;
use self::way::Way;
use crate::ClusterError;
use crate::compose::subnet::Subnet;

/// The engine's longest answer is the removal of a container whose program does not die.
const CALL_SECONDS_MAX: u64 = 60;

/// A connection to the engine.
#[derive(Clone)]
pub(in crate::compose) struct Engine {
    docker: Docker,
    /// Where it is spoken to.
    socket: PathBuf,
    /// By what its machine is reached from here.
    machine: Option<Ipv4Addr>,
    /// Leads to it, where it is elsewhere.
    _line: Option<Arc<Line>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}

/// Labels of something the engine has.
pub(in crate::compose) type Labels = HashMap<String, String>;

/// Kinds of things that Compose makes on an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Of a Swarm; only its managers have any.
    Service,
    /// With its anonymous volumes.
    Container,
    /// A network.
    Network,
    /// A named volume.
    Volume,
}

impl Kind {
    /// In the order in which they are removed: a service would make containers anew, and networks and volumes are in use until these are gone.
    pub const ALL: [Kind; 4] = [Kind::Service, Kind::Container, Kind::Network, Kind::Volume];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Service => "service",
            Kind::Container => "container",
            Kind::Network => "network",
            Kind::Volume => "volume",
        })
    }
}

/// One container, network or volume.
#[derive(Clone, Debug)]
pub(in crate::compose) struct Thing {
    pub kind: Kind,
    pub id: String,
    pub name: String,
    pub labels: Labels,
}

impl Engine {
    /// Connects, and agrees on a version of the interface. Fails where it can't be reached, is not the one that is meant, or lets nobody in.
    pub async fn connect(address: &EngineAddress) -> Result<Self, ClusterError> {
        let refuse = |why: String| ClusterError::Unsupported {
            what: format!("talk to the container engine at {address}"),
            why,
        };
        let way = Way::to(address).await.map_err(refuse)?;
        way.greet(address).await.map_err(refuse)?;
        let machine = way.machine().await;
        let (socket, line) = match way {
            Way::Unix(socket) => (socket, None),
            way => {
                let line = Line::open(way)
                    .map_err(|error| refuse(format!("make a socket that leads there: {error}")))?;
                (line.socket().to_owned(), Some(Arc::new(line)))
            }
        };
        let path = socket.to_str().unwrap_or_default();
        let docker = Docker::connect_with_unix(path, CALL_SECONDS_MAX, bollard::API_DEFAULT_VERSION)
            .map_err(|error| refuse(error.to_string()))?
            .negotiate_version()
            .await
            .map_err(|error| refuse(error.to_string()))?;
        Ok(Engine {
            docker,
            socket,
            machine,
            _line: line,
        })
    }

    /// A socket of this machine that leads to it, as long as this engine lives.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// By what address its machine is reached from here.
    pub fn machine(&self) -> Option<Ipv4Addr> {
        self.machine
    }

    /// What tells it from all others.
    pub async fn id(&self) -> Result<String, ClusterError> {
        let failed = |error| engine_error("ask the engine what it is".to_owned(), error);
        let info = self.docker.info().await.map_err(failed)?;
        Ok(info.id.unwrap_or_default())
    }

    /// Refuses an engine that is no manager of a Swarm.
    pub async fn check_manager(&self) -> Result<(), ClusterError> {
        match self.about().await?.manages {
            true => Ok(()),
            false => Err(ClusterError::Unsupported {
                what: "deploy a stack".to_owned(),
                why: "the engine is no manager of a Swarm; make it one by `docker swarm init`, or name a manager".to_owned(),
            }),
        }
    }

    /// The client itself, for what only the helper container needs.
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// Everything of one kind that has this label: `key` or `key=value`.
    pub async fn list(&self, kind: Kind, label: &str) -> Result<Vec<Thing>, ClusterError> {
        let filters = HashMap::from([("label", vec![label])]);
        let failed = |error| engine_error(format!("list the {kind}s with label {label}"), error);
        let thing = |id: Option<String>, name: Option<String>, labels: Option<Labels>| Thing {
            kind,
            id: id.unwrap_or_default(),
            name: name.unwrap_or_default(),
            labels: labels.unwrap_or_default(),
        };
        Ok(match kind {
            Kind::Service => {
                let options = ListServicesOptionsBuilder::new().filters(&filters).build();
                let found = match self.docker.list_services(Some(options)).await {
                    // In no Swarm, or no manager of one.
                    Err(Refused {
                        status_code: 404 | 406 | 503,
                        ..
                    }) => Vec::new(),
                    found => found.map_err(failed)?,
                };
                let service = |one: bollard::models::Service| {
                    let spec = one.spec.unwrap_or_default();
                    thing(one.id, spec.name, spec.labels)
                };
                found.into_iter().map(service).collect()
            }
            Kind::Container => {
                let options = ListContainersOptionsBuilder::new()
                    .all(true)
                    .filters(&filters)
                    .build();
                let found = self.docker.list_containers(Some(options)).await.map_err(failed)?;
                let name = |names: Option<Vec<String>>| {
                    names.and_then(|names| Some(names.first()?.trim_start_matches('/').to_owned()))
                };
                (found.into_iter())
                    .map(|one| thing(one.id, name(one.names), one.labels))
                    .collect()
            }
            Kind::Network => {
                let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
                let found = self.docker.list_networks(Some(options)).await.map_err(failed)?;
                found
                    .into_iter()
                    .map(|one| thing(one.id, one.name, one.labels))
                    .collect()
            }
            Kind::Volume => {
                let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
                let found = self.docker.list_volumes(Some(options)).await.map_err(failed)?;
                (found.volumes.unwrap_or_default().into_iter())
                    .map(|one| thing(Some(one.name.clone()), Some(one.name), Some(one.labels)))
                    .collect()
            }
        })
    }

    /// Removes one thing; a container by force and with its anonymous volumes. What is gone already is not an error.
    pub async fn remove(&self, thing: &Thing) -> Result<(), ClusterError> {
        let removed = match thing.kind {
            Kind::Service => self.docker.delete_service(&thing.id).await,
            Kind::Container => {
                let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
                self.docker.remove_container(&thing.id, Some(options)).await
            }
            Kind::Network => self.docker.remove_network(&thing.id).await,
            Kind::Volume => {
                let options = RemoveVolumeOptionsBuilder::new().force(true).build();
                self.docker.remove_volume(&thing.id, Some(options)).await
            }
        };
        match removed {
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
            removed => {
                removed.map_err(|error| engine_error(format!("remove {} {}", thing.kind, thing.name), error))
            }
        }
    }

    /// Subnets of all networks of the engine, whoever made them.
    pub async fn subnets(&self) -> Result<Vec<Subnet>, ClusterError> {
        let failed = |error| engine_error("list the networks".to_owned(), error);
        let networks = self.docker.list_networks(None).await.map_err(failed)?;
        let entries = networks
            .into_iter()
            .filter_map(|network| network.ipam?.config)
            .flatten();
        Ok(entries.filter_map(|entry| entry.subnet?.parse().ok()).collect())
    }

    /// Whether the engine has an image.
    pub async fn has_image(&self, image: &str) -> Result<bool, ClusterError> {
        match self.docker.inspect_image(image).await {
            Ok(_) => Ok(true),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(false),
            Err(error) => Err(engine_error(format!("look for image {image}"), error)),
        }
    }

    /// What an image says of the containers made of it. `None`: the engine does not have the image.
    pub async fn image_config(&self, image: &str) -> Result<Option<ImageConfig>, ClusterError> {
        match self.docker.inspect_image(image).await {
            Ok(found) => Ok(found.config),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(engine_error(format!("look at image {image}"), error)),
        }
    }

    /// A container as it is.
    pub async fn container(&self, id: &str) -> Result<ContainerInspectResponse, ClusterError> {
        let failed = |error| engine_error(format!("look at container {id}"), error);
        self.docker.inspect_container(id, None).await.map_err(failed)
    }

    /// Name and id of the container that somebody calls so, by its name or the beginning of its id. `None`: there is none.
    pub async fn named(&self, called: &str) -> Result<Option<(String, String)>, ClusterError> {
        let found = match self.docker.inspect_container(called, None).await {
            Ok(found) => found,
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {
                return Ok(None);
            }
            Err(error) => return Err(engine_error(format!("look for container {called}"), error)),
        };
        let name = found.name.unwrap_or_default().trim_start_matches('/').to_owned();
        Ok(found.id.map(|id| (name, id)))
    }

    /// Starts a container; one that runs is left alone.
    pub async fn start(&self, id: &str, node: &str) -> Result<(), ClusterError> {
        let failed = |error| engine_error(format!("start the container of {node}"), error);
        self.docker.start_container(id, None).await.map_err(failed)
    }
}

/// What was tried, and what the engine said: all of it, as the client keeps the cause ("connection refused") in an error
/// within an error.
pub(in crate::compose) fn engine_error(what: String, error: bollard::errors::Error) -> ClusterError {
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        let source_said = source.to_string();
        if !said.contains(&source_said) {
            said = format!("{said}: {source_said}");
        }
        cause = source.source();
    }
    ClusterError::Io {
        what,
        source: io::Error::other(said),
    }
}

#[cfg(test)]
mod tests;
