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
//!     extra_hosts: ["n1:10.211.7.254"]                  # only where a client's programs run, and for nodes on other engines
//! networks:
//!   default: {labels: {duress.run: a1}, ipam: {config: [{subnet: 10.211.7.0/24}]}}
//! volumes:
//!   data: {labels: {duress.run: a1}}
//! ```
//!
//! What is external is left alone. How each entry comes about is said in [`super::entries`].

use serde_json::{Map, Value, json};

use super::additions::Additions;
use super::entries::{Entries, data_volume};
use super::resolved::{Resolved, external};
use super::tool::Generation;

/// The override file as text.
pub fn text(additions: &Additions, resolved: &Resolved, generation: Generation) -> String {
    yaml(&file(additions, resolved, generation))
}

fn file(additions: &Additions, resolved: &Resolved, generation: Generation) -> Value {
    let entries = Entries::new(additions, resolved, generation);
    let services: Map<String, Value> = (resolved.services())
        .map(|name| (name.to_owned(), entries.service(name)))
        .collect();
    let networks: Map<String, Value> = (resolved.networks().into_iter())
        .filter(|(_, definition)| !external(definition))
        .map(|(name, definition)| (name.to_owned(), entries.network(name, definition)))
        .collect();
    let volumes: Map<String, Value> = (resolved.volumes())
        .filter(|(_, definition)| !external(definition))
        .map(|(name, definition)| (name.to_owned(), entries.volume(name, definition)))
        .chain((additions.data.iter()).map(|(node, folder)| (data_volume(node), entries.data(folder))))
        .collect();
    let mut file = json!({"services": services, "networks": networks});
    if !volumes.is_empty() {
        file["volumes"] = volumes.into();
    }
    file
}

/// JSON, because that is YAML by every version of it: to the YAML 1.1 of Compose 1.29 a plain `no` is false, and writers
/// of YAML 1.2 leave it plain.
fn yaml(file: &Value) -> String {
    format!("# Written by Duress: all that it adds to the compose file of this run.\n{file:#}\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::compose::additions::DataFolder;
    use crate::compose::addresses::Addresses;

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
        let addresses = Addresses::choose(&resolved, &nodes(), &taken, 0, false).expect("there is room");
        file(&add(addresses), &resolved, generation)
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
        let addresses = Addresses::choose(&plain, &nodes(), &[], 5, false).expect("there is room");
        assert_eq!(addresses.subnets.len(), 1);
        let file = file(&add(addresses), &plain, Generation::V1);
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
        let file = file(&with_data, &resolved(FILE), Generation::V2);
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
    fn programs_of_a_client_know_nodes_without_asking() {
        let mut known = add(Addresses::default());
        let address = "10.9.8.253".parse().expect("an address");
        known.known = BTreeMap::from([("proxy".to_owned(), BTreeMap::from([("n1".to_owned(), address)]))]);
        let file = file(&known, &resolved(FILE), Generation::V2);
        assert_eq!(file["services"]["proxy"]["extra_hosts"], json!(["n1:10.9.8.253"]));
        assert_eq!(file["services"]["n2"].get("extra_hosts"), None);
    }

    #[test]
    fn a_dollar_in_a_path_begins_no_variable() {
        let mut add = add(Addresses::default());
        add.labels
            .insert("duress.directory".to_owned(), "/runs/$1".to_owned());
        let data = DataFolder {
            inside: "/var/lib/db".to_owned(),
            outside: "/runs/$1/data/n1".into(),
        };
        add.data.insert("n1".to_owned(), data);
        let file = file(&add, &resolved(FILE), Generation::V2);
        let volume = &file["volumes"]["duress-data-n1"];
        assert_eq!(volume["driver_opts"]["device"], "/runs/$$1/data/n1");
        assert_eq!(volume["labels"]["duress.directory"], "/runs/$$1");
        assert_eq!(file["services"]["n2"]["labels"]["duress.directory"], "/runs/$$1");
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
