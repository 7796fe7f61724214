//! The user's compose file as the tool resolves it, and the override file that Duress puts on top of it.
//!
//! Pure functions. What Duress adds, and nothing else:
//!
//! ```yaml
//! services:
//!   n1:
//!     labels: {duress.run: a1, duress.node: n1}
//!     restart: "no"                                     # a killed node must stay down until Duress starts it
//!     networks: {default: {ipv4_address: 10.211.7.254}} # where the file fixes none
//!     volumes: ["duress-data-n1:/var/lib/db"]           # only where the data directory is asked for
//!   proxy:
//!     labels: {duress.run: a1}
//! networks:
//!   default: {labels: {duress.run: a1}, ipam: {config: [{subnet: 10.211.7.0/24}]}}
//! volumes:
//!   data: {labels: {duress.run: a1}}
//! ```
//!
//! Names that the file fixes (`container_name`, and `name` of networks and volumes) would let two runs meet on one
//! engine, so they are replaced by names of the project; a container stays reachable under its old name by an alias.
//! What is external is left alone.
//!
//! Compose 1.29 replaces an entry of `networks` or `volumes` where version 2 merges it. So for 1.29 each entry is
//! written in full, and for version 2 only what is new, because there lists would double.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::subnet::{self, Subnet};
use super::tool::Generation;
use crate::ClusterError;

/// Network that services are on which name none.
const DEFAULT_NETWORK: &str = "default";

/// What `config` prints.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Resolved {
    services: BTreeMap<String, Value>,
    #[serde(default)]
    networks: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    volumes: Option<BTreeMap<String, Value>>,
}

/// Subnets and addresses that Duress chose. Keys are names of networks as in the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Addresses {
    /// Networks that get a subnet because the file gives them none.
    pub subnets: BTreeMap<String, Subnet>,
    /// Addresses by service and network, where the file fixes none.
    pub hosts: BTreeMap<(String, String), Ipv4Addr>,
}

