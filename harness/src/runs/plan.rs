//! What a run does, all of it decided before anything is made.

use std::path::Path;

use duress_cluster::System;
use duress_cluster::compose::{self, FileProblem};
use duress_nemesis::kinds::Kind;
use duress_nemesis::kinds::packets::Packets;
use duress_nemesis::storage::{Storage, together};
use duress_nemesis::{Schedule, plan};
use duress_workloads::clients::ClientKind;

use crate::duration::SpecDuration;
use crate::spec::{ClusterSpec, KeyPath, Source, Spec, SpecError, about_faults};

/// What a command line says in place of the spec.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overrides {
    /// What everything random is drawn from.
    pub seed: Option<u64>,
    /// Length of the part under faults.
    pub faults_time: Option<SpecDuration>,
}

/// What a run does.
#[derive(Debug)]
pub struct Plan {
    /// With everything that the overrides say and everything that is drawn.
    pub spec: Spec,
    /// What everything random is drawn from.
    pub seed: u64,
    /// What is deployed.
    pub system: System,
    /// How it is asked.
    pub client: ClientKind,
    /// The `system.toml` of what is deployed, as it is written.
    pub definition: String,
    /// What breaks when.
    pub schedule: Schedule,
}

impl Plan {
    /// The kinds of faults that have to be injected, with what the latency of the cluster is put in force by.
    pub fn kinds(&self) -> Vec<&'static dyn Kind> {
        let mut kinds = self.kinds_of(false);
        if self.spec.cluster.latency().is_some() && !kinds.iter().any(|kind| kind.name() == Packets.name()) {
            kinds.push(&Packets);
        }
        kinds
    }

    /// Those of faults that are optional, or that are not.
    fn kinds_of(&self, optional: bool) -> Vec<&'static dyn Kind> {
        let mut kinds: Vec<&'static dyn Kind> = Vec::new();
        for planned in self
            .schedule
            .faults
            .iter()
            .filter(|planned| planned.optional == optional)
        {
            let kind = planned.fault.kind().0;
            if !kinds.iter().any(|other| other.name() == kind.name()) {
                kinds.push(kind);
            }
        }
        kinds
    }

    /// What has to lie under data directories for them, and for optional ones of kinds that can be done here; the lowest first.
    pub fn storage(&self, can: impl Fn(&'static dyn Kind) -> bool) -> Vec<Storage> {
        let mut kinds = self.kinds_of(true);
        kinds.retain(|kind| can(*kind));
        kinds.extend(self.kinds());
        together(kinds.iter().filter_map(|kind| kind.storage()))
    }

    /// Reads a spec and decides what it leaves open. Whatever is wrong with it is said with its place.
    pub fn read(path: &Path, overrides: Overrides) -> Result<Self, SpecError> {
        let source = Source::read(path)?;
        let (mut spec, definition, client) = source.resolve()?;
        let seed = overrides.seed.or(spec.seed).unwrap_or_else(rand::random);
        spec.seed = Some(seed);
        if let Some(time) = overrides.faults_time {
            spec.time.faults = time;
        }
        if let ClusterSpec::Compose(compose) = &spec.cluster {
            let key = |key: &str| KeyPath::of(["cluster", "compose", key]);
            compose::look(&compose.file, &compose.nodes).map_err(|problem| {
                let key = match problem {
                    FileProblem::File { .. } => key("file"),
                    FileProblem::Node { index, .. } => key("nodes").entry(index),
                };
                source.invalid(key.complain(problem.to_string()))
            })?;
        }
        let schedule = plan(&spec.faults, &spec.cluster.node_names(), seed, spec.time.faults.0)
            .map_err(|error| source.invalid(about_faults(&error)))?;
        // Last, so that who is told this knows that nothing else is wrong.
        source.check_filled_in(&spec)?;
        Ok(Plan {
            spec,
            seed,
            definition: definition.text().to_owned(),
            system: definition.system,
            client,
            schedule,
        })
    }
}
