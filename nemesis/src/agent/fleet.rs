//! The agents of a cluster that lives on several machines, as if they were one.
//!
//! A command is cut into one for each machine: of every list in it, each gets the elements that are about nodes and processes there, by the
//! `machine` of their [`Place`](duress_cluster::Place)s and [`Process`](super::protocol::Process)es. Elements that are about no machine go to all.
//! A machine that has nothing left of a command that was about machines is not asked.
//!
//! ```text
//! inject n1, n2, n3  ─▶ machine 1: inject n1      answers [{"node":"n1",…}] + [{"node":"n2",…}] + …
//!                    ─▶ machine 2: inject n2
//! ```
//!
//! Answers are put together: lists one after the other, objects key by key, of numbers the largest, of truths whether all are. Kinds whose
//! orders and answers mean the same then say so ([`crate::kinds::Kind::spans_machines`]); others are not done to such a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use futures_util::future::{join_all, select_all};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::client::AgentClient;
use super::ends::AgentError;
use super::procfs;
use super::protocol::{Command, Hello, Identity, PROTOCOL_VERSION};
use crate::journal::HostEntry;
use duress_cluster::Place;
use duress_cluster::clock_offset::{Offset, RoundTrip, monotonic_ns};

/// How often an agent is asked for its clock: a line that is busy for a moment is not for so many.
const CLOCK_ROUND_TRIPS: usize = 10;

/// All agents of a cluster.
pub struct Agents {
    /// By number of the machine; the only one there is has number 0.
    of: BTreeMap<u32, Member>,
    /// Where each fault was injected, or may have been.
    at: Mutex<BTreeMap<u64, BTreeSet<u32>>>,
    /// Held while several of them do something together.
    together: tokio::sync::Mutex<()>,
    hello: Hello,
}

/// One of them.
struct Member {
    /// What its machine is called; empty where there is but one.
    host: String,
    agent: AgentClient,
}

impl From<AgentClient> for Agents {
    fn from(agent: AgentClient) -> Agents {
        let hello = agent.hello().clone();
        let host = String::new();
        Agents {
            of: BTreeMap::from([(0, Member { host, agent })]),
            at: Mutex::default(),
            together: tokio::sync::Mutex::default(),
            hello,
        }
    }
}

impl Agents {
    /// Of hosts with these names, in order: their numbers begin with 1.
    pub fn of_hosts(agents: Vec<(String, AgentClient)>) -> Result<Agents, AgentError> {
        let boot = procfs::boot_id().map_err(|error| AgentError::Refused(error.to_string()))?;
        let member = |(host, agent)| Member { host, agent };
        Ok(Agents {
            of: (1..).zip(agents.into_iter().map(member)).collect(),
            at: Mutex::default(),
            together: tokio::sync::Mutex::default(),
            hello: Hello {
                version: PROTOCOL_VERSION,
                pid: std::process::id(),
                boot,
            },
        })
    }

    /// What the only one said of itself; of several, what their controller says.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Whether nodes live on several machines, or may.
    pub fn has_hosts(&self) -> bool {
        !self.of.contains_key(&0)
    }

    /// The hosts, as the journal has them.
    pub fn hosts(&self) -> Vec<HostEntry> {
        let hosts = self.of.iter().filter(|(machine, _)| **machine != 0);
        let entry = |(machine, member): (&u32, &Member)| HostEntry {
            machine: *machine,
            host: member.host.clone(),
            boot: member.agent.hello().boot.clone(),
            agent: member.agent.hello().pid,
        };
        hosts.map(entry).collect()
    }

