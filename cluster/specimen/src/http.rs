//! The HTTP surface: for clients `/kv`, `/locks`, `/queues`, `/streams` with `/producers` and `/groups`, `/status` and `/members`, for
//! peers `/raft` (see [`crate::network`]).

mod queues;
mod streams;

use std::future::Future;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use openraft::raft::AppendEntriesResponse;
use openraft::storage::Snapshot;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::members;
use crate::network::SnapshotHeader;
use crate::refusal::Refusal;
use crate::service::{Freshness, Service};
use crate::types::{NodeId, Op, Reply, Scalar, Token};

/// Snapshots travel in one piece; a million small keys fit.
const BODY_MAX: usize = 256 << 20;

type Node = State<Arc<Service>>;

/// All routes of one node.
pub fn router(service: Arc<Service>) -> Router {
    streams::routes(queues::routes(Router::new()))
        .route("/kv/{key}", get(read).put(put).delete(delete))
        .route("/kv/{key}/cas", post(cas))
        .route("/locks/{lock}/acquire", post(acquire))
        .route("/locks/{lock}/release", post(release))
        .route("/status", get(async |State(node): Node| Json(node.status())))
        .route("/members", post(members))
        .route("/raft/{id}/append", post(append))
        .route("/raft/{id}/vote", post(vote))
        .route("/raft/{id}/snapshot", post(snapshot))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(service)
}

async fn unknown(State(node): Node) -> Response {
    finish(&node, Err(Refusal::UnknownPath))
}

fn finish(node: &Service, result: Result<Value, Refusal>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(refusal) => {
            node.refused.count(&refusal);
            refusal.into_response()
        }
    }
}

/// Runs `work` if there is room for one more request.
async fn admit(node: &Service, work: impl Future<Output = Result<Value, Refusal>>) -> Response {
    let result = match node.in_flight.clone().try_acquire_owned() {
        Ok(_room) => work.await,
        Err(_) => Err(Refusal::Overloaded),
    };
    finish(node, result)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::BadRequest(error.to_string()))
}

async fn read(State(node): Node, Path(key): Path<String>, RawQuery(query): RawQuery) -> Response {
    admit(&node, async {
        let freshness = match query.as_deref() {
            None | Some("" | "read=linearizable") => Freshness::Linearizable,
            Some("read=lease") => Freshness::Lease,
            Some("read=local") => Freshness::Local,
            Some(other) => {
                let detail =
                    format!("unknown query {other:?}; choose read=linearizable, read=lease or read=local");
                return Err(Refusal::BadRequest(detail));
            }
        };
        let seen = node.get(&key, freshness).await?;
        Ok(json!({ "value": seen.value, "index": seen.index }))
    })
    .await
}

/// The client and its request, so that a retry is known as one. Both or neither.
#[derive(Deserialize)]
struct Sender {
    client: Option<String>,
    seq: Option<u64>,
}

impl Sender {
    fn token(self) -> Result<Option<Token>, Refusal> {
        match (self.client, self.seq) {
            (Some(client), Some(seq)) => Ok(Some(Token { client, seq })),
            (None, None) => Ok(None),
            _ => Err(Refusal::BadRequest("client and seq belong together".into())),
        }
    }
}

#[derive(Deserialize)]
struct PutBody {
    value: Scalar,
    #[serde(flatten)]
    sender: Sender,
}

#[derive(Deserialize)]
struct CasBody {
    old: Scalar,
    new: Scalar,
    #[serde(flatten)]
    sender: Sender,
}

async fn put(State(node): Node, Path(key): Path<String>, body: Bytes) -> Response {
    admit(&node, async {
        let body: PutBody = parse(&body)?;
        write(
            &node,
            Op::Put {
                key,
                value: body.value,
            },
            body.sender,
        )
        .await
    })
    .await
}

async fn delete(State(node): Node, Path(key): Path<String>, body: Bytes) -> Response {
    admit(&node, async {
        let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
        write(&node, Op::Delete { key }, parse(body)?).await
    })
    .await
}

async fn cas(State(node): Node, Path(key): Path<String>, body: Bytes) -> Response {
    admit(&node, async {
        let body: CasBody = parse(&body)?;
        write(
            &node,
            Op::Cas {
                key,
                old: body.old,
                new: body.new,
            },
            body.sender,
        )
        .await
    })
    .await
}

