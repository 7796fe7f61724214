//! The client of the specimen: HTTP/JSON over `reqwest`.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Op;
use crate::service::{Answer, Endpoint, Service, Token};

/// How the specimen is asked to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadMode {
    /// The leader confirms with a majority that it still leads.
    #[default]
    Linearizable,
    /// The leader trusts its lease.
    Lease,
    /// Any node answers from its own state. Stale by design. etcd calls it serializable.
    #[serde(alias = "serializable")]
    Local,
}

impl ReadMode {
    fn as_str(self) -> &'static str {
        match self {
            ReadMode::Linearizable => "linearizable",
            ReadMode::Lease => "lease",
            ReadMode::Local => "local",
        }
    }
}

/// A client of the specimen.
#[derive(Debug)]
pub struct Specimen {
    http: reqwest::Client,
    read: ReadMode,
}

/// Idle connections kept for each node: enough for every process of a closed loop.
const IDLE_CONNECTIONS_MAX: usize = 256;

impl Specimen {
    /// A client whose requests come from `local_address`.
    pub fn new(local_address: Option<IpAddr>, read: ReadMode) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .local_address(local_address)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            // After a partition an idle connection may be dead without knowing it.
            .pool_idle_timeout(Duration::from_secs(5))
            .tcp_nodelay(true)
            .no_proxy()
            .build()?;
        Ok(Specimen { http, read })
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

#[async_trait]
impl Service for Specimen {
    async fn attempt(&self, endpoint: &Endpoint, op: &Op, token: Option<&Token>) -> Answer {
        let key = op.key.as_ref().and_then(Value::as_str).unwrap_or("x");
        let base = format!("http://{}/kv/{key}", endpoint.address);
        let (method, url, mut body) = match op.f {
            "read" => (
                Method::GET,
                format!("{base}?read={}", self.read.as_str()),
                Value::Null,
            ),
            "cas" => (
                Method::POST,
                format!("{base}/cas"),
                json!({"old": op.value[0], "new": op.value[1]}),
            ),
            _ if op.value.is_null() => (Method::DELETE, base, json!({})),
            _ => (Method::PUT, base, json!({"value": op.value})),
        };
        let mut request = self.http.request(method, url);
        if !body.is_null() {
            if let Some(token) = token {
                body["client"] = json!(token.client);
                body["seq"] = json!(token.seq);
            }
            request = request.json(&body);
        }
        let response = match request.send().await {
            Ok(response) => response,
            // A connection that was never made carried nothing.
            Err(error) if error.is_connect() => return refused(&root_cause(&error)),
            Err(error) => {
                return Answer::Unknown {
                    error: root_cause(&error),
                };
            }
        };
        let status = response.status();
        let retry_after = (response.headers().get(reqwest::header::RETRY_AFTER))
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs_f64);
        match response.bytes().await {
            Ok(bytes) => interpret(op, status, retry_after, &bytes),
            Err(error) => Answer::Unknown {
                error: root_cause(&error),
            },
        }
    }

    fn honours_tokens(&self) -> bool {
        true
    }
}

fn refused(error: &str) -> Answer {
    Answer::Refused {
        error: error.to_owned(),
        leader: None,
        retry_after: None,
    }
}

/// The innermost error, which says what happened; the outer ones say which URL it happened to.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// What an answer proves. Anything that can't be understood proves nothing.
fn interpret(op: &Op, status: StatusCode, retry_after: Option<Duration>, bytes: &[u8]) -> Answer {
    if status == StatusCode::OK {
        let Ok(body) = serde_json::from_slice::<Value>(bytes) else {
            return Answer::Unknown {
                error: "answer is no JSON".to_owned(),
            };
        };
        return match (
            op.f,
            body.get("value"),
            body.get("swapped").and_then(Value::as_bool),
        ) {
            ("read", Some(value), _) => Answer::Ok(value.clone()),
            ("cas", _, Some(true)) => Answer::Ok(op.value.clone()),
            ("cas", _, Some(false)) => Answer::Failed {
                error: "mismatch".to_owned(),
            },
            ("write", _, _) if body.get("index").is_some() => Answer::Ok(op.value.clone()),
            _ => Answer::Unknown {
                error: "answer lacks its result".to_owned(),
            },
        };
    }
    match serde_json::from_slice::<Refusal>(bytes) {
        Ok(refusal) if refusal.executed == Executed::No => Answer::Refused {
            error: refusal.error,
            leader: refusal.leader,
            retry_after,
        },
        Ok(refusal) => Answer::Unknown { error: refusal.error },
        Err(_) => Answer::Unknown {
            error: format!("status {}", status.as_u16()),
        },
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

    fn unknown(answer: &Answer) -> bool {
        matches!(answer, Answer::Unknown { .. })
    }

    #[test]
    fn answers_prove_what_they_say() {
        let ok = StatusCode::OK;
        assert_eq!(
            interpret(&op("read", Value::Null), ok, None, br#"{"value":7,"index":3}"#),
            Answer::Ok(json!(7))
        );
        assert_eq!(
            interpret(&op("read", Value::Null), ok, None, br#"{"value":null,"index":3}"#),
            Answer::Ok(Value::Null)
        );
        assert_eq!(
            interpret(&op("write", json!(4)), ok, None, br#"{"index":3}"#),
            Answer::Ok(json!(4))
        );
        assert_eq!(
            interpret(
                &op("cas", json!([1, 2])),
                ok,
                None,
                br#"{"swapped":false,"index":3}"#
            ),
            Answer::Failed {
                error: "mismatch".to_owned()
            }
        );
        assert_eq!(
            interpret(
                &op("write", json!(4)),
                StatusCode::MISDIRECTED_REQUEST,
                None,
                br#"{"error":"not-leader","executed":"no","leader":"n2"}"#
            ),
            Answer::Refused {
                error: "not-leader".to_owned(),
                leader: Some("n2".to_owned()),
                retry_after: None
            }
        );
    }

    #[test]
    fn what_cannot_be_understood_proves_nothing() {
        let write = op("write", json!(4));
        assert!(unknown(&interpret(&write, StatusCode::OK, None, b"<html>")));
        assert!(unknown(&interpret(&write, StatusCode::OK, None, b"{}")));
        assert!(unknown(&interpret(
            &op("read", Value::Null),
            StatusCode::OK,
            None,
            b"[]"
        )));
        assert!(unknown(&interpret(
            &write,
            StatusCode::INTERNAL_SERVER_ERROR,
            None,
            b""
        )));
        assert!(unknown(&interpret(
            &write,
            StatusCode::SERVICE_UNAVAILABLE,
            None,
            br#"{"error":"no-quorum","executed":"unknown"}"#
        )));
    }
}
