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
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{join_all, select_all};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::task::JoinSet;

use super::client::AgentClient;
use super::ends::AgentError;
use super::member::{Member, Regain};
use super::procfs;
use super::protocol::{Command, Hello, Identity, PROTOCOL_VERSION};
use super::split::{joined, machines_in, part_of};
use crate::journal::{HostEntry, Journal};
use duress_cluster::Place;
use duress_cluster::clock_offset::{Offset, RoundTrip, monotonic_ns};

/// How often an agent is asked for its clock: a line that is busy for a moment is not for so many.
const CLOCK_ROUND_TRIPS: usize = 10;

/// All agents of a cluster.
pub struct Agents {
    /// By number of the machine; the only one there is has number 0.
    of: BTreeMap<u32, Arc<Member>>,
    at: Arc<Injected>,
    /// Held while several of them do something together.
    together: tokio::sync::Mutex<()>,
    hello: Hello,
    /// Each has one of them again when the connection to it broke.
    regaining: JoinSet<()>,
}

/// Where faults were injected.
#[derive(Default)]
pub(super) struct Injected {
    /// The machines, or those where it may have been.
    at: Mutex<BTreeMap<u64, BTreeSet<u32>>>,
    /// Faults that ended somewhere before they were to, and why.
    cut_short: Mutex<BTreeMap<u64, String>>,
}

impl Injected {
    fn remember(&self, fault: u64, machines: &BTreeSet<u32>) {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        at.entry(fault).or_default().extend(machines);
    }

    fn machines(&self, fault: u64) -> Option<BTreeSet<u32>> {
        let at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        at.get(&fault).cloned()
    }

    /// The agent of this machine ended, and with it all that it had in force.
    pub fn cut_short(&self, machine: u32, why: &str) {
        let at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        let there = at.iter().filter(|(_, machines)| machines.contains(&machine));
        let mut cut_short = self.cut_short.lock().unwrap_or_else(PoisonError::into_inner);
        for (fault, _) in there {
            cut_short.entry(*fault).or_insert_with(|| why.to_owned());
        }
    }
}

impl From<AgentClient> for Agents {
    fn from(agent: AgentClient) -> Agents {
        let hello = agent.hello().clone();
        let host = String::new();
        Agents {
            of: BTreeMap::from([(0, Arc::new(Member::new(host, agent)))]),
            at: Arc::default(),
            together: tokio::sync::Mutex::default(),
            hello,
            regaining: JoinSet::new(),
        }
    }
}

impl Agents {
    /// Of hosts with these names, in order: their numbers begin with 1.
    pub fn of_hosts(agents: Vec<(String, AgentClient)>) -> Result<Agents, AgentError> {
        let boot = procfs::boot_id().map_err(|error| AgentError::Refused(error.to_string()))?;
        let member = |(host, agent)| Arc::new(Member::new(host, agent));
        Ok(Agents {
            of: (1..).zip(agents.into_iter().map(member)).collect(),
            at: Arc::default(),
            together: tokio::sync::Mutex::default(),
            hello: Hello {
                version: PROTOCOL_VERSION,
                pid: std::process::id(),
                boot,
            },
            regaining: JoinSet::new(),
        })
    }

    /// From now on an agent whose connection broke is replaced by another, which heals first what the journal says is in force there. Faults
    /// that the one before had in force are [cut short](Agents::cut_short).
    pub(crate) fn regain_by(&mut self, regain: &Arc<dyn Regain>, journal: &Arc<Journal>) {
        for (machine, member) in &self.of {
            let (member, at) = (Arc::clone(member), Arc::clone(&self.at));
            let (regain, journal) = (Arc::clone(regain), Arc::clone(journal));
            member.will_be_regained();
            self.regaining
                .spawn(member.regained(*machine, at, regain, journal));
        }
    }

    /// Why a fault ended somewhere before it was to, if it did: from then on nothing proves it.
    pub fn cut_short(&self, fault: u64) -> Option<String> {
        let cut_short = self.at.cut_short.lock().unwrap_or_else(PoisonError::into_inner);
        cut_short.get(&fault).cloned()
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
        let entry = |(machine, member): (&u32, &Arc<Member>)| {
            let Hello { boot, pid, .. } = member.hello();
            HostEntry {
                machine: *machine,
                host: member.host.clone(),
                boot,
                agent: pid,
            }
        };
        hosts.map(entry).collect()
    }

    /// Asks, and waits for the answer.
    pub async fn call<T: DeserializeOwned>(&self, command: Command) -> Result<T, AgentError> {
        if let Some(only) = self.of.get(&0) {
            return Ok(serde_json::from_value(only.call(command).await?)?);
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
            self.at.remember(*fault, &asked);
        }
        let answers = join_all(asked.iter().filter_map(|machine| {
            let (member, part) = (self.of.get(machine)?, part_of(&whole, *machine));
            Some(async move {
                let command = serde_json::from_value::<Command>(part)?;
                member.call(command).await
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
                self.at.machines(*fault).unwrap_or_else(all)
            }
            _ => all(),
        }
    }

    /// Whether a kind of fault can be done to a node.
    pub async fn can(&self, kind: &str, place: &Place) -> Result<(), AgentError> {
        let machine = place.machine;
        match self.of.get(&machine) {
            Some(member) => {
                let (kind, place) = (kind.to_owned(), place.clone());
                member.call(Command::Can { kind, place }).await.map(drop)
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
        let measured = self
            .of
            .iter()
            .map(|(machine, member)| async move { Ok((*machine, clock_of(member).await?)) });
        join_all(measured).await.into_iter().collect()
    }

    /// Undoes a fault. Gives what the kind answers for each node where there was something to undo.
    pub async fn heal<T: DeserializeOwned>(&self, kind: &str, fault: u64) -> Result<Vec<T>, AgentError> {
        let kind = kind.to_owned();
        self.call(Command::Heal { kind, fault }).await
    }

    /// Returns when one of them has ended or does not answer any more, with which of them and how.
    pub async fn lost(&self) -> AgentError {
        let lost = self.of.values().map(|member| Box::pin(member.lost()));
        select_all(lost).await.0
    }

    /// Closes the input of each, upon which it heals everything and ends. An error means that something may stay broken.
    pub async fn close(&self) -> Result<(), AgentError> {
        let closed = self.of.values().map(|member| member.close());
        join_all(closed).await.into_iter().collect()
    }
}

/// Asks an agent for its clock several times.
async fn clock_of(member: &Member) -> Result<Offset, AgentError> {
    let mut trips = Vec::new();
    for _ in 0..CLOCK_ROUND_TRIPS {
        let sent = monotonic_ns();
        let theirs = serde_json::from_value(member.call(Command::Clock).await?)?;
        let received = monotonic_ns();
        trips.push(RoundTrip {
            sent,
            theirs,
            received,
        });
    }
    Ok(Offset::best(&trips).unwrap_or_default())
}
