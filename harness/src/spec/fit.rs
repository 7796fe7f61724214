//! What a spec asks of its system that the system can't give: found before anything is made.

use duress_cluster::{Readiness, System, compose};
use duress_workloads::clients::{ClientKind, Tokens, exec};

use super::check::about_faults;
use super::system::Definition;
use super::{Claim, ClusterSpec, Complaint, KeyPath, Source, Spec, SpecError, SshSpec};

impl Spec {
    /// Whether the system is what the spec takes it for. Gives the system's client.
    pub(super) fn check_fit(
        &self,
        definition: &Definition,
        source: &Source,
    ) -> Result<ClientKind, SpecError> {
        let system = &definition.system;
        let client = definition.client()?;
        if let Some(complaint) = service_problem(&self.cluster, &client) {
            return Err(definition.invalid(complaint));
        }
        let complaint = deployable(&self.cluster, system)
            .or_else(|| elsewhere(&self.cluster, &client))
            .or_else(|| carried(self, &client))
            .or_else(|| told(self, system));
        complaint.map_or(Ok(client), |complaint| Err(source.invalid(complaint)))
    }
}

/// Whether it runs where it is asked for; why not, if it does not.
pub fn deployable(cluster: &ClusterSpec, system: &System) -> Option<Complaint> {
    let key = |key: &str| KeyPath::of(["cluster", cluster.name(), key]);
    let name = &system.name;
    match cluster {
        ClusterSpec::Local(_) | ClusterSpec::Ssh(SshSpec { unit: None, .. }) if system.argv.is_empty() => {
            let what = format!("{name} comes in containers only; deploy it with [cluster.compose]");
            Some(key("system").complain(what))
        }
        ClusterSpec::Ssh(_) if matches!(system.readiness, Readiness::Command { .. }) => {
            let what = format!(
                "{name} shows that it is ready by a command in the node, which is not run on hosts; use readiness.http or readiness.tcp"
            );
            Some(key("system").complain(what))
        }
        ClusterSpec::Compose(_) if !system.in_containers() => {
            let what = format!("{name} doesn't come in containers; deploy it with [cluster.local]");
            Some(key("system").complain(what))
        }
        ClusterSpec::Compose(compose) => {
            let chosen = system
                .compose
                .as_ref()
                .and_then(|compose| compose.version.as_ref());
            (compose.version.is_some() && chosen.is_none()).then(|| {
                let what = format!("{name} doesn't say how its version is chosen; leave it out");
                key("version").complain(what)
            })
        }
        ClusterSpec::Local(_) | ClusterSpec::Ssh(_) => {
            let (defects, unknown) = (cluster.defects(), |defect| !system.defects.contains(defect));
            let at = defects.iter().position(unknown)?;
            let what = match system.defects.is_empty() {
                true => format!("{name} has no defects that can be switched on; the specimen has"),
                false => format!(
                    "no defect {:?}; there are {}",
                    defects[at],
                    system.defects.join(", ")
                ),
            };
            Some(key("defects").entry(at).complain(what))
        }
    }
}

/// What is wrong with the service that the client's programs are to run in, if anything is: a place in the system's definition.
pub fn service_problem(cluster: &ClusterSpec, client: &ClientKind) -> Option<Complaint> {
    let service = client.service.as_ref()?;
    let what = match cluster {
        ClusterSpec::Local(_) => {
            "a local cluster has no services, and its clients run where Duress does; leave it out".to_owned()
        }
        ClusterSpec::Ssh(_) => {
            "a cluster of hosts has no services, and its clients run where Duress does; leave it out"
                .to_owned()
        }
        ClusterSpec::Compose(compose) if compose.nodes.contains(service) => {
            format!("{service:?} is a node, and faults would hit the client; name a service that is none")
        }
        ClusterSpec::Compose(compose) => compose::look_for_service(&compose.file, service).err()?,
    };
    Some(KeyPath::of(["exec", "service"]).complain(what))
}

/// Whether the client can be on hosts of its own, if it is to be.
fn elsewhere(cluster: &ClusterSpec, client: &ClientKind) -> Option<Complaint> {
    let ClusterSpec::Ssh(ssh) = cluster else {
        return None;
    };
    (!ssh.client_hosts.is_empty() && client.name == exec::NAME).then(|| {
        let what = "the client exec starts programs, which are here and not on other hosts; leave it out";
        KeyPath::of(["cluster", "ssh", "client-hosts"]).complain(what)
    })
}

/// Whether the client carries what is asked.
fn carried(spec: &Spec, client: &ClientKind) -> Option<Complaint> {
    let name = spec.workload.name();
    let lacking = client.lacks(&spec.workload.operations());
    if !lacking.is_empty() {
        let lacking: Vec<String> = lacking.iter().map(ToString::to_string).collect();
        let carried = client.workloads();
        let what = format!(
            "the client {} doesn't carry the workload {name}: it knows no {}; it carries {}",
            client.name,
            lacking.join(", no "),
            if carried.is_empty() {
                "none".to_owned()
            } else {
                carried.join(", ")
            }
        );
        return Some(Complaint::at(["workload", name], what));
    }
    if matches!(client.tokens, Tokens::Always { .. }) && !spec.client.tokens {
        let what = "the requests of this system have tokens in them; leave it out, or the tokens";
        return Some(Complaint::at(["client", "tokens"], what));
    }
    let executed_once = match client.tokens {
        Tokens::None => false,
        Tokens::Optional => spec.client.tokens,
        Tokens::Always { executed_once } => executed_once,
    };
    if let (false, Some(spot)) = (executed_once, spec.faults.first_with_tokens()) {
        let what = "requests are sent again with the tokens that they had, and here none has a token that the system executes once; leave it out".to_owned();
        return Some(about_faults(&duress_nemesis::SpecError { what, spot }));
    }
    (!client.reads.contains(&spec.client.read)).then(|| {
        let reads: Vec<String> = client
            .reads
            .iter()
            .map(|read| format!("{:?}", read.as_str()))
            .collect();
        let what = format!(
            "the client {} has no {:?} reads; use {}",
            client.name,
            spec.client.read.as_str(),
            reads.join(" or ")
        );
        Complaint::at(["client", "read"], what)
    })
}

/// Whether the status tells what faults are aimed by, and properties are judged by.
fn told(spec: &Spec, system: &System) -> Option<Complaint> {
    let (facts, name) = (system.facts(), &system.name);
    if let (false, Some(spot)) = (facts.roles, spec.faults.first_role()) {
        let what = format!(
            "{name} doesn't tell who leads; name nodes, or use targets and shapes without \"leader\" and \"follower\""
        );
        return Some(about_faults(&duress_nemesis::SpecError { what, spot }));
    }
    let lacks = |claim: &Claim| match claim.about().name {
        "one-leader-per-term" if !facts.roles => Some("who leads"),
        "one-leader-per-term" | "terms-never-go-back" if !facts.term => Some("its term"),
        "applied-never-goes-back" if !facts.applied => Some("its applied index"),
        _ => None,
    };
    let mut properties = spec.properties.iter().enumerate();
    properties.find_map(|(index, property)| {
        let what = format!(
            "the status of {name} doesn't tell {}, by which this is judged; leave it out",
            lacks(property)?
        );
        Some(KeyPath::of(["properties"]).entry(index).complain(what))
    })
}

#[cfg(test)]
mod tests {
    use duress_cluster::System;
    use duress_specimen::Defect;

    #[test]
    fn the_specimen_says_which_defects_it_has() {
        let system = System::named("specimen").expect("it ships");
        assert_eq!(system.defects, Defect::ALL.map(Defect::name));
    }
}
