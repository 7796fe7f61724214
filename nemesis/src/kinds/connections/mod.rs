//! What the kinds of fault share that end TCP connections between nodes: `tcp-reset`, where both ends know, and `half-open`, where one
//! does not.
//!
//! ```toml
//! kind = "tcp-reset"
//! targets = "leader"     # all connections from and to it; any one node, if it does not say
//! shape = "halves"       # or those between nodes that a partition of this shape would cut from each other
//! ```
//!
//! "An established connection is said to be 'half-open' if one of the TCP peers has closed or aborted the connection at its end without the
//! knowledge of the other" (RFC 9293, 3.5.1). So both kinds abort connections at one end, the *forgetting* one; with `half-open` the
//! *keeping* end is spared the segments with RST by which it would learn of that, until the fault ends.

mod agent;
mod ending;
mod judge;
mod needs;
pub mod order;
mod pairs;
mod parameters;
mod steps;

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use duress_checker::history::Effect;
use duress_cluster::doctor::Requirement;
use serde_json::Value;

use super::kind::{About, InForceAt, Kind, ParameterError, Parameters, Undone, gone};
use crate::agent::part::AgentPart;
use crate::agent::protocol::Mark;

pub use ending::Ending;

/// The kind of fault that ends connections so.
pub struct Connections<E>(PhantomData<fn() -> E>);

impl<E> Connections<E> {
    /// For the table of kinds.
    pub const KIND: Self = Connections(PhantomData);
}

impl<E: Ending> Kind for Connections<E> {
    fn name(&self) -> &'static str {
        E::NAME
    }

    /// What was said on them has to be said again.
    fn effect(&self) -> Effect {
        Effect::Slows
    }

    fn about(&self) -> About {
        About {
            description: E::DESCRIPTION,
            parameters: parameters::parameters(),
            verified_by: E::VERIFIED_BY,
        }
    }

    fn read(&self, parameters: Value) -> Result<Arc<dyn Parameters>, ParameterError> {
        parameters::read::<E>(parameters)
    }

    fn needs(&self) -> &'static [&'static Requirement] {
        if E::TOLD { &needs::RESET } else { &needs::HALF_OPEN }
    }

    fn agent(&self, mark: &Mark) -> Option<Box<dyn AgentPart>> {
        Some(Box::new(agent::Breaker::new(mark.clone(), E::TOLD)))
    }

    fn spans_machines(&self) -> bool {
        true
    }

    /// The rules of a host outlive what ran there.
    fn heal_after(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        match at.node.place.machine {
            0 => Ok(gone(at)),
            _ => self.heal(at),
        }
    }

    fn heal(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        match E::TOLD {
            true => Ok(Undone {
                said: "connections were reset; nothing else is left of it".to_owned(),
                answer: Value::Null,
            }),
            false => agent::heal(at),
        }
    }
}