/// Everything that the override file is made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Additions {
    /// The project's name.
    pub project: String,
    /// The services that are nodes.
    pub nodes: Vec<String>,
    /// Labels for everything that is made.
    pub labels: BTreeMap<String, String>,
    /// Label that nodes get besides, with their name as its value.
    pub node_label: String,
    /// Subnets and addresses.
    pub addresses: Addresses,
    /// The data directory in the containers, and for each node the folder on the host that takes its place.
    pub data: Option<(String, BTreeMap<String, PathBuf>)>,
    /// Images of nodes that run another one than the file says.
    pub images: BTreeMap<String, String>,
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

    /// Images that have to be there already, because the file does not say how to build them.
    pub fn images(&self) -> BTreeMap<&str, &str> {
        (self.services.iter())
            .filter(|(_, service)| service.get("build").is_none())
            .filter_map(|(name, service)| Some((name.as_str(), service.get("image")?.as_str()?)))
            .collect()
    }

    /// Whether the file wants a service to be started again when it ends.
    pub fn restarts(&self, service: &str) -> bool {
        let restart = self
            .services
            .get(service)
            .and_then(|service| service.get("restart"));
        restart
            .and_then(Value::as_str)
            .is_some_and(|policy| policy != "no")
    }

    /// Says why a service can't be a node, if it can't.
    pub fn check_node(&self, node: &str) -> Result<(), ClusterError> {
        let service = self.services.get(node).ok_or_else(|| ClusterError::UnknownNode {
            name: node.to_owned(),
            known: self.services().collect::<Vec<_>>().join(", "),
        })?;
        let refuse = |why: String| ClusterError::Unsupported {
            what: format!("use service {node} as a node"),
            why,
        };
        if let Some(mode) = service.get("network_mode").and_then(Value::as_str) {
            return Err(refuse(format!(
                "it has `network_mode: {mode}`, and a node needs a network namespace and addresses of its own"
            )));
        }
        let replicas = service
            .get("scale")
            .or_else(|| service.pointer("/deploy/replicas"));
        match replicas.and_then(Value::as_u64) {
            None | Some(1) => Ok(()),
            Some(count) => Err(refuse(format!(
                "it has {count} replicas; a node is one container, so give each member a service of its own"
            ))),
        }
    }

    /// The networks that a service is on, with what the file says of each, e.g. `{"back": {"aliases": ["db"]}}`.
    pub fn networks_of(&self, service: &str) -> BTreeMap<String, Value> {
        match self
            .services
            .get(service)
            .and_then(|service| service.get("networks"))
        {
            Some(Value::Object(map)) if !map.is_empty() => map.clone().into_iter().collect(),
            Some(Value::Array(names)) if !names.is_empty() => (names.iter())
                .filter_map(|name| Some((name.as_str()?.to_owned(), Value::Null)))
                .collect(),
            _ => BTreeMap::from([(DEFAULT_NETWORK.to_owned(), Value::Null)]),
        }
    }

    /// The network by which nodes are addressed: the one asked for, else the first that all nodes are on.
    pub fn shared_network(&self, nodes: &[String], asked: Option<&str>) -> Result<String, ClusterError> {
        let of_nodes: Vec<BTreeSet<String>> = nodes
            .iter()
            .map(|node| self.networks_of(node).into_keys().collect())
            .collect();
        let mut shared = of_nodes.first().cloned().unwrap_or_default();
        shared.retain(|name| of_nodes.iter().all(|names| names.contains(name)));
        let found = match asked {
            Some(name) => shared.contains(name).then(|| name.to_owned()),
            None => shared.first().cloned(),
        };
        found.ok_or_else(|| ClusterError::Unsupported {
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

    /// Chooses subnets and addresses for the nodes where the file fixes none.
    pub fn choose_addresses(
        &self,
        nodes: &[String],
        taken: &[Subnet],
        start: u32,
    ) -> Result<Addresses, ClusterError> {
        let mut chosen = Addresses::default();
        let mut taken = taken.to_vec();
        let names: BTreeSet<String> = nodes
            .iter()
            .flat_map(|node| self.networks_of(node).into_keys())
            .collect();
        for name in names {
            let definition = self.network(&name);
            if external(&definition) || !fixable(&definition) {
                continue;
            }
            let wanting: Vec<&String> = nodes
                .iter()
                .filter(|node| {
                    self.networks_of(node)
                        .get(&name)
                        .is_some_and(|own| own.get("ipv4_address").is_none())
                })
                .collect();
            if wanting.is_empty() {
                continue;
            }
            let fixed = subnets(&definition).next();
            let subnet = fixed.or_else(|| subnet::free(&taken, start)).ok_or_else(|| ClusterError::Unsupported {
                what: format!("give the network {name} a subnet"),
                why: "none is free in 10.192.0.0/10; remove networks that are not used, or give this one a subnet"
                    .to_owned(),
            })?;
            if fixed.is_none() {
                taken.push(subnet);
                chosen.subnets.insert(name.clone(), subnet);
            }
            let used = self.fixed_addresses(&name);
            let mut free = subnet.hosts_from_the_top().filter(|host| !used.contains(host));
            for node in wanting {
                let host = free.next().ok_or_else(|| ClusterError::Unsupported {
                    what: format!("give {node} an address on the network {name}"),
                    why: format!("all of {subnet} is taken"),
                })?;
                chosen.hosts.insert((node.clone(), name.clone()), host);
            }
        }
        Ok(chosen)
    }

    fn network(&self, name: &str) -> Value {
        self.networks
            .as_ref()
            .and_then(|networks| networks.get(name))
            .cloned()
            .unwrap_or_default()
    }

    /// Addresses on a network that nobody else may get: those of services, and the gateways.
    fn fixed_addresses(&self, network: &str) -> BTreeSet<Ipv4Addr> {
        let of_services = self.services().filter_map(|service| {
            let own = self.networks_of(service).remove(network)?;
            own.get("ipv4_address")?.as_str()?.parse().ok()
        });
        let definition = self.network(network);
        let gateways = ipam(&definition).filter_map(|entry| entry.get("gateway")?.as_str()?.parse().ok());
        of_services.chain(gateways).collect()
    }
}

/// The override file.
pub fn additions(resolved: &Resolved, generation: Generation, add: &Additions) -> Value {
    let mut services = Map::new();
    for name in resolved.services() {
        services.insert(name.to_owned(), service(resolved, generation, add, name));
    }

    let mut networks = Map::new();
    let mut names: BTreeSet<&str> = resolved
        .networks
        .iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect();
    let of_services: BTreeSet<String> = resolved
        .services()
        .flat_map(|service| resolved.networks_of(service).into_keys())
        .collect();
    names.extend(of_services.iter().map(String::as_str));
    for name in names {
        let definition = resolved.network(name);
        if external(&definition) {
            continue;
        }
        let mut entry = own(add, name, &definition, generation);
        if let Some(subnet) = add.addresses.subnets.get(name) {
            let mut ipam = base(generation, definition.get("ipam"));
            let mut config = base_list(generation, definition.pointer("/ipam/config"));
            config.push(json!({"subnet": subnet.to_string()}));
            ipam.insert("config".to_owned(), config.into());
            entry.insert("ipam".to_owned(), ipam.into());
        }
        networks.insert(name.to_owned(), entry.into());
    }

    let mut volumes = Map::new();
    for (name, definition) in resolved.volumes.iter().flatten() {
        if !external(definition) {
            volumes.insert(name.clone(), own(add, name, definition, generation).into());
        }
    }
    for (node, folder) in add.data.iter().flat_map(|(_, folders)| folders) {
        // A volume and not a plain bind mount: the engine then copies the image's content and owner into the empty
        // folder, as it does for the volumes that nodes have without Duress.
        volumes.insert(
            data_volume(node),
            json!({
                "driver": "local",
                "driver_opts": {"type": "none", "o": "bind", "device": folder},
                "labels": add.labels,
            }),
        );
    }

    let mut file = json!({"services": services, "networks": networks});
    if !volumes.is_empty() {
        file["volumes"] = volumes.into();
    }
    file
}

/// The override file as text. JSON, because that is YAML by every version of it: to the YAML 1.1 of Compose 1.29 a plain
/// `no` is false, and writers of YAML 1.2 leave it plain.
pub fn to_yaml(file: &Value) -> String {
    format!("# Written by Duress: all that it adds to the compose file of this run.\n{file:#}\n")
}

fn service(resolved: &Resolved, generation: Generation, add: &Additions, name: &str) -> Value {
    let original = &resolved.services[name];
    let is_node = add.nodes.iter().any(|node| node == name);
    let mut labels = add.labels.clone();
    let mut entry = Map::new();
    let old_name = original.get("container_name").and_then(Value::as_str);
    if let Some(old_name) = old_name {
        entry.insert(
            "container_name".to_owned(),
            json!(format!("{}_{old_name}", add.project)),
        );
    }
    if is_node {
        labels.insert(add.node_label.clone(), name.to_owned());
        entry.insert("restart".to_owned(), json!("no"));
    }
    if let Some(image) = add.images.get(name) {
        entry.insert("image".to_owned(), json!(image));
    }
    entry.insert("labels".to_owned(), json!(labels));

    let mut networks = Map::new();
    if original.get("network_mode").is_none() {
        for (network, on_network) in resolved.networks_of(name) {
            let host = add.addresses.hosts.get(&(name.to_owned(), network.clone()));
            let mut own = base(generation, Some(&on_network));
            if let Some(host) = host {
                own.insert("ipv4_address".to_owned(), json!(host));
            }
            if let Some(old_name) = old_name {
                let mut aliases = base_list(generation, on_network.get("aliases"));
                aliases.push(json!(old_name));
                own.insert("aliases".to_owned(), aliases.into());
            }
            let entry = if own.is_empty() { Value::Null } else { own.into() };
            networks.insert(network, entry);
        }
    }
    if networks.values().any(|own| !own.is_null()) {
        entry.insert("networks".to_owned(), networks.into());
    }

    if let Some((path, folders)) = &add.data
        && folders.contains_key(name)
    {
        entry.insert(
            "volumes".to_owned(),
            json!([format!("{}:{path}", data_volume(name))]),
        );
    }
    entry.into()
}

/// What every network and volume of the project gets: labels, and a name that no other run has.
fn own(add: &Additions, key: &str, definition: &Value, generation: Generation) -> Map<String, Value> {
    let mut entry = base(generation, Some(definition));
    let mut labels = match (generation, definition.get("labels")) {
        (Generation::V1, Some(Value::Object(labels))) => labels.clone(),
        _ => Map::new(),
    };
    labels.extend(
        add.labels
            .iter()
            .map(|(label, value)| (label.clone(), json!(value))),
    );
    entry.insert("labels".to_owned(), labels.into());
    if definition.get("name").is_some() {
        entry.insert("name".to_owned(), json!(format!("{}_{key}", add.project)));
    }
    entry
}

fn data_volume(node: &str) -> String {
    format!("duress-data-{node}")
}

/// What an entry starts from: all of the original where the tool would replace it, nothing where it merges.
fn base(generation: Generation, original: Option<&Value>) -> Map<String, Value> {
    match (generation, original) {
        (Generation::V1, Some(Value::Object(map))) => map.clone(),
        _ => Map::new(),
    }
}

fn base_list(generation: Generation, original: Option<&Value>) -> Vec<Value> {
    match (generation, original) {
        (Generation::V1, Some(Value::Array(list))) => list.clone(),
        _ => Vec::new(),
    }
}

fn external(definition: &Value) -> bool {
    match definition.get("external") {
        None | Some(Value::Null | Value::Bool(false)) => false,
        // The old form is a map with the name in it.
        Some(_) => true,
    }
}

/// Whether addresses can be fixed on a network: other drivers have address management of their own.
fn fixable(definition: &Value) -> bool {
    definition
        .get("driver")
        .and_then(Value::as_str)
        .is_none_or(|driver| driver == "bridge")
}

fn ipam(definition: &Value) -> impl Iterator<Item = &Value> {
    definition
        .pointer("/ipam/config")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn subnets(definition: &Value) -> impl Iterator<Item = Subnet> {
    ipam(definition).filter_map(|entry| entry.get("subnet")?.as_str()?.parse().ok())
}

fn list(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.iter().cloned().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
services:
  n1:
    image: db:1
    container_name: db-one
    restart: always
    networks:
      back: {aliases: [first]}
      front: null
  n2:
    image: db:1
    networks:
      back: {ipv4_address: 10.9.8.250}
  proxy:
    build: {context: .}
    restart: always
networks:
  back:
    internal: true
    name: shared-back
    ipam: {config: [{subnet: 10.9.8.0/24, gateway: 10.9.8.254}]}
  front: {}
  outside: {external: true, name: corporate}
volumes:
  data: {labels: {team: db}}
  precious: {external: true}
version: '3.9'
"#;

    fn resolved(yaml: &str) -> Resolved {
        Resolved::parse(yaml).expect("valid")
    }

    fn nodes() -> Vec<String> {
        vec!["n1".to_owned(), "n2".to_owned()]
    }

    fn add(addresses: Addresses) -> Additions {
        Additions {
            project: "duress-a1".to_owned(),
            nodes: nodes(),
            labels: BTreeMap::from([("duress.run".to_owned(), "a1".to_owned())]),
            node_label: "duress.node".to_owned(),
            addresses,
            ..Additions::default()
        }
    }

    fn generated(generation: Generation) -> Value {
        let resolved = resolved(FILE);
        let taken = ["10.192.0.0/16".parse().expect("a subnet")];
        let addresses = resolved
            .choose_addresses(&nodes(), &taken, 0)
            .expect("there is room");
        additions(&resolved, generation, &add(addresses))
    }

    #[test]
    fn nodes_stay_down_and_have_fixed_addresses() {
        for generation in [Generation::V1, Generation::V2] {
            let file = generated(generation);
            let n1 = &file["services"]["n1"];
            assert_eq!(n1["restart"], "no");
            assert_eq!(n1["labels"], json!({"duress.run": "a1", "duress.node": "n1"}));
            // The highest address is the gateway; 10.9.8.250 is taken, too, and never reached.
            assert_eq!(n1["networks"]["back"]["ipv4_address"], "10.9.8.253");
            assert_eq!(n1["networks"]["front"]["ipv4_address"], "10.193.0.254");
            assert_eq!(
                file["networks"]["front"]["ipam"]["config"],
                json!([{"subnet": "10.193.0.0/24"}])
            );
            // Other services keep their policy and are only labelled.
            assert_eq!(file["services"]["proxy"], json!({"labels": {"duress.run": "a1"}}));
        }
    }

    #[test]
    fn the_first_generation_gets_whole_entries_and_the_second_only_what_is_new() {
        let v1 = generated(Generation::V1);
        assert_eq!(
            v1["services"]["n1"]["networks"]["back"]["aliases"],
            json!(["first", "db-one"])
        );
        assert_eq!(
            v1["services"]["n2"]["networks"]["back"]["ipv4_address"],
            "10.9.8.250"
        );
        assert_eq!(v1["networks"]["back"]["internal"], true);
        assert_eq!(
            v1["networks"]["back"]["ipam"]["config"][0]["subnet"],
            "10.9.8.0/24"
        );
        assert_eq!(
            v1["volumes"]["data"]["labels"],
            json!({"team": "db", "duress.run": "a1"})
        );

        let v2 = generated(Generation::V2);
        assert_eq!(
            v2["services"]["n1"]["networks"]["back"]["aliases"],
            json!(["db-one"])
        );
        assert_eq!(v2["services"]["n2"].get("networks"), None);
        assert_eq!(
            v2["networks"]["back"],
            json!({"labels": {"duress.run": "a1"}, "name": "duress-a1_back"})
        );
        assert_eq!(v2["volumes"]["data"], json!({"labels": {"duress.run": "a1"}}));
    }

    #[test]
    fn fixed_names_become_the_projects_and_external_things_are_left_alone() {
        for generation in [Generation::V1, Generation::V2] {
            let file = generated(generation);
            assert_eq!(file["services"]["n1"]["container_name"], "duress-a1_db-one");
            assert_eq!(file["networks"]["back"]["name"], "duress-a1_back");
            assert_eq!(file["networks"].get("outside"), None);
            assert_eq!(file["volumes"].get("precious"), None);
        }
    }

    #[test]
    fn services_without_networks_are_on_the_default_one() {
        let plain = resolved("services: {n1: {image: a}, n2: {image: a, networks: [default]}}");
        assert_eq!(plain.shared_network(&nodes(), None).expect("default"), "default");
        let addresses = plain.choose_addresses(&nodes(), &[], 5).expect("there is room");
        assert_eq!(addresses.subnets.len(), 1);
        let file = additions(&plain, Generation::V1, &add(addresses));
        assert_eq!(
            file["services"]["n1"]["networks"]["default"]["ipv4_address"],
            "10.192.5.254"
        );
        assert_eq!(
            file["networks"]["default"]["ipam"]["config"][0]["subnet"],
            "10.192.5.0/24"
        );
    }

    #[test]
    fn data_directories_are_volumes_bound_to_folders() {
        let mut with_data = add(Addresses::default());
        let folders = BTreeMap::from([("n1".to_owned(), PathBuf::from("/runs/1/data/n1"))]);
        with_data.data = Some(("/var/lib/db".to_owned(), folders));
        with_data.images.insert("n2".to_owned(), "db:2".to_owned());
        let file = additions(&resolved(FILE), Generation::V2, &with_data);
        assert_eq!(
            file["services"]["n1"]["volumes"],
            json!(["duress-data-n1:/var/lib/db"])
        );
        assert_eq!(
            file["volumes"]["duress-data-n1"]["driver_opts"]["device"],
            "/runs/1/data/n1"
        );
        assert_eq!(file["services"]["n2"].get("volumes"), None);
        assert_eq!(file["services"]["n2"]["image"], "db:2");
    }

    #[test]
    fn what_cannot_be_a_node_is_refused() {
        let odd = resolved(
            "services: {host: {image: a, network_mode: host}, many: {image: a, deploy: {replicas: 3}}, \
             left: {image: a, networks: [l]}, right: {image: a, networks: [r]}}",
        );
        let why = |node: &str| odd.check_node(node).expect_err("refused").to_string();
        assert!(why("host").contains("network_mode: host"));
        assert!(why("many").contains("3 replicas"));
        assert!(why("none").contains("host, left, many, right"));
        assert!(odd.check_node("left").is_ok());
        let apart = ["left".to_owned(), "right".to_owned()];
        assert!(odd.shared_network(&apart, None).is_err());
        assert!(odd.shared_network(&apart[..1], Some("r")).is_err());
    }

    #[test]
    fn images_are_known_unless_they_are_built() {
        let file = resolved(FILE);
        assert_eq!(file.images(), BTreeMap::from([("n1", "db:1"), ("n2", "db:1")]));
        assert!(file.restarts("n1") && !file.restarts("n2"));
    }

    #[test]
    fn the_text_means_the_same_to_every_yaml() {
        let text = to_yaml(&generated(Generation::V1));
        assert!(text.contains(r#""restart": "no""#));
        let (comment, json) = text.split_once('\n').expect("two lines at least");
        assert!(comment.starts_with('#'));
        assert!(serde_json::from_str::<Value>(json).is_ok());
    }
}
