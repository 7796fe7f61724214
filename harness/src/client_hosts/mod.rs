//! Clients on hosts of their own: each has a worker, `duress client-worker`, that asks nodes and says when, by its own clock.
//!
//! The controller decides what is asked when, as ever; a worker carries single attempts out. It reads lines of JSON and answers in any order:
//!
//! ```json
//! {"client":"specimen","definition":"name = …","read":"linearizable","body_max":1048576}
//! {"id":0,"ready":true}
//! {"id":1,"do":"clock"}
//! {"id":1,"clock":5130220117}
//! {"id":2,"do":"attempt","endpoint":{"node":"n1","address":"10.0.0.11:8080"},"f":"write","key":"k1","value":7,"process":3}
//! {"id":2,"done":{"answer":{"ok":7},"start":5131003000,"end":5131904000}}
//! {"id":2,"do":"drop"}
//! ```
//!
//! How far its clock is ahead is measured all the time ([`clocks`]), and goes into the history with each attempt; what may overlap by these
//! clocks is not said to be in order ([`duress_checker::history::merge`]). A worker ends with its input, or when it has heard nothing for
//! [`SILENCE_MAX`](duress_cluster::ssh::SILENCE_MAX).

mod clocks;
mod line;
mod merged;
mod service;
mod worker;

use std::time::Duration;

use duress_checker::history::Token;
use duress_workloads::clients::{ClientKind, Options, ReadMode};
use duress_workloads::{Answer, Endpoint};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use line::ClientHost;
pub use merged::merge_history;
pub use service::OnHosts;
pub use worker::main;

/// The first line: what a worker is to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// Name of the client.
    pub client: String,
    /// The `system.toml` that says how it asks.
    pub definition: String,
    /// How it reads.
    pub read: ReadMode,
    /// For how long locks, or what is dequeued, are lent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Duration>,
    /// Whether each write of a register looks at all keys first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub long_writes: bool,
    /// The longest body of an answer, in bytes.
    pub body_max: usize,
}

impl Setup {
    /// Of this client, defined by this text.
    pub fn of(client: &ClientKind, definition: &str, options: &Options) -> Setup {
        Setup {
            client: client.name.to_owned(),
            definition: definition.to_owned(),
            read: options.read,
            lease: options.lease,
            long_writes: options.long_writes,
            body_max: options.body_max,
        }
    }
}

/// A line to a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Asked {
    id: u64,
    #[serde(flatten)]
    what: What,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
enum What {
    /// What does the clock read?
    Clock,
    /// Make it.
    Attempt(Box<Request>),
    /// Nobody waits for the answer any more.
    Drop,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Request {
    endpoint: Endpoint,
    f: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Value>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    value: Value,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    idempotent: bool,
    process: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<Token>,
}

/// A line from a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Told {
    id: u64,
    #[serde(flatten)]
    what: Said,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Said {
    /// It can be asked.
    Ready(bool),
    /// It can't be what it was told to be.
    Unable(String),
    /// What the clock reads, in nanoseconds.
    Clock(u64),
    /// An attempt was made.
    Done(Done),
}

/// What came of an attempt, and when it was made, in nanoseconds of the worker's clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Done {
    answer: Answer,
    start: u64,
    end: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_are_as_they_are_said_to_be() {
        let request = Request {
            endpoint: Endpoint {
                node: "n1".to_owned(),
                address: "10.0.0.11:8080".parse().unwrap(),
            },
            f: "write".to_owned(),
            key: Some(json!("k1")),
            value: json!(7),
            idempotent: false,
            process: 3,
            token: None,
        };
        for (what, line) in [
            (What::Clock, json!({"id": 1, "do": "clock"})),
            (What::Drop, json!({"id": 1, "do": "drop"})),
            (
                What::Attempt(Box::new(request)),
                json!({"id": 1, "do": "attempt", "endpoint": {"node": "n1", "address": "10.0.0.11:8080"}, "f": "write",
                       "key": "k1", "value": 7, "process": 3}),
            ),
        ] {
            let asked = Asked { id: 1, what };
            assert_eq!(serde_json::to_value(&asked).unwrap(), line);
            assert_eq!(serde_json::from_value::<Asked>(line).unwrap(), asked);
        }
        let done = Done {
            answer: Answer::Ok(json!(7)),
            start: 1,
            end: 2,
        };
        for (what, line) in [
            (Said::Ready(true), json!({"id": 1, "ready": true})),
            (Said::Clock(5), json!({"id": 1, "clock": 5})),
            (
                Said::Done(done),
                json!({"id": 1, "done": {"answer": {"ok": 7}, "start": 1, "end": 2}}),
            ),
        ] {
            let told = Told { id: 1, what };
            assert_eq!(serde_json::to_value(&told).unwrap(), line);
            assert_eq!(serde_json::from_value::<Told>(line).unwrap(), told);
        }
    }
}
