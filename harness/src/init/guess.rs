//! Which services of a compose file are nodes, and what can be told of them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use duress_cluster::Readiness;
use duress_cluster::compose::{Description, Service};

use super::health;

/// Where clients connect, if nothing says where.
const PORT: u16 = 8080;

/// What is taken for true of a compose file until somebody says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Guess {
    /// Services that are nodes.
    pub nodes: Vec<String>,
    /// Where clients connect, inside the containers.
    pub port: u16,
    /// What says so: `by the health check`, `as you said`. `None`: nothing.
    pub port_by: Option<&'static str>,
    /// When a node can be used.
    pub readiness: Readiness,
    /// Whether a health check says so.
    pub has_health: bool,
    /// The nodes' data directory, inside the containers.
    pub data: Option<String>,
    /// The networks that all nodes are on.
    pub networks: Vec<String>,
    /// The profiles that have to be active for the nodes to come up.
    pub profiles: BTreeSet<String>,
}

/// The services that look most like the members of one system: as many as possible that are made of the same; of single
/// ones, the one that keeps data. The error says why none can be told.
pub fn nodes(description: &Description) -> Result<Vec<String>, String> {
    let services = &description.services;
    let usable = || services.iter().filter(|service| service.refused.is_none());
    let mut kinds: BTreeMap<&str, Vec<&Service>> = BTreeMap::new();
    for service in usable() {
        kinds.entry(&service.made_of).or_default().push(service);
    }
    let keeps_data = |kind: &[&Service]| kind.iter().all(|service| !service.volumes.is_empty());
    let several = kinds.values().filter(|kind| kind.len() > 1);
    if let Some(kind) = several.max_by_key(|kind| (kind.len(), keeps_data(kind))) {
        return Ok(kind.iter().map(|service| service.name.clone()).collect());
    }
    // Of what can't be used, one may be the very system that is meant.
    let refused: Vec<&str> = services
        .iter()
        .filter_map(|service| service.refused.as_deref())
        .collect();
    if !refused.is_empty() {
        return Err(refused.join("\n"));
    }
    let keeping: Vec<&Service> = usable().filter(|service| !service.volumes.is_empty()).collect();
    match (keeping.as_slice(), usable().collect::<Vec<_>>().as_slice()) {
        ([one], _) | (_, [one]) => Ok(vec![one.name.clone()]),
        (_, []) => Err("the file has no services".to_owned()),
        _ => {
            Err("no two services are made of the same image, and none stands out by keeping data".to_owned())
        }
    }
}

/// What can be told of these nodes. The error says which of them can't be one, or why they can't be one system.
pub fn guess(description: &Description, nodes: &[String], port: Option<u16>) -> Result<Guess, String> {
    let services = (nodes.iter())
        .map(|node| find(description, node))
        .collect::<Result<Vec<&Service>, String>>()?;
    if services.is_empty() {
        return Err("name at least one service".to_owned());
    }
    if let Some(twice) = (nodes.iter().enumerate()).find(|(index, node)| nodes[..*index].contains(node)) {
        return Err(format!("{} is named twice", twice.1));
    }
    let networks = shared(&services, |service| service.networks.iter().cloned().collect());
    if networks.is_empty() {
        return Err(format!(
            "there is no network that all of {} are on",
            nodes.join(", ")
        ));
    }
    let health = common_health(&services);
    let health_port = match &health {
        Some(Readiness::Http { port, .. }) => Some(*port),
        _ => None,
    };
    let (port, port_by) = match port {
        Some(port) => (port, Some("as you said")),
        None => guess_port(&services, health_port),
    };
    Ok(Guess {
        nodes: nodes.to_vec(),
        port,
        port_by,
        has_health: health.is_some(),
        readiness: health.unwrap_or(Readiness::Tcp { port }),
        data: shared(&services, |service| service.volumes.clone())
            .into_iter()
            .next(),
        networks,
        // A service comes up if one of its profiles is active.
        profiles: services
            .iter()
            .filter_map(|service| service.profiles.first().cloned())
            .collect(),
    })
}

