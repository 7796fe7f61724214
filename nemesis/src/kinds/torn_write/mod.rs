//! `torn-write`: a node crashes in the middle of a write, of which only the first sectors reach the disk.
//!
//! ```toml
//! kind = "torn-write"
//! path = "*.wal"         # of any file, if it does not say
//! targets = "leader"     # any one node, if it does not say
//! ```
//!
//! The layer under its data directory ([`crate::layer`]) writes and syncs a prefix of the next write that matches, a whole number of
//! sectors, and answers nobody any more; then the agent ends all processes of the node. So nothing that came later is on the disk,
//! either, and no program has been told anything that is not true. The node starts again when the fault ends.

mod agent;
mod steps;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use duress_checker::history::Effect;
use duress_cluster::doctor::Requirement;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::at_nodes;
use super::disk;
use super::kind::{About, InForceAt, Kind, Parameter, ParameterError, Parameters, Undone, json, typed};
use crate::agent::part::AgentPart;
use crate::agent::protocol::Mark;
use crate::life::technique::Technique;
use crate::storage::Storage;
use crate::targets::Selector;

pub use agent::{NodeTorn, Question, ReadBack};

/// As in specs, schedules and histories.
const NAME: &str = "torn-write";

/// The kind.
#[derive(Clone, Copy, Debug)]
pub struct TornWrite;

/// As in a spec.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default)]
    targets: Selector,
}

impl Parameters for Written {
    fn to_json(&self) -> Value {
        json(self)
    }

    fn check(&self, nodes: &[String]) -> Result<(), (&'static str, String)> {
        at_nodes::check(&self.targets, nodes)
    }

    fn technique(&self, id: u64, seed: u64, _length: Duration) -> Box<dyn Technique> {
        Box::new(steps::TornSteps::new(
            id,
            self.targets.clone(),
            seed,
            self.path.clone(),
        ))
    }
}

impl Kind for TornWrite {
    fn name(&self) -> &'static str {
        NAME
    }

    fn effect(&self) -> Effect {
        Effect::Loses
    }

    fn about(&self) -> About {
        let path = Parameter {
            name: "path",
            values: disk::PATH.to_owned(),
        };
        About {
            description: "lets a node crash in the middle of a write, of which only the first sectors reach the disk, and starts it again \
             when the fault ends",
            parameters: vec![path, at_nodes::parameter()],
            verified_by: "the file, read back, has the first sectors of the write and not the rest, and no process of the node is left; \
             at its end again; healed when the program runs and is ready",
        }
    }

    fn read(&self, parameters: Value) -> Result<Arc<dyn Parameters>, ParameterError> {
        let written: Written = typed(parameters)?;
        disk::check_path(written.path.as_deref())?;
        Ok(Arc::new(written))
    }

    fn needs(&self) -> &'static [&'static Requirement] {
        &disk::NEEDS
    }

    fn storage(&self) -> Option<Storage> {
        Some(Storage::Layer)
    }

    fn spans_machines(&self) -> bool {
        true
    }

    fn agent(&self, _mark: &Mark) -> Option<Box<dyn AgentPart>> {
        Some(Box::new(agent::Tearer::default()))
    }

    fn heal(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        disk::disarm(at)
    }

    /// The layer is the node's wherever it comes back.
    fn heal_after(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        disk::disarm(at)
    }
}
