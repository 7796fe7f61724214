//! What the kinds of fault share that make clocks of a node wrong: `clock-jump`, `clock-strobe`, `clock-drift`, `clock-freeze`.
//!
//! Each is another [`Skew`] for the same patch of the vDSO: see [`crate::agent::vdso`]. Clocks are those of every process of a
//! node, and of those that it starts later; of nobody else, the host included.
//!
//! ```toml
//! kind = "clock-jump"
//! by = "-90s"
//! targets = "leader"                     # any one node, if it does not say
//! clocks = ["realtime", "monotonic"]     # realtime, if it does not say
//! ```

mod agent;
mod heal;
mod judge;
mod needs;
mod parameters;
mod report;
mod steps;
mod watch;

pub use agent::{Order, Question};
pub use parameters::Wrong;
pub(super) use parameters::{nanoseconds, offset};
pub use report::{Injected, NodeClocks, Seen, State};

pub use crate::agent::vdso::measure::Reading;
pub use crate::agent::vdso::skew::{Clock, Skew};

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use duress_checker::history::Effect;
use duress_cluster::doctor::Requirement;
use serde_json::Value;

use super::kind::{About, InForceAt, Kind, ParameterError, Parameters, Undone};
use crate::agent::part::AgentPart;
use crate::agent::protocol::Mark;

/// The kind of fault that makes clocks wrong in this way.
pub struct WrongClock<W>(PhantomData<fn() -> W>);

impl<W> WrongClock<W> {
    /// For the table of kinds.
    pub const KIND: Self = WrongClock(PhantomData);
}

impl<W: Wrong> Kind for WrongClock<W> {
    fn name(&self) -> &'static str {
        W::NAME
    }

    fn effect(&self) -> Effect {
        Effect::Skews
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

    fn spans_machines(&self) -> bool {
        true
    }

    fn agent(&self, mark: &Mark) -> Option<Box<dyn AgentPart>> {
        Some(Box::new(agent::Skewer::new(mark.clone())))
    }

    fn heal(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        heal::heal(at)
    }
}
