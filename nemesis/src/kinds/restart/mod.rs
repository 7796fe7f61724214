//! `restart`: programs are asked to end, and started again at once.
//!
//! ```toml
//! kind = "restart"
//! targets = "leader"     # any one node, if it does not say
//! ```

use std::io;
use std::sync::Arc;

use duress_checker::history::Effect;
use serde_json::Value;

use super::at_nodes;
use super::kill::{KillSteps, nothing_left};
use super::kind::{About, InForceAt, Kind, ParameterError, Parameters, Undone};
use crate::agent::part::AgentPart;
use crate::agent::protocol::Mark;

/// As in specs, schedules and histories.
const NAME: &str = "restart";

/// The kind.
#[derive(Clone, Copy, Debug)]
pub struct Restart;

impl Kind for Restart {
    fn name(&self) -> &'static str {
        NAME
    }

    fn effect(&self) -> Effect {
        Effect::Restarts
    }

    fn about(&self) -> About {
        About {
            description: "asks the program to end by SIGTERM, ends it by SIGKILL if it doesn't within the fault's length, and starts \
             it again at once",
            parameters: vec![at_nodes::parameter()],
            verified_by: "the processes are gone; healed when the program runs and is ready",
        }
    }

    fn read(&self, parameters: Value) -> Result<Arc<dyn Parameters>, ParameterError> {
        at_nodes::read(parameters, |id, targets, seed, length| {
            Box::new(KillSteps::new(id, NAME, targets, seed, Some(length)))
        })
    }

    fn spans_machines(&self) -> bool {
        true
    }

    /// Signals are the agent's own.
    fn agent(&self, _mark: &Mark) -> Option<Box<dyn AgentPart>> {
        None
    }

    fn heal(&self, _at: &InForceAt<'_>) -> io::Result<Undone> {
        Ok(nothing_left())
    }
}
