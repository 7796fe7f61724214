//! The client of etcd, over its JSON gateway, and what members say of themselves.
//!
//! Values are JSON in etcd, so that every workload keeps what it likes; null is an absent key. Operations:
//!
//! | f | key | value | what is asked of etcd |
//! |---|---|---|---|
//! | `read` | `"k3"` | result: any | range of one key, linearizable or serializable |
//! | `write` | `"k3"` | 7 | put; of null: delete |
//! | `cas` | `"k3"` | `[7, 8]` | txn that compares the value |
//! | `append` | `"k3"` | 7 | range, then a txn that compares the key's revision and puts the longer list |
//! | `increment` | `"k3"` | 1 | the same with a number |
//! | `add` | none | 7 | put of a key of its own |
//! | `read` | none | result: `[3, 7]` | range over all that were added |
//! | `acquire` | `"lock"` | holder | txn that creates the key with a lease, if it is absent |
//! | `hold` | `"lock"` | `{"ms":120}` | nothing: the holder works, or stands still |
//! | `release` | `"lock"` | holder | txn that deletes the key, if it is still the holder's |
//!
//! Which errors prove that nothing happened stands in [`gateway`].

pub mod gateway;
mod lock;
pub mod member;
mod pages;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use duress_checker::history::Content;
use serde_json::{Value, json};

use self::gateway::{CallError, Gateway, decode, encode, number};
use super::kind::{ClientKind, Options, ReadMode, Tokens};
use crate::endpoint::Endpoint;
use crate::op::{Op, Operation};
use crate::service::{Answer, Asker, Service, hold};
use crate::workload::HOLD;

/// What it can be asked.
const OPERATIONS: [Operation; 10] = [
    Operation::on_key("read"),
    Operation::on_key("write"),
    Operation::on_key("cas"),
    Operation::on_key("append"),
    Operation::on_key("increment"),
    Operation::on_all("add"),
    Operation::on_all("read"),
    Operation::on_key("acquire"),
    Operation::on_key("hold"),
    Operation::on_key("release"),
];

/// What it says of itself.
pub fn kind() -> ClientKind {
    ClientKind {
        name: "etcd",
        operations: Cow::Borrowed(&OPERATIONS),
        reads: Cow::Borrowed(&[ReadMode::Linearizable, ReadMode::Local]),
        reads_members: true,
        tokens: Tokens::None,
        proof: "etcd says so by an error that it only gives before it proposes anything, or after a comparison that did not hold",
        service: None,
        make: Arc::new(|options| Ok(Box::new(Etcd::new(options)?))),
    }
}

/// Where elements of the set workload live: `element/7`.
const ELEMENTS: &str = "element/";

/// A client of etcd.
#[derive(Debug)]
pub struct Etcd {
    gateway: Gateway,
    serializable: bool,
    lease: Duration,
    long_writes: bool,
}

/// The shortest lease that etcd grants with its default election time-out of a second.
const LEASE_MIN: Duration = Duration::from_secs(2);

impl Etcd {
    /// A client of all members. Reads are linearizable, or with [`ReadMode::Local`] serializable, which any member answers
    /// from its own state.
    ///
    /// With [`Options::long_writes`] every write of a register is a transaction that first looks at all keys. Its
    /// comparison always holds; it only keeps etcd busy between taking an entry from the log and writing it, where issue
    /// 13766 is at home.
    pub fn new(options: Options) -> Result<Self, duress_http::RequestError> {
        Ok(Etcd {
            gateway: Gateway::new(options.from, options.body_max)?,
            serializable: options.read == ReadMode::Local,
            lease: options.lease.unwrap_or_default().max(LEASE_MIN),
            long_writes: options.long_writes,
        })
    }

    async fn read(&self, member: SocketAddr, key: &str) -> Result<Value, CallError> {
        let answer = self
            .gateway
            .call(member, "kv/range", &range(key, self.serializable))
            .await?;
        Ok(stored(&answer)?.value)
    }

