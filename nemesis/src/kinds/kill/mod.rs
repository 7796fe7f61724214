//! `kill`: every process of a node is ended by SIGKILL, and its program started again when it ends.
//!
//! ```toml
//! kind = "kill"
//! targets = "leader"     # any one node, if it does not say
//! ```

mod start;
mod steps;

use std::io;
use std::sync::Arc;

use duress_checker::history::Effect;
use serde_json::Value;

use super::at_nodes;
use super::kind::{About, InForceAt, Kind, ParameterError, Parameters, Undone};
use crate::agent::part::AgentPart;
use crate::agent::protocol::Mark;

pub(super) use start::{start_all, verify_started};
pub(super) use steps::{KillSteps, running, runs_again, verify_down};

/// What can be said of a program that was ended.
pub(super) fn nothing_left() -> Undone {
    Undone {
        said: "its program was ended and may have to be started; nothing else is left of it".to_owned(),
        answer: Value::Null,
    }
}

/// As in specs, schedules and histories.
const NAME: &str = "kill";

/// The kind.
#[derive(Clone, Copy, Debug)]
pub struct Kill;

impl Kind for Kill {
    fn name(&self) -> &'static str {
        NAME
    }

    fn effect(&self) -> Effect {
        Effect::Restarts
    }

    fn about(&self) -> About {
        About {
            description: "ends every process of a node by SIGKILL, and starts the program again when the fault ends",
            parameters: vec![at_nodes::parameter()],
            verified_by: "the processes are gone, and nothing runs there until it ends; healed when the program runs and is ready",
        }
    }

    fn read(&self, parameters: Value) -> Result<Arc<dyn Parameters>, ParameterError> {
        at_nodes::read(parameters, |id, targets, seed, _| {
            Box::new(KillSteps::new(id, NAME, targets, seed, None))
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
