//! `pause`: every process of a node is stopped, and goes on when it ends.
//!
//! ```toml
//! kind = "pause"
//! targets = "leader"     # any one node, if it does not say
//! ```

mod agent;
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

pub use agent::Held;
use agent::{Stopped, wake};

/// As in specs, schedules and histories.
const NAME: &str = "pause";

/// The kind.
#[derive(Clone, Copy, Debug)]
pub struct Pause;

/// Which nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PauseParameters {
    #[serde(default)]
    targets: Selector,
}

impl Kind for Pause {
    fn name(&self) -> &'static str {
        NAME
    }

    fn effect(&self) -> Effect {
        Effect::Stops
    }

    fn about(&self) -> About {
        About {
            description: "stops every process of a node by SIGSTOP, and lets them go on when the fault ends",
            parameters: vec![Parameter {
                name: "targets",
                values: format!("{SELECTORS}; default one"),
            }],
            verified_by: "every process of the node is in state T, and at least one was not before; at its end they still are; healed when \
             none that was stopped still is",
        }
    }

    fn read(&self, parameters: Value) -> Result<Arc<dyn Parameters>, String> {
        Ok(Arc::new(typed::<PauseParameters>(parameters)?))
    }

    fn agent(&self, _mark: &Mark) -> Option<Box<dyn AgentPart>> {
        Some(Box::new(Stopped::default()))
    }

    fn mend(&self, left: &Left<'_>) -> io::Result<String> {
        Ok(format!("woke {} processes", wake(left.node, left.held)?))
    }
}

impl Parameters for PauseParameters {
    fn to_json(&self) -> Value {
        json(self)
    }

    fn check(&self, nodes: &[String]) -> Result<(), (&'static str, String)> {
        self.targets.check(nodes).map_err(|what| ("targets", what))
    }

    fn technique(&self, id: u64, seed: u64, _length: Duration) -> Box<dyn Technique> {
        Box::new(steps::PauseSteps::new(id, self.targets.clone(), seed))
    }
}
