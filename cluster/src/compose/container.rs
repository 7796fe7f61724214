//! What the engine knows of a container, in the words of a cluster.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::{Path, PathBuf};

use bollard::models::ContainerInspectResponse;

use super::tool::Project;
use crate::ClusterError;

pub type Endpoint = bollard::models::EndpointSettings;

/// A container's networks, by the engine's names.
pub fn endpoints(container: &ContainerInspectResponse) -> impl Iterator<Item = (&String, &Endpoint)> {
    container
        .network_settings
        .iter()
        .filter_map(|settings| settings.networks.as_ref())
        .flatten()
}

/// Whether the engine's name of a network is that of the file's network: ours, or an external one's own.
pub fn is_network(on_engine: &str, in_file: &str, project: &Project) -> bool {
    on_engine == format!("{}_{in_file}", project.name) || on_engine == in_file
}

/// The address that requests from this machine to another one come from. Nothing is sent: connecting a datagram socket
/// only asks the routing table. (The engine itself does not always tell the gateway of an internal network.)
pub fn source_address(destination: IpAddr) -> Result<IpAddr, ClusterError> {
    let any: IpAddr = match destination {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let asked = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((destination, 9))?;
        socket.local_addr()
    });
    asked
        .map(|address| address.ip())
        .map_err(|source| ClusterError::Io {
            what: format!("find the way from this machine to {destination}"),
            source,
        })
}

/// A path in a container as seen on the engine's machine: under the mount that it is on, or through the process.
pub fn data_on_host(container: &ContainerInspectResponse, path: &str, pid: u32) -> PathBuf {
    let path = Path::new(path);
    let mounts = container.mounts.iter().flatten().filter_map(|mount| {
        let below = path.strip_prefix(mount.destination.as_deref()?).ok()?;
        Some((
            below,
            mount.source.as_deref().filter(|source| !source.is_empty())?,
        ))
    });
    match mounts.min_by_key(|(below, _)| below.components().count()) {
        Some((below, source)) => Path::new(source).join(below),
        None => Path::new("/proc")
            .join(pid.to_string())
            .join("root")
            .join(path.strip_prefix("/").unwrap_or(path)),
    }
}