fn find<'a>(description: &'a Description, node: &str) -> Result<&'a Service, String> {
    let services = &description.services;
    let found = services.iter().find(|service| service.name == node);
    let found = found.ok_or_else(|| {
        let known: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
        format!("there is no service {node:?}; there are {}", known.join(", "))
    })?;
    match &found.refused {
        Some(why) => Err(why.clone()),
        None => Ok(found),
    }
}

/// What all services have, in the order of the first.
fn shared<T: PartialEq>(services: &[&Service], of: impl Fn(&Service) -> Vec<T>) -> Vec<T> {
    let mut all = services.iter().map(|service| of(service));
    let mut shared = all.next().unwrap_or_default();
    for others in all {
        shared.retain(|one| others.contains(one));
    }
    shared
}

/// The health check, if all have the same.
fn common_health(services: &[&Service]) -> Option<Readiness> {
    let mut all = services
        .iter()
        .map(|service| health::readiness(&service.health, &service.name));
    let first = all.next()??;
    all.all(|other| other.as_ref() == Some(&first)).then_some(first)
}

/// The port, and what says so: the first source that names one for all services.
fn guess_port(services: &[&Service], health: Option<u16>) -> (u16, Option<&'static str>) {
    let sources: [(&'static str, Vec<u16>); 4] = [
        ("by the health check", health.into_iter().collect()),
        (
            "published or exposed",
            shared(services, |service| service.ports.clone()),
        ),
        (
            "by the command line",
            shared(services, |service| ports_of_words(&service.command)),
        ),
        (
            "by a variable",
            shared(services, |service| ports_of_variables(&service.environment)),
        ),
    ];
    let mut found = sources
        .into_iter()
        .filter_map(|(by, ports)| Some((*ports.first()?, Some(by))));
    found.next().unwrap_or((PORT, None))
}

/// Of `--listen 0.0.0.0:9000`, `--port 9000`, `--port=9000`, `-p 9000`, `http://0.0.0.0:9000/`.
fn ports_of_words(words: &[String]) -> Vec<u16> {
    let names_port = |word: &str| word.to_lowercase().ends_with("port") || word == "-p";
    let mut ports = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| words[before].as_str());
        let (name, value) = word.split_once('=').unwrap_or(("", word));
        let told = names_port(name) || (name.is_empty() && before.is_some_and(names_port));
        ports.extend(if told {
            value.parse().ok()
        } else {
            port_of_address(value)
        });
    }
    ports
}

/// Of `PORT=9000`, `KV_LISTEN=0.0.0.0:9000`.
fn ports_of_variables(variables: &BTreeMap<String, String>) -> Vec<u16> {
    let port = |(name, value): (&String, &String)| match name.to_lowercase().ends_with("port") {
        true => value.parse().ok(),
        false => port_of_address(value),
    };
    variables.iter().filter_map(port).collect()
}

