//! etcd's JSON gateway: one call, and what its answer proves.
//!
//! The gateway under `/v3/` is gRPC in JSON: keys and values are base64, 64-bit numbers are strings, and whatever is zero,
//! false or empty is left out:
//!
//! ```text
//! POST /v3/kv/range {"key":"cjE="}
//! {"header":{"revision":"3","raft_term":"2"},"kvs":[{"key":"cjE=","mod_revision":"3","value":"Mg=="}],"count":"1"}
//! POST /v3/kv/range {"key":"cjE=","revision":"2"}
//! {"error":"etcdserver: mvcc: required revision has been compacted","code":11}
//! ```

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duress_http::{Client, Method, Reply};
use serde_json::Value;

use crate::service::for_processes;

/// An HTTP client for all members.
#[derive(Debug)]
pub struct Gateway {
    http: Client,
}

/// Why a call brought no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There was no answer.
    #[error("{0}")]
    Http(duress_http::RequestError),
    /// It was received, but what came back can't be understood or lacks what it must have.
    #[error("{0}")]
    NoAnswer(String),
    /// etcd answered with an error.
    #[error("{message}")]
    Answered {
        /// gRPC's number, e.g. 14 for unavailable.
        code: i64,
        /// e.g. `etcdserver: request timed out`.
        message: String,
    },
}

/// Errors by which etcd says that a request was not executed and never will be.
///
/// `processInternalRaftRequestOnce` (server/etcdserver/v3_server.go, 3.4 to 3.5) returns the first two before it proposes
/// anything. The third comes from raft's `Step` (raft/raft.go), which returns `ErrProposalDropped` where it neither appends
/// nor forwards a proposal: there is no leader, or leadership is being handed over. The fourth is returned while applying,
/// by `Put` and `checkRequestPut` (server/etcdserver/apply.go), before anything is written.
///
/// Everything else proves nothing. Above all not `request timed out`, whose proposal may yet be committed, nor
/// `leader changed` and `no leader`, nor `database space exceeded`: `quotaApplierV3.Put` writes first and complains then.
const NOT_EXECUTED: [&str; 4] = [
    "etcdserver: too many requests",
    "etcdserver: request is too large",
    "raft proposal dropped",
    "etcdserver: requested lease not found",
];

impl CallError {
    /// Whether it proves that the request was not executed and never will be.
    pub fn proves_not_executed(&self) -> bool {
        match self {
            CallError::Http(error) => matches!(error, duress_http::RequestError::NotSent(_)),
            CallError::NoAnswer(_) => false,
            CallError::Answered { message, .. } => NOT_EXECUTED.contains(&message.as_str()),
        }
    }
}

impl Gateway {
    /// A client whose requests come from `local_address`, and that reads bodies of at most `body_max` bytes. The caller
    /// limits the time of a call.
    pub fn new(local_address: Option<IpAddr>, body_max: usize) -> Result<Self, duress_http::RequestError> {
        Ok(Gateway {
            http: Client::new(for_processes(local_address, body_max))?,
        })
    }

    /// One call at one member.
    pub async fn call(&self, member: SocketAddr, path: &str, body: &Value) -> Result<Value, CallError> {
        let url = format!("http://{member}/v3/{path}");
        let reply = self.http.call(Method::Post, &url, Some(body)).await;
        interpret(&reply.map_err(CallError::Http)?)
    }
}

/// What an answer says. One that can't be understood, contradicts itself or lacks the header that all of etcd's have
/// proves nothing.
fn interpret(reply: &Reply) -> Result<Value, CallError> {
    let status = reply.status;
    let Some(answer @ Value::Object(_)) = reply.json() else {
        return Err(CallError::NoAnswer(format!(
            "status {status}, and no JSON object"
        )));
    };
    let text = |field: &str| answer.get(field).and_then(Value::as_str);
    // 3.4 and 3.5 say the same twice, 3.6 only the second.
    match (status, text("error"), text("message")) {
        (200, None, None) if answer.get("error").is_none() => {
            match number(answer.pointer("/header/revision")) {
                0 => Err(CallError::NoAnswer(
                    "the answer has no header with a revision".to_owned(),
                )),
                _ => Ok(answer),
            }
        }
        (400.., Some(error), Some(message)) if error != message => Err(CallError::NoAnswer(format!(
            "status {status}, and two errors: {error}; {message}"
        ))),
        (400.., Some(message), _) | (400.., None, Some(message)) => Err(CallError::Answered {
            code: answer.get("code").and_then(Value::as_i64).unwrap_or_default(),
            message: message.to_owned(),
        }),
        (_, Some(error), _) | (_, None, Some(error)) => Err(CallError::NoAnswer(format!(
            "status {status} with an error: {error}"
        ))),
        _ => Err(CallError::NoAnswer(format!("status {status}"))),
    }
}

