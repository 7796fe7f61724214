//! Which value of what is deployed makes no sense by itself.

use super::{LIST_MAX, NAME_MAX, SERVICES_MAX, bounds, check_variable, distinct, within, word, words};
use crate::spec::{Complaint, ComposeSpec, KeyPath, LocalSpec, SshSpec};

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
    compose
        .latency
        .map_or(Ok(()), |latency| within(bounds::COMPOSE_LATENCY, latency))?;
    within(bounds::COMPOSE_READY, compose.ready)
}
