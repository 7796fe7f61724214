//! The client of the specimen: HTTP and JSON.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use duress_http::{Client, Method, Reply, RequestError, cut};
use serde::Deserialize;
use serde_json::{Value, json};

use super::kind::{ClientKind, ReadMode, Tokens};
use crate::endpoint::Endpoint;
use crate::op::{Op, Operation};
use crate::service::{Answer, Asker, Service, for_processes, hold};
use crate::workload::HOLD;

/// What it can be asked.
const OPERATIONS: [Operation; 6] = [
    Operation::on_key("read"),
    Operation::on_key("write"),
    Operation::on_key("cas"),
    Operation::on_key("acquire"),
    Operation::on_key("hold"),
    Operation::on_key("release"),
];

/// Clients that find a lock taken look again after a while, and not at once.
const POLL: Duration = Duration::from_millis(20);

/// What it says of itself.
pub fn kind() -> ClientKind {
    ClientKind {
        name: "specimen",
        operations: Cow::Borrowed(&OPERATIONS),
        reads: Cow::Borrowed(&[ReadMode::Linearizable, ReadMode::Lease, ReadMode::Local]),
        reads_members: false,
        tokens: Tokens::Optional,
        proof: "the specimen says so: not the leader, overloaded, nothing to read or to compare with, taken",
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
}

impl Specimen {
    /// A client whose requests come from `local_address`, and to which locks are lent for `lease`. An answer with a body of more
    /// than `body_max` bytes proves nothing.
    pub fn new(
        local_address: Option<IpAddr>,
        read: ReadMode,
        lease: Option<Duration>,
        body_max: usize,
    ) -> Result<Self, RequestError> {
        let http = Client::new(for_processes(local_address, body_max))?;
        let lease = lease.unwrap_or_default();
        Ok(Specimen { http, read, lease })
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
const REFUSALS: [(u16, &str); 6] = [
    (400, "bad-request"),
    (404, "unknown-path"),
    (409, "stale-seq"),
    (421, "not-leader"),
    (429, "overloaded"),
    (503, "no-quorum"),
];

#[async_trait]
impl Service for Specimen {
    async fn attempt(&self, endpoint: &Endpoint, op: &Op, asker: Asker<'_>) -> Answer {
        if op.f == HOLD {
            return hold(op).await;
        }
        let key = op.key.as_ref().and_then(Value::as_str).unwrap_or("x");
        let at = endpoint.address;
        let (method, url, body) = match op.f {
            "read" => (
                Method::Get,
                format!("http://{at}/kv/{key}?read={}", self.read.as_str()),
                None,
            ),
            "cas" => (
                Method::Post,
                format!("http://{at}/kv/{key}/cas"),
                Some(json!({"old": op.value[0], "new": op.value[1]})),
            ),
            "write" if op.value.is_null() => {
                (Method::Delete, format!("http://{at}/kv/{key}"), Some(json!({})))
            }
            "write" => (
                Method::Put,
                format!("http://{at}/kv/{key}"),
                Some(json!({"value": op.value})),
            ),
            "acquire" => {
                let ttl_ms = self.lease.as_millis() as u64;
                (
                    Method::Post,
                    format!("http://{at}/locks/{key}/acquire"),
                    Some(json!({"owner": op.value, "ttl_ms": ttl_ms})),
                )
            }
            "release" => (
                Method::Post,
                format!("http://{at}/locks/{key}/release"),
                Some(json!({"owner": op.value})),
            ),
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
            Ok(reply) => interpret(op, &reply),
            Err(error) => error.into(),
        };
        if matches!(&answer, Answer::Failed { error } if error == TAKEN) {
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
            _ => Answer::unknown("answer lacks its result"),
        };
    }
    match serde_json::from_value::<Refusal>(Value::Object(body)) {
        Ok(refusal) => {
            let known = REFUSALS.contains(&(reply.status, &refusal.error));
            if known && refusal.executed == Executed::No {
                Answer::Refused {
                    error: refusal.error,
                    leader: refusal.leader,
                    retry_after: reply.retry_after,
                }
            } else {
                Answer::unknown(format!("status {}: {}", reply.status, refusal.error))
            }
        }
        Err(_) => Answer::unknown(format!("status {}", reply.status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(f: &'static str, value: Value) -> Op {
        Op {
            f,
            key: Some(json!("k1")),
            value,
            idempotent: f == "read",
        }
    }

    fn answer(op: &Op, status: u16, body: &str) -> Answer {
        let reply = Reply {
            status,
            retry_after: Some(Duration::from_secs(1)),
            headers: duress_http::HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        };
        interpret(op, &reply)
    }

    #[test]
    fn answers_prove_what_they_say() {
        let read = op("read", Value::Null);
        assert_eq!(
            answer(&read, 200, r#"{"value":7,"index":3}"#),
            Answer::Ok(json!(7))
        );
        assert_eq!(
            answer(&read, 200, r#"{"value":null,"index":3}"#),
            Answer::Ok(Value::Null)
        );
        let write = op("write", json!(4));
        assert_eq!(answer(&write, 200, r#"{"index":3}"#), Answer::Ok(json!(4)));
        let mismatch = Answer::Failed {
            error: "mismatch".to_owned(),
        };
        let cas = op("cas", json!([1, 2]));
        assert_eq!(answer(&cas, 200, r#"{"swapped":false,"index":3}"#), mismatch);
        let taken = Answer::Failed {
            error: "taken".to_owned(),
        };
        for (f, done, proves) in [
            ("acquire", true, Answer::Ok(json!(3))),
            ("acquire", false, taken),
            ("release", true, Answer::Ok(json!(3))),
            ("release", false, Answer::Ok(json!(3))),
        ] {
            let body = json!({"done": done, "index": 9}).to_string();
            assert_eq!(answer(&op(f, json!(3)), 200, &body), proves, "{f} {done}");
        }
        assert_eq!(
            answer(
                &write,
                421,
                r#"{"error":"not-leader","executed":"no","leader":"n2"}"#
            ),
            Answer::Refused {
                error: "not-leader".to_owned(),
                leader: Some("n2".to_owned()),
                retry_after: Some(Duration::from_secs(1))
            }
        );
    }

    #[test]
    fn a_value_that_nobody_wrote_stays_one_and_is_kept_short() {
        let read = op("read", Value::Null);
        for value in [
            json!([1]),
            json!({"a": 1}),
            json!(vec![0; 10_000]),
            json!("x".repeat(10_000)),
        ] {
            let kept = answer(&read, 200, &json!({"value": value, "index": 3}).to_string());
            let Answer::Ok(Value::String(text)) = &kept else {
                panic!("{kept:?}");
            };
            assert!(text.len() < 1100, "{}", text.len());
        }
    }

    #[test]
    fn what_cannot_be_understood_or_contradicts_itself_proves_nothing() {
        let refusal = |error: &str| format!(r#"{{"error":"{error}","executed":"no"}}"#);
        let (read, write, cas) = (
            op("read", Value::Null),
            op("write", json!(4)),
            op("cas", json!([1, 2])),
        );
        for (op, status, body) in [
            (&write, 200, "<html>".to_owned()),
            (&write, 200, "{}".to_owned()),
            (&write, 200, r#"{"index":null}"#.to_owned()),
            (&read, 200, "[]".to_owned()),
            (&read, 200, "{}".to_owned()),
            (&cas, 200, r#"{"index":3}"#.to_owned()),
            (&cas, 200, r#"{"swapped":"false"}"#.to_owned()),
            (&op("acquire", json!(3)), 200, r#"{"index":3}"#.to_owned()),
            (&op("release", json!(3)), 200, r#"{"done":1}"#.to_owned()),
            (&cas, 200, r#"{"swapped":false,"executed":"unknown"}"#.to_owned()),
            (&write, 200, r#"{"index":3,"error":"internal"}"#.to_owned()),
            (&write, 200, refusal("not-leader")),
            (&write, 500, String::new()),
            (
                &write,
                503,
                r#"{"error":"no-quorum","executed":"unknown"}"#.to_owned(),
            ),
            // Nothing that the specimen says: something in between may have passed the request on.
            (&write, 500, refusal("internal")),
            (&write, 502, refusal("not-leader")),
            (&write, 504, refusal("no-quorum")),
            (&write, 408, refusal("overloaded")),
            (&write, 429, refusal("slow-down")),
            (&write, 307, refusal("not-leader")),
            (&write, 201, refusal("not-leader")),
        ] {
            let answer = answer(op, status, &body);
            assert!(
                matches!(answer, Answer::Unknown { .. }),
                "{status} {body}: {answer:?}"
            );
        }
    }
}
