//! Which client speaks to a system, and which workload it carries.

use std::net::IpAddr;
use std::time::Duration;

use duress_cluster::System;
use duress_workloads::append::Append;
use duress_workloads::clients::{self, Options};
use duress_workloads::etcd;
use duress_workloads::lock::Lock;
use duress_workloads::register::Register;
use duress_workloads::set::Set;
use duress_workloads::{Service, SpecError, Workload};

use crate::spec::{Complaint, KeyPath, Property, Spec, WorkloadSpec};

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
    let (workload, shows) = match spec.workload {
        WorkloadSpec::Register(_) => ("register", Property::Linearizable),
        WorkloadSpec::Append(_) => ("append", Property::Linearizable),
        WorkloadSpec::Set(_) => ("set", Property::NothingLost),
        WorkloadSpec::Lock(_) => ("lock", Property::MutualExclusion),
    };
    let fits = |property: &Property| match property {
        Property::Linearizable | Property::NothingLost | Property::MutualExclusion => *property == shows,
        // Only etcd's client tells what a member holds.
        Property::Converged => spec.cluster.system() == "etcd",
        // By what members say of themselves, whatever clients ask.
        Property::OneLeaderPerTerm
        | Property::TermsNeverGoBack
        | Property::AppliedNeverGoesBack
        | Property::Recovers => true,
    };
    let at = spec.properties.iter().position(|property| !fits(property))?;
    let all = [
        shows,
        Property::Converged,
        Property::OneLeaderPerTerm,
        Property::TermsNeverGoBack,
        Property::AppliedNeverGoesBack,
        Property::Recovers,
    ];
    let fitting: Vec<String> = all.iter().filter(|property| fits(property)).map(quoted).collect();
    let what = format!(
        "{} can't be shown by the workload {workload} on {}; use any of {}",
        quoted(&spec.properties[at]),
        spec.cluster.system(),
        fitting.join(", ")
    );
    Some(KeyPath::of(["properties"]).entry(at).complain(what))
}

/// A property as a spec names it.
fn quoted(property: &Property) -> String {
    match serde_json::to_string(property) {
        Ok(name) => name,
        Err(error) => unreachable!("a property is a plain word: {error}"),
    }
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
