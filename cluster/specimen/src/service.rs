//! One node, as its handlers see it: the consensus, the state, and the rules for answering from it.

mod shortcuts;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLockReadGuard};
use std::time::Duration;

use openraft::ServerState;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::args::Args;
use crate::defect::{Defect, Defects};
use crate::lease::Lease;
use crate::ledger::Identity;
use crate::log_store::LogStore;
use crate::machine::{Machine, Replica};
use crate::network::Network;
use crate::propose::Proposer;
use crate::read::Reader;
use crate::recent::Recent;
use crate::refusal::{Executed, Refusal, Refused};
use crate::signer::Signer;
use crate::types::{Command, Member, NodeId, Op, Raft, Reply, Scalar, Token, Vote};

/// The metrics of the consensus, always at hand.
pub type Metrics = openraft::RaftMetrics<NodeId, Member>;

/// No request is kept waiting longer than this.
pub const LIMIT: Duration = Duration::from_secs(2);

/// Everything that a handler needs.
pub struct Service {
    pub(crate) identity: Identity,
    pub(crate) raft: Raft,
    pub(crate) network: Network,
    pub(crate) peers: BTreeMap<String, String>,
    pub(crate) lease: Arc<Lease>,
    pub(crate) refused: Refused,
    pub(crate) in_flight: Arc<Semaphore>,
    metrics: watch::Receiver<Metrics>,
    machine: Machine,
    log: LogStore,
    proposer: Proposer,
    reader: Reader,
    defects: Defects,
    in_flight_max: usize,
    introduction: Mutex<Option<Introduction>>,
    /// With [`Defect::SplitCas`]: by key, how many cas have compared or are about to, and not put yet.
    rivals: Mutex<BTreeMap<String, usize>>,
    /// With [`Defect::DedupInMemory`].
    recent: Recent,
    /// Messages that a queue may have.
    pub(crate) queue_max: u64,
    /// Messages that a partition may have.
    pub(crate) stream_max: u64,
    /// With `--secret`.
    pub(crate) signer: Option<Signer>,
}

/// What a leader said when this node first heard of it.
#[derive(Clone, Copy)]
struct Introduction {
    vote: Vote,
    committed: u64,
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// As if there were one copy of the data: by read-index.
    Linearizable,
    /// The same, vouched for by the leader's lease; by read-index when there is none.
    Lease,
    /// Whatever this node has.
    Local,
}

/// A value and the index of the last entry that it may depend on.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The value.
    pub value: Scalar,
    /// The last entry applied when it was read.
    pub index: u64,
}

impl Service {
    /// Puts the parts of a node together.
    pub fn new(
        args: &Args,
        identity: Identity,
        raft: Raft,
        network: Network,
        lease: Arc<Lease>,
        machine: Machine,
        log: LogStore,
    ) -> Self {
        let defects = machine.defects().clone();
        let in_flight_max = args.in_flight_max as usize;
        Self {
            metrics: raft.metrics(),
            proposer: Proposer::start(raft.clone(), in_flight_max, LIMIT, defects.clone()),
            reader: Reader::start(raft.clone(), in_flight_max),
            in_flight: Arc::new(Semaphore::new(in_flight_max)),
            peers: args
                .peers
                .iter()
                .map(|peer| (peer.name.clone(), peer.address.clone()))
                .collect(),
            refused: Refused::default(),
            introduction: Mutex::default(),
            rivals: Mutex::default(),
            recent: Recent::default(),
            queue_max: args.queue_max,
            stream_max: args.stream_max,
            signer: args.secret.as_deref().map(Signer::new),
            identity,
            raft,
            network,
            lease,
            machine,
            log,
            defects,
            in_flight_max,
        }
    }

    /// Reads `key`.
    pub async fn get(&self, key: &str, freshness: Freshness) -> Result<Seen, Refusal> {
        match freshness {
            Freshness::Local => Ok(self.own(key)),
            Freshness::Linearizable => self.linearizable(|replica| seen(replica, key)).await,
            Freshness::Lease => match self.leased(key) {
                Some(seen) => Ok(seen),
                None => self.read_index(key).await,
            },
        }
    }

    /// What `look` sees of a state that holds all that was acknowledged before.
    pub async fn linearizable<T>(&self, look: impl FnOnce(&Replica) -> T) -> Result<T, Refusal> {
        if !self.defects.has(Defect::StaleRead) {
            self.catch_up().await?;
        } else if self.must_lead().is_err() {
            self.defects.diverged(Defect::StaleRead);
        }
        Ok(look(&self.state()))
    }

    async fn read_index(&self, key: &str) -> Result<Seen, Refusal> {
        self.catch_up().await?;
        Ok(self.own(key))
    }

    /// Resolves when this node's state holds all that was acknowledged before.
    async fn catch_up(&self) -> Result<(), Refusal> {
        let wait = async {
            self.reader.wait().await?;
            if self.defects.has(Defect::AckBeforeQuorum) {
                let acknowledged = self.proposer.acknowledged();
                let applied = self
                    .raft
                    .wait(None)
                    .applied_index_at_least(Some(acknowledged), "acknowledged")
                    .await;
                applied.map_err(|_| Refusal::NoQuorum(Executed::No))?;
            }
            Ok(())
        };
        timeout(LIMIT, wait)
            .await
            .unwrap_or(Err(Refusal::NoQuorum(Executed::No)))
    }

