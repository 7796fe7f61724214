//! `snapshot-rollback`: a node's data directory is put back to what it was some seconds ago. It stays so.
//!
//! ```toml
//! kind = "snapshot-rollback"
//! by = "5s"              # if it does not say
//! damage-max = 1         # nodes that may be damaged in a run; the largest minority, if it does not say
//! targets = "follower"
//! ```
//!
//! A virtual machine that is restored from its snapshot, a volume that is rolled back, yesterday's backup in a new node's place: all that
//! was acknowledged since then is gone at this node, and the node does not know. Most consensus protocols don't claim to survive that at
//! any number of nodes (a vote is given twice, what a majority had is there at fewer), which is why it is damage, and bounded.
//!
//! The fault begins with a copy of the directory, taken while every process of the node stands still, so it is what a crash at
//! that moment would have left. It lies beside the directory in `data.snapshot-FAULT`, of at most [`COPY_BYTES_MAX`], and is gone when the
//! fault ends. When `by` has passed, the node is ended by SIGKILL and the directory made what it was. The node starts again when the fault
//! ends. Leaders are those of when the copy is taken.

mod agent;
mod judge;
mod steps;
mod tree;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use duress_checker::history::Effect;
use duress_cluster::doctor::Requirement;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kind::{About, InForceAt, Kind, Parameter, ParameterError, Parameters, Undone, json, typed};
use super::{as_text, at_nodes, damage, disk};
use crate::agent::part::AgentPart;
use crate::agent::protocol::Mark;
use crate::life::technique::Technique;
use crate::storage::Storage;
use crate::targets::Selector;

pub use agent::{Copied, Question, RolledBack};
pub use judge::Compared;

/// As in specs, schedules and histories.
const NAME: &str = "snapshot-rollback";

/// From the copy to the moment when the directory is made that again.
const BY: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
/// A directory that takes more is left alone: the node stands still while it is copied, and the copy takes room.
pub const COPY_BYTES_MAX: u64 = 512 << 20;

/// The kind.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotRollback;

/// As in a spec.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    #[serde(default = "five_seconds", with = "as_text")]
    by: Duration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    damage_max: Option<usize>,
    #[serde(default)]
    targets: Selector,
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

impl Parameters for Written {
    fn to_json(&self) -> Value {
        json(self)
    }

    fn check(&self, nodes: &[String]) -> Result<(), (&'static str, String)> {
        damage::check(&self.targets, self.damage_max, nodes)
    }

    fn technique(&self, id: u64, seed: u64, _length: Duration) -> Box<dyn Technique> {
        Box::new(steps::RollbackSteps::new(id, seed, self.clone()))
    }
}

impl Kind for SnapshotRollback {
    fn name(&self) -> &'static str {
        NAME
    }

    fn effect(&self) -> Effect {
        Effect::Damages
    }

    fn about(&self) -> About {
        let by = Parameter {
            name: "by",
            values: "how far back, e.g. \"500ms\": 100ms to 60s; default 5s. The fault begins so long before, with the copy, and its \
                     length counts from when the directory is put back"
                .to_owned(),
        };
        About {
            description: "ends every process of a node by SIGKILL, puts its data directory back to what it was some seconds ago, as \
                          whoever restores a virtual machine from a snapshot does, and starts the program again when the fault ends. Most \
                          consensus systems don't claim to survive it",
            parameters: vec![by, damage::parameter(), at_nodes::parameter()],
            verified_by: "the directory, read back, has every file as it was when the copy was taken, by SHA-256, and had others right before \
                          it was put back; no process of the node is left; at its end again, right before the start; it can't be \
                          healed, and at its end it is told whether the program runs and is ready on what it has",
        }
    }

    fn read(&self, parameters: Value) -> Result<Arc<dyn Parameters>, ParameterError> {
        let written: Written = typed(parameters)?;
        if !BY.contains(&written.by) {
            let shown = humantime::format_duration(written.by);
            return Err(ParameterError::at(
                "by",
                format!("{shown} makes no sense; use 100ms to 60s"),
            ));
        }
        Ok(Arc::new(written))
    }

    fn needs(&self) -> &'static [&'static Requirement] {
        &disk::NEEDS
    }

    fn storage(&self) -> Option<Storage> {
        // For its name of the data directory, and for what the page cache holds of it.
        Some(Storage::Layer)
    }

    fn spans_machines(&self) -> bool {
        true
    }

    fn agent(&self, _mark: &Mark) -> Option<Box<dyn AgentPart>> {
        Some(Box::new(agent::Keeper::default()))
    }

    fn heal(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        agent::clear(at, true)
    }

    /// What lies beside its data directory outlives it.
    fn heal_after(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        agent::clear(at, false)
    }
}
