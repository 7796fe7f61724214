//! The driver: runs the faults of a schedule at their times, and heals them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use duress_checker::history::StepResult;
use duress_cluster::{Cluster, ProgramState};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use crate::agent::chains::FAULT_MAX;
use crate::agent::ends::AgentError;
use crate::agent::fleet::Agents;
use crate::agent::member::Regain;
use crate::agent::protocol::Command;
use crate::journal::{Entry, Journal, JournalError};
use crate::kinds::KindRef;
use crate::kinds::packets::Packets;
use crate::life::clients::Misleading;
use crate::life::shared::{AwaitReady, EventSink, Shared};
use crate::life::stage::{Rehearsal, live, rehearse, skip};
use crate::life::technique::StepOutcome;
use crate::schedule::Schedule;
use crate::storage::NodeStorage;
use duress_cluster::Roles;

/// Why the nemesis can't go on: failures of the harness, never of the system under test.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NemesisError {
    /// The agent is dead, or fails to heal.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// Nothing may be broken that isn't written down first.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Something may still be broken.
    #[error("heal everything: {0}")]
    Unhealed(String),
    /// The cluster is not as its spec says.
    #[error("put the latency of the cluster in force: {0}")]
    Latency(String),
}

/// Number of what is in force from before the first fault to after the last, and is none: the latency of the cluster.
const LATENCY: u64 = FAULT_MAX;
/// How often it is measured until it is as asked.
const LATENCY_TRIES: u32 = 8;

/// Lets agents put this under data directories, after the journal has it.
pub async fn put_storage(
    agents: &Agents,
    journal: &Journal,
    nodes: Vec<NodeStorage>,
) -> Result<(), NemesisError> {
    journal.begin(agents.hello(), agents.hosts())?;
    journal.write(&Entry::Storage { nodes: nodes.clone() })?;
    Ok(agents.call(Command::Put { storage: nodes }).await?)
}

/// A fault that others may have to wait for.
struct Earlier {
    at_ms: u64,
    ends_ms: u64,
    over: watch::Receiver<bool>,
}

/// Injects the faults of a run on schedule, and heals them.
pub struct Nemesis {
    shared: Arc<Shared>,
    has_latency: AtomicBool,
}

impl Nemesis {
    /// Takes agents that have been greeted, and begins the journal.
    pub fn new(
        cluster: Arc<dyn Cluster>,
        agents: impl Into<Agents>,
        journal: Journal,
        sink: EventSink,
        roles: watch::Receiver<Roles>,
        readiness: Arc<dyn AwaitReady>,
    ) -> Result<Nemesis, NemesisError> {
        let agent = agents.into();
        journal.begin(agent.hello(), agent.hosts())?;
        let journal = Arc::new(journal);
        let open = Mutex::default();
        Ok(Nemesis {
            shared: Arc::new(Shared {
                cluster,
                agent,
                sink,
                journal,
                roles,
                readiness,
                clients: None,
                open,
                bound: Mutex::default(),
                cancelled: watch::channel(false).0,
            }),
            has_latency: AtomicBool::new(false),
        })
    }

    /// The same with these clients, which faults may be about, too.
    pub fn with_clients(mut self, clients: Arc<dyn Misleading>) -> Nemesis {
        let shared = Arc::get_mut(&mut self.shared).expect("no fault has begun, so nobody else has it");
        shared.clients = Some(clients);
        self
    }

    /// The same, where agents whose connection broke are had again. Where something lies under data directories they are not: it goes with the
    /// agent that put it there.
    pub fn regaining_by(mut self, regain: &Arc<dyn Regain>) -> Nemesis {
        let shared = Arc::get_mut(&mut self.shared).expect("no fault has begun, so nobody else has it");
        if !shared.journal.has_storage() {
            shared.agent.regain_by(regain, &shared.journal);
        }
        self
    }

    /// From now on, until [`Nemesis::close`], every packet between nodes takes this much longer, each way. It is no fault: no fault's
    /// healing ends it, nor does [`Nemesis::heal_all`]. Says what was measured.
    pub async fn set_latency(&self, latency: Duration) -> Result<String, NemesisError> {
        let failed = |why: String| NemesisError::Latency(why);
        let parameters = json!({"delay": format!("{}us", latency.as_micros()), "targets": "all"});
        let fault = KindRef(&Packets).read(parameters);
        let fault = fault.map_err(|error| failed(error.to_string()))?;
        let mut technique = fault.technique(LATENCY, LATENCY, Duration::MAX);
        self.has_latency.store(true, Ordering::Relaxed);
        let done = |outcome: StepOutcome| match outcome.result {
            StepResult::Installed => Ok(outcome.detail),
            _ => Err(failed(outcome.detail)),
        };
        let prepared = technique.prepare(&self.shared).await;
        // Faults have all the nodes that a run may hurt for themselves.
        self.shared.bound().ends(LATENCY);
        done(prepared)?;
        done(technique.inject(&self.shared).await)?;
        // A machine that is busy for a moment makes packets later still.
        let mut seen = technique.verify(&self.shared).await;
        for _ in 1..LATENCY_TRIES {
            if seen.result == StepResult::Installed {
                break;
            }
            seen = technique.verify(&self.shared).await;
        }
        done(seen)
    }

    /// What healing leaves alone.
    fn spared(&self) -> Vec<u64> {
        let has_latency = self.has_latency.load(Ordering::Relaxed);
        has_latency.then_some(LATENCY).into_iter().collect()
    }

