//! What has to be true of a compose file whose nodes are spread over several engines: they are on one network all the same.

use super::resolved::{Resolved, external};
use crate::ClusterError;

/// Refuses a network that ends where an engine does, and nodes that have no names of their own.
pub fn check(resolved: &Resolved, nodes: &[String], shared: &str) -> Result<(), ClusterError> {
    let refuse = |why: String| ClusterError::Unsupported {
        what: "spread nodes over several engines".to_owned(),
        why,
    };
    let replica = nodes.iter().find(|node| {
        resolved
            .member(node)
            .is_some_and(|member| member.replica.is_some())
    });
    if let Some(replica) = replica {
        return Err(refuse(format!(
            "{replica} is one of several replicas, which are all on one engine; give each node a service of its own"
        )));
    }
    let definition = resolved.network(shared);
    if external(definition) {
        return Ok(());
    }
    let driver = definition["driver"].as_str().unwrap_or("bridge");
    let has_subnet = definition["ipam"]["config"][0]["subnet"].is_string();
    match driver {
        "bridge" => Err(refuse(format!(
            "their network {shared} is a bridge, which ends where its engine does; give it the driver macvlan with a subnet, or make it the \
             external, attachable overlay network of a Swarm"
        ))),
        driver if !has_subnet => Err(refuse(format!(
            "their network {shared} ({driver}) has no subnet, so each engine would take one of its own; write one under ipam, of which \
             Duress chooses addresses"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_must_share_a_network_that_spans_engines() {
        let checked = |network: &str| {
            let file = format!(
                "services: {{n1: {{image: a, networks: [net]}}, kv: {{image: a, scale: 2, networks: [net]}}}}\nnetworks: {{net: {network}}}"
            );
            let resolved = Resolved::parse(&file).expect("valid");
            let check =
                |node: &str| check(&resolved, &[node.to_owned()], "net").map_err(|error| error.to_string());
            (check("n1"), check("kv-1"))
        };
        let spans = "{driver: macvlan, ipam: {config: [{subnet: 10.79.0.0/24}]}}";
        assert_eq!(checked(spans).0, Ok(()));
        assert!(checked(spans).1.unwrap_err().contains("replicas"));
        assert_eq!(checked("{external: true}").0, Ok(()));
        assert!(checked("{}").0.unwrap_err().contains("a bridge"));
        assert!(
            checked("{driver: macvlan}")
                .0
                .unwrap_err()
                .contains("has no subnet")
        );
    }
}
