//! Requests about streams: `/producers/{producer}/…`, `/streams/{partition}/send`, `/streams/poll` and `/groups/{group}/…`.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Node, Sender, admit, parse, write};
use crate::refusal::Refusal;
use crate::service::Service;
use crate::signer::Signer;
use crate::streams::op::{Origin, Progress, Share, StreamOp, StreamReply, TxnId};
use crate::types::Op;

/// Bytes of a message, as JSON without spaces.
const VALUE_MAX: usize = 1024;

/// Bytes of the name of a partition, a producer, a group or a member.
const NAME_MAX: usize = 64;

/// Partitions that a member wants a share of, or that are polled at once.
const PARTITIONS_MAX: usize = 64;

/// Messages of one partition in the answer to a poll.
const POLL_MAX: usize = 100;

/// An hour: no member may be silent for longer.
const SESSION_MS_MAX: u64 = 3_600_000;

/// Their routes.
pub(super) fn routes(router: Router<std::sync::Arc<Service>>) -> Router<std::sync::Arc<Service>> {
    router
        .route("/producers/{producer}/init", post(init))
        .route("/producers/{producer}/commit", post(commit))
        .route("/producers/{producer}/abort", post(abort))
        .route("/streams/{partition}/send", post(send))
        .route("/streams/poll", post(poll))
        .route("/groups/{group}/join", post(join))
        .route("/groups/{group}/commit", post(progress))
        .route("/groups/{group}/leave", post(leave))
}

/// What is answered.
pub(super) fn body(reply: StreamReply) -> Value {
    match reply {
        StreamReply::Began { epoch, index } => json!({ "epoch": epoch, "index": index }),
        StreamReply::Sent(sent) => json!({ "offset": sent.offset, "index": sent.index }),
        StreamReply::Joined { share, index } => {
            let Share {
                generation,
                assigned,
                offsets,
            } = share;
            json!({ "generation": generation, "assigned": assigned, "offsets": offsets, "index": index })
        }
        StreamReply::Settled { done, index } => json!({ "done": done, "index": index }),
    }
}

fn bad(detail: impl Into<String>) -> Refusal {
    Refusal::BadRequest(detail.into())
}

fn named<'a>(names: impl IntoIterator<Item = &'a String>) -> Result<(), Refusal> {
    let fits = |name: &String| (1..=NAME_MAX).contains(&name.len());
    let fit = names.into_iter().all(fits);
    fit.then_some(())
        .ok_or_else(|| bad(format!("names: use 1 to {NAME_MAX} bytes")))
}

fn few<T>(partitions: impl ExactSizeIterator<Item = T>) -> Result<(), Refusal> {
    let fit = partitions.len() <= PARTITIONS_MAX;
    fit.then_some(())
        .ok_or_else(|| bad(format!("partitions: name at most {PARTITIONS_MAX}")))
}

/// Whether a request shows the token of the session that it names, where there are tokens.
fn vouched(node: &Service, producer: &str, epoch: u64, token: Option<&String>) -> Result<(), Refusal> {
    let admits = |signer: &Signer| token.is_some_and(|token| signer.admits(producer, epoch, token));
    let vouched = node.signer.as_ref().is_none_or(admits);
    vouched.then_some(()).ok_or(Refusal::BadToken)
}

async fn change(node: &Service, op: StreamOp, sender: Sender) -> Result<Value, Refusal> {
    write(node, Op::Stream(op), sender).await
}

async fn init(State(node): Node, Path(producer): Path<String>, body: Bytes) -> Response {
    admit(&node, async {
        named([&producer])?;
        let sender = parse(&body)?;
        let op = StreamOp::Init {
            producer: producer.clone(),
        };
        let mut began = change(&node, op, sender).await?;
        if let (Some(signer), Some(epoch)) = (&node.signer, began["epoch"].as_u64()) {
            began["token"] = signer.token(&producer, epoch).into();
        }
        Ok(began)
    })
    .await
}

#[derive(Deserialize)]
struct SendBody {
    value: Value,
    producer: Option<String>,
    epoch: Option<u64>,
    sequence: Option<u64>,
    txn: Option<u64>,
    token: Option<String>,
    #[serde(flatten)]
    sender: Sender,
}

impl SendBody {
    fn origin(&mut self) -> Result<Option<Origin>, Refusal> {
        match (self.producer.take(), self.epoch, self.sequence, self.txn) {
            (Some(producer), Some(epoch), Some(sequence), txn) => Ok(Some(Origin {
                producer,
                epoch,
                sequence,
                txn,
            })),
            (None, None, None, None) => Ok(None),
            _ => Err(bad(
                "producer, epoch and sequence belong together, and txn needs them",
            )),
        }
    }
}

async fn send(State(node): Node, Path(partition): Path<String>, body: Bytes) -> Response {
    admit(&node, async {
        let mut body: SendBody = parse(&body)?;
        let from = body.origin()?;
        named(
            [&partition]
                .into_iter()
                .chain(from.iter().map(|origin| &origin.producer)),
        )?;
        if let Some(origin) = &from {
            vouched(&node, &origin.producer, origin.epoch, body.token.as_ref())?;
        }
        let SendBody { value, sender, .. } = body;
        if value.is_null() {
            return Err(bad("null stands for no message; send something else"));
        }
        if value.to_string().len() > VALUE_MAX {
            return Err(bad(format!("value: use at most {VALUE_MAX} bytes of JSON")));
        }
        let op = StreamOp::Send {
            partition,
            value,
            from,
            max: node.stream_max,
        };
        change(&node, op, sender).await
    })
    .await
}

