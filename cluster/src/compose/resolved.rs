//! The user's compose file, as the tool resolves it: what it says of services and of the networks that they are on.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::ClusterError;
use crate::folder::check_name;

/// Network that services are on which name none.
const DEFAULT_NETWORK: &str = "default";

/// Replicas of a service that are told apart: as many as a cluster has nodes.
const REPLICAS_MAX: u64 = 200;

/// A container that can be a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its service.
    pub service: &'a str,
    /// Which of several replicas, as Compose counts them, from 1. `None`: the service has one container.
    pub replica: Option<u64>,
}

/// How many containers a service has. `None`: a variable says it, which only the tool knows.
fn replicas(service: &Value) -> Option<u64> {
    let written = service
        .get("scale")
        .or_else(|| service.pointer("/deploy/replicas"));
    match written {
        None | Some(Value::Null) => Some(1),
        Some(count) => count.as_u64(),
    }
}

/// What `config` prints.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Resolved {
    services: BTreeMap<String, Value>,
    #[serde(default)]
    networks: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    volumes: Option<BTreeMap<String, Value>>,
}

impl Resolved {
    /// Reads what `config` printed.
    pub fn parse(yaml: &str) -> Result<Self, String> {
        yaml_serde::from_str(yaml).map_err(|error| error.to_string())
    }

    /// Names of all services.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// What the file says of a service, or of that which a node is a replica of.
    pub fn service(&self, name: &str) -> &Value {
        let service = self
            .member(name)
            .and_then(|member| self.services.get(member.service));
        service.unwrap_or(&Value::Null)
    }