    /// Asks, and waits for the answer.
    pub async fn call<T: DeserializeOwned>(&self, command: Command) -> Result<T, AgentError> {
        if let Some(only) = self.of.get(&0) {
            return only.agent.call(command).await;
        }
        let whole = serde_json::to_value(&command)?;
        let mut about = BTreeSet::new();
        machines_in(&whole, &mut about);
        let mut asked = self.asked_of(&command);
        if !about.is_empty() {
            asked.retain(|machine| about.contains(machine));
        }
        if let Command::Inject { fault, .. } = &command {
            // Remembered first: whatever comes of it, part of it may be in force.
            let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
            at.entry(*fault).or_default().extend(&asked);
        }
        let answers = join_all(asked.iter().filter_map(|machine| {
            let (member, part) = (self.of.get(machine)?, part_of(&whole, *machine));
            Some(async move {
                let command = serde_json::from_value::<Command>(part)?;
                member
                    .agent
                    .call::<Value>(command)
                    .await
                    .map_err(|error| error.on(&member.host))
            })
        }));
        let mut together = Value::Null;
        for answer in answers.await {
            together = joined(together, answer?);
        }
        if together.is_null() && asked.is_empty() {
            // Nobody was asked: about no place, there is nothing to say.
            together = Value::Array(Vec::new());
        }
        Ok(serde_json::from_value(together)?)
    }

    /// Of a fault, the machines that it was injected at; else all.
    fn asked_of(&self, command: &Command) -> BTreeSet<u32> {
        let all = || self.of.keys().copied().collect();
        match command {
            Command::Look { fault, .. } | Command::Heal { fault, .. } => {
                let at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
                at.get(fault).cloned().unwrap_or_else(all)
            }
            _ => all(),
        }
    }

    /// Whether a kind of fault can be done to a node.
    pub async fn can(&self, kind: &str, place: &Place) -> Result<(), AgentError> {
        let machine = place.machine;
        match self.of.get(&machine) {
            Some(member) => {
                let can = member.agent.can(kind, place).await;
                can.map_err(|error| error.on(&member.host))
            }
            None => Err(AgentError::Refused(format!(
                "{} lives on machine {machine}, which has no agent",
                place.name
            ))),
        }
    }

    /// Does what the kind reads in `order`, at these nodes.
    pub async fn inject<T: DeserializeOwned>(
        &self,
        kind: &str,
        fault: u64,
        nodes: &[Identity],
        order: &impl Serialize,
    ) -> Result<T, AgentError> {
        self.inject_known(kind, fault, nodes, order, &()).await
    }

    /// The same where it is known beforehand what it takes to heal it: the agent remembers that before it touches anything.
    pub async fn inject_known<T: DeserializeOwned>(
        &self,
        kind: &str,
        fault: u64,
        nodes: &[Identity],
        order: &impl Serialize,
        held: &impl Serialize,
    ) -> Result<T, AgentError> {
        let command = Command::Inject {
            kind: kind.to_owned(),
            fault,
            nodes: nodes.to_vec(),
            order: serde_json::to_value(order)?,
            held: serde_json::to_value(held)?,
        };
        self.call(command).await
    }

    /// What is there of a fault.
    pub async fn look<T: DeserializeOwned>(&self, kind: &str, fault: u64) -> Result<T, AgentError> {
        let kind = kind.to_owned();
        self.call(Command::Look { kind, fault }).await
    }

    /// Asks what the kind reads in `question`.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        kind: &str,
        question: &impl Serialize,
    ) -> Result<T, AgentError> {
        let (kind, question) = (kind.to_owned(), serde_json::to_value(question)?);
        self.call(Command::Ask { kind, question }).await
    }

    /// Waits until no other task has several agents do something together.
    pub async fn alone(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.together.lock().await
    }

    /// How far the clock of each machine is ahead of the one here, now.
    pub async fn clocks(&self) -> Result<BTreeMap<u32, Offset>, AgentError> {
        let measured = self.of.iter().map(|(machine, member)| async move {
            let offset = clock_of(&member.agent).await;
            Ok((*machine, offset.map_err(|error| error.on(&member.host))?))
        });
        join_all(measured).await.into_iter().collect()
    }

    /// Undoes a fault. Gives what the kind answers for each node where there was something to undo.
    pub async fn heal<T: DeserializeOwned>(&self, kind: &str, fault: u64) -> Result<Vec<T>, AgentError> {
        let kind = kind.to_owned();
        self.call(Command::Heal { kind, fault }).await
    }

    /// Returns when one of them has ended or does not answer any more, with which of them and how.
    pub async fn lost(&self) -> AgentError {
        let lost = self
            .of
            .values()
            .map(|member| Box::pin(async move { member.agent.lost().await.on(&member.host) }));
        select_all(lost).await.0
    }

    /// Closes the input of each, upon which it heals everything and ends. An error means that something may stay broken.
    pub async fn close(&self) -> Result<(), AgentError> {
        let closed = self
            .of
            .values()
            .map(|member| async move { member.agent.close().await.map_err(|error| error.on(&member.host)) });
        join_all(closed).await.into_iter().collect()
    }
}

