//! The stack file that is deployed: the user's, as the docker command resolves it, and what Duress adds to it.
//!
//! ```json
//! {"services": {"n1": {"image": "db:1",
//!                      "labels": {"duress.run": "a1", "duress.node": "n1"},
//!                      "deploy": {"labels": {"duress.run": "a1"}, "restart_policy": {"condition": "none"}}}},
//!  "networks": {"back": {"driver": "overlay", "labels": {"duress.run": "a1"}}}}
//! ```
//!
//! Tasks of nodes are not started again by the Swarm: a node that was killed stays down until Duress starts it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::ClusterError;
use crate::compose::mark::NODE_LABEL;
use crate::compose::resolved::external;

/// What is said of a file that can't be deployed.
fn refuse(node: &str, why: &str) -> ClusterError {
    ClusterError::Unsupported {
        what: format!("use service {node} of the stack as a node"),
        why: why.to_owned(),
    }
}

/// Refuses nodes that are not one task each, or that can't be reached at these ports from outside of the Swarm.
pub fn check(file: &Value, nodes: &[String], ports: &[u16]) -> Result<(), ClusterError> {
    for node in nodes {
        let service = &file["services"][node];
        if service.is_null() {
            let known = file["services"].as_object().into_iter().flatten();
            let known: Vec<&str> = known.map(|(name, _)| name.as_str()).collect();
            return Err(ClusterError::UnknownNode {
                name: node.clone(),
                known: known.join(", "),
            });
        }
        let replicas = &service["deploy"]["replicas"];
        if service["deploy"]["mode"]
            .as_str()
            .is_some_and(|mode| mode != "replicated")
        {
            return Err(refuse(
                node,
                "it is no replicated service, and a node is one task; give each node a service of its own",
            ));
        }
        if !replicas.is_null() && replicas != 1 {
            return Err(refuse(
                node,
                "it has several replicas, and a node is one task; give each node a service of its own",
            ));
        }
        let published = service["ports"].as_array();
        for port in ports {
            let is_it = |one: &Value| one["target"] == *port && one["mode"] == "host";
            if !published.is_some_and(|all| all.iter().any(is_it)) {
                let why = format!(
                    "nobody outside of the Swarm reaches its port {port}; publish it on its own machine: `ports: [{{target: {port}, \
                     published: {}, mode: host}}]`, with a number that no other node has",
                    7000 + u32::from(*port % 1000)
                );
                return Err(refuse(node, &why));
            }
        }
    }
    Ok(())
}

/// The engine's key of the network by which nodes are addressed: the one asked for, else the first that all of them are on.
pub fn shared_network(file: &Value, nodes: &[String], asked: Option<&str>) -> Result<String, ClusterError> {
    let on = |node: &String| -> Vec<String> {
        match &file["services"][node]["networks"] {
            Value::Object(map) => map.keys().cloned().collect(),
            Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => vec!["default".to_owned()],
        }
    };
    let first = nodes.first().map(on).unwrap_or_default();
    let mut shared = first
        .into_iter()
        .filter(|name| nodes.iter().all(|node| on(node).contains(name)));
    let found = shared.find(|name| asked.is_none_or(|asked| asked == name));
    found.ok_or_else(|| ClusterError::Unsupported {
        what: "address the nodes of the stack".to_owned(),
        why: match asked {
            Some(asked) => format!("not all of them are on the network {asked:?}"),
            None => "there is no network that all of them are on".to_owned(),
        },
    })
}

/// Adds what makes it ours.
pub fn add(file: &mut Value, nodes: &[String], labels: &BTreeMap<String, String>) {
    // The engine's own keys of the file are not for the engine.
    if let Some(file) = file.as_object_mut() {
        file.remove("name");
    }
    for (name, service) in objects(&mut file["services"]) {
        let mut of_container = labels.clone();
        if nodes.contains(name) {
            of_container.insert(NODE_LABEL.to_owned(), name.clone());
            service["deploy"]["restart_policy"] = json!({"condition": "none"});
        }
        extend(&mut service["labels"], &of_container);
        extend(&mut service["deploy"]["labels"], labels);
    }
    for kind in ["networks", "volumes"] {
        for (_, thing) in objects(&mut file[kind]) {
            if !external(thing) {
                extend(&mut thing["labels"], labels);
            }
        }
    }
    for kind in ["networks", "volumes"] {
        if file[kind].is_null() {
            file.as_object_mut().map(|file| file.remove(kind));
        }
    }
    escape(file);
}

fn objects(value: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    value.as_object_mut().into_iter().flatten().map(|(name, thing)| {
        if thing.is_null() {
            *thing = Value::Object(Map::new());
        }
        (name, thing)
    })
}

/// Labels are a table in what the docker command resolves.
fn extend(value: &mut Value, labels: &BTreeMap<String, String>) {
    for (label, text) in labels {
        value[label] = json!(text);
    }
}

/// Variables have their values by now, and what is left of `$` begins none.
fn escape(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace('$', "$$"),
        Value::Array(list) => list.iter_mut().for_each(escape),
        Value::Object(map) => map.values_mut().for_each(escape),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Value {
        json!({
            "name": "x",
            "services": {
                "n1": {"image": "db:1", "command": ["$HOME"], "networks": {"back": null}, "ports": [{"target": 80, "published": 7001, "mode": "host"}]},
                "n2": {"image": "db:1", "networks": {"back": null, "front": null}, "ports": [{"target": 80, "published": 7002, "mode": "ingress"}]},
                "many": {"deploy": {"replicas": 3}},
            },
            "networks": {"back": null, "outside": {"external": true}},
        })
    }

    #[test]
    fn nodes_stay_down_and_everything_has_labels() {
        let mut file = file();
        add(
            &mut file,
            &["n1".to_owned()],
            &BTreeMap::from([("duress.run".to_owned(), "a$1".to_owned())]),
        );
        let n1 = &file["services"]["n1"];
        assert_eq!(n1["command"], json!(["$$HOME"]));
        assert_eq!(n1["deploy"]["restart_policy"], json!({"condition": "none"}));
        assert_eq!(n1["labels"], json!({"duress.run": "a$$1", "duress.node": "n1"}));
        assert_eq!(n1["deploy"]["labels"], json!({"duress.run": "a$$1"}));
        assert_eq!(file["services"]["n2"]["deploy"].get("restart_policy"), None);
        assert_eq!(file["networks"]["back"]["labels"], json!({"duress.run": "a$$1"}));
        assert_eq!(file["networks"]["outside"], json!({"external": true}));
        assert_eq!((file.get("name"), file.get("volumes")), (None, None));
    }

    #[test]
    fn what_cannot_be_a_node_or_be_reached_is_refused() {
        let why = |node: &str| check(&file(), &[node.to_owned()], &[80]).map_err(|error| error.to_string());
        assert_eq!(why("n1"), Ok(()));
        assert!(why("n2").unwrap_err().contains("mode: host"));
        assert!(why("many").unwrap_err().contains("several replicas"));
        assert!(why("none").unwrap_err().contains("there are many, n1, n2"));
        let shared = |asked| shared_network(&file(), &["n1".to_owned(), "n2".to_owned()], asked);
        assert_eq!(shared(None).expect("a network"), "back");
        assert!(shared(Some("front")).is_err());
    }
}