async fn write(node: &Service, op: Op, sender: Sender) -> Result<Value, Refusal> {
    match node.write(op, sender.token()?).await? {
        Reply::Written(index) => Ok(json!({ "index": index })),
        Reply::Cas { swapped, index } => Ok(json!({ "swapped": swapped, "index": index })),
        Reply::Lock { done, index } => Ok(json!({ "done": done, "index": index })),
        Reply::Enqueued { index, .. } => Ok(json!({ "index": index })),
        Reply::Dequeued { lent, index } => Ok(json!({
            "value": lent.value, "receipt": lent.receipt, "lent": lent.lent, "index": index,
        })),
        Reply::Settled { done, index } => Ok(json!({ "done": done, "index": index })),
        Reply::Stream(reply) => Ok(streams::body(reply)),
        Reply::Declined(declined) => Err(Refusal::Declined(declined)),
        Reply::StaleSeq { last } => Err(Refusal::StaleSeq(last)),
    }
}

#[derive(Deserialize)]
struct AcquireBody {
    owner: Scalar,
    ttl_ms: u64,
    #[serde(flatten)]
    sender: Sender,
}

async fn acquire(State(node): Node, Path(lock): Path<String>, body: Bytes) -> Response {
    admit(&node, async {
        let body: AcquireBody = parse(&body)?;
        let op = Op::Acquire {
            lock,
            owner: body.owner,
            ttl_ms: body.ttl_ms,
        };
        write(&node, op, body.sender).await
    })
    .await
}

#[derive(Deserialize)]
struct ReleaseBody {
    owner: Scalar,
    #[serde(flatten)]
    sender: Sender,
}

async fn release(State(node): Node, Path(lock): Path<String>, body: Bytes) -> Response {
    admit(&node, async {
        let body: ReleaseBody = parse(&body)?;
        let op = Op::Release {
            lock,
            owner: body.owner,
        };
        write(&node, op, body.sender).await
    })
    .await
}

async fn members(State(node): Node, body: Bytes) -> Response {
    let change = async { members::change(&node, parse(&body)?).await };
    let result = change.await;
    finish(&node, result)
}

/// Answers a peer, if it means this node: addresses can come to belong to someone else.
async fn peer<T: Serialize, E: ToString>(
    node: &Service,
    id: NodeId,
    work: impl Future<Output = Result<T, E>>,
) -> Response {
    if id != node.identity.id {
        return (
            StatusCode::MISDIRECTED_REQUEST,
            format!("this is node {}", node.identity.id),
        )
            .into_response();
    }
    match work.await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn append(State(node): Node, Path(id): Path<NodeId>, body: Bytes) -> Response {
    peer(&node, id, async {
        let request: openraft::raft::AppendEntriesRequest<_> =
            serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        let (vote, committed) = (request.vote, request.leader_commit.map(|position| position.index));
        let answer = node
            .raft
            .append_entries(request)
            .await
            .map_err(|error| error.to_string())?;
        if !matches!(answer, AppendEntriesResponse::HigherVote(_)) {
            node.introduced(vote, committed);
        }
        Ok::<_, String>(answer)
    })
    .await
}

async fn vote(State(node): Node, Path(id): Path<NodeId>, body: Bytes) -> Response {
    peer(&node, id, async {
        let request: openraft::raft::VoteRequest<NodeId> =
            serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        let vote = request.vote;
        if node.is_recovering() {
            return Err("part of the log is lost, and not yet back: no vote".to_owned());
        }
        let answer = node.raft.vote(request).await.map_err(|error| error.to_string())?;
        if answer.vote_granted {
            // Before the candidate can know: from here on this node answers no read by its lease.
            node.lease.fence(&vote);
        }
        Ok::<_, String>(answer)
    })
    .await
}

async fn snapshot(State(node): Node, Path(id): Path<NodeId>, body: Bytes) -> Response {
    peer(&node, id, async {
        let split = body
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or("a snapshot needs a header line")?;
        let header: SnapshotHeader =
            serde_json::from_slice(&body[..split]).map_err(|error| error.to_string())?;
        let snapshot = Snapshot {
            meta: header.meta,
            snapshot: Box::new(body[split + 1..].to_vec()),
        };
        node.raft
            .install_full_snapshot(header.vote, snapshot)
            .await
            .map_err(|error| error.to_string())
    })
    .await
}
