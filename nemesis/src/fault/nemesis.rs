//! The driver: runs the faults of a schedule at their times, and heals them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use duress_checker::history::FaultEvent;
use duress_cluster::{Cluster, Place, ProgramState};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};

use super::{Stage, live};
use crate::agent::protocol::{Command, Identity, Processes};
use crate::agent::{AgentClient, AgentError, procfs};
use crate::journal::{Entry, Journal, JournalError};
use crate::schedule::Schedule;
use crate::targets::Roles;

/// A cluster between two leaders is left this long to find one before a fault that is about the leader is skipped.
const LEADER_WAIT_MAX: Duration = Duration::from_secs(5);

/// A node that isn't ready this long after its start is reported; the run goes on.
const READY_WAIT_MAX: Duration = Duration::from_secs(20);

/// Whether a node's program, once started, does its work again.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Returns when the node is ready, or with the reason why it won't be. The nemesis bounds the waiting.
    async fn ready(&self, node: &str) -> Result<(), String>;
}

/// Takes the kind of a fault and what happened to it.
pub type EventSink = Arc<dyn Fn(&str, FaultEvent) + Send + Sync>;

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
}

/// What all faults of a run share.
pub(crate) struct Shared {
    pub cluster: Arc<dyn Cluster>,
    pub agent: AgentClient,
    pub sink: EventSink,
    journal: Arc<Journal>,
    roles: watch::Receiver<Roles>,
    readiness: Arc<dyn Readiness>,
    /// Faults that are open in the journal.
    open: Mutex<BTreeSet<u64>>,
}

impl Shared {
    pub fn names(&self) -> Vec<String> {
        self.cluster
            .nodes()
            .iter()
            .map(|node| node.name.clone())
            .collect()
    }

    /// Where nodes are, and for those that are nowhere, `name: why`.
    pub async fn places(&self) -> (Vec<Place>, Vec<String>) {
        let mut places = Vec::new();
        let mut absent = Vec::new();
        for node in self.cluster.nodes() {
            match self.cluster.place(&node.name).await {
                Ok(place) => places.push(place),
                Err(error) => absent.push(format!("{}: {error}", node.name)),
            }
        }
        (places, absent)
    }

    /// Who leads and follows now; waits a moment for a leader, if one is needed.
    pub async fn roles(&self, with_leader: bool) -> Roles {
        let mut roles = self.roles.clone();
        if with_leader {
            // No leader in time is for the resolution of targets to report.
            let _ = timeout(LEADER_WAIT_MAX, roles.wait_for(|roles| roles.leader.is_some())).await;
        }
        roles.borrow().clone()
    }

    /// The nodes that could do something now: at least one of their processes is not stopped.
    pub async fn able(&self, places: &[Place]) -> Result<BTreeSet<String>, AgentError> {
        let places = places.to_vec();
        let nodes: Vec<Processes> = self.agent.call(Command::Processes { places }).await?;
        let able = nodes.into_iter().filter(|node| {
            let mut processes = node.processes.iter();
            processes.any(|process| !procfs::stopped(process.state))
        });
        Ok(able.map(|node| node.node).collect())
    }

    pub async fn identify(&self, places: Vec<Place>) -> Result<Vec<Identity>, AgentError> {
        self.agent.call(Command::Identify { places }).await
    }

