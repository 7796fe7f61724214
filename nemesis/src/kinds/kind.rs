//! What every kind of fault says of itself and can do: the contract between a kind and all that loop over kinds.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use duress_checker::history::Effect;
use duress_cluster::doctor::Requirement;
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::agent::apart::check_apart;
use crate::agent::part::AgentPart;
use crate::agent::protocol::{Identity, Mark};
use crate::life::technique::Technique;
use crate::storage::Storage;
use crate::targets::Selector;

/// A kind of fault.
pub trait Kind: Sync {
    /// As in specs, schedules and histories.
    fn name(&self) -> &'static str;

    /// What it does to the nodes that it is about.
    fn effect(&self) -> Effect;

    /// What there is to know of it before using it.
    fn about(&self) -> About;

    /// Reads the parameters of one fault, an object. The error says what would be right.
    fn read(&self, parameters: Value) -> Result<Arc<dyn Parameters>, ParameterError>;

    /// What it needs of the machine where nodes live, beside what it takes to run them there.
    fn needs(&self) -> &'static [&'static Requirement] {
        &[]
    }

    /// What has to lie under data directories for it, before nodes start.
    fn storage(&self) -> Option<Storage> {
        None
    }

    /// Whether it changes the control group that a node's processes are in, or puts them into one of its own.
    fn changes_control_group(&self) -> bool {
        false
    }

    /// Whether it takes clients that send tokens, and a system that executes each once.
    fn needs_tokens(&self) -> bool {
        false
    }

    /// Its half on the machine where nodes live, of the run with this mark. `None`: there is nothing that it does there.
    fn agent(&self, mark: &Mark) -> Option<Box<dyn AgentPart>>;

    /// Undoes at one node what may be in force of a fault, from plain data alone. Safe to repeat.
    fn heal(&self, at: &InForceAt<'_>) -> io::Result<Undone>;

    /// The same where the node's process has ended, and its namespaces with it: undoes what outlives them. Safe to repeat.
    fn heal_after(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        Ok(gone(at))
    }

    /// Whether it can be done to nodes on several machines, each of which has an agent of its own that is asked for its share
    /// ([`crate::agent::fleet`]).
    fn spans_machines(&self) -> bool {
        false
    }
}

/// What there is to say of a node whose process has ended, and its namespaces with it.
pub(super) fn gone(at: &InForceAt<'_>) -> Undone {
    Undone {
        said: format!("process {} is gone, and what it lived in", at.node.place.pid),
        answer: Value::Null,
    }
}

/// Why the parameters of a fault can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ParameterError {
    /// The parameter that is wrong, or not known; `None` where one is missing.
    pub key: Option<String>,
    /// What would be right.
    pub what: String,
}

impl ParameterError {
    /// About this parameter.
    pub(super) fn at(key: &str, what: impl Into<String>) -> Self {
        ParameterError {
            key: Some(key.to_owned()),
            what: what.into(),
        }
    }

    /// About the parameters as a whole.
    pub(super) fn whole(what: impl Into<String>) -> Self {
        ParameterError {
            key: None,
            what: what.into(),
        }
    }
}

/// The parameters of one fault.
pub trait Parameters: fmt::Debug + Send + Sync {
    /// As a spec has them: what [`Kind::read`] takes.
    fn to_json(&self) -> Value;

    /// Says what is wrong with them for these nodes, if anything is: the parameter, and what would be right.
    fn check(&self, nodes: &[String]) -> Result<(), (&'static str, String)>;

    /// The parameter that names a role, `leader` or `follower`, if one does. Such a fault needs a system that tells roles.
    fn names_role(&self) -> Option<&'static str> {
        let targets = self.to_json().get("targets").cloned()?;
        let selector: Selector = serde_json::from_value(targets).ok()?;
        selector.names_role().then_some("targets")
    }

    /// What the steps of fault `id` do. What is drawn when it is injected is drawn from `seed`.
    #[doc(hidden)]
    fn technique(&self, id: u64, seed: u64, length: Duration) -> Box<dyn Technique>;
}

/// What may be in force of a fault at one node.
#[derive(Clone, Copy, Debug)]
pub struct InForceAt<'a> {
    /// Number of the fault.
    pub fault: u64,
    /// The node, which is still the one that was written down.
    pub node: &'a Identity,
    /// What the kind wrote down of what it did, at all nodes. `None`: it was cut off before it could say.
    pub held: Option<&'a Value>,
    /// The one that heals it.
    pub healer: Healer<'a>,
}

/// The agent or `duress heal`, and what it must leave alone.
#[derive(Clone, Copy, Debug)]
pub struct Healer<'a> {
    /// What the chains of the run are named after.
    pub mark: &'a Mark,
    /// What other faults of the kind hold, and go on holding, each as the kind wrote it down.
    pub kept: &'a [Value],
    /// Whether nodes may share namespaces with the process that heals, as programs on a host do. The agent knows what it did; a
    /// journal's word does not count for that much.
    pub own_namespaces: bool,
}

impl InForceAt<'_> {
    /// Fails where the node shares its namespace of this kind (`net`, `pid`) with the process that heals, and may not.
    pub(crate) fn check_apart(&self, which: &str, inode: u64) -> io::Result<()> {
        if self.healer.own_namespaces {
            return Ok(());
        }
        check_apart(self.node, which, inode)
    }
}

/// What was undone at one node.
#[derive(Clone, Debug)]
pub struct Undone {
    /// For a person: one sentence without its subject, e.g. `woke 3 processes`.
    pub said: String,
    /// For the controller's half of the kind. Null: there was nothing to undo.
    pub answer: Value,
}

/// What there is to know of a kind of fault before using it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct About {
    /// What it does.
    pub description: &'static str,
    /// What can be said of it in a spec, beside `length` and `weight`.
    pub parameters: Vec<Parameter>,
    /// What has to be seen before a step counts as `installed`.
    pub verified_by: &'static str,
}

/// One parameter of a kind of fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// As in specs.
    pub name: &'static str,
    /// Values, and what holds when it is not given.
    pub values: String,
}

/// A kind, by its name where it is written.
#[derive(Clone, Copy)]
pub struct KindRef(pub &'static dyn Kind);

impl std::ops::Deref for KindRef {
    type Target = dyn Kind;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl PartialEq for KindRef {
    fn eq(&self, other: &KindRef) -> bool {
        self.name() == other.name()
    }
}

impl Eq for KindRef {}

impl fmt::Debug for KindRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Serialize for KindRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Reads the parameters of a kind into the type that it has for them.
pub(super) fn typed<P: DeserializeOwned>(parameters: Value) -> Result<P, ParameterError> {
    serde_path_to_error::deserialize(parameters).map_err(|error| {
        let mut path = error.path().iter();
        let key = match path.next() {
            Some(Segment::Map { key }) => Some(key.clone()),
            _ => None,
        };
        ParameterError {
            key,
            what: error.into_inner().to_string(),
        }
    })
}

/// Writes the parameters of a kind.
pub(super) fn json<P: Serialize>(parameters: &P) -> Value {
    match serde_json::to_value(parameters) {
        Ok(value) => value,
        Err(error) => unreachable!("parameters are plain data: {error}"),
    }
}
