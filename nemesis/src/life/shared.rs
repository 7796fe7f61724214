//! What the faults of a run share: the cluster, the agent, the journal, who leads.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use duress_checker::history::FaultEvent;
use duress_cluster::{Cluster, Place};
use tokio::sync::watch;
use tokio::time::timeout;

use super::clients::Misleading;
use crate::agent::ends::AgentError;
use crate::agent::fleet::Agents;
use crate::agent::procfs;
use crate::agent::protocol::{Command, Identity, Processes};
use crate::bound::Bound;
use crate::journal::{Entry, Journal, JournalError};
use crate::targets::AboutLeader;
use duress_cluster::Roles;

/// A cluster between two leaders is left this long to find one before a fault that is about the leader is skipped.
const LEADER_WAIT_MAX: Duration = Duration::from_secs(5);

/// A node that isn't ready this long after its start is reported; the run goes on.
const READY_WAIT_MAX: Duration = Duration::from_secs(20);

/// Whether a node's program, once started, does its work again.
#[async_trait]
pub trait AwaitReady: Send + Sync {
    /// Returns when the node is ready, or with the reason why it won't be. The nemesis bounds the waiting.
    async fn ready(&self, node: &str) -> Result<(), String>;
}

/// Takes the kind of a fault and what happened to it.
pub type EventSink = Arc<dyn Fn(&str, FaultEvent) + Send + Sync>;

/// What all faults of a run share.
pub struct Shared {
    pub cluster: Arc<dyn Cluster>,
    pub agent: Agents,
    pub sink: EventSink,
    pub journal: Arc<Journal>,
    pub roles: watch::Receiver<Roles>,
    pub readiness: Arc<dyn AwaitReady>,
    /// Those of the run; `None`: there are none.
    pub clients: Option<Arc<dyn Misleading>>,
    /// Faults that are open in the journal.
    pub open: Mutex<BTreeSet<u64>>,
    /// Who is hurt, and who may be.
    pub bound: Mutex<Bound>,
    /// Whether the run has been cancelled: faults are healed, and others not begun.
    pub cancelled: watch::Sender<bool>,
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

    /// Which node leads and which follow now. For a fault that is about the leader, waits a moment for one.
    pub async fn roles(&self, about: AboutLeader) -> Roles {
        let mut roles = self.roles.clone();
        // No leader in time is for the resolution of targets to report.
        let _ = timeout(LEADER_WAIT_MAX, roles.wait_for(|roles| about.is_clear(roles))).await;
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

    /// Writes down that a fault of this kind is about to begin at these places, before anything is touched. Returns the nodes
    /// as the journal has them; the error, in words, is why it can't begin.
    pub async fn open_in_journal(
        &self,
        fault: u64,
        kind: &str,
        places: Vec<Place>,
    ) -> Result<Vec<Identity>, String> {
        let nodes = self.identify(places).await.map_err(|error| error.to_string())?;
        let open = Entry::Open {
            fault,
            kind: kind.to_owned(),
            nodes: nodes.clone(),
        };
        self.note(open).await.map_err(|error| error.to_string())?;
        Ok(nodes)
    }

    pub async fn identify(&self, places: Vec<Place>) -> Result<Vec<Identity>, AgentError> {
        self.agent.call(Command::Identify { places }).await
    }

    /// Returns when it is on disk. Syncing may take long; it keeps no other task waiting.
    pub async fn note(&self, entry: Entry) -> Result<(), JournalError> {
        if let Entry::Open { fault, .. } = entry {
            self.lock_open().insert(fault);
        }
        let journal = Arc::clone(&self.journal);
        let written = tokio::task::spawn_blocking(move || journal.write(&entry)).await;
        written.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    pub async fn close_in_journal(&self, fault: u64) -> Result<(), JournalError> {
        self.note(Entry::Closed { fault }).await?;
        self.lock_open().remove(&fault);
        Ok(())
    }

    /// Waits, as a part of a step, that is cut short when the run is cancelled. False: it was.
    pub async fn wait(&self, length: Duration) -> bool {
        let mut cancelled = self.cancelled.subscribe();
        timeout(length, cancelled.wait_for(|cancelled| *cancelled))
            .await
            .is_err()
    }

    pub fn lock_open(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn bound(&self) -> std::sync::MutexGuard<'_, Bound> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub async fn ready(&self, node: &str) -> Result<(), String> {
        match timeout(READY_WAIT_MAX, self.readiness.ready(node)).await {
            Ok(result) => result,
            Err(_) => Err(format!("not within {READY_WAIT_MAX:?}")),
        }
    }

    /// Starts a node's program, and puts faults back in force if it came up elsewhere, as a container does. Says so
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
                self.note(moved).await.map_err(|error| failed(&error))?;
            }
        }
        let gap_ms = began.elapsed().as_millis();
        Ok(Some(format!(
            "{node} came back in namespaces of its own; faults {faults:?} were in force there again {gap_ms} ms after \
             the start was asked for, and not before"
        )))
    }
}
