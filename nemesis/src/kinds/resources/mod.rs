//! What the kinds of fault share that leave a node less of something than it had: `cpu-squeeze`, `memory-squeeze`,
//! `file-descriptors`, `noisy-neighbour`.
//!
//! Each is a [`Resource`]: its parameters, and what is done with them at one node. First is asked where and how a node is held now, and
//! that is written down; then it is done; while it lasts, processes that start later are held, too; in the end everything is as it was
//! written down.
//!
//! ```json
//! {"op":"held","fault":3,"data":{"n1":{"controller":"cpu","group":"/docker/4f1a","before":[["cpu.cfs_quota_us","-1\n"]]}}}
//! ```

mod agent;
pub(super) mod needs;
mod parameters;
mod resource;
mod steps;
pub(super) mod usage;

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use duress_checker::history::Effect;
use duress_cluster::doctor::Requirement;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kind::{About, InForceAt, Kind, ParameterError, Parameters, Undone, json};
use crate::agent::part::{AgentPart, read};
use crate::agent::protocol::Mark;

pub use agent::{Order, Question};
pub use resource::Resource;

use agent::Planned;

/// The kind of fault that takes this from nodes.
pub struct Scarce<R>(PhantomData<fn() -> R>);

impl<R> Scarce<R> {
    /// For the table of kinds.
    pub const KIND: Self = Scarce(PhantomData);
}

/// What was put back at a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct PutBack {
    node: String,
    said: String,
}

impl<R: Resource> Scarce<R> {
    fn undo(at: &InForceAt<'_>, lives: bool) -> io::Result<Undone> {
        let name = &at.node.place.name;
        let planned = at.held.cloned().map(read::<Planned<R>>).transpose()?;
        // It is written down before anything is done.
        let said = match planned.as_ref().and_then(|nodes| nodes.get(name)) {
            Some(before) => R::undo(before, at, lives)?,
            None => "nothing had been done yet".to_owned(),
        };
        let answer = json(&PutBack {
            node: name.clone(),
            said: said.clone(),
        });
        Ok(Undone { said, answer })
    }
}

impl<R: Resource> Kind for Scarce<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn effect(&self) -> Effect {
        R::EFFECT
    }

    fn about(&self) -> About {
        parameters::about::<R>()
    }

    fn read(&self, parameters: Value) -> Result<Arc<dyn Parameters>, ParameterError> {
        parameters::read::<R>(parameters)
    }

    fn needs(&self) -> &'static [&'static Requirement] {
        R::NEEDS
    }

    fn changes_control_group(&self) -> bool {
        R::BY_CONTROL_GROUP
    }

    fn spans_machines(&self) -> bool {
        true
    }

    fn agent(&self, mark: &Mark) -> Option<Box<dyn AgentPart>> {
        Some(Box::new(agent::Holder::<R>::new(mark.clone())))
    }

    fn heal(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        at.check_apart("pid", at.node.processes)?;
        Self::undo(at, true)
    }

    fn heal_after(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        Self::undo(at, false)
    }
}