    /// What this node has applied. Held for moments only.
    pub fn state(&self) -> RwLockReadGuard<'_, Replica> {
        self.machine.read()
    }

    /// Whether this node must not vote: see [`crate::ledger`].
    pub fn is_recovering(&self) -> bool {
        self.log.is_recovering()
    }

    fn own(&self, key: &str) -> Seen {
        seen(&self.state(), key)
    }

    /// Value first, lease after: see [`crate::lease`].
    fn leased(&self, key: &str) -> Option<Seen> {
        let (seen, applied) = {
            let replica = self.machine.read();
            let applied = replica.applied?;
            (
                Seen {
                    value: replica.state.get(key),
                    index: applied.index,
                },
                applied,
            )
        };
        let metrics = self.metrics.borrow();
        let me = self.identity.id;
        // An entry of its own term, applied: everything that earlier leaders acknowledged is in this state.
        let leads = metrics.state == ServerState::Leader && applied.leader_id == metrics.vote.leader_id;
        let settled = seen.index >= self.proposer.acknowledged();
        let configs = metrics.membership_config.membership().get_joint_config();
        (leads && settled && self.lease.holds(me, &metrics.vote, configs)).then_some(seen)
    }

    /// Runs `op` through the log.
    pub async fn write(&self, op: Op, token: Option<Token>) -> Result<Reply, Refusal> {
        self.must_lead()?;
        let command = Command { op, token };
        if self.defects.has_any() {
            return self.write_wrongly(command).await;
        }
        self.submit(command).await
    }

    async fn submit(&self, command: Command) -> Result<Reply, Refusal> {
        self.proposer.submit(command, LIMIT).await
    }

    /// Sends clients of a follower on without troubling the consensus.
    pub fn must_lead(&self) -> Result<(), Refusal> {
        let metrics = self.metrics.borrow();
        if metrics.state == ServerState::Leader {
            return Ok(());
        }
        let leader = metrics
            .current_leader
            .filter(|leader| *leader != self.identity.id);
        Err(Refusal::NotLeader(
            leader.and_then(|leader| self.member(&metrics, leader).cloned()),
        ))
    }

    fn member<'m>(&self, metrics: &'m Metrics, id: NodeId) -> Option<&'m Member> {
        metrics.membership_config.membership().get_node(&id)
    }

    /// The consensus as it was a moment ago.
    pub fn metrics(&self) -> watch::Receiver<Metrics> {
        self.metrics.clone()
    }

    /// A leader has been accepted and said how far the log is committed.
    pub fn introduced(&self, vote: Vote, committed: Option<u64>) {
        let mut introduction = self.introduction.lock().unwrap_or_else(PoisonError::into_inner);
        if introduction.is_none_or(|known| known.vote != vote) {
            *introduction = Some(Introduction {
                vote,
                committed: committed.unwrap_or(0),
            });
        }
    }

    /// Whether this node knows a leader and has applied what was committed when it learnt of it.
    fn ready(&self, metrics: &Metrics) -> bool {
        let Some(applied) = self.machine.read().applied.filter(|_| !self.is_recovering()) else {
            return false;
        };
        match metrics.current_leader {
            None => false,
            Some(leader) if leader == self.identity.id => applied.leader_id == metrics.vote.leader_id,
            Some(_) => {
                let introduction = *self.introduction.lock().unwrap_or_else(PoisonError::into_inner);
                introduction.is_some_and(|said| said.vote == metrics.vote && applied.index >= said.committed)
            }
        }
    }

    /// What `GET /status` answers. Asks nobody, so that it works when nothing else does.
    pub fn status(&self) -> Value {
        let metrics = self.metrics.borrow().clone();
        let membership = metrics.membership_config.membership();
        let name = |id: NodeId| {
            membership
                .get_node(&id)
                .map_or_else(|| id.to_string(), |member| member.name.clone())
        };
        let role = match metrics.state {
            ServerState::Leader => "leader",
            ServerState::Candidate => "candidate",
            ServerState::Learner => "learner",
            ServerState::Follower | ServerState::Shutdown => "follower",
        };
        let (ready, lent) = self.state().state.queues().counts();
        let streams = self.state().state.streams().to_json();
        json!({
            "name": self.identity.name,
            "id": self.identity.id,
            "role": role,
            "term": metrics.current_term,
            "leader": metrics.current_leader.map(name),
            "commit": self.log.committed_index().unwrap_or(0),
            "applied": self.machine.read().applied.map_or(0, |position| position.index),
            "last_log": metrics.last_log_index.unwrap_or(0),
            "snapshot": metrics.snapshot.map_or(0, |position| position.index),
            "purged": metrics.purged.map_or(0, |position| position.index),
            "voters": membership.voter_ids().map(name).collect::<Vec<_>>(),
            "learners": membership.learner_ids().map(name).collect::<Vec<_>>(),
            "defects": self.defects.names(),
            "diverged": self.defects.to_json(),
            "recovering": self.is_recovering(),
            "rejected": self.refused.to_json(),
            "messages": { "ready": ready, "lent": lent },
            "streams": streams,
            "in_flight": self.in_flight_max - self.in_flight.available_permits(),
            "ready": self.ready(&metrics),
        })
    }
}

/// The value of `key` in what a node has applied.
fn seen(replica: &Replica, key: &str) -> Seen {
    Seen {
        value: replica.state.get(key),
        index: replica.applied.map_or(0, |position| position.index),
    }
}
