//! Which value of what is deployed makes no sense by itself.

use std::collections::BTreeSet;
use std::path::PathBuf;

use duress_cluster::compose::EngineAddress;

use super::{LIST_MAX, NAME_MAX, SERVICES_MAX, bounds, check_variable, distinct, within, word, words};
use crate::spec::{AgentHome, Complaint, ComposeSpec, KeyPath, LocalSpec, ReachSpec, SshSpec};

/// Of `[cluster.local]`.
pub fn local(local: &LocalSpec) -> Result<(), Complaint> {
    let key = |key: &str| KeyPath::of(["cluster", "local", key]);
    within(bounds::LOCAL_NODES, local.nodes as u64)?;
    within(bounds::LOCAL_READY, local.ready)?;
    local
        .latency
        .map_or(Ok(()), |latency| within(bounds::LOCAL_LATENCY, latency))?;
    words(&key("defects"), &local.defects)?;
    distinct(&key("defects"), &local.defects)?;
    words(&key("args"), &local.args)
}

/// Of `[cluster.ssh]`.
pub fn ssh(ssh: &SshSpec) -> Result<(), Complaint> {
    let key = |key: &str| KeyPath::of(["cluster", "ssh", key]);
    if !(1..=SERVICES_MAX).contains(&ssh.hosts.len()) {
        let what = format!("name 1 to {SERVICES_MAX} hosts, not {}", ssh.hosts.len());
        return Err(key("hosts").complain(what));
    }
    let hosts: Vec<String> = ssh.hosts.iter().map(ToString::to_string).collect();
    distinct(&key("hosts"), &hosts)?;
    if !ssh.addresses.is_empty() && ssh.addresses.len() != ssh.hosts.len() {
        let what = format!(
            "{} for {} hosts; name one for each, in the same order",
            ssh.addresses.len(),
            ssh.hosts.len()
        );
        return Err(key("addresses").complain(what));
    }
    if ssh.client_hosts.len() > SERVICES_MAX {
        let what = format!("{} hosts; name at most {SERVICES_MAX}", ssh.client_hosts.len());
        return Err(key("client-hosts").complain(what));
    }
    let client_hosts: Vec<String> = ssh.client_hosts.iter().map(ToString::to_string).collect();
    distinct(&key("client-hosts"), &client_hosts)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if ssh.folder.is_empty() || !ssh.folder.chars().all(plain) || ssh.folder.starts_with('-') {
        let what = "use letters, digits, \"-\", \"_\", \".\" and \"/\"; a relative path starts from the home of who logs in";
        return Err(key("folder").complain(what));
    }
    if let Some(name) = &ssh.password_env {
        check_variable(name).map_err(|what| key("password-env").complain(what))?;
    }
    words(&key("defects"), &ssh.defects)?;
    distinct(&key("defects"), &ssh.defects)?;
    words(&key("args"), &ssh.args)?;
    if let Some(unit) = &ssh.unit {
        // As systemd has it.
        let plain = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
        if unit.is_empty() || unit.len() > 255 || unit.starts_with('-') || !unit.chars().all(plain) {
            let what = format!("{unit:?} is not a name of a unit, as \"etcd\" or \"db@1.service\"");
            return Err(key("unit").complain(what));
        }
        for (name, list) in [("defects", &ssh.defects), ("args", &ssh.args)] {
            if !list.is_empty() {
                return Err(key(name).complain("a unit has a command line of its own; leave it out"));
            }
        }
    }
    within(bounds::SSH_READY, ssh.ready)
}

