//! How nodes talk to each other: HTTP, on the port that serves clients too.
//!
//! `POST /raft/{id}/append` and `/raft/{id}/vote` carry the library's requests and answers as JSON; `{id}` is
//! the node that is meant, so that another process that came to own its address refuses. `/raft/{id}/snapshot`
//! carries one whole snapshot: the first line says what it covers, the rest is its data.
//!
//! A peer that does not answer must not hold anything up: every request has a limit of about a heartbeat, a
//! connection whose request ran out of time is closed with it, and few idle ones are kept.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{
    Fatal, InstallSnapshotError, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError,
    Unreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    SnapshotResponse, VoteRequest, VoteResponse,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::lease::Lease;
use crate::types::{Member, NodeId, SnapshotMeta, TypeConfig, Vote};

/// How long a connection may take to come up. Loopback and a LAN need less than a millisecond.
const CONNECT: Duration = Duration::from_millis(100);
/// The pause after a peer could not be reached. Short, so that a healed partition is noticed at once.
const RETRY: Duration = Duration::from_millis(50);
/// What is kept ready for each peer: one for the log, one for reads, one spare.
const IDLE_MAX: usize = 3;

/// What a snapshot on the wire says about itself, in its first line.
#[derive(Debug, Serialize, serde::Deserialize)]
pub struct SnapshotHeader {
    /// The vote of the leader that sends it.
    pub vote: Vote,
    /// What it covers.
    pub meta: SnapshotMeta,
}

/// Makes the connections of one node.
#[derive(Clone)]
pub struct Network {
    http: reqwest::Client,
    lease: Arc<Lease>,
}

impl Network {
    /// Connections that report promises to `lease`.
    pub fn new(lease: Arc<Lease>) -> Result<Self, reqwest::Error> {
        // A system that is to be trusted by tests is not led astray either.
        let http = duress_http::plain()
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(IDLE_MAX)
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { http, lease })
    }

    /// The client that all connections share.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Connection;

    async fn new_client(&mut self, target: NodeId, member: &Member) -> Connection {
        Connection {
            target,
            base: format!("http://{}/raft/{target}", member.address),
            network: self.clone(),
        }
    }
}

/// The way to one peer.
pub struct Connection {
    target: NodeId,
    base: String,
    network: Network,
}

type Failure<E> = RPCError<NodeId, Member, E>;

impl Connection {
    /// Whatever goes wrong, the peer counts as out of reach for a moment ([`RETRY`]).
    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<T, Unreachable> {
        let send = async {
            let url = format!("{}/{path}", self.base);
            let answer = self
                .network
                .http
                .post(url)
                .timeout(limit)
                .body(body)
                .send()
                .await?;
            answer.error_for_status()?.bytes().await
        };
        let bytes = send.await.map_err(|error| Unreachable::new(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| Unreachable::new(&error))
    }
}

fn encode(request: &impl Serialize) -> Result<Vec<u8>, Unreachable> {
    serde_json::to_vec(request).map_err(|error| Unreachable::new(&error))
}

impl RaftNetwork<TypeConfig> for Connection {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<NodeId>, Failure<RaftError<NodeId>>> {
        let sent = self.network.lease.now();
        let answer = self.post("append", encode(&request)?, option.hard_ttl()).await?;
        if !matches!(answer, AppendEntriesResponse::HigherVote(_)) {
            self.network.lease.promised(self.target, &request.vote, sent);
        }
        Ok(answer)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<NodeId>,
        option: RPCOption,
    ) -> Result<VoteResponse<NodeId>, Failure<RaftError<NodeId>>> {
        Ok(self.post("vote", encode(&request)?, option.hard_ttl()).await?)
    }

    async fn install_snapshot(
        &mut self,
        _: InstallSnapshotRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<InstallSnapshotResponse<NodeId>, Failure<RaftError<NodeId, InstallSnapshotError>>> {
        let error = std::io::Error::other("snapshots travel whole; send them to /snapshot");
        Err(RPCError::Network(NetworkError::new(&error)))
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: openraft::storage::Snapshot<TypeConfig>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<NodeId>, StreamingError<TypeConfig, Fatal<NodeId>>> {
        let header = SnapshotHeader {
            vote,
            meta: snapshot.meta,
        };
        let mut body = encode(&header)?;
        body.push(b'\n');
        body.extend_from_slice(&snapshot.snapshot);
        tokio::select! {
            closed = cancel => Err(closed.into()),
            answer = self.post("snapshot", body, option.hard_ttl()) => Ok(answer?),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(RETRY))
    }
}
