//! The override file: what Duress puts on top of the user's compose file, and nothing else.
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

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::addresses::Addresses;
use super::resolved::{Resolved, external};
use super::sweep::NODE_LABEL;
use super::tool::Generation;

/// Everything that the override file is made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Additions {
    /// The project's name.
    pub project: String,
    /// The services that are nodes.
    pub nodes: Vec<String>,
    /// Labels for everything that is made.
    pub labels: BTreeMap<String, String>,
    /// Subnets and addresses.
    pub addresses: Addresses,
    /// Data directories that are taken over, by node.
    pub data: BTreeMap<String, DataFolder>,
    /// Images of nodes that run another one than the file says.
    pub images: BTreeMap<String, String>,
}

/// A node's data directory and what takes its place.
#[derive(Clone, Debug, PartialEq)]
pub struct DataFolder {
    /// Where it is in the container.
    pub inside: String,
    /// The folder on the host.
    pub outside: PathBuf,
}

impl Additions {
    /// The override file as text.
    pub fn to_yaml(&self, resolved: &Resolved, generation: Generation) -> String {
        yaml(&self.file(resolved, generation))
    }

    fn file(&self, resolved: &Resolved, generation: Generation) -> Value {
        let write = Writer {
            add: self,
            labels: (self.labels.iter())
                .map(|(label, value)| (label.clone(), literal(value).into()))
                .collect(),
            resolved,
            generation,
        };
        let services: Map<String, Value> = (resolved.services())
            .map(|name| (name.to_owned(), write.service(name)))
            .collect();
        let networks: Map<String, Value> = (resolved.networks().into_iter())
            .filter(|(_, definition)| !external(definition))
            .map(|(name, definition)| (name.to_owned(), write.network(name, definition)))
            .collect();
        let volumes: Map<String, Value> = (resolved.volumes())
            .filter(|(_, definition)| !external(definition))
            .map(|(name, definition)| (name.to_owned(), write.own(name, definition).into()))
            .chain((self.data.iter()).map(|(node, folder)| (data_volume(node), write.data(folder))))
            .collect();
        let mut file = json!({"services": services, "networks": networks});
        if !volumes.is_empty() {
            file["volumes"] = volumes.into();
        }
        file
    }
}

/// JSON, because that is YAML by every version of it: to the YAML 1.1 of Compose 1.29 a plain `no` is false, and writers
/// of YAML 1.2 leave it plain.
fn yaml(file: &Value) -> String {
    format!("# Written by Duress: all that it adds to the compose file of this run.\n{file:#}\n")
}

/// Makes the entries of the file.
struct Writer<'a> {
    add: &'a Additions,
    /// Labels for everything.
    labels: Map<String, Value>,
    resolved: &'a Resolved,
    generation: Generation,
}