    async fn elements(&self, member: SocketAddr) -> Result<Value, CallError> {
        // The next character after the prefix' last one ends the range.
        let end = format!("{}0", ELEMENTS.trim_end_matches('/'));
        let (from, end) = (ELEMENTS.as_bytes(), end.as_bytes());
        let entries = pages::range(&self.gateway, member, from, end, self.serializable).await?;
        let mut elements = Vec::with_capacity(entries.len());
        for entry in entries {
            elements.push(parse(&entry.value)?);
        }
        elements.sort_by_key(Value::as_u64);
        Ok(elements.into())
    }

    /// The range and the txn are two calls; the revision ties them together. Only the txn can have an effect.
    async fn change(&self, member: SocketAddr, key: &str, op: &Op) -> Answer {
        let before = match self.gateway.call(member, "kv/range", &range(key, false)).await {
            Ok(answer) => stored(&answer),
            Err(error) => Err(error),
        };
        let before = match before {
            Ok(before) => before,
            Err(error) => return had_no_effect(error),
        };
        let new = match changed(before.value, op) {
            Ok(new) => new,
            // To write over it would hide it.
            Err(what) => return Answer::refused(what),
        };
        let compare = json!({"key": encode(key), "target": "MOD", "result": "EQUAL",
            "mod_revision": before.revision.to_string()});
        let put = json!({"request_put": {"key": encode(key), "value": encode(new.to_string())}});
        match self.txn(member, compare, put).await {
            Ok(true) => Answer::Ok(op.value.clone()),
            // Somebody else was faster. Trying again with what is there now may succeed.
            Ok(false) => Answer::refused("contended"),
            Err(error) => unless_proven(error),
        }
    }

    /// Whether the comparison held, and so the operation was executed.
    async fn txn(&self, member: SocketAddr, compare: Value, success: Value) -> Result<bool, CallError> {
        let body = json!({"compare": [compare], "success": [success]});
        let answer = self.gateway.call(member, "kv/txn", &body).await?;
        succeeded(&answer)
    }
}

#[async_trait]
impl Service for Etcd {
    async fn attempt(&self, endpoint: &Endpoint, op: &Op, _asker: Asker<'_>) -> Answer {
        let member = endpoint.address;
        let key = op.key.as_ref().and_then(Value::as_str);
        match (op.f, key) {
            ("read", Some(key)) => answer_of_read(self.read(member, key).await),
            ("read", None) => answer_of_read(self.elements(member).await),
            ("add", _) => {
                let body = json!({"key": encode(format!("{ELEMENTS}{}", op.value)), "value": encode(op.value.to_string())});
                answer_of_write(op, self.gateway.call(member, "kv/put", &body).await)
            }
            ("write", Some(key)) if op.value.is_null() => {
                let body = json!({"key": encode(key)});
                answer_of_write(op, self.gateway.call(member, "kv/deleterange", &body).await)
            }
            ("write", Some(key)) if self.long_writes => {
                let put = json!({"request_put": {"key": encode(key), "value": encode(op.value.to_string())}});
                let written = self.txn(member, every_key_exists_or_not(), put).await;
                answer_of_write(op, written.map(Value::Bool))
            }
            ("write", Some(key)) => {
                let body = json!({"key": encode(key), "value": encode(op.value.to_string())});
                answer_of_write(op, self.gateway.call(member, "kv/put", &body).await)
            }
            ("cas", Some(key)) => {
                let (compare, success) = cas(key, &op.value[0], &op.value[1]);
                match self.txn(member, compare, success).await {
                    Ok(true) => Answer::Ok(op.value.clone()),
                    Ok(false) => Answer::Failed {
                        error: "mismatch".to_owned(),
                    },
                    Err(error) => unless_proven(error),
                }
            }
            ("append" | "increment", Some(key)) => self.change(member, key, op).await,
            ("acquire", Some(key)) => self.acquire(member, key, &op.value).await,
            (HOLD, _) => hold(op).await,
            ("release", Some(key)) => self.release(member, key, &op.value).await,
            (f, _) => Answer::Failed {
                error: format!("the client of etcd knows no {f}"),
            },
        }
    }

    async fn content(&self, endpoint: &Endpoint) -> Result<Content, duress_http::RequestError> {
        let content = member::content(&self.gateway, endpoint.address).await;
        content.map_err(|error| match error {
            CallError::Http(error) => error,
            error => duress_http::RequestError::Broken(duress_http::cut(error.to_string())),
        })
    }
}

