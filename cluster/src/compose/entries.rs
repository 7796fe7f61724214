//! The entries of the override file, each by what the user's file says of the same thing.
//!
//! Names that the file fixes (`container_name`, and `name` of networks and volumes) would let two runs meet on one
//! engine, so they are replaced by names of the project; a container stays reachable under its old name by an alias.
//!
//! Compose 1.29 replaces an entry of `networks` or `volumes` where version 2 merges it. So for 1.29 each entry is
//! written in full, and for version 2 only what is new, because there lists would double.

use serde_json::{Map, Value, json};

use super::additions::{Additions, DataFolder};
use super::mark::NODE_LABEL;
use super::resolved::Resolved;
use super::tool::Generation;

/// Makes entries.
pub struct Entries<'a> {
    add: &'a Additions,
    /// Labels for everything.
    labels: Map<String, Value>,
    resolved: &'a Resolved,
    generation: Generation,
}

impl<'a> Entries<'a> {
    /// For a file as resolved, and a tool of this generation.
    pub fn new(add: &'a Additions, resolved: &'a Resolved, generation: Generation) -> Self {
        let labels = add.labels.iter();
        Entries {
            add,
            labels: labels
                .map(|(label, value)| (label.clone(), literal(value).into()))
                .collect(),
            resolved,
            generation,
        }
    }

    /// That of a service.
    pub fn service(&self, name: &str) -> Value {
        let (add, original) = (self.add, self.resolved.service(name));
        let mut entry = Map::new();
        let mut labels = self.labels.clone();
        let old_name = original["container_name"].as_str();
        if let Some(old_name) = old_name {
            let new_name = format!("{}_{old_name}", add.project);
            entry.insert("container_name".to_owned(), json!(new_name));
        }
        let is_it = |node: &String| {
            self.resolved
                .member(node)
                .is_some_and(|member| member.service == name)
        };
        if add.nodes.iter().any(is_it) {
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
        if let Some(known) = add.known.get(name).filter(|known| !known.is_empty()) {
            let hosts = known
                .iter()
                .map(|(node, address)| json!(format!("{node}:{address}")));
            entry.insert("extra_hosts".to_owned(), hosts.collect());
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

    /// That of a network, with the subnet that was chosen for it.
    pub fn network(&self, name: &str, definition: &Value) -> Value {
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

    /// That of a volume of the file.
    pub fn volume(&self, name: &str, definition: &Value) -> Value {
        self.own(name, definition).into()
    }

    /// That of a node's data directory. A volume and not a plain bind mount: the engine then copies the image's content
    /// and owner into the empty folder, as it does for the volumes that nodes have without Duress.
    pub fn data(&self, folder: &DataFolder) -> Value {
        let device = literal(&folder.outside.to_string_lossy());
        json!({
            "driver": "local",
            "driver_opts": {"type": "none", "o": "bind", "device": device},
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

/// Name of the volume that is a node's data directory.
pub fn data_volume(node: &str) -> String {
    format!("duress-data-{node}")
}
