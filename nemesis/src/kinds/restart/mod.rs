//! `restart`: programs are asked to end, and started again at once.
//!
//! ```toml
//! kind = "restart"
//! targets = "leader"     # any one node, if it does not say
//! ```

use std::io;
use std::sync::Arc;
use std::time::Duration;

use duress_checker::history::Effect;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kill::{KillSteps, NOTHING_LEFT};
use super::{About, Kind, Left, Parameter, Parameters, json, typed};
use crate::agent::part::AgentPart;
use crate::agent::protocol::Mark;
use crate::life::technique::Technique;
use crate::targets::{SELECTORS, Selector};

/// The kind.
#[derive(Clone, Copy, Debug)]
pub struct Restart;

/// Which nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RestartParameters {
    #[serde(default)]
    targets: Selector,
}

impl Kind for Restart {
    fn name(&self) -> &'static str {
        "restart"
    }

    fn effect(&self) -> Effect {
        Effect::Restarts
    }

    fn about(&self) -> About {
        About {
            description: "asks the program to end by SIGTERM, ends it by SIGKILL if it doesn't within the fault's length, and starts \
             it again at once",
            parameters: vec![Parameter {
                name: "targets",
                values: format!("{SELECTORS}; default one"),
            }],
            verified_by: "the processes are gone; healed when the program runs and is ready",
        }
    }

    fn read(&self, parameters: Value) -> Result<Arc<dyn Parameters>, String> {
        Ok(Arc::new(typed::<RestartParameters>(parameters)?))
    }

    /// Signals are the agent's own.
    fn agent(&self, _mark: &Mark) -> Option<Box<dyn AgentPart>> {
        None
    }

    fn mend(&self, _left: &Left<'_>) -> io::Result<String> {
        Ok(NOTHING_LEFT.to_owned())
    }
}

impl Parameters for RestartParameters {
    fn to_json(&self) -> Value {
        json(self)
    }

    fn check(&self, nodes: &[String]) -> Result<(), (&'static str, String)> {
        self.targets.check(nodes).map_err(|what| ("targets", what))
    }

    fn technique(&self, id: u64, seed: u64, length: Duration) -> Box<dyn Technique> {
        let kind = super::KindRef(&Restart);
        Box::new(KillSteps::new(id, kind, self.targets.clone(), seed, Some(length)))
    }
}