/// What a key holds after an `append` or an `increment`.
fn changed(before: Value, op: &Op) -> Result<Value, String> {
    if op.f == "append" {
        return match before {
            Value::Null => Ok(json!([op.value])),
            Value::Array(mut list) => {
                list.push(op.value.clone());
                Ok(list.into())
            }
            other => Err(format!("the key holds no list, but {other}")),
        };
    }
    let by = op.value.as_i64().unwrap_or_default();
    let number = match before {
        Value::Null => Some(0),
        ref other => other.as_i64(),
    };
    let sum = number.and_then(|number| number.checked_add(by));
    sum.map(Value::from)
        .ok_or_else(|| format!("the key holds nothing that {by} can be added to, but {before}"))
}

/// One key as etcd has it.
struct Stored {
    /// Null if it is absent.
    value: Value,
    /// Revision of its last change; 0 if it is absent, as comparisons have it.
    revision: u64,
}

fn stored(answer: &Value) -> Result<Stored, CallError> {
    match answer.pointer("/kvs/0") {
        None => Ok(Stored {
            value: Value::Null,
            revision: 0,
        }),
        Some(entry) => Ok(Stored {
            value: parse(&decode(entry.get("value"))?)?,
            revision: number(entry.get("mod_revision")),
        }),
    }
}

fn parse(bytes: &[u8]) -> Result<Value, CallError> {
    serde_json::from_slice(bytes)
        .map_err(|error| CallError::NoAnswer(format!("a stored value is no JSON: {error}")))
}

fn range(key: &str, serializable: bool) -> Value {
    let mut body = json!({"key": encode(key)});
    if serializable {
        body["serializable"] = json!(true);
    }
    body
}

/// A comparison that looks at every key and always holds: no version is below zero.
fn every_key_exists_or_not() -> Value {
    let all = encode([0]);
    json!({"key": all, "range_end": all, "target": "VERSION", "result": "GREATER", "version": "-1"})
}

/// Comparison and operation of a compare-and-set; null is an absent key, whose version is 0.
fn cas(key: &str, old: &Value, new: &Value) -> (Value, Value) {
    let key = encode(key);
    let compare = match old {
        Value::Null => json!({"key": key, "target": "VERSION", "result": "EQUAL", "version": "0"}),
        old => json!({"key": key, "target": "VALUE", "result": "EQUAL", "value": encode(old.to_string())}),
    };
    let success = match new {
        Value::Null => json!({"request_delete_range": {"key": key}}),
        new => json!({"request_put": {"key": key, "value": encode(new.to_string())}}),
    };
    (compare, success)
}

/// Whether a txn's comparison held. False is left out, and so are the results of the nothing that is done then.
fn succeeded(answer: &Value) -> Result<bool, CallError> {
    let results = answer.get("responses").and_then(Value::as_array);
    match answer.get("succeeded") {
        Some(Value::Bool(true)) => Ok(true),
        None | Some(Value::Bool(false)) if results.is_none_or(Vec::is_empty) => Ok(false),
        _ => Err(CallError::NoAnswer(
            "the answer contradicts itself on whether the comparison held".to_owned(),
        )),
    }
}

fn answer_of_read(result: Result<Value, CallError>) -> Answer {
    match result {
        Ok(value) => Answer::Ok(value),
        Err(error) => had_no_effect(error),
    }
}

fn answer_of_write(op: &Op, result: Result<Value, CallError>) -> Answer {
    match result {
        Ok(_) => Answer::Ok(op.value.clone()),
        Err(error) => unless_proven(error),
    }
}

/// A call that only looks had no effect, whatever became of it.
fn had_no_effect(error: CallError) -> Answer {
    match error {
        CallError::Http(local @ duress_http::RequestError::Local(_)) => local.into(),
        error => Answer::refused(error.to_string()),
    }
}

/// A call that may have an effect had one, unless the opposite is proven.
fn unless_proven(error: CallError) -> Answer {
    let proven = error.proves_not_executed();
    match error {
        CallError::Http(error) => error.into(),
        error if proven => Answer::refused(error.to_string()),
        error => Answer::unknown(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
