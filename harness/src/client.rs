//! Which client speaks to a system, and which workload it carries.

use std::net::IpAddr;
use std::time::Duration;

use duress_workloads::append::Append;
use duress_workloads::etcd::{self, Etcd};
use duress_workloads::lock::Lock;
use duress_workloads::register::Register;
use duress_workloads::set::Set;
use duress_workloads::specimen::{ReadMode, Specimen};
use duress_workloads::{Service, Workload};

use crate::spec::{Property, Spec, WorkloadSpec};

/// Says what is wrong with a spec's client for its system, if anything is.
pub fn problem(spec: &Spec) -> Option<String> {
    let (system, client) = (spec.cluster.system(), &spec.client);
    let elsewhere = !matches!(spec.workload, WorkloadSpec::Register(_));
    if system == "specimen" && elsewhere {
        return Some("workload: the client of the specimen knows only the workload register".to_owned());
    }
    let judged_by = match spec.workload {
        WorkloadSpec::Set(_) => Some("nothing-lost"),
        WorkloadSpec::Lock(_) => Some("mutual-exclusion"),
        WorkloadSpec::Register(_) | WorkloadSpec::Append(_) => None,
    };
    if let Some(better) = judged_by.filter(|_| spec.properties.contains(&Property::Linearizable)) {
        return Some(format!(
            "properties: \"linearizable\" has no model for this workload; use {better:?}"
        ));
    }
    if client.deadline.is_some_and(|deadline| deadline.0.is_zero()) {
        return Some("client.deadline is 0: use e.g. \"10s\", or leave it out".to_owned());
    }
    (system == "etcd" && client.read == ReadMode::Lease).then(|| {
        "client.read is \"lease\": etcd reads \"linearizable\" or \"serializable\" (any member's own state)".to_owned()
    })
}

/// The client of the spec's system.
pub fn service(spec: &Spec, from: Option<IpAddr>) -> Result<Box<dyn Service>, String> {
    let (read, body_max) = (spec.client.read, spec.client.body_max());
    let made: Result<Box<dyn Service>, _> = match spec.cluster.system() {
        "etcd" => Etcd::new(from, read, lease(&spec.workload), body_max)
            .map(|client| Box::new(client.with_long_writes(spec.client.long_writes)) as Box<dyn Service>),
        _ => Specimen::new(from, read, body_max).map(|client| Box::new(client) as Box<dyn Service>),
    };
    made.map_err(|error| format!("make an HTTP client: {error}"))
}

/// Only locks have leases.
fn lease(workload: &WorkloadSpec) -> Duration {
    match workload {
        WorkloadSpec::Lock(lock) => Duration::from_millis(lock.lease_ms),
        WorkloadSpec::Register(_) | WorkloadSpec::Set(_) | WorkloadSpec::Append(_) => etcd::LEASE_MIN,
    }
}

/// The generator of a workload.
pub fn workload(spec: &WorkloadSpec) -> Result<Box<dyn Workload>, String> {
    match spec {
        WorkloadSpec::Register(register) => match Register::new(register) {
            Ok(register) => Ok(Box::new(register)),
            Err(error) => Err(format!("workload.register: {error}")),
        },
        WorkloadSpec::Set(set) => match Set::new(set) {
            Ok(set) => Ok(Box::new(set)),
            Err(error) => Err(format!("workload.set: {error}")),
        },
        WorkloadSpec::Append(append) => match Append::new(append) {
            Ok(append) => Ok(Box::new(append)),
            Err(error) => Err(format!("workload.append: {error}")),
        },
        WorkloadSpec::Lock(lock) => match Lock::new(lock) {
            Ok(lock) => Ok(Box::new(lock)),
            Err(error) => Err(format!("workload.lock: {error}")),
        },
    }
}
