//! The client of the specimen: HTTP and JSON. What it asks of streams is in [`streams`].

mod streams;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use duress_http::{Client, Method, Reply, RequestError, cut};
use serde::Deserialize;
use serde_json::{Value, json};

use super::kind::{ClientKind, ReadMode, Tokens};
use super::receipts::{NO_RECEIPT, Receipts};
use crate::endpoint::Endpoint;
use crate::op::{Op, Operation};
use crate::service::{Answer, Asker, Service, for_processes, hold};
use crate::workload::HOLD;

/// What it can be asked.
const OPERATIONS: [Operation; 17] = [
    Operation::on_key("read"),
    Operation::on_key("write"),
    Operation::on_key("cas"),
    Operation::on_key("acquire"),
    Operation::on_key("hold"),
    Operation::on_key("release"),
    Operation::on_key("enqueue"),
    Operation::on_key("dequeue"),
    Operation::on_key("ack"),
    Operation::on_key("nack"),
    Operation::on_all("init"),
    Operation::on_all("assign"),
    Operation::on_all("send"),
    Operation::on_all("poll"),
    Operation::on_all("txn"),
    Operation::on_all("subscribe"),
    Operation::on_all("replay"),
];

/// Clients that find a lock taken, or all messages lent, look again after a while, and not at once.
const POLL: Duration = Duration::from_millis(20);

/// What it says of itself.
pub fn kind() -> ClientKind {
    ClientKind {
        name: "specimen",
        operations: Cow::Borrowed(&OPERATIONS),
        reads: Cow::Borrowed(&[ReadMode::Linearizable, ReadMode::Lease, ReadMode::Local]),
        reads_members: false,
        tokens: Tokens::Optional,
        proof: "the specimen says so: not the leader, overloaded, nothing to read or to compare with, taken, full, lent, fenced",
        service: None,
        make: Arc::new(|options| {
            Ok(Box::new(Specimen::new(
                options.from,
                options.read,
                options.lease,
                options.body_max,
            )?))
        }),
    }
}

/// A client of the specimen.
#[derive(Debug)]
pub struct Specimen {
    http: Client,
    read: ReadMode,
    lease: Duration,
    receipts: Receipts,
}

impl Specimen {
    /// A client whose requests come from `local_address`, and to which locks and messages are lent for `lease`. An answer with a body of more
    /// than `body_max` bytes proves nothing.
    pub fn new(
        local_address: Option<IpAddr>,
        read: ReadMode,
        lease: Option<Duration>,
        body_max: usize,
    ) -> Result<Self, RequestError> {
        let http = Client::new(for_processes(local_address, body_max))?;
        let lease = lease.unwrap_or_default();
        Ok(Specimen {
            http,
            read,
            lease,
            receipts: Receipts::default(),
        })
    }
}

/// What the specimen says when it refuses.
#[derive(Debug, Deserialize)]
struct Refusal {
    error: String,
    executed: Executed,
    #[serde(default)]
    leader: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Executed {
    No,
    Unknown,
}

/// Reasons for which the specimen refuses without having executed anything, each with its status. Whatever else claims
/// the same was not said by the specimen: something in between may have passed the request on.
const REFUSALS: [(u16, &str); 7] = [
    (400, "bad-request"),
    (404, "unknown-path"),
    (409, "stale-seq"),
    (421, "not-leader"),
    (429, "overloaded"),
    (429, "full"),
    (503, "no-quorum"),
];

#[async_trait]
impl Service for Specimen {
    async fn attempt(&self, endpoint: &Endpoint, op: &Op, asker: Asker<'_>) -> Answer {
        if op.f == HOLD {
            return hold(op).await;
        }
        if streams::OPERATIONS.contains(&op.f) {
            return streams::attempt(&self.http, endpoint, op, asker.token).await;
        }
        let key = op.key.as_ref().and_then(Value::as_str).unwrap_or("x");
        // Only the address that is asked is written.
        let at = endpoint.address;
        let kv = |rest: &str| format!("http://{at}/kv/{key}{rest}");
        let of = |objects: &str| format!("http://{at}/{objects}/{key}/{}", op.f);
        let lease_ms = self.lease.as_millis() as u64;
        let (method, url, body) = match op.f {
            "read" => (Method::Get, kv(&format!("?read={}", self.read.as_str())), None),
            "cas" => (
                Method::Post,
                kv("/cas"),
                Some(json!({"old": op.value[0], "new": op.value[1]})),
            ),
            "write" if op.value.is_null() => (Method::Delete, kv(""), Some(json!({}))),
            "write" => (Method::Put, kv(""), Some(json!({"value": op.value}))),
            "acquire" => (
                Method::Post,
                of("locks"),
                Some(json!({"owner": op.value, "ttl_ms": lease_ms})),
            ),
            "release" => (Method::Post, of("locks"), Some(json!({"owner": op.value}))),
            "enqueue" => (Method::Post, of("queues"), Some(json!({"value": op.value}))),
            "dequeue" => (Method::Post, of("queues"), Some(json!({"lease_ms": lease_ms}))),
            "ack" | "nack" => match self.receipts.of(asker.process, &op.value) {
                Some(receipt) => (Method::Post, of("queues"), Some(json!({"receipt": receipt}))),
                None => {
                    let error = NO_RECEIPT.to_owned();
                    return Answer::Failed { error };
                }
            },
            f => {
                return Answer::Failed {
                    error: format!("the client of the specimen knows no {f}"),
                };
            }
        };
        let body = body.map(|mut body| {
            if let Some(token) = asker.token {
                body["client"] = json!(token.client);
                body["seq"] = json!(token.seq);
            }
            body
        });
        let answer = match self.http.call(method, url, body.as_ref()).await {
            Ok(reply) => {
                let answer = interpret(op, &reply);
                if let ("dequeue", Answer::Ok(message)) = (op.f, &answer)
                    && let Some(receipt) = receipt(&reply)
                {
                    self.receipts.keep(asker.process, message.clone(), receipt);
                }
                answer
            }
            Err(error) => error.into(),
        };
        if matches!(&answer, Answer::Failed { error } if [TAKEN, LENT].contains(&error.as_str())) {
            tokio::time::sleep(POLL).await;
        }
        answer
    }

