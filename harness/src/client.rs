//! Which client speaks to a system, and which workload it carries.

use std::net::IpAddr;
use std::time::Duration;

use duress_workloads::etcd::{self, Etcd};
use duress_workloads::register::Register;
use duress_workloads::specimen::{ReadMode, Specimen};
use duress_workloads::{Service, Workload};

use crate::spec::{ClientSpec, Spec, WorkloadSpec};

/// Says what is wrong with a spec's client for its system, if anything is.
pub fn problem(system: &str, client: &ClientSpec) -> Option<String> {
    (system == "etcd" && client.read == ReadMode::Lease).then(|| {
        "client.read is \"lease\": etcd reads \"linearizable\" or \"serializable\" (any member's own state)".to_owned()
    })
}

/// The client of a system.
pub fn service(system: &str, spec: &Spec, from: Option<IpAddr>) -> Result<Box<dyn Service>, String> {
    let read = spec.client.read;
    let made: Result<Box<dyn Service>, _> = match system {
        "etcd" => {
            Etcd::new(from, read, lease(&spec.workload)).map(|client| Box::new(client) as Box<dyn Service>)
        }
        _ => Specimen::new(from, read).map(|client| Box::new(client) as Box<dyn Service>),
    };
    made.map_err(|error| format!("make an HTTP client: {error}"))
}

/// Only locks have leases.
fn lease(workload: &WorkloadSpec) -> Duration {
    match workload {
        WorkloadSpec::Register(_) => etcd::LEASE_MIN,
    }
}

/// The generator of a workload.
pub fn workload(spec: &WorkloadSpec) -> Result<Box<dyn Workload>, String> {
    match spec {
        WorkloadSpec::Register(register) => match Register::new(register) {
            Ok(register) => Ok(Box::new(register)),
            Err(error) => Err(format!("workload.register: {error}")),
        },
    }
}
