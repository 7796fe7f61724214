//! What a kind of fault does on the machine where nodes live.
//!
//! The agent knows no kinds: it hands commands on to the part of the kind that they name, and loops over all parts to heal, and to
//! follow a node that came back. Orders, questions and answers are of types that only the two halves of a kind know.

use std::io;

use duress_cluster::Place;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The agent's half of a kind of fault. It remembers what is in force.
pub trait AgentPart: Send {
    /// Fails, in words, where this machine can't do it to a node.
    fn can(&mut self, place: &Place) -> io::Result<()>;

    /// Does it. When this fails, part of it may be in force, and is remembered: heal the fault.
    fn inject(&mut self, fault: u64, order: Value) -> io::Result<Value>;

    /// What is there of it, by looking at the nodes and not at what is remembered.
    fn look(&mut self, fault: u64) -> io::Result<Value>;

    /// Anything else that a kind wants to know of nodes.
    fn ask(&mut self, _question: Value) -> io::Result<Value> {
        Err(io::Error::other("this kind of fault answers no questions"))
    }

    /// Undoes it everywhere. Safe to repeat; what can't be undone is still remembered.
    fn heal(&mut self, fault: u64) -> io::Result<Healed>;

    /// A node is somewhere else now: puts there in force what was in force where it was. Returns the faults of which there
    /// was something to put back.
    fn follow(&mut self, _place: &Place) -> io::Result<Vec<u64>> {
        Ok(Vec::new())
    }

    /// The faults that are, or may be, in force.
    fn in_force(&self) -> Vec<u64>;
}

/// What was undone.
#[derive(Clone, Debug)]
pub struct Healed {
    /// For a person: one sentence.
    pub said: String,
    /// For the controller's half of the kind.
    pub answer: Value,
}

/// Reads an order or a question.
pub fn read<T: DeserializeOwned>(value: Value) -> io::Result<T> {
    serde_json::from_value(value).map_err(|error| io::Error::other(format!("read an order: {error}")))
}

/// Writes an answer.
pub fn write<T: Serialize>(answer: &T) -> io::Result<Value> {
    serde_json::to_value(answer).map_err(io::Error::other)
}
