//! Ports that services publish on the engine's machine: how nodes are reached whose own addresses lead nowhere from here.

use serde_json::Value;

use super::engine::address::EngineAddress;
use super::resolved::Resolved;
use crate::ClusterError;

/// Refuses nodes that do not publish the ports at which they are asked things, before anything is deployed.
pub fn check(
    resolved: &Resolved,
    nodes: &[String],
    ports: &[u16],
    engine: &EngineAddress,
) -> Result<(), ClusterError> {
    for node in nodes {
        let published = resolved.service(node)["ports"].as_array();
        for port in ports {
            if published.is_some_and(|all| all.iter().any(|one| publishes(one, *port))) {
                continue;
            }
            return Err(ClusterError::Unsupported {
                what: format!("reach {node} on the engine at {engine}"),
                why: format!(
                    "its service publishes no port {port}, at which it is asked things; add `ports: [\"{port}\"]` to it in the compose file, \
                     or say `reach = \"addresses\"` if this machine has a route to the containers' own addresses"
                ),
            });
        }
    }
    Ok(())
}

/// Whether an entry of `ports` is about this one: `7001:8080`, `10.0.0.1:7001:8080/tcp`, `8080-8090`, or a table.
fn publishes(entry: &Value, port: u16) -> bool {
    if let Some(target) = entry.get("target") {
        let is_tcp = entry["protocol"]
            .as_str()
            .is_none_or(|protocol| protocol == "tcp");
        return is_tcp && text(target).parse() == Ok(port);
    }
    let written = text(entry);
    let (ports, protocol) = written.rsplit_once('/').unwrap_or((&written, "tcp"));
    let target = ports.rsplit_once(':').map_or(ports, |(_, target)| target);
    let (first, last) = target.split_once('-').unwrap_or((target, target));
    let within = |(first, last): (u16, u16)| (first..=last).contains(&port);
    protocol == "tcp" && first.parse().ok().zip(last.parse().ok()).is_some_and(within)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_port_is_understood() {
        let resolved = Resolved::parse(
            "services: {a: {ports: ['8080']}, b: {ports: ['7001:8080']}, c: {ports: ['10.0.0.1:7001:8080/tcp']}, d: {ports: ['7000-7010:8075-8085']}, \
             e: {ports: [{target: 8080, published: '7', protocol: tcp}]}, f: {ports: [{target: 8080, protocol: udp}]}, \
             g: {ports: ['8080:80', '8080/udp']}, h: {image: x}, i: {ports: [8080]}}",
        )
        .expect("valid");
        let engine = EngineAddress::default();
        let checked = |node: &str| check(&resolved, &[node.to_owned()], &[8080], &engine);
        for node in ["a", "b", "c", "d", "e", "i"] {
            assert!(checked(node).is_ok(), "{node}");
        }
        for node in ["f", "g", "h"] {
            let said = checked(node).expect_err("refused").to_string();
            assert!(
                said.contains("publishes no port 8080") && said.contains("reach = \"addresses\""),
                "{said}"
            );
        }
    }
}