    /// Runs the faults of a schedule, each at its time after `start`, and returns when all are healed. Faults that the
    /// schedule keeps apart stay apart: when one takes longer than planned to be injected, proven or healed, those that
    /// follow wait for it. When `cancel` becomes true, faults in force are healed at once and others are skipped. The
    /// agent's death ends it with an error.
    pub async fn run(
        &self,
        schedule: &Schedule,
        start: Instant,
        cancel: watch::Receiver<bool>,
    ) -> Result<(), NemesisError> {
        self.shared.bound().limit(schedule.limits);
        let mut faults = JoinSet::new();
        let (shared, mut is_cancelled) = (Arc::clone(&self.shared), cancel.clone());
        let mut told = JoinSet::new();
        told.spawn(async move {
            shared.cancelled.send_replace(*is_cancelled.borrow());
            cancelled(&mut is_cancelled).await;
            shared.cancelled.send_replace(true);
        });
        let mut ended: Vec<Earlier> = Vec::new();
        for planned in schedule.faults.clone() {
            let before = ended.iter().filter(|other| other.ends_ms <= planned.at_ms);
            // Waiting for one fault includes waiting for all that it waited for: of thousands in a row, only the last counts.
            let latest_ms = before.clone().map(|other| other.at_ms).max().unwrap_or_default();
            let mut before: Vec<_> = before
                .filter(|other| other.ends_ms > latest_ms)
                .map(|other| other.over.clone())
                .collect();
            let (over, is_over) = watch::channel(false);
            ended.push(Earlier {
                at_ms: planned.at_ms,
                ends_ms: planned.at_ms + planned.length_ms,
                over: is_over,
            });
            let shared = Arc::clone(&self.shared);
            let mut cancel = cancel.clone();
            faults.spawn(async move {
                let due = async {
                    sleep_until((start + Duration::from_millis(planned.at_ms)).into()).await;
                    for over in &mut before {
                        // Fails when that fault is gone without a word, and so over.
                        let _ = over.wait_for(|over| *over).await;
                    }
                };
                tokio::select! {
                    biased;
                    () = cancelled(&mut cancel) => {
                        skip(planned.begin(), shared, "the run ended before it was due");
                        return;
                    }
                    () = due => {}
                }
                // Begins when it is first polled, which is when the fault is proven to be in force.
                let length_over = async {
                    tokio::select! {
                        () = cancelled(&mut cancel) => {}
                        () = sleep(Duration::from_millis(planned.length_ms)) => {}
                    }
                };
                live(planned.begin(), shared, length_over).await;
                over.send_replace(true);
            });
        }
        tokio::select! {
            biased;
            () = async {
                while let Some(over) = faults.join_next().await {
                    if let Err(error) = over && error.is_panic() {
                        std::panic::resume_unwind(error.into_panic());
                    }
                }
            } => Ok(()),
            error = self.shared.agent.lost() => Err(error.into()),
        }
    }

    /// Resolves the faults of a schedule one after another as if each were injected now, and injects none.
    pub async fn rehearse(&self, schedule: &Schedule) -> Result<Vec<Rehearsal>, NemesisError> {
        self.shared.bound().limit(schedule.limits);
        let mut rehearsals = Vec::new();
        for planned in &schedule.faults {
            rehearsals.push(rehearse(planned.begin(), &self.shared).await?);
        }
        Ok(rehearsals)
    }

    /// Heals whatever is in force, starts every program that doesn't run, and closes the journal. Safe to repeat. Says
    /// what it did.
    pub async fn heal_all(&self) -> Result<Vec<String>, NemesisError> {
        let spared = self.spared();
        let heal = Command::HealAll {
            spared: spared.clone(),
        };
        let mut done: Vec<String> = self.shared.agent.call(heal).await?;
        let mut failed = Vec::new();
        for node in self.shared.cluster.nodes() {
            let runs = matches!(
                self.shared.cluster.state(&node.name).await,
                Ok(ProgramState::Running)
            );
            if !runs {
                match self.shared.cluster.start(&node.name).await {
                    Ok(()) => done.push(format!("started {}", node.name)),
                    Err(error) => failed.push(format!("start {}: {error}", node.name)),
                }
            }
        }
        if !failed.is_empty() {
            return Err(NemesisError::Unhealed(failed.join("; ")));
        }
        let open: Vec<u64> = self.shared.lock_open().iter().copied().collect();
        for fault in open.into_iter().filter(|fault| !spared.contains(fault)) {
            self.shared.close_in_journal(fault).await?;
        }
        Ok(done)
    }

    /// Returns when the agent has ended or does not answer any more, with which of them: before [`Nemesis::close`], a
    /// failure of the harness.
    pub async fn agent_lost(&self) -> NemesisError {
        self.shared.agent.lost().await.into()
    }

    /// Ends the agent, which heals whatever may still be in force, and takes away what it put under data directories.
    pub async fn close(&self) -> Result<(), NemesisError> {
        self.shared.agent.close().await?;
        for fault in self.spared() {
            self.shared.close_in_journal(fault).await?;
        }
        if self.shared.journal.has_storage() {
            self.shared.note(Entry::StorageRemoved).await?;
        }
        Ok(())
    }
}

/// Returns when the run is cancelled; never, if nobody can cancel it any more.
async fn cancelled(cancel: &mut watch::Receiver<bool>) {
    if cancel.wait_for(|cancelled| *cancelled).await.is_err() {
        std::future::pending::<()>().await;
    }
}