    /// Returns when it is on disk. Syncing may take long; it keeps no other task waiting.
    pub async fn journal(&self, entry: Entry) -> Result<(), JournalError> {
        if let Entry::Open { fault, .. } = entry {
            self.lock_open().insert(fault);
        }
        let journal = Arc::clone(&self.journal);
        let written = tokio::task::spawn_blocking(move || journal.write(&entry)).await;
        written.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    pub async fn close_in_journal(&self, fault: u64) -> Result<(), JournalError> {
        self.journal(Entry::Closed { fault }).await?;
        self.lock_open().remove(&fault);
        Ok(())
    }

    fn lock_open(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub async fn ready(&self, node: &str) -> Result<(), String> {
        match timeout(READY_WAIT_MAX, self.readiness.ready(node)).await {
            Ok(result) => result,
            Err(_) => Err(format!("not within {READY_WAIT_MAX:?}")),
        }
    }

    /// Starts a node's program, and puts network faults back in force if it came up in a new network namespace. Says so
    /// if it did.
    pub async fn start(&self, was: &Place) -> Result<Option<String>, String> {
        let node = &was.name;
        let began = Instant::now();
        self.cluster
            .start(node)
            .await
            .map_err(|error| format!("start {node}: {error}"))?;
        let now = self
            .cluster
            .place(node)
            .await
            .map_err(|error| format!("find {node} again: {error}"))?;
        if now.pid == was.pid {
            return Ok(None);
        }
        let failed =
            |error: &dyn std::fmt::Display| format!("put the faults at {node} back in force: {error}");
        let follow = Command::Follow { place: now.clone() };
        let faults: Vec<u64> = self.agent.call(follow).await.map_err(|error| failed(&error))?;
        if faults.is_empty() {
            return Ok(None);
        }
        let identities = self.identify(vec![now]).await.map_err(|error| failed(&error))?;
        for node in identities {
            for fault in &faults {
                let moved = Entry::Moved {
                    fault: *fault,
                    node: node.clone(),
                };
                self.journal(moved).await.map_err(|error| failed(&error))?;
            }
        }
        let gap_ms = began.elapsed().as_millis();
        Ok(Some(format!(
            "{node} came back in another network namespace; faults {faults:?} were in force there again {gap_ms} ms after \
             the start was asked for, and not before"
        )))
    }
}

/// A fault that others may have to wait for.
struct Earlier {
    at_ms: u64,
    ends_ms: u64,
    over: watch::Receiver<bool>,
}

/// What breaks the cluster of a run, on schedule, and mends it.
pub struct Nemesis {
    shared: Arc<Shared>,
}

impl Nemesis {
    /// Takes an agent that has been greeted, and begins the journal.
    pub fn new(
        cluster: Arc<dyn Cluster>,
        agent: AgentClient,
        journal: Journal,
        sink: EventSink,
        roles: watch::Receiver<Roles>,
        readiness: Arc<dyn Readiness>,
    ) -> Result<Nemesis, NemesisError> {
        journal.begin(agent.hello())?;
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
                open,
            }),
        })
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
        let mut faults = JoinSet::new();
        let mut ended: Vec<Earlier> = Vec::new();
        for planned in schedule.faults.clone() {
            let before = ended.iter().filter(|other| other.ends_ms <= planned.at_ms);
            // Who waits for one fault has waited for all that it waited for: of thousands in a row, only the last counts.
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
                        Stage::new(&planned, shared).skip("the run ended before it was due");
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
                live(&planned, shared, length_over).await;
                over.send_replace(true);
            });
        }
        tokio::select! {
            biased;
            () = async { while faults.join_next().await.is_some() {} } => Ok(()),
            error = self.shared.agent.lost() => Err(error.into()),
        }
    }

    /// Heals whatever is in force, starts every program that doesn't run, and closes the journal. Safe to repeat. Says
    /// what it did.
    pub async fn heal_all(&self) -> Result<Vec<String>, NemesisError> {
        let mut done: Vec<String> = self.shared.agent.call(Command::HealAll).await?;
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
        for fault in open {
            self.shared.close_in_journal(fault).await?;
        }
        Ok(done)
    }

    /// Returns when the agent has ended or does not answer any more, with which of them: before [`Nemesis::close`], a
    /// failure of the harness.
    pub async fn agent_lost(&self) -> NemesisError {
        self.shared.agent.lost().await.into()
    }

    /// Ends the agent, which heals whatever may still be in force.
    pub async fn close(&self) -> Result<(), NemesisError> {
        Ok(self.shared.agent.close().await?)
    }
}

/// Returns when the run is cancelled; never, if nobody can cancel it any more.
async fn cancelled(cancel: &mut watch::Receiver<bool>) {
    if cancel.wait_for(|cancelled| *cancelled).await.is_err() {
        std::future::pending::<()>().await;
    }
}