/// Bytes as the gateway takes them.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Bytes as the gateway gives them; a field that is left out is empty.
pub fn decode(field: Option<&Value>) -> Result<Vec<u8>, CallError> {
    let text = field.and_then(Value::as_str).unwrap_or_default();
    STANDARD
        .decode(text)
        .map_err(|error| CallError::NoAnswer(format!("the answer has broken base64: {error}")))
}

/// A 64-bit number as the gateway gives it: a string, or nothing for zero.
pub fn number(field: Option<&Value>) -> u64 {
    match field {
        Some(Value::String(text)) => text.parse().unwrap_or_default(),
        Some(Value::Number(number)) => number.as_u64().unwrap_or_default(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered(message: &str) -> CallError {
        CallError::Answered {
            code: 14,
            message: message.to_owned(),
        }
    }

    #[test]
    fn only_a_few_errors_prove_that_nothing_happened() {
        for message in NOT_EXECUTED {
            assert!(answered(message).proves_not_executed());
        }
        for message in [
            "etcdserver: request timed out",
            "etcdserver: request timed out, possibly due to previous leader failure",
            "etcdserver: request timed out, possibly due to connection lost",
            "etcdserver: leader changed",
            "etcdserver: no leader",
            "etcdserver: mvcc: database space exceeded",
            "etcdserver: server stopped",
            "context deadline exceeded",
            "",
        ] {
            assert!(!answered(message).proves_not_executed(), "{message}");
        }
        let refused = "connection refused".to_owned();
        assert!(CallError::Http(duress_http::RequestError::NotSent(refused)).proves_not_executed());
        let reset = "connection reset".to_owned();
        assert!(!CallError::Http(duress_http::RequestError::Broken(reset)).proves_not_executed());
        assert!(!CallError::Http(duress_http::RequestError::TooLarge { limit: 1 }).proves_not_executed());
    }

    fn interpreted(status: u16, body: &str) -> Result<Value, CallError> {
        interpret(&Reply {
            status,
            retry_after: None,
            headers: duress_http::HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        })
    }

    #[test]
    fn answers_are_understood_or_prove_nothing() {
        let answer = r#"{"header":{"revision":"3"},"count":"1"}"#;
        assert_eq!(
            interpreted(200, answer),
            Ok(json!({"header": {"revision": "3"}, "count": "1"}))
        );
        // 3.4 repeats the text as `message`; a proxy may say nothing of the kind.
        let timed_out = r#"{"error":"etcdserver: request timed out","code":14,"message":"etcdserver: request timed out"}"#;
        assert_eq!(
            interpreted(503, timed_out),
            Err(answered("etcdserver: request timed out"))
        );
        let dropped = r#"{"header":{"revision":"3"},"error":"raft proposal dropped"}"#;
        let two = r#"{"error":"etcdserver: request timed out","message":"raft proposal dropped"}"#;
        for (status, body) in [
            (503, "{}"),
            (200, "<html>"),
            (200, "[]"),
            (200, "{}"),
            (200, r#"{"header":{}}"#),
            (200, r#"{"header":{"revision":"many"}}"#),
            (307, answer),
            (500, answer),
            // That nothing was executed is said with an error's status, and once.
            (200, dropped),
            (307, dropped),
            (500, two),
        ] {
            let interpreted = interpreted(status, body);
            assert!(
                matches!(interpreted, Err(CallError::NoAnswer(_))),
                "{status} {body}: {interpreted:?}"
            );
        }
    }

    #[test]
    fn numbers_are_strings_and_zero_is_left_out() {
        assert_eq!(
            number(Some(&json!("9804125642168846726"))),
            9_804_125_642_168_846_726
        );
        assert_eq!(number(None), 0);
        assert_eq!(decode(Some(&json!("cjE="))), Ok(b"r1".to_vec()));
        assert_eq!(decode(None), Ok(Vec::new()));
        assert!(decode(Some(&json!("%%"))).is_err());
    }
}