impl Writer<'_> {
    fn service(&self, name: &str) -> Value {
        let (add, original) = (self.add, self.resolved.service(name));
        let mut entry = Map::new();
        let mut labels = self.labels.clone();
        let old_name = original["container_name"].as_str();
        if let Some(old_name) = old_name {
            let new_name = format!("{}_{old_name}", add.project);
            entry.insert("container_name".to_owned(), json!(new_name));
        }
        if add.nodes.iter().any(|node| node == name) {
            labels.insert(NODE_LABEL.to_owned(), json!(name));
            entry.insert("restart".to_owned(), json!("no"));
        }
        if let Some(image) = add.images.get(name) {
            entry.insert("image".to_owned(), json!(image));
        }
        entry.insert("labels".to_owned(), labels.into());
        if original["network_mode"].is_null() {
            let networks: Map<String, Value> = (self.resolved.networks_of(name).into_iter())
                .map(|(network, own)| (network.to_owned(), self.on_network(name, old_name, network, own)))
                .collect();
            if networks.values().any(|own| !own.is_null()) {
                entry.insert("networks".to_owned(), networks.into());
            }
        }
        if let Some(folder) = add.data.get(name) {
            let mount = format!("{}:{}", data_volume(name), folder.inside);
            entry.insert("volumes".to_owned(), json!([mount]));
        }
        entry.into()
    }

    /// What a service gets on a network, which says `original` of it: its address and its old name.
    fn on_network(&self, service: &str, old_name: Option<&str>, network: &str, original: &Value) -> Value {
        let mut own = self.base_map(original);
        let hosts = &self.add.addresses.hosts;
        if let Some(host) = hosts.get(&(service.to_owned(), network.to_owned())) {
            own.insert("ipv4_address".to_owned(), json!(host));
        }
        if let Some(old_name) = old_name {
            let mut aliases = self.base_list(&original["aliases"]);
            aliases.push(json!(old_name));
            own.insert("aliases".to_owned(), aliases.into());
        }
        if own.is_empty() { Value::Null } else { own.into() }
    }

    fn network(&self, name: &str, definition: &Value) -> Value {
        let mut entry = self.own(name, definition);
        if let Some(subnet) = self.add.addresses.subnets.get(name) {
            let mut ipam = self.base_map(&definition["ipam"]);
            let mut config = self.base_list(&definition["ipam"]["config"]);
            config.push(json!({"subnet": subnet.to_string()}));
            ipam.insert("config".to_owned(), config.into());
            entry.insert("ipam".to_owned(), ipam.into());
        }
        entry.into()
    }

    /// A volume and not a plain bind mount: the engine then copies the image's content and owner into the empty folder,
    /// as it does for the volumes that nodes have without Duress.
    fn data(&self, folder: &DataFolder) -> Value {
        json!({
            "driver": "local",
            "driver_opts": {"type": "none", "o": "bind", "device": folder.outside},
            "labels": self.labels,
        })
    }

    /// What every network and volume of the project gets: labels, and a name that no other run has.
    fn own(&self, key: &str, definition: &Value) -> Map<String, Value> {
        let mut entry = self.base_map(definition);
        let mut labels = self.base_map(&definition["labels"]);
        labels.extend(self.labels.clone());
        entry.insert("labels".to_owned(), labels.into());
        if !definition["name"].is_null() {
            entry.insert("name".to_owned(), json!(format!("{}_{key}", self.add.project)));
        }
        entry
    }

    /// What an entry starts from: all of the original where the tool would replace it, nothing where it merges.
    fn base_map(&self, original: &Value) -> Map<String, Value> {
        match (self.generation, original) {
            (Generation::V1, Value::Object(map)) => map.clone(),
            _ => Map::new(),
        }
    }

    fn base_list(&self, original: &Value) -> Vec<Value> {
        match (self.generation, original) {
            (Generation::V1, Value::Array(list)) => list.clone(),
            _ => Vec::new(),
        }
    }
}

/// A text as Compose has to be told it: it takes `$` for the beginning of a variable.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

fn data_volume(node: &str) -> String {
    format!("duress-data-{node}")
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
            addresses,
            ..Additions::default()
        }
    }

    fn generated(generation: Generation) -> Value {
        let resolved = resolved(FILE);
        let taken = ["10.192.0.0/16".parse().expect("a subnet")];
        let addresses = Addresses::choose(&resolved, &nodes(), &taken, 0).expect("there is room");
        add(addresses).file(&resolved, generation)
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
        let addresses = Addresses::choose(&plain, &nodes(), &[], 5).expect("there is room");
        assert_eq!(addresses.subnets.len(), 1);
        let file = add(addresses).file(&plain, Generation::V1);
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
        let data = DataFolder {
            inside: "/var/lib/db".to_owned(),
            outside: "/runs/1/data/n1".into(),
        };
        with_data.data.insert("n1".to_owned(), data);
        with_data.images.insert("n2".to_owned(), "db:2".to_owned());
        let file = with_data.file(&resolved(FILE), Generation::V2);
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
    fn the_text_means_the_same_to_every_yaml() {
        let text = yaml(&generated(Generation::V1));
        assert!(text.contains(r#""restart": "no""#));
        let (comment, json) = text.split_once('\n').expect("two lines at least");
        assert!(comment.starts_with('#'));
        assert!(serde_json::from_str::<Value>(json).is_ok());
    }
}
