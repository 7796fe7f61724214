//! Requests about queues: `/queues/{queue}/enqueue`, `dequeue`, `ack` and `nack`.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::post;
use serde::Deserialize;

use super::{Node, Sender, admit, parse, write};
use crate::refusal::Refusal;
use crate::service::Service;
use crate::types::{Op, Scalar};

/// An hour: a message is lent for no longer.
const LEASE_MS_MAX: u64 = 3_600_000;

/// Their routes.
pub(super) fn routes(router: Router<std::sync::Arc<Service>>) -> Router<std::sync::Arc<Service>> {
    router
        .route("/queues/{queue}/enqueue", post(enqueue))
        .route("/queues/{queue}/dequeue", post(dequeue))
        .route("/queues/{queue}/ack", post(ack))
        .route("/queues/{queue}/nack", post(nack))
}

#[derive(Deserialize)]
struct EnqueueBody {
    value: Scalar,
    #[serde(flatten)]
    sender: Sender,
}

async fn enqueue(State(node): Node, Path(queue): Path<String>, body: Bytes) -> Response {
    admit(&node, async {
        let EnqueueBody { value, sender } = parse(&body)?;
        if value.is_absent() {
            let detail = "null stands for no message; enqueue something else";
            return Err(Refusal::BadRequest(detail.into()));
        }
        let max = node.queue_max;
        write(&node, Op::Enqueue { queue, value, max }, sender).await
    })
    .await
}

#[derive(Deserialize)]
struct DequeueBody {
    lease_ms: u64,
    #[serde(flatten)]
    sender: Sender,
}

async fn dequeue(State(node): Node, Path(queue): Path<String>, body: Bytes) -> Response {
    admit(&node, async {
        let DequeueBody { lease_ms, sender } = parse(&body)?;
        if !(1..=LEASE_MS_MAX).contains(&lease_ms) {
            let detail = format!("lease_ms: use 1 to {LEASE_MS_MAX}");
            return Err(Refusal::BadRequest(detail));
        }
        write(&node, Op::Dequeue { queue, lease_ms }, sender).await
    })
    .await
}

#[derive(Deserialize)]
struct ReceiptBody {
    receipt: u64,
    #[serde(flatten)]
    sender: Sender,
}

async fn ack(State(node): Node, Path(queue): Path<String>, body: Bytes) -> Response {
    admit(&node, async {
        let ReceiptBody { receipt, sender } = parse(&body)?;
        write(&node, Op::Ack { queue, receipt }, sender).await
    })
    .await
}

async fn nack(State(node): Node, Path(queue): Path<String>, body: Bytes) -> Response {
    admit(&node, async {
        let ReceiptBody { receipt, sender } = parse(&body)?;
        write(&node, Op::Nack { queue, receipt }, sender).await
    })
    .await
}
