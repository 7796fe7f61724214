//! What the kinds of fault share that hit no node: it is the clients that crash, or whose requests come twice. "Client-crash", "client-replay" and
//! "client-late-retry" show whether a system executes a request once whatever its clients do.
//!
//! Nothing is done to nodes, so there is nothing for an agent to do or to heal; the clients themselves do it, and count it.

mod parameters;
mod steps;

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use duress_checker::history::Effect;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::kind::{About, InForceAt, Kind, Parameter, ParameterError, Parameters, Undone};
use crate::agent::part::AgentPart;
use crate::agent::protocol::Mark;
use crate::life::clients::{ClientsSeen, Misstep};

/// What clients do wrong, as a kind of fault.
pub trait Wrong: std::fmt::Debug + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// As in specs, schedules and histories.
    const NAME: &'static str;
    /// What it does.
    const DESCRIPTION: &'static str;
    /// What has to be seen before it counts.
    const VERIFIED_BY: &'static str;
    /// Share of the operations that it happens to, if a spec does not say.
    const SHARE: f64;
    /// Whether requests need tokens that the system executes once.
    const NEEDS_TOKENS: bool;

    /// What it takes beside its share.
    fn own() -> Vec<Parameter>;

    /// Says what is wrong with these, if anything is: the parameter, and what would be right.
    fn check(&self) -> Result<(), (&'static str, String)> {
        Ok(())
    }

    /// What happens to an operation.
    fn misstep(&self) -> Misstep;

    /// What it came to, for a person.
    fn told(&self, seen: &ClientsSeen) -> String;
}

/// The kind of fault that makes clients do this.
pub struct Clients<W>(PhantomData<fn() -> W>);

impl<W> Clients<W> {
    /// For the table of kinds.
    pub const KIND: Self = Clients(PhantomData);
}

impl<W: Wrong> Kind for Clients<W> {
    fn name(&self) -> &'static str {
        W::NAME
    }

    fn effect(&self) -> Effect {
        Effect::Spares
    }

    fn about(&self) -> About {
        About {
            description: W::DESCRIPTION,
            parameters: parameters::all::<W>(),
            verified_by: W::VERIFIED_BY,
        }
    }

    fn read(&self, parameters: Value) -> Result<Arc<dyn Parameters>, ParameterError> {
        parameters::read::<W>(parameters)
    }

    fn needs_tokens(&self) -> bool {
        W::NEEDS_TOKENS
    }

    fn spans_machines(&self) -> bool {
        true
    }

    fn agent(&self, _mark: &Mark) -> Option<Box<dyn AgentPart>> {
        None
    }

    fn heal(&self, _at: &InForceAt<'_>) -> io::Result<Undone> {
        Ok(Undone {
            said: "it was the clients' doing, and has ended with them".to_owned(),
            answer: Value::Null,
        })
    }
}

/// What came of requests that were sent again.
pub(super) fn sent_again(seen: &ClientsSeen) -> String {
    let mut said = match seen.hit {
        1 => "1 request was sent again".to_owned(),
        hit => format!("{hit} requests were sent again"),
    };
    let counts = [
        (seen.answered, "answered"),
        (seen.refused, "refused"),
        (seen.differed, "answered otherwise than the first time"),
        (seen.unanswered, "not answered"),
    ];
    for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
        said.push_str(&format!(", {count} {what}"));
    }
    said
}