    fn honours_tokens(&self) -> bool {
        true
    }
}

/// A value as it is kept for each read. Whatever is long, or no scalar, was never written by any client, and so is its
/// beginning: as false as the whole, but not as long.
fn kept(value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        Value::String(text) => json!(cut(text.clone())),
        Value::Array(_) | Value::Object(_) => json!(cut(value.to_string())),
    }
}

/// What is said of a lock that another has.
const TAKEN: &str = "taken";
/// What is said of a queue that has messages, each of which another has.
const LENT: &str = "all-lent";
/// What is said of an ack or a nack that came when its lease was over.
const OVER: &str = "lease-over";

/// What is to be shown again with the ack of a message.
fn receipt(reply: &Reply) -> Option<Value> {
    reply
        .json()?
        .get("receipt")
        .filter(|receipt| receipt.is_u64())
        .cloned()
}

/// What is known of a queue from the answer to a dequeue. Only where nothing is lent either it is empty.
fn dequeued(body: &serde_json::Map<String, Value>) -> Answer {
    match (body.get("value"), body.get("receipt"), body.get("lent")) {
        (Some(Value::Null), Some(Value::Null), Some(lent)) if lent == &json!(0) => Answer::Ok(Value::Null),
        (Some(Value::Null), Some(Value::Null), Some(lent)) if lent.is_u64() => Answer::Failed {
            error: LENT.to_owned(),
        },
        (Some(value), Some(receipt), _) if !value.is_null() && receipt.is_u64() => Answer::Ok(kept(value)),
        _ => Answer::unknown("answer lacks its result"),
    }
}

/// What an answer proves. Anything that can't be understood, or contradicts itself, proves nothing.
fn interpret(op: &Op, reply: &Reply) -> Answer {
    let Some(Value::Object(body)) = reply.json() else {
        return Answer::unknown(format!("status {}, and no JSON object", reply.status));
    };
    if reply.status == 200 {
        let contradicts = body.contains_key("error") || body.contains_key("executed");
        return match (op.f, body.get("value"), body.get("swapped"), body.get("index")) {
            _ if contradicts => Answer::unknown("status 200 with an error"),
            ("read", Some(value), ..) => Answer::Ok(kept(value)),
            ("cas", _, Some(Value::Bool(true)), _) => Answer::Ok(op.value.clone()),
            ("cas", _, Some(Value::Bool(false)), _) => Answer::Failed {
                error: "mismatch".to_owned(),
            },
            ("write", _, _, Some(index)) if index.is_u64() => Answer::Ok(op.value.clone()),
            ("acquire", ..) if body.get("done") == Some(&json!(true)) => Answer::Ok(op.value.clone()),
            ("acquire", ..) if body.get("done") == Some(&json!(false)) => Answer::Failed {
                error: TAKEN.to_owned(),
            },
            // Also where the lease had run out: whoever gives back does not hold.
            ("release", ..) if body.get("done").is_some_and(Value::is_boolean) => {
                Answer::Ok(op.value.clone())
            }
            ("enqueue", _, _, Some(index)) if index.is_u64() => Answer::Ok(op.value.clone()),
            ("dequeue", ..) => dequeued(&body),
            ("ack" | "nack", ..) if body.get("done") == Some(&json!(true)) => Answer::Ok(op.value.clone()),
            ("ack" | "nack", ..) if body.get("done") == Some(&json!(false)) => Answer::Failed {
                error: OVER.to_owned(),
            },
            _ => Answer::unknown("answer lacks its result"),
        };
    }
    refused(reply, body)
}

/// What an answer proves that is none to what was asked.
fn refused(reply: &Reply, body: serde_json::Map<String, Value>) -> Answer {
    let Ok(refusal) = serde_json::from_value::<Refusal>(Value::Object(body)) else {
        return Answer::unknown(format!("status {}", reply.status));
    };
    let is_in = |known: &[(u16, &str)]| known.contains(&(reply.status, &refusal.error));
    match refusal.executed {
        Executed::No if is_in(&REFUSALS) => Answer::Refused {
            error: refusal.error,
            leader: refusal.leader,
            retry_after: reply.retry_after,
        },
        Executed::No if is_in(&streams::OVER) => Answer::Fenced { error: refusal.error },
        _ => Answer::unknown(format!("status {}: {}", reply.status, refusal.error)),
    }
}

#[cfg(test)]
mod tests;