/// Asks an agent for its clock several times.
async fn clock_of(agent: &AgentClient) -> Result<Offset, AgentError> {
    let mut trips = Vec::new();
    for _ in 0..CLOCK_ROUND_TRIPS {
        let sent = monotonic_ns();
        let theirs = agent.call(Command::Clock).await?;
        let received = monotonic_ns();
        trips.push(RoundTrip {
            sent,
            theirs,
            received,
        });
    }
    Ok(Offset::best(&trips).unwrap_or_default())
}

/// Every machine that is named in it.
fn machines_in(value: &Value, found: &mut BTreeSet<u32>) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| machines_in(value, found)),
        Value::Object(object) => {
            for (key, value) in object {
                match value.as_u64() {
                    Some(machine) if key == "machine" => drop(found.insert(machine as u32)),
                    _ => machines_in(value, found),
                }
            }
        }
        _ => {}
    }
}

/// What of it is about this machine, or about none.
fn part_of(value: &Value, machine: u32) -> Value {
    let elsewhere = |value: &Value| {
        let mut about = BTreeSet::new();
        machines_in(value, &mut about);
        !about.is_empty() && !about.contains(&machine)
    };
    match value {
        Value::Array(list) => {
            let here = list.iter().filter(|value| !elsewhere(value));
            here.map(|value| part_of(value, machine)).collect()
        }
        Value::Object(object) => {
            let part = |(key, value): (&String, &Value)| (key.clone(), part_of(value, machine));
            Value::Object(object.iter().map(part).collect())
        }
        plain => plain.clone(),
    }
}

/// Two answers as one.
fn joined(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Null, value) | (value, Value::Null) => value,
        (Value::Array(mut list), Value::Array(more)) => {
            list.extend(more);
            Value::Array(list)
        }
        (Value::Object(mut one), Value::Object(other)) => {
            let mut together = Map::new();
            for (key, value) in other {
                let before = one.remove(&key).unwrap_or(Value::Null);
                together.insert(key, joined(before, value));
            }
            one.extend(together);
            Value::Object(one)
        }
        (Value::Bool(one), Value::Bool(other)) => Value::Bool(one && other),
        (Value::Number(one), Value::Number(other)) => {
            let larger = one.as_f64() >= other.as_f64();
            Value::Number(if larger { one } else { other })
        }
        (one, _) => one,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_machine_gets_what_is_about_it_or_about_none() {
        let order = json!({"nodes": [{"place": {"machine": 1}, "drop": ["a"]}, {"place": {"machine": 2}}], "seeds": [7]});
        assert_eq!(
            part_of(&order, 1),
            json!({"nodes": [{"place": {"machine": 1}, "drop": ["a"]}], "seeds": [7]})
        );
        let mut about = BTreeSet::new();
        machines_in(&order, &mut about);
        assert_eq!(about, BTreeSet::from([1, 2]));
        assert_eq!(part_of(&order, 3), json!({"nodes": [], "seeds": [7]}));
    }

    #[test]
    fn answers_are_put_together() {
        let one = json!({"micros": 3, "links": [1], "whole": true, "n1": {"a": 1}});
        let other = json!({"micros": 2, "links": [2], "whole": false, "n2": {"a": 2}});
        assert_eq!(
            joined(one, other),
            json!({"micros": 3, "links": [1, 2], "whole": false, "n1": {"a": 1}, "n2": {"a": 2}})
        );
        assert_eq!(joined(Value::Null, json!([1])), json!([1]));
    }
}
