//! Which client speaks to a system, and what can be claimed of what it asks.

use std::net::IpAddr;
use std::sync::Arc;

use duress_checker::property::{self, About, Source};
use duress_workloads::Service;
use duress_workloads::clients::exec::StartPrograms;
use duress_workloads::clients::{ClientKind, Options};

use crate::spec::{Complaint, KeyPath, Spec};

/// Says what is wrong with how clients are to ask, or with what is claimed of it, if anything is. `kind` is the client of
/// the system, where that is known.
pub fn problem(spec: &Spec, kind: Option<&ClientKind>) -> Option<Complaint> {
    let client = &spec.client;
    if let Some(problem) = unfit(spec, kind) {
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
fn unfit(spec: &Spec, kind: Option<&ClientKind>) -> Option<Complaint> {
    let (system, workload) = (spec.cluster.system(), spec.workload.about());
    let fits = |about: &About| match about.judges {
        Source::Operations => workload.properties.contains(&property::plain_name(about.name)),
        Source::Contents => kind.is_none_or(|kind| kind.reads_members),
        // By what the harness sees of members, whatever clients ask.
        Source::Statuses | Source::Recovery => true,
    };
    let at = (spec.properties.iter()).position(|claim| !fits(claim.about()))?;
    let fitting: Vec<String> = property::all()
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

/// What the client of a run is told. `programs` starts its programs where it names a service for them.
pub fn options(spec: &Spec, from: Option<IpAddr>, programs: Option<Arc<dyn StartPrograms>>) -> Options {
    Options {
        from,
        read: spec.client.read,
        lease: spec.workload.lease(),
        long_writes: spec.client.long_writes,
        body_max: spec.client.body_max(),
        programs,
    }
}

/// The client that the system names.
pub fn service(kind: &ClientKind, options: Options) -> Result<Box<dyn Service>, String> {
    (kind.make)(options).map_err(|error| format!("make the client {}: {error}", kind.name))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use duress_checker::object::CATALOGUE;
    use duress_checker::property::{Source, named};
    use duress_workloads::clients::{self, Definition};

    use super::problem;
    use crate::spec::Spec;

    /// Whatever the system is called.
    #[test]
    fn what_members_hold_is_judged_only_where_the_client_reads_it() {
        let text = "name = \"t\"\nproperties = [\"converged\"]\n[cluster.local]\nsystem = \"./mine\"\n[workload.register]\n";
        let spec: Spec = toml::from_str(text).expect("a spec");
        let nothing = Definition {
            text: "",
            folder: Path::new("."),
        };
        let problem_with = |client| problem(&spec, Some(&clients::of(client, &nothing).expect(client)));
        assert_eq!(problem_with("etcd"), None);
        let what = problem_with("specimen").expect("a complaint").what;
        assert!(
            what.contains("can't be shown by the workload register on mine"),
            "{what}"
        );
        // Of a run that is over, the system may be gone.
        assert_eq!(problem(&spec, None), None);
    }

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
