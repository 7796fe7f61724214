//! What the engine knows of a container, in the words of a cluster.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bollard::models::{
    ContainerInspectResponse, ContainerState, EndpointSettings, PortBinding, RestartPolicyNameEnum,
};

use crate::{ClusterError, Node, ProgramState};

/// A node, as a cluster knows it, from its container: by its addresses on the network that all nodes share,
/// which the engine calls `shared`. `machine`: by what the engine's machine is reached, where nodes are by the ports that they publish there.
pub fn node_of(
    container: &ContainerInspectResponse,
    name: &str,
    shared: &str,
    machine: Option<Ipv4Addr>,
) -> Result<Node, ClusterError> {
    let refuse = |why: String| ClusterError::Unsupported {
        what: format!("address {name}"),
        why,
    };
    let (_, endpoint) = endpoints(container)
        .find(|(network, _)| *network == shared)
        .ok_or_else(|| refuse(format!("its container is not on the network {shared}")))?;
    let Some(ipv4) = parse(endpoint.ip_address.as_ref()) else {
        return Err(refuse(format!(
            "its container has no IPv4 address on the network {shared}"
        )));
    };
    Ok(Node {
        name: name.to_owned(),
        ipv4,
        ipv6: parse(endpoint.global_ipv6_address.as_ref()),
        published: machine
            .map(|machine| published(container, machine))
            .unwrap_or_default(),
    })
}

/// Where its ports of TCP are reached that it publishes on its engine's machine, which is reached at that address.
fn published(container: &ContainerInspectResponse, machine: Ipv4Addr) -> BTreeMap<u16, SocketAddr> {
    let ports = container
        .network_settings
        .iter()
        .filter_map(|settings| settings.ports.as_ref());
    let one = |(inside, outside): (&String, &Option<Vec<PortBinding>>)| {
        let inside = inside.strip_suffix("/tcp")?.parse().ok()?;
        let at = |binding: &PortBinding| {
            let host: Option<Ipv4Addr> = parse(binding.host_ip.as_ref());
            let host = host.filter(|host| !host.is_unspecified()).unwrap_or(machine);
            let v6_only = binding.host_ip.as_ref().is_some_and(|host| host.contains(':'));
            let port = parse::<u16>(binding.host_port.as_ref())?;
            (!v6_only).then_some(SocketAddr::from((host, port)))
        };
        Some((inside, outside.iter().flatten().find_map(at)?))
    };
    ports.flatten().filter_map(one).collect()
}

/// Every address that a container has.
pub fn addresses(container: &ContainerInspectResponse) -> Vec<IpAddr> {
    addresses_on(container, None)
}

/// Every address that a container has on this network, by the engine's name; on any, where none is named.
pub fn addresses_on(container: &ContainerInspectResponse, network: Option<&str>) -> Vec<IpAddr> {
    endpoints(container)
        .filter(|(name, _)| network.is_none_or(|network| network == *name))
        .flat_map(|(_, endpoint)| [&endpoint.ip_address, &endpoint.global_ipv6_address])
        .filter_map(|address| parse(address.as_ref()))
        .collect()
}

/// The engine's names of a container's networks.
pub fn networks(container: &ContainerInspectResponse) -> impl Iterator<Item = &str> {
    endpoints(container).map(|(name, _)| name.as_str())
}

/// A container's networks, by the engine's names.
fn endpoints(container: &ContainerInspectResponse) -> impl Iterator<Item = (&String, &EndpointSettings)> {
    container
        .network_settings
        .iter()
        .filter_map(|settings| settings.networks.as_ref())
        .flatten()
}

/// Where there is no address the engine writes an empty one.
fn parse<Address: FromStr>(address: Option<&String>) -> Option<Address> {
    address?.parse().ok()
}

/// When the engine starts a container's program again by itself; `None`: never.
pub fn restart_policy(container: &ContainerInspectResponse) -> Option<RestartPolicyNameEnum> {
    let policy = container.host_config.as_ref()?.restart_policy.as_ref()?.name?;
    (!matches!(policy, RestartPolicyNameEnum::EMPTY | RestartPolicyNameEnum::NO)).then_some(policy)
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

/// Whether a container's program runs.
pub fn program_state(state: &ContainerState) -> ProgramState {
    if state.running == Some(true) {
        return ProgramState::Running;
    }
    let how = match state.exit_code {
        _ if state.oom_killed == Some(true) => "killed for want of memory".to_owned(),
        // As a shell counts: 128 and the number of the signal.
        Some(code @ 129..=192) => format!("signal {}", code - 128),
        Some(code)
            if state
                .started_at
                .as_deref()
                .is_some_and(|at| !at.starts_with("0001")) =>
        {
            format!("exit status {code}")
        }
        _ => "never started".to_owned(),
    };
    ProgramState::Stopped { how }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bollard::models::NetworkSettings;

    use super::*;

    fn state(running: bool, exit_code: i64, started_at: &str) -> ProgramState {
        program_state(&ContainerState {
            running: Some(running),
            exit_code: Some(exit_code),
            started_at: Some(started_at.to_owned()),
            ..ContainerState::default()
        })
    }

    #[test]
    fn published_ports_are_reached_at_the_machine() {
        let binding = |ip: &str, port: &str| PortBinding {
            host_ip: Some(ip.to_owned()),
            host_port: Some(port.to_owned()),
        };
        let ports = HashMap::from([
            (
                "80/tcp".to_owned(),
                Some(vec![binding("::", "7"), binding("0.0.0.0", "7001")]),
            ),
            ("81/tcp".to_owned(), Some(vec![binding("10.0.0.9", "7002")])),
            ("82/tcp".to_owned(), None),
            ("83/udp".to_owned(), Some(vec![binding("0.0.0.0", "7003")])),
        ]);
        let container = ContainerInspectResponse {
            network_settings: Some(NetworkSettings {
                ports: Some(ports),
                ..NetworkSettings::default()
            }),
            ..ContainerInspectResponse::default()
        };
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        assert_eq!(
            published(&container, Ipv4Addr::new(10, 0, 0, 1)),
            [(80, at("10.0.0.1:7001")), (81, at("10.0.0.9:7002"))].into()
        );
    }

    #[test]
    fn ends_are_told_as_a_shell_would() {
        let stopped = |how: &str| ProgramState::Stopped { how: how.to_owned() };
        let at = "2026-01-01T00:00:00Z";
        assert_eq!(state(true, 0, at), ProgramState::Running);
        assert_eq!(state(false, 137, at), stopped("signal 9"));
        assert_eq!(state(false, 1, at), stopped("exit status 1"));
        assert_eq!(state(false, 0, at), stopped("exit status 0"));
        assert_eq!(state(false, 0, "0001-01-01T00:00:00Z"), stopped("never started"));
    }
}
