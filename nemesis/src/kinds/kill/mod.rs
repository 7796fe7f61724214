//! `kill`: every process of a node is ended by SIGKILL, and its program started again when it ends.
//!
//! ```toml
//! kind = "kill"
//! targets = "leader"     # any one node, if it does not say
//! ```

mod steps;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use duress_checker::history::Effect;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{About, Kind, Left, Parameter, Parameters, json, typed};
use crate::agent::part::AgentPart;
use crate::agent::protocol::Mark;
use crate::life::technique::Technique;
use crate::targets::{SELECTORS, Selector};

pub(super) use steps::KillSteps;

/// What `duress heal` can say of a program that was ended.
pub(super) const NOTHING_LEFT: &str =
    "its program was ended and may have to be started; nothing else is left of it";

/// The kind.
#[derive(Clone, Copy, Debug)]
pub struct Kill;

/// Which nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KillParameters {
    #[serde(default)]
    targets: Selector,
}

impl Kind for Kill {
    fn name(&self) -> &'static str {
        "kill"
    }

    fn effect(&self) -> Effect {
        Effect::Restarts
    }

    fn about(&self) -> About {
        About {
            description: "ends every process of a node by SIGKILL, and starts the program again when the fault ends",
            parameters: vec![Parameter {
                name: "targets",
                values: format!("{SELECTORS}; default one"),
            }],
            verified_by: "the processes are gone, and nothing runs there until it ends; healed when the program runs and is ready",
        }
    }

    fn read(&self, parameters: Value) -> Result<Arc<dyn Parameters>, String> {
        Ok(Arc::new(typed::<KillParameters>(parameters)?))
    }

    /// Signals are the agent's own.
    fn agent(&self, _mark: &Mark) -> Option<Box<dyn AgentPart>> {
        None
    }

    fn mend(&self, _left: &Left<'_>) -> io::Result<String> {
        Ok(NOTHING_LEFT.to_owned())
    }
}

impl Parameters for KillParameters {
    fn to_json(&self) -> Value {
        json(self)
    }

    fn check(&self, nodes: &[String]) -> Result<(), (&'static str, String)> {
        self.targets.check(nodes).map_err(|what| ("targets", what))
    }

    fn technique(&self, id: u64, seed: u64, _length: Duration) -> Box<dyn Technique> {
        Box::new(KillSteps::new(
            id,
            super::KindRef(&Kill),
            self.targets.clone(),
            seed,
            None,
        ))
    }
}
