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
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Idle connections kept for each member: enough for every process of a closed loop.
const IDLE_CONNECTIONS_MAX: usize = 256;

/// An HTTP client for all members.
#[derive(Clone, Debug)]
pub struct Gateway {
    http: reqwest::Client,
}

/// Why a call brought no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nothing was sent, since no connection could be made.
    #[error("{0}")]
    NotSent(String),
    /// It may have been received: time-out, broken connection, an answer that can't be understood.
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

impl Trouble {
    /// Whether it proves that the request was not executed and never will be.
    pub fn proves_not_executed(&self) -> bool {
        match self {
            Trouble::NotSent(_) => true,
            Trouble::NoAnswer(_) => false,
            Trouble::Answered { message, .. } => NOT_EXECUTED.contains(&message.as_str()),
        }
    }
}

impl Gateway {
    /// A client whose requests come from `local_address`. Without `limit` the caller limits the time of a call.
    pub fn new(local_address: Option<IpAddr>, limit: Option<Duration>) -> Result<Self, reqwest::Error> {
        let mut http = reqwest::Client::builder()
            .local_address(local_address)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            // After a partition an idle connection may be dead without knowing it.
            .pool_idle_timeout(Duration::from_secs(5))
            .tcp_nodelay(true)
            .no_proxy();
        if let Some(limit) = limit {
            http = http.timeout(limit);
        }
        Ok(Gateway { http: http.build()? })
    }

    /// One call at one member.
    pub async fn call(&self, member: SocketAddr, path: &str, body: &Value) -> Result<Value, Trouble> {
        let request = self.http.post(format!("http://{member}/v3/{path}")).json(body);
        let response = request.send().await.map_err(|error| match error.is_connect() {
            true => Trouble::NotSent(root_cause(&error)),
            false => Trouble::NoAnswer(root_cause(&error)),
        })?;
        let status = response.status().as_u16();
        let bytes = response
            .bytes()
            .await
            .map_err(|error| Trouble::NoAnswer(root_cause(&error)))?;
        interpret(status, &bytes)
    }
}

/// What an answer says. One that can't be understood proves nothing.
fn interpret(status: u16, bytes: &[u8]) -> Result<Value, Trouble> {
    let Ok(answer @ Value::Object(_)) = serde_json::from_slice::<Value>(bytes) else {
        return Err(Trouble::NoAnswer(format!("status {status}, and no JSON")));
    };
    if status == 200 && answer.get("error").is_none() {
        return Ok(answer);
    }
    let text = |field: &str| answer.get(field).and_then(Value::as_str);
    match text("message").or_else(|| text("error")) {
        Some(message) => {
            let code = answer.get("code").and_then(Value::as_i64).unwrap_or_default();
            Err(Trouble::Answered {
                code,
                message: message.to_owned(),
            })
        }
        None => Err(Trouble::NoAnswer(format!("status {status}"))),
    }
}

/// The innermost error, which says what happened; the outer ones say which URL it happened to.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Bytes as the gateway takes them.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Bytes as the gateway gives them; a field that is left out is empty.
pub fn decode(field: Option<&Value>) -> Result<Vec<u8>, Trouble> {
    let text = field.and_then(Value::as_str).unwrap_or_default();
    STANDARD
        .decode(text)
        .map_err(|error| Trouble::NoAnswer(format!("the answer has broken base64: {error}")))
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

    fn answered(message: &str) -> Trouble {
        Trouble::Answered {
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
        assert!(Trouble::NotSent("connection refused".to_owned()).proves_not_executed());
        assert!(!Trouble::NoAnswer("connection reset".to_owned()).proves_not_executed());
    }

    #[test]
    fn answers_are_understood_or_prove_nothing() {
        assert_eq!(interpret(200, br#"{"count":"1"}"#), Ok(json!({"count": "1"})));
        // 3.4 repeats the text as `message`; a proxy may say nothing of the kind.
        let timed_out = br#"{"error":"etcdserver: request timed out","code":14,"message":"etcdserver: request timed out"}"#;
        assert_eq!(
            interpret(503, timed_out),
            Err(answered("etcdserver: request timed out"))
        );
        assert!(matches!(interpret(503, b"{}"), Err(Trouble::NoAnswer(_))));
        assert!(matches!(interpret(200, b"<html>"), Err(Trouble::NoAnswer(_))));
        assert!(matches!(interpret(200, b"[]"), Err(Trouble::NoAnswer(_))));
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
