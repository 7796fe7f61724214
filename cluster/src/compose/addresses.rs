//! Which subnets and addresses nodes get, where the file fixes none.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde_json::Value;

use super::resolved::{Resolved, external};
use super::subnet::{self, Subnet};
use crate::ClusterError;

/// Subnets and addresses that Duress chose. Keys are names of networks as in the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Addresses {
    /// Networks that get a subnet because the file gives them none.
    pub subnets: BTreeMap<String, Subnet>,
    /// Addresses by service and network, where the file fixes none.
    pub hosts: BTreeMap<(String, String), Ipv4Addr>,
}

impl Addresses {
    /// Chooses for the nodes that are services of their own: replicas have one entry, in which no address can stand. Around the subnets that
    /// are taken. Where the search for free ones begins depends on `start`. Nodes that are spread over several engines share networks of other
    /// drivers, whose subnet the file fixes; there each engine has to choose what the others do.
    pub fn choose(
        resolved: &Resolved,
        nodes: &[String],
        taken: &[Subnet],
        start: u32,
        spread: bool,
    ) -> Result<Self, ClusterError> {
        let mut chosen = Addresses::default();
        let mut taken = taken.to_vec();
        let names: BTreeSet<&str> = nodes
            .iter()
            .flat_map(|node| resolved.networks_of(node).into_keys())
            .collect();
        for name in names {
            let definition = resolved.network(name);
            if external(definition) || !fixable(definition, spread) {
                continue;
            }
            let wanting: Vec<&String> = nodes
                .iter()
                .filter(|node| {
                    let is_replica = resolved
                        .member(node)
                        .is_some_and(|member| member.replica.is_some());
                    let on_network = resolved.networks_of(node);
                    !is_replica
                        && on_network
                            .get(name)
                            .is_some_and(|own| own["ipv4_address"].is_null())
                })
                .collect();
            if wanting.is_empty() {
                continue;
            }
            let fixed = fixed_subnet(definition);
            let subnet = fixed.or_else(|| subnet::free(&taken, start)).ok_or_else(|| ClusterError::Unsupported {
                what: format!("give the network {name} a subnet"),
                why: "none is free in 10.192.0.0/10; remove networks that are not used, or give this one a subnet"
                    .to_owned(),
            })?;
            if fixed.is_none() {
                taken.push(subnet);
                chosen.subnets.insert(name.to_owned(), subnet);
            }
            let used = fixed_addresses(resolved, name);
            let mut free = subnet.hosts_from_the_top().filter(|host| !used.contains(host));
            for node in wanting {
                let host = free.next().ok_or_else(|| ClusterError::Unsupported {
                    what: format!("give {node} an address on the network {name}"),
                    why: format!("all of {subnet} is taken"),
                })?;
                chosen.hosts.insert((node.clone(), name.to_owned()), host);
            }
        }
        Ok(chosen)
    }

    /// The fixed addresses of nodes on networks that this service is on, `shared` before others.
    pub fn seen_from(
        &self,
        resolved: &Resolved,
        service: &str,
        nodes: &[String],
        shared: &str,
    ) -> BTreeMap<String, Ipv4Addr> {
        let on: BTreeSet<&str> = resolved.networks_of(service).into_keys().collect();
        let seen = |node: &String| {
            let of_node = resolved.networks_of(node);
            let mut networks: Vec<_> = of_node.iter().filter(|(name, _)| on.contains(*name)).collect();
            networks.sort_by_key(|(name, _)| **name != shared);
            let address = |(name, own): (&&str, &&Value)| {
                let written = own["ipv4_address"].as_str().and_then(|text| text.parse().ok());
                written.or_else(|| self.hosts.get(&(node.clone(), (*name).to_owned())).copied())
            };
            Some((node.clone(), networks.into_iter().find_map(address)?))
        };
        nodes.iter().filter_map(seen).collect()
    }
}

/// Addresses on a network that nobody else may get: those of services, and the gateways.
fn fixed_addresses(resolved: &Resolved, network: &str) -> BTreeSet<Ipv4Addr> {
    let of_services = resolved.services().filter_map(|service| {
        let own = *resolved.networks_of(service).get(network)?;
        own["ipv4_address"].as_str()?.parse().ok()
    });
    let entries = ipam(resolved.network(network)).iter();
    let gateways = entries.filter_map(|entry| entry["gateway"].as_str()?.parse().ok());
    of_services.chain(gateways).collect()
}

fn fixed_subnet(definition: &Value) -> Option<Subnet> {
    let mut entries = ipam(definition).iter();
    entries.find_map(|entry| entry["subnet"].as_str()?.parse().ok())
}

fn ipam(definition: &Value) -> &[Value] {
    definition["ipam"]["config"].as_array().map_or(&[], Vec::as_slice)
}

/// Whether addresses can be fixed on a network: other drivers have address management of their own, unless somebody says what it is.
fn fixable(definition: &Value, spread: bool) -> bool {
    let driver = definition["driver"].as_str();
    match spread {
        true => fixed_subnet(definition).is_some(),
        false => driver.is_none_or(|driver| driver == "bridge"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_sees_nodes_where_both_are() {
        let file = "services: {n1: {networks: {back: {ipv4_address: 10.1.0.5}, front: null}}, n2: {networks: [back]}, \
                    drivers: {networks: [back, front]}, aside: {networks: [front]}, away: {networks: [other]}}";
        let resolved = Resolved::parse(file).expect("valid");
        let nodes = ["n1".to_owned(), "n2".to_owned()];
        let address = |text: &str| text.parse::<Ipv4Addr>().expect("an address");
        let host = |node: &str, network: &str, is: &str| ((node.to_owned(), network.to_owned()), address(is));
        let chosen = Addresses {
            subnets: BTreeMap::new(),
            hosts: [host("n1", "front", "10.2.0.4"), host("n2", "back", "10.1.0.9")].into(),
        };
        let seen = |service| chosen.seen_from(&resolved, service, &nodes, "back");
        let both = [("n1", "10.1.0.5"), ("n2", "10.1.0.9")].map(|(node, is)| (node.to_owned(), address(is)));
        assert_eq!(seen("drivers"), both.into());
        assert_eq!(seen("aside"), [("n1".to_owned(), address("10.2.0.4"))].into());
        assert!(seen("away").is_empty());
    }
}