/// Of `[cluster.compose]`.
pub fn compose(compose: &ComposeSpec) -> Result<(), Complaint> {
    let key = |key: &str| KeyPath::of(["cluster", "compose", key]);
    if !(1..=SERVICES_MAX).contains(&compose.nodes.len()) {
        let what = format!(
            "name 1 to {SERVICES_MAX} services of the file, not {}",
            compose.nodes.len()
        );
        return Err(key("nodes").complain(what));
    }
    // As Compose has it. Nodes' names become those of folders, too.
    let service_ok = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    for (index, node) in compose.nodes.iter().enumerate() {
        let fits = (1..=NAME_MAX).contains(&node.len()) && !node.starts_with(['.', '-']);
        if !fits || !node.chars().all(service_ok) {
            let what = format!(
                "{node:?} is not a valid service name: up to {NAME_MAX} letters, digits, \"-\", \"_\" and \".\""
            );
            return Err(key("nodes").entry(index).complain(what));
        }
    }
    distinct(&key("nodes"), &compose.nodes)?;
    if let Some(version) = &compose.version {
        // What a tag of an image may be, since that is where it goes.
        let tag_ok = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !(1..=128).contains(&version.len()) || !version.chars().all(tag_ok) {
            let what = "use up to 128 letters, digits, \"-\", \"_\" and \".\", as in a tag of an image";
            return Err(key("version").complain(what));
        }
    }
    if compose.variables.len() > LIST_MAX {
        let what = format!("{} variables; use at most {LIST_MAX}", compose.variables.len());
        return Err(key("variables").complain(what));
    }
    for (name, value) in &compose.variables {
        check_variable(name).map_err(|what| key("variables").key(name).complain(what))?;
        word(key("variables").key(name), value)?;
    }
    if let Some(network) = &compose.network {
        word(key("network"), network)?;
        if network.is_empty() {
            return Err(key("network").complain("name a network of the file, or leave it out"));
        }
    }
    engines(compose)?;
    compose
        .latency
        .map_or(Ok(()), |latency| within(bounds::COMPOSE_LATENCY, latency))?;
    within(bounds::COMPOSE_READY, compose.ready)
}

/// Where the services live, and what that rules out.
fn engines(compose: &ComposeSpec) -> Result<(), Complaint> {
    let key = |key: &str| KeyPath::of(["cluster", "compose", key]);
    if let (Some(folder), None) = (&compose.certificates, &compose.engine) {
        let what = format!(
            "{} is for the engine of the key `engine`, which is not there",
            folder.display()
        );
        return Err(key("certificates").complain(what));
    }
    let mut elsewhere = compose.stack || !compose.engines.is_empty();
    if let Some(engine) = &compose.engine {
        if !compose.engines.is_empty() {
            return Err(key("engine").complain("use this key or [[cluster.compose.engines]], not both"));
        }
        elsewhere |= !engine_address(key("engine"), engine, &compose.certificates)?;
    }
    let mut placed = BTreeSet::new();
    for (index, one) in compose.engines.iter().enumerate() {
        let key = |name: &str| {
            KeyPath::of(["cluster", "compose", "engines"])
                .entry(index)
                .key(name)
        };
        engine_address(key("engine"), &one.engine, &one.certificates)?;
        if compose.stack && !one.nodes.is_empty() {
            return Err(key("nodes").complain("in a stack the Swarm decides where nodes live; leave it out"));
        }
        if one.nodes.is_empty() && !compose.stack {
            return Err(key("nodes").complain("name at least one of the nodes"));
        }
        for (number, node) in one.nodes.iter().enumerate() {
            if !compose.nodes.contains(node) {
                let what = format!(
                    "{node:?} is none of cluster.compose.nodes: {}",
                    compose.nodes.join(", ")
                );
                return Err(key("nodes").entry(number).complain(what));
            }
            if !placed.insert(node) {
                let what = format!("{node:?} lives on two engines; name it once");
                return Err(key("nodes").entry(number).complain(what));
            }
        }
    }
    if let Some(index) = compose
        .nodes
        .iter()
        .position(|node| !placed.contains(node) && !placed.is_empty())
    {
        let what = format!(
            "{:?} lives on none of the engines; add it to the nodes of one",
            compose.nodes[index]
        );
        return Err(key("nodes").entry(index).complain(what));
    }
    match compose {
        _ if !elsewhere => Ok(()),
        ComposeSpec {
            stack: true,
            reach: ReachSpec::Addresses,
            ..
        } => Err(key("reach").complain("the network of a stack leads nowhere from outside; leave it out")),
        ComposeSpec { own_data: true, .. } => Err(key("own-data")
            .complain("the run's directory is on this machine, and the engine elsewhere; leave it out")),
        ComposeSpec { latency: Some(_), .. } => {
            Err(key("latency").complain("is not done on engines elsewhere; leave it out"))
        }
        ComposeSpec {
            agent: AgentHome::Child,
            ..
        } => Err(key("agent")
            .complain("a child of this process can't break what is on an engine elsewhere; leave it out")),
        _ => Ok(()),
    }
}

/// Whether it is on this machine. What a context means is looked up later.
fn engine_address(key: KeyPath, engine: &str, certificates: &Option<PathBuf>) -> Result<bool, Complaint> {
    word(key.clone(), engine)?;
    match engine.contains("://") {
        true => match EngineAddress::parse(engine, certificates.as_deref()) {
            Ok(address) => Ok(address.is_here()),
            Err(why) => Err(key.complain(why)),
        },
        false if engine.is_empty() => Err(key.complain("write an address, or the name of a docker context")),
        false => Ok(true),
    }
}