/// Of `0.0.0.0:9000`, `:9000`, `http://[::]:9000/`.
fn port_of_address(text: &str) -> Option<u16> {
    let text = text.trim_end_matches('/');
    let (host, port) = text.rsplit_once(':')?;
    (!port.is_empty() && !host.contains(','))
        .then(|| port.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, made_of: &str) -> Service {
        Service {
            name: name.to_owned(),
            made_of: made_of.to_owned(),
            networks: BTreeSet::from(["default".to_owned()]),
            ..Service::default()
        }
    }

    fn description(services: &[Service]) -> Description {
        Description {
            services: services.to_vec(),
            engine_silent: None,
        }
    }

    #[test]
    fn most_of_a_kind_are_nodes() {
        let file = |kinds: &[&str]| {
            let services = kinds
                .iter()
                .enumerate()
                .map(|(index, kind)| service(&format!("s{index}"), kind));
            description(&services.collect::<Vec<_>>())
        };
        assert_eq!(
            nodes(&file(&["web", "kv", "kv", "kv", "web"])).unwrap(),
            ["s1", "s2", "s3"]
        );
        assert_eq!(nodes(&file(&["kv"])).unwrap(), ["s0"]);
        assert!(
            nodes(&file(&["kv", "web"]))
                .unwrap_err()
                .contains("no two services")
        );
        assert!(nodes(&file(&[])).unwrap_err().contains("no services"));
        // As many of both: those that keep data.
        let mut even = file(&["kv", "kv", "web", "web"]);
        even.services[0].volumes = vec!["/data".to_owned()];
        even.services[1].volumes = vec!["/data".to_owned()];
        assert_eq!(nodes(&even).unwrap(), ["s0", "s1"]);
        let mut single = file(&["kv", "web"]);
        single.services[0].volumes = vec!["/data".to_owned()];
        assert_eq!(nodes(&single).unwrap(), ["s0"]);
    }

    #[test]
    fn what_can_not_be_a_node_is_not_passed_over_in_silence() {
        let mut scaled = service("kv", "image kv");
        scaled.refused = Some("it has 3 replicas".to_owned());
        let file = description(&[scaled, service("proxy", "image proxy")]);
        assert_eq!(nodes(&file), Err("it has 3 replicas".to_owned()));
        let named = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            guess(&file, &names, None)
        };
        assert_eq!(named(&["kv"]), Err("it has 3 replicas".to_owned()));
        assert!(named(&["proxy"]).is_ok());
        assert!(named(&["proxi"]).unwrap_err().contains("there are kv, proxy"));
        assert!(named(&["proxy", "proxy"]).unwrap_err().contains("twice"));
        assert!(named(&[]).is_err());
    }

    #[test]
    fn a_port_is_one_that_all_nodes_have() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let with = |ports: &[u16], command: &str| Service {
            ports: ports.to_vec(),
            command: words(command),
            ..service("n", "image kv")
        };
        let port = |services: &[Service]| guess_port(&services.iter().collect::<Vec<_>>(), None);
        assert_eq!(
            port(&[with(&[1, 80], ""), with(&[80, 2], "")]),
            (80, Some("published or exposed"))
        );
        let told = with(&[], "kv --timeout=500 --listen 0.0.0.0:9000");
        assert_eq!(port(&[told.clone(), told]), (9000, Some("by the command line")));
        for line in [
            "kv -p 9",
            "kv --http-port=9",
            "kv --port 9",
            "kv --at=http://[::]:9/",
            ":9",
        ] {
            assert_eq!(ports_of_words(&words(line)), [9], "{line}");
        }
        assert_eq!(port(&[with(&[], "kv -v 3")]), (PORT, None));
        let variables = BTreeMap::from([
            ("KV_PORT".to_owned(), "7".to_owned()),
            ("N".to_owned(), "3".to_owned()),
        ]);
        assert_eq!(ports_of_variables(&variables), [7]);
    }

    #[test]
    fn nodes_share_a_network_and_a_health_check_or_none_is_said() {
        let on = |name: &str, network: &str, health: &str| Service {
            networks: BTreeSet::from([network.to_owned()]),
            health: words(health),
            ..service(name, "image kv")
        };
        fn words(line: &str) -> Vec<String> {
            line.split_whitespace().map(str::to_owned).collect()
        }
        let names = ["a".to_owned(), "b".to_owned()];
        let apart = description(&[on("a", "l", ""), on("b", "r", "")]);
        assert!(guess(&apart, &names, None).unwrap_err().contains("no network"));
        let own = |name: &str| on(name, "l", &format!("CMD curl http://{name}:7/h"));
        let guessed = guess(&description(&[own("a"), own("b")]), &names, None).unwrap();
        assert_eq!((guessed.port, guessed.has_health), (7, true));
        let differ = description(&[own("a"), on("b", "l", "CMD true")]);
        let guessed = guess(&differ, &names, Some(5)).unwrap();
        assert_eq!(
            (guessed.readiness, guessed.has_health),
            (Readiness::Tcp { port: 5 }, false)
        );
    }
}
