//! One agent of a cluster, and how it is had again when the connection to it broke.
//!
//! An agent heals all that it broke when its connection ends. So another takes its place, when it has ended for sure: that one heals once more,
//! from the journal, which finds nothing or what was left. Whatever is asked meanwhile waits. What was asked of the one before is asked again
//! where that changes nothing; where it may, nobody knows what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::watch;

use super::client::{AgentClient, Loss};
use super::ends::AgentError;
use super::fleet::Injected;
use super::protocol::{Command, Hello};
use crate::in_force::InForce;
use crate::journal::Journal;

/// How an agent on another machine is had again.
#[async_trait]
pub trait Regain: Send + Sync {
    /// The connection to this machine, which is called so, broke: why, in words.
    fn broke(&self, host: &str, why: &str);

    /// Makes it again and starts another agent there, when the one before has ended, which said this of itself. The error says why that can't
    /// be; then the run can't go on.
    async fn regain(&self, machine: u32, before: &Hello, is_silent: bool) -> Result<AgentClient, String>;

    /// It was made again, and nothing is in force there any more.
    fn regained(&self, host: &str);
}

/// One of several agents.
pub(super) struct Member {
    /// What its machine is called; empty where there is but one.
    pub host: String,
    now: watch::Sender<Now>,
    /// Another will take its place.
    is_regained: AtomicBool,
    /// Its end is no loss.
    closes: AtomicBool,
}

/// What there is of it.
#[derive(Clone)]
enum Now {
    There(Arc<AgentClient>),
    /// The connection broke, and is being made again.
    Away(Hello),
    /// For good: how.
    Lost(Hello, String),
}

impl Member {
    pub fn new(host: String, agent: AgentClient) -> Member {
        Member {
            host,
            now: watch::channel(Now::There(Arc::new(agent))).0,
            is_regained: AtomicBool::new(false),
            closes: AtomicBool::new(false),
        }
    }

    /// What it said of itself, or the one before.
    pub fn hello(&self) -> Hello {
        match &*self.now.borrow() {
            Now::There(agent) => agent.hello().clone(),
            Now::Away(hello) | Now::Lost(hello, _) => hello.clone(),
        }
    }

    /// Asks, and waits for the answer.
    pub async fn call(&self, command: Command) -> Result<Value, AgentError> {
        let agent = self.agent().await?;
        let answer = agent.call(command.clone()).await;
        let is_lost = match answer {
            Err(AgentError::Gone { .. }) => true,
            // One that answers pings, and not this, stays.
            Err(AgentError::Silent { .. }) => agent.is_silent(),
            _ => false,
        };
        let again = is_lost && command.changes_nothing_new() && self.is_regained.load(Ordering::Relaxed);
        let answer = match again {
            true => self.other_than(&agent).await?.call(command).await,
            false => answer,
        };
        answer.map_err(|error| error.on(&self.host))
    }

    /// When it is there.
    async fn agent(&self) -> Result<Arc<AgentClient>, AgentError> {
        self.once(|now| !matches!(now, Now::Away(_))).await
    }

    /// The one that takes the place of this.
    async fn other_than(&self, before: &Arc<AgentClient>) -> Result<Arc<AgentClient>, AgentError> {
        self.once(|now| match now {
            Now::There(agent) => !Arc::ptr_eq(agent, before),
            Now::Away(_) => false,
            Now::Lost(..) => true,
        })
        .await
    }

    async fn once(&self, is_so: impl Fn(&Now) -> bool) -> Result<Arc<AgentClient>, AgentError> {
        let mut changes = self.now.subscribe();
        // The sender is ours, and lives as long as we do.
        let now = changes.wait_for(is_so).await.map(|now| now.clone());
        match now {
            Ok(Now::There(agent)) => Ok(agent),
            Ok(Now::Lost(_, how)) => Err(AgentError::Gone { how }.on(&self.host)),
            Ok(Now::Away(_)) | Err(_) => Err(AgentError::Gone {
                how: "nobody watches it any more".to_owned(),
            }),
        }
    }

    /// Returns when it has ended or does not answer any more, and no other takes its place.
    pub async fn lost(&self) -> AgentError {
        let agent = match self.is_regained.load(Ordering::Relaxed) {
            false => self.agent().await,
            true => self.once(|now| matches!(now, Now::Lost(..))).await,
        };
        match agent {
            Ok(agent) => agent.lost().await.on(&self.host),
            Err(error) => error,
        }
    }

    /// Closes its input, upon which it heals everything and ends. An error means that something may stay broken.
    pub async fn close(&self) -> Result<(), AgentError> {
        self.closes.store(true, Ordering::Relaxed);
        let closed = self.agent().await?.close().await;
        closed.map_err(|error| error.on(&self.host))
    }

    /// See [`Member::regained`]. From now on callers count on it.
    pub fn will_be_regained(&self) {
        self.is_regained.store(true, Ordering::Relaxed);
    }

    /// Has another take its place, as often as its connection breaks.
    pub async fn regained(
        self: Arc<Member>,
        machine: u32,
        at: Arc<Injected>,
        regain: Arc<dyn Regain>,
        journal: Arc<Journal>,
    ) {
        loop {
            let Now::There(agent) = self.now.borrow().clone() else {
                return;
            };
            let loss = agent.loss().await;
            if self.closes.load(Ordering::Relaxed) {
                return;
            }
            let hello = agent.hello().clone();
            drop(agent);
            let (how, is_silent) = match loss {
                Loss::Silent(how) => (format!("the agent does not answer: {how}"), true),
                Loss::Ended(end) if end.broke => (end.how, false),
                Loss::Ended(end) => {
                    // It ended by itself, and nothing is known of what it left.
                    self.now.send_replace(Now::Lost(hello, end.how));
                    return;
                }
            };
            let why = format!(
                "the connection to {} broke while it was in force there, upon which the agent there heals it",
                self.host
            );
            at.cut_short(machine, &why);
            self.now.send_replace(Now::Away(hello.clone()));
            regain.broke(&self.host, &how);
            let regained = match regain.regain(machine, &hello, is_silent).await {
                Ok(agent) => heal_left(&agent, machine, &journal).await.map(|()| agent),
                Err(why) => Err(why),
            };
            match regained {
                Ok(agent) => {
                    regain.regained(&self.host);
                    self.now.send_replace(Now::There(Arc::new(agent)));
                }
                Err(why) => {
                    let how = format!("{how}; it was not had again: {why}");
                    self.now.send_replace(Now::Lost(hello, how));
                    return;
                }
            }
        }
    }
}

/// Heals what may still be in force on a machine.
async fn heal_left(agent: &AgentClient, machine: u32, journal: &Arc<Journal>) -> Result<(), String> {
    let read = Arc::clone(journal);
    let open = tokio::task::spawn_blocking(move || read.open_faults()).await;
    let open = open.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    let mut there: BTreeMap<u64, InForce> = open.map_err(|error| error.to_string())?;
    for fault in there.values_mut() {
        fault.nodes.retain(|node| node.place.machine == machine);
    }
    there.retain(|_, fault| !fault.nodes.is_empty());
    let healed = agent.heal_left(&there).await;
    healed.map(drop).map_err(|error| error.to_string())
}
