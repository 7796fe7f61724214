//! What a kind of fault does on the machine where nodes live.
//!
//! The agent knows no kinds: it hands commands on to the part of the kind that they name. What is needed to heal, the agent
//! remembers by itself ([`crate::in_force`]); a part remembers what it takes to look, and to follow a node that came back.
//! Orders, questions and answers are of types that only the two halves of a kind know.

use std::io;

use duress_cluster::Place;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The agent's half of a kind of fault.
pub trait AgentPart: Send {
    /// Fails, in words, where this machine can't do it to a node.
    fn can(&mut self, _place: &Place) -> io::Result<()> {
        Ok(())
    }

    /// Does it. When this fails, part of it may be in force: the fault is healed all the same. `kept` is what
    /// other faults of the kind hold, as they wrote it down.
    fn inject(&mut self, fault: u64, order: Value, kept: &[Value]) -> io::Result<Injected>;

    /// What is there of it, by looking at the nodes and not at what is remembered.
    fn look(&mut self, _fault: u64) -> io::Result<Value> {
        Err(io::Error::other("this kind of fault has nothing to look at here"))
    }

    /// Anything else that a kind wants to know of nodes.
    fn ask(&mut self, _question: Value) -> io::Result<Value> {
        Err(io::Error::other("this kind of fault answers no questions"))
    }

    /// A node is somewhere else now: puts there in force what was in force where it was. Returns the faults of which there
    /// was something to put back.
    fn follow(&mut self, _place: &Place) -> io::Result<Vec<u64>> {
        Ok(Vec::new())
    }

    /// It is about to be healed, from what is remembered elsewhere: whatever keeps it in force ends first.
    fn cease(&mut self, _fault: u64) {}

    /// The fault was healed at this node.
    fn forget(&mut self, _fault: u64, _node: &str) {}
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Injected {
    /// For the controller's half of the kind.
    pub answer: Value,
    /// What it takes to heal it, beside its nodes: the kind's own data. Null: nothing.
    pub held: Value,
}

/// Reads an order or a question.
pub fn read<T: DeserializeOwned>(value: Value) -> io::Result<T> {
    serde_json::from_value(value).map_err(|error| io::Error::other(format!("read an order: {error}")))
}

/// Writes an answer.
pub fn write<T: Serialize>(answer: &T) -> io::Result<Value> {
    serde_json::to_value(answer).map_err(io::Error::other)
}