    /// Which container a node is, if there is one of this name.
    pub fn member<'a>(&self, node: &'a str) -> Option<Member<'a>> {
        if self.services.contains_key(node) {
            return Some(Member {
                service: node,
                replica: None,
            });
        }
        let (service, number) = node.rsplit_once('-')?;
        let replicas = replicas(self.services.get(service)?);
        let replica = number
            .parse()
            .ok()
            .filter(|replica: &u64| replica.to_string() == number)?;
        let is_one = match replicas {
            Some(count) => count > 1 && (1..=count).contains(&replica),
            None => replica > 0,
        };
        is_one.then_some(Member {
            service,
            replica: Some(replica),
        })
    }

    /// What nodes of a service are called: by its name, or where it has several replicas, `kv-1`, `kv-2`, as Compose counts them.
    pub fn members_of(&self, service: &str) -> Vec<String> {
        match self.services.get(service).and_then(replicas) {
            Some(count @ 2..=REPLICAS_MAX) => (1..=count)
                .map(|replica| format!("{service}-{replica}"))
                .collect(),
            _ => vec![service.to_owned()],
        }
    }

    /// Images that have to be there already, because the file does not say how to build them.
    pub fn images(&self) -> BTreeMap<&str, &str> {
        (self.services.iter())
            .filter(|(_, service)| service.get("build").is_none())
            .filter_map(|(name, service)| Some((name.as_str(), service.get("image")?.as_str()?)))
            .collect()
    }

    /// Whether the file wants a service to be started again when it ends.
    pub fn restarts(&self, service: &str) -> bool {
        let policy = self.service(service)["restart"].as_str();
        policy.is_some_and(|policy| policy != "no")
    }

    /// Every service has a folder of its name in the run's directory: says which can't have one.
    pub fn check_names(&self) -> Result<(), ClusterError> {
        self.services()
            .try_for_each(|service| check_name(service).map(drop))
    }

    /// Says why a service can't be a node, if it can't.
    pub fn check_node(&self, node: &str) -> Result<(), ClusterError> {
        let member = self.member(node).ok_or_else(|| ClusterError::UnknownNode {
            name: node.to_owned(),
            known: self.known().join(", "),
        })?;
        let service = self.service(node);
        let refuse = |why: String| ClusterError::Unsupported {
            what: format!("use service {node} as a node"),
            why,
        };
        if let Some(mode) = service.get("network_mode").and_then(Value::as_str) {
            return Err(refuse(format!(
                "it has `network_mode: {mode}`, and a node needs a network namespace and addresses of its own"
            )));
        }
        match replicas(service) {
            _ if member.replica.is_some() => Ok(()),
            None | Some(1) => Ok(()),
            Some(count @ 2..=REPLICAS_MAX) => Err(refuse(format!(
                "it has {count} replicas, and a node is one of them: name {}",
                self.members_of(node).join(", ")
            ))),
            Some(count) => Err(refuse(format!(
                "it has {count} replicas; use 1 to {REPLICAS_MAX}"
            ))),
        }
    }

    /// What can be named as a node.
    pub fn known(&self) -> Vec<String> {
        self.services()
            .flat_map(|service| self.members_of(service))
            .collect()
    }

    /// The networks that a service is on, with what the file says of each, e.g. `{"back": {"aliases": ["db"]}}`.
    pub fn networks_of(&self, service: &str) -> BTreeMap<&str, &Value> {
        match &self.service(service)["networks"] {
            Value::Object(map) if !map.is_empty() => {
                map.iter().map(|(name, own)| (name.as_str(), own)).collect()
            }
            Value::Array(names) if !names.is_empty() => (names.iter())
                .filter_map(|name| Some((name.as_str()?, &Value::Null)))
                .collect(),
            _ => BTreeMap::from([(DEFAULT_NETWORK, &Value::Null)]),
        }
    }

    /// All networks, with what the file says of each: those that it defines and those that services are on.
    pub fn networks(&self) -> BTreeMap<&str, &Value> {
        let defined = self.networks.iter().flatten().map(|(name, _)| name.as_str());
        let of_services = self
            .services()
            .flat_map(|service| self.networks_of(service).into_keys());
        defined
            .chain(of_services)
            .map(|name| (name, self.network(name)))
            .collect()
    }

    /// What the file says of a network.
    pub fn network(&self, name: &str) -> &Value {
        let networks = self.networks.as_ref();
        networks
            .and_then(|networks| networks.get(name))
            .unwrap_or(&Value::Null)
    }

    /// The volumes that the file defines, with what it says of each.
    pub fn volumes(&self) -> impl Iterator<Item = (&str, &Value)> {
        let volumes = self.volumes.iter().flatten();
        volumes.map(|(name, definition)| (name.as_str(), definition))
    }

    /// The network by which nodes are addressed: the one asked for, else the first that all nodes are on.
    pub fn shared_network(&self, nodes: &[String], asked: Option<&str>) -> Result<&str, ClusterError> {
        let of_nodes: Vec<BTreeSet<&str>> = nodes
            .iter()
            .map(|node| self.networks_of(node).into_keys().collect())
            .collect();
        let mut shared = of_nodes.first().cloned().unwrap_or_default();
        shared.retain(|name| of_nodes.iter().all(|names| names.contains(name)));
        let found = match asked {
            Some(name) => shared.get(name),
            None => shared.first(),
        };
        found.copied().ok_or_else(|| ClusterError::Unsupported {
            what: "address the nodes".to_owned(),
            why: match asked {
                Some(name) => format!(
                    "not every node is on the network {name:?}; all are on: {}",
                    list(&shared)
                ),
                None => "there is no network that all nodes are on".to_owned(),
            },
        })
    }

    /// The engine's name of a network of the file: one of the project, or the own name of an external one.
    pub fn network_on_engine(&self, key: &str, project: &str) -> String {
        let definition = self.network(key);
        if !external(definition) {
            return format!("{project}_{key}");
        }
        // Compose 1.29 leaves the name where older files have it.
        let named = definition["name"]
            .as_str()
            .or(definition["external"]["name"].as_str());
        named.unwrap_or(key).to_owned()
    }
}