#[derive(Deserialize)]
struct CommitBody {
    epoch: u64,
    txn: u64,
    group: Option<String>,
    generation: Option<u64>,
    member: Option<String>,
    offsets: Option<BTreeMap<String, u64>>,
    token: Option<String>,
    #[serde(flatten)]
    sender: Sender,
}

impl CommitBody {
    fn progress(&mut self) -> Result<Option<Progress>, Refusal> {
        let given = (
            self.group.take(),
            self.generation,
            self.member.take(),
            self.offsets.take(),
        );
        match given {
            (Some(group), Some(generation), Some(member), Some(offsets)) => Ok(Some(Progress {
                group,
                generation,
                member,
                offsets,
            })),
            (None, None, None, None) => Ok(None),
            _ => Err(bad("group, generation, member and offsets belong together")),
        }
    }
}

async fn commit(State(node): Node, Path(producer): Path<String>, body: Bytes) -> Response {
    admit(&node, async {
        let mut body: CommitBody = parse(&body)?;
        vouched(&node, &producer, body.epoch, body.token.as_ref())?;
        let progress = body.progress()?;
        if let Some(progress) = &progress {
            few(progress.offsets.keys())?;
            named(progress.offsets.keys())?;
        }
        let CommitBody {
            epoch, txn, sender, ..
        } = body;
        let transaction = TxnId { producer, epoch, txn };
        let op = StreamOp::Commit {
            transaction,
            progress,
        };
        change(&node, op, sender).await
    })
    .await
}

#[derive(Deserialize)]
struct AbortBody {
    epoch: u64,
    txn: u64,
    token: Option<String>,
    #[serde(flatten)]
    sender: Sender,
}

async fn abort(State(node): Node, Path(producer): Path<String>, body: Bytes) -> Response {
    admit(&node, async {
        let AbortBody {
            epoch,
            txn,
            token,
            sender,
        } = parse(&body)?;
        vouched(&node, &producer, epoch, token.as_ref())?;
        change(&node, StreamOp::Abort(TxnId { producer, epoch, txn }), sender).await
    })
    .await
}

#[derive(Deserialize)]
struct PollBody {
    from: BTreeMap<String, u64>,
    max: usize,
}

async fn poll(State(node): Node, body: Bytes) -> Response {
    admit(&node, async {
        let PollBody { from, max } = parse(&body)?;
        few(from.keys())?;
        if !(1..=POLL_MAX).contains(&max) {
            return Err(bad(format!("max: use 1 to {POLL_MAX}, of each partition")));
        }
        let polled = node.linearizable(|replica| {
            let streams = replica.state.streams();
            let poll = |(partition, from): (String, u64)| {
                let shown = streams.poll(&partition, from, max);
                (partition, shown)
            };
            from.into_iter().map(poll).collect::<Vec<_>>()
        });
        let (mut messages, mut next) = (Map::new(), Map::new());
        for (partition, shown) in polled.await? {
            next.insert(partition.clone(), shown.next.into());
            if !shown.messages.is_empty() {
                messages.insert(partition, json!(shown.messages));
            }
        }
        Ok(json!({ "messages": messages, "next": next }))
    })
    .await
}

#[derive(Deserialize)]
struct JoinBody {
    member: String,
    partitions: Vec<String>,
    session_ms: u64,
    #[serde(flatten)]
    sender: Sender,
}

async fn join(State(node): Node, Path(group): Path<String>, body: Bytes) -> Response {
    admit(&node, async {
        let JoinBody {
            member,
            partitions,
            session_ms,
            sender,
        } = parse(&body)?;
        few(partitions.iter())?;
        named(partitions.iter().chain([&group, &member]))?;
        if !(1..=SESSION_MS_MAX).contains(&session_ms) {
            return Err(bad(format!("session_ms: use 1 to {SESSION_MS_MAX}")));
        }
        let op = StreamOp::Join {
            group,
            member,
            partitions,
            session_ms,
        };
        change(&node, op, sender).await
    })
    .await
}

#[derive(Deserialize)]
struct ProgressBody {
    member: String,
    generation: u64,
    offsets: BTreeMap<String, u64>,
    #[serde(flatten)]
    sender: Sender,
}

async fn progress(State(node): Node, Path(group): Path<String>, body: Bytes) -> Response {
    admit(&node, async {
        let ProgressBody {
            member,
            generation,
            offsets,
            sender,
        } = parse(&body)?;
        few(offsets.keys())?;
        named(offsets.keys())?;
        let progress = Progress {
            group,
            generation,
            member,
            offsets,
        };
        change(&node, StreamOp::Progress(progress), sender).await
    })
    .await
}

#[derive(Deserialize)]
struct LeaveBody {
    member: String,
    #[serde(flatten)]
    sender: Sender,
}

async fn leave(State(node): Node, Path(group): Path<String>, body: Bytes) -> Response {
    admit(&node, async {
        let LeaveBody { member, sender } = parse(&body)?;
        change(&node, StreamOp::Leave { group, member }, sender).await
    })
    .await
}
