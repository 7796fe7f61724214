//! What the kinds of fault share that are done to calls that a node makes of its disk: `disk-slow`, `disk-error`, `disk-full`.
//!
//! Each is another [`Effect`] for the layer under the data directory: see [`crate::layer`].
//!
//! ```toml
//! kind = "disk-slow"
//! delay = "100ms"
//! calls = ["fsync"]      # all, if it does not say
//! path = "**/*.wal"      # all files, if it does not say
//! targets = "leader"     # any one node, if it does not say
//! ```
//!
//! [`Effect`]: crate::layer::call::Effect

mod agent;
mod asked;
mod judge;
mod needs;
mod parameters;
mod probe;
mod report;
mod steps;

pub(super) use agent::{Armer, heal as disarm, reaches_layer};
pub(super) use needs::NEEDS;
pub use parameters::Wrong;
pub(super) use parameters::{PATH, check_path, microseconds};
pub use report::{NodeCounts, NodeSamples, Order, Question, Sample};

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use duress_checker::history::Effect;
use duress_cluster::doctor::Requirement;
use serde_json::Value;

use super::kind::{About, InForceAt, Kind, ParameterError, Parameters, Undone};
use crate::agent::part::AgentPart;
use crate::agent::protocol::Mark;
use crate::storage::Storage;

/// The kind of fault that does this to calls.
pub struct WrongDisk<W>(PhantomData<fn() -> W>);

impl<W> WrongDisk<W> {
    /// For the table of kinds.
    pub const KIND: Self = WrongDisk(PhantomData);
}

impl<W: Wrong> Kind for WrongDisk<W> {
    fn name(&self) -> &'static str {
        W::NAME
    }

    fn effect(&self) -> Effect {
        W::EFFECT
    }

    fn about(&self) -> About {
        parameters::about::<W>()
    }

    fn read(&self, parameters: Value) -> Result<Arc<dyn Parameters>, ParameterError> {
        parameters::read::<W>(parameters)
    }

    fn needs(&self) -> &'static [&'static Requirement] {
        &needs::NEEDS
    }

    fn storage(&self) -> Option<Storage> {
        Some(Storage::Layer)
    }

    fn spans_machines(&self) -> bool {
        true
    }

    fn agent(&self, _mark: &Mark) -> Option<Box<dyn AgentPart>> {
        Some(Box::new(agent::Armer::default()))
    }

    fn heal(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        agent::heal(at)
    }

    /// The layer is the node's wherever it comes back.
    fn heal_after(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        agent::heal(at)
    }
}