/// Whether a network or a volume is somebody else's.
pub fn external(definition: &Value) -> bool {
    // The old form is a map with the name in it.
    !matches!(definition["external"], Value::Null | Value::Bool(false))
}

fn list(names: &BTreeSet<&str>) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.iter().copied().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(yaml: &str) -> Resolved {
        Resolved::parse(yaml).expect("valid")
    }

    #[test]
    fn what_cannot_be_a_node_is_refused() {
        let odd = resolved(
            "services: {host: {image: a, network_mode: host}, many: {image: a, deploy: {replicas: 3}}, \
             left: {image: a, networks: [l]}, right: {image: a, networks: [r]}}",
        );
        let why = |node: &str| odd.check_node(node).expect_err("refused").to_string();
        assert!(why("host").contains("network_mode: host"));
        assert!(why("many").contains("3 replicas") && why("many").contains("name many-1, many-2, many-3"));
        assert!(why("none").contains("host, left, many-1, many-2, many-3, right"));
        assert!(odd.check_node("left").is_ok());
        let apart = ["left".to_owned(), "right".to_owned()];
        assert!(odd.shared_network(&apart, None).is_err());
        assert!(odd.shared_network(&apart[..1], Some("r")).is_err());
    }

    #[test]
    fn replicas_are_told_apart_by_their_numbers() {
        let file = resolved(
            "services: {kv: {image: a, deploy: {replicas: 3}, restart: always}, db-2: {image: a, scale: 2}, db: {image: a, scale: 5}, \
             one: {image: a, scale: 1}, asked: {image: a, scale: '${N}'}, none: {image: a, scale: 0}}",
        );
        let member = |service, replica| Some(Member { service, replica });
        assert_eq!(file.member("kv-3"), member("kv", Some(3)));
        assert_eq!(file.member("asked-7"), member("asked", Some(7)));
        // A service comes before a replica.
        assert_eq!(file.member("db-2"), member("db-2", None));
        assert_eq!(file.member("db-2-2"), member("db-2", Some(2)));
        for none in [
            "kv-0", "kv-4", "kv-03", "kv-", "-1", "one-1", "kv-1-1", "no-1", "none-1",
        ] {
            assert_eq!(file.member(none), None, "{none}");
        }
        assert!(file.check_node("kv-2").is_ok() && file.check_node("kv").is_err());
        assert!(file.check_node("asked").is_ok(), "the tool knows");
        assert!(
            file.check_node("none")
                .expect_err("refused")
                .to_string()
                .contains("0 replicas")
        );
        assert!(file.restarts("kv-1"));
        assert_eq!(file.networks_of("kv-1").len(), 1);
    }

    #[test]
    fn a_service_whose_log_would_be_written_elsewhere_is_refused() {
        let said = resolved("services: {n1: {image: a}, ..: {image: a}}").check_names();
        let said = said.expect_err("refused").to_string();
        assert!(said.contains("\"..\""), "{said}");
        assert!(resolved("services: {n1: {image: a}}").check_names().is_ok());
    }

    #[test]
    fn external_networks_keep_their_own_names() {
        let file = resolved(
            "services: {n1: {image: a}}\nnetworks: {own: {name: mine}, plain: {external: true}, new: {external: true, name: x}, \
             old: {external: {name: y}}}",
        );
        let names =
            ["own", "plain", "new", "old", "default"].map(|key| file.network_on_engine(key, "duress-a"));
        assert_eq!(names, ["duress-a_own", "plain", "x", "y", "duress-a_default"]);
    }

    #[test]
    fn images_are_known_unless_they_are_built() {
        let file = resolved(
            "services: {n1: {image: db, restart: always}, n2: {image: db}, proxy: {build: {context: .}}}",
        );
        assert_eq!(file.images(), BTreeMap::from([("n1", "db"), ("n2", "db")]));
        assert!(file.restarts("n1") && !file.restarts("n2"));
    }
}
