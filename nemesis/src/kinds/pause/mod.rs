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

use duress_checker::history::Effect;
use serde_json::Value;

use super::at_nodes;
use super::kind::{About, InForceAt, Kind, ParameterError, Parameters, Undone, json};
use crate::agent::part::AgentPart;
use crate::agent::protocol::{Mark, Processes};

pub use agent::Held;
use agent::Stopper;
pub(super) use agent::{stop_all, wake};
use steps::NAME;

/// The kind.
#[derive(Clone, Copy, Debug)]
pub struct Pause;

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
            parameters: vec![at_nodes::parameter()],
            verified_by: "every process of the node is in state T, and at least one was not before; at its end they still are; healed when \
             none that was stopped still is",
        }
    }

    fn read(&self, parameters: Value) -> Result<Arc<dyn Parameters>, ParameterError> {
        at_nodes::read(parameters, |id, targets, seed, _| {
            Box::new(steps::PauseSteps::new(id, targets, seed))
        })
    }

    fn spans_machines(&self) -> bool {
        true
    }

    fn agent(&self, _mark: &Mark) -> Option<Box<dyn AgentPart>> {
        Some(Box::new(Stopper))
    }

    fn heal(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        let processes = wake(at)?;
        Ok(Undone {
            said: format!("woke {} processes", processes.len()),
            answer: json(&Processes {
                node: at.node.place.name.clone(),
                processes,
            }),
        })
    }
}
