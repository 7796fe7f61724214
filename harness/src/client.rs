//! Which client speaks to a system, and which workload it carries.

use std::net::IpAddr;
use std::time::Duration;

use duress_checker::property::{About, PROPERTIES, Source};
use duress_cluster::System;
use duress_workloads::append::Append;
use duress_workloads::clients::{self, Options};
use duress_workloads::etcd;
use duress_workloads::lock::Lock;
use duress_workloads::register::Register;
use duress_workloads::set::Set;
use duress_workloads::{Service, SpecError, Workload};

use crate::spec::{Complaint, KeyPath, Spec, WorkloadSpec};

/// Says what is wrong with how clients are to ask, or with what is claimed of it, if anything is.
pub fn problem(spec: &Spec) -> Option<Complaint> {
    let client = &spec.client;
    if let Some(problem) = unfit(spec) {
        return Some(problem);
    }
    if client.deadline.is_some_and(|deadline| deadline.0.is_zero()) {
        return Some(Complaint::at(
            ["client", "deadline"],
            "0 leaves no time for an operation; use e.g. \"10s\", or leave it out",
        ));
    }
    None
}

/// Which property is claimed of a workload that can't show it: judging it would have nothing to look at.
fn unfit(spec: &Spec) -> Option<Complaint> {
    let (system, workload) = (spec.cluster.system(), spec.workload.about());
    let fits = |about: &About| match about.judges {
        Source::Operations => workload.properties.contains(&about.name),
        // Only etcd's client tells what a member holds.
        Source::Contents => system == "etcd",
        // By what the harness sees of members, whatever clients ask.
        Source::Statuses | Source::Recovery => true,
    };
    let at = (spec.properties.iter()).position(|claim| !fits(claim.about()))?;
    let fitting: Vec<String> = (PROPERTIES.iter())
        .map(|property| property.about())
        .filter(|about| fits(about))
        .map(|about| format!("{:?}", about.name))
        .collect();
    let what = format!(
        "{:?} can't be shown by the workload {} on {system}; use any of {}",
        spec.properties[at].about().name,
        workload.name,
        fitting.join(", ")
    );
    Some(KeyPath::of(["properties"]).entry(at).complain(what))
}

/// The client that the system names.
pub fn service(spec: &Spec, system: &System, from: Option<IpAddr>) -> Result<Box<dyn Service>, String> {
    let options = Options {
        from,
        read: spec.client.read,
        lease: lease(&spec.workload),
        long_writes: spec.client.long_writes,
        body_max: spec.client.body_max(),
    };
    let client = clients::named(&system.client)?;
    (client.make)(options).map_err(|error| format!("make an HTTP client: {error}"))
}

/// Only locks have leases.
fn lease(workload: &WorkloadSpec) -> Duration {
    match workload {
        WorkloadSpec::Lock(lock) => Duration::from_millis(lock.lease_ms),
        WorkloadSpec::Register(_) | WorkloadSpec::Set(_) | WorkloadSpec::Append(_) => etcd::LEASE_MIN,
    }
}

/// The generator of a workload.
pub fn workload(spec: &WorkloadSpec) -> Result<Box<dyn Workload>, SpecError> {
    Ok(match spec {
        WorkloadSpec::Register(register) => Box::new(Register::new(register)?),
        WorkloadSpec::Set(set) => Box::new(Set::new(set)?),
        WorkloadSpec::Append(append) => Box::new(Append::new(append)?),
        WorkloadSpec::Lock(lock) => Box::new(Lock::new(lock)?),
    })
}

#[cfg(test)]
mod tests {
    use duress_checker::object::CATALOGUE;
    use duress_checker::property::{Source, named};

    #[test]
    fn a_workload_names_models_and_properties_that_there_are() {
        for workload in duress_workloads::catalogue() {
            if let Some(model) = workload.model {
                assert!(CATALOGUE.iter().any(|about| about.name == model), "{model}");
            }
            for name in workload.properties {
                let about = named(name).expect(name).about();
                assert_eq!(about.judges, Source::Operations, "{name}");
                let needs_model = about
                    .parameters
                    .iter()
                    .any(|(parameter, _)| *parameter == "model");
                assert!(
                    !needs_model || workload.model.is_some(),
                    "{}: {name}",
                    workload.name
                );
            }
        }
    }
}
