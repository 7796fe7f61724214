//! `bit-rot`: bits of files at rest in a node's data directory turn over. They stay so.
//!
//! ```toml
//! kind = "bit-rot"
//! path = "*.db"          # of any file, if it does not say
//! bits = 8               # if it does not say
//! damage-max = 1         # nodes that may be damaged in a run; the largest minority, if it does not say
//! targets = "follower"
//! ```
//!
//! The files as they were are kept beside the data directory, in `data.before-bit-rot-FAULT`.

mod agent;
mod files;
mod steps;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use duress_checker::history::Effect;
use duress_cluster::doctor::Requirement;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::at_nodes;
use super::damage;
use super::disk;
use super::kind::{About, InForceAt, Kind, Parameter, ParameterError, Parameters, Undone, json, typed};
use crate::agent::part::AgentPart;
use crate::agent::protocol::Mark;
use crate::life::technique::Technique;
use crate::storage::Storage;
use crate::targets::Selector;

pub use agent::{Order, Question, Rotten};
pub use files::Flip;

/// As in specs, schedules and histories.
const NAME: &str = "bit-rot";
/// Enough to be met, few enough to be found.
const BITS: u32 = 8;
const BITS_MAX: u32 = 1000;

/// The kind.
#[derive(Clone, Copy, Debug)]
pub struct BitRot;

/// As in a spec.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default = "bits")]
    bits: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    damage_max: Option<usize>,
    #[serde(default)]
    targets: Selector,
}

fn bits() -> u32 {
    BITS
}

impl Parameters for Written {
    fn to_json(&self) -> Value {
        json(self)
    }

    fn check(&self, nodes: &[String]) -> Result<(), (&'static str, String)> {
        damage::check(&self.targets, self.damage_max, nodes)
    }

    fn technique(&self, id: u64, seed: u64, _length: Duration) -> Box<dyn Technique> {
        Box::new(steps::RotSteps::new(id, seed, self.clone()))
    }
}

impl Kind for BitRot {
    fn name(&self) -> &'static str {
        NAME
    }

    fn effect(&self) -> Effect {
        Effect::Damages
    }

    fn about(&self) -> About {
        let parameter = |name, values: &str| Parameter {
            name,
            values: values.to_owned(),
        };
        About {
            description: "turns bits over in files at rest in a node's data directory, for good",
            parameters: vec![
                parameter("path", disk::PATH),
                parameter("bits", "how many, in all files together: 1 to 1000; default 8"),
                damage::parameter(),
                at_nodes::parameter(),
            ],
            verified_by: "the files, read back, have every bit turned over; at its end it is told how many are so still, and how many were in \
             files that the system has replaced since, and at least one is one of both; it can't be healed, and the files as they were are \
             kept beside the data directory",
        }
    }

    fn read(&self, parameters: Value) -> Result<Arc<dyn Parameters>, ParameterError> {
        let written: Written = typed(parameters)?;
        disk::check_path(written.path.as_deref())?;
        if !(1..=BITS_MAX).contains(&written.bits) {
            let what = format!("{} bits make no sense; use 1 to {BITS_MAX}", written.bits);
            return Err(ParameterError::at("bits", what));
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
        Some(Box::new(agent::Rotter))
    }

    /// There is nothing to be done: nobody else has what was there, and the system is to find it.
    fn heal(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        Ok(Undone {
            said: "bits that were turned over stay so; the files as they were are kept beside its data directory".to_owned(),
            answer: json(&at.node.place.name),
        })
    }
}
