//! A sender: single messages, transactions, and polls of a few partitions that it assigned itself. Its process may have polled others before,
//! under another name: those it gives up first.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha12Rng;
use serde_json::{Value, json};

use super::producer::{End, Producer};
use super::step::{Step, polled};
use super::{Shared, op};
use crate::op::Op;

/// Partitions that a sender polls at a time.
const ASSIGNED: usize = 2;
/// Messages of a poll, at most.
const POLL_MAX: u64 = 20;
/// Polls until other partitions are assigned, on average.
const POLLS: u32 = 20;

#[derive(Debug, Default)]
pub(super) struct Sender {
    /// By partition, the next offset to be polled. Empty: none was assigned yet.
    next: BTreeMap<String, u64>,
    /// Whether its process has given up what it polled under another name.
    alone: bool,
}

impl Sender {
    pub fn next(&mut self, producer: &Producer, shared: &mut Shared, rng: &mut ChaCha12Rng) -> Op {
        if rng.random_bool(shared.spec.replay)
            && let Some(former) = shared.answered.get(rng.random_range(0..super::ANSWERED_MAX))
        {
            return Op {
                value: former.clone(),
                ..op("replay", &[])
            };
        }
        let spec = &shared.spec;
        let (send, poll, txn) = (spec.send, spec.poll, spec.txn);
        let drawn = rng.random_range(0.0..send + poll + txn);
        match drawn {
            drawn if drawn < send => {
                let (partition, message) = message(shared, rng);
                producer.send(partition, message)
            }
            drawn if drawn < send + poll => self.poll(shared, rng),
            _ => {
                let count = rng.random_range(1..=spec.size);
                let end = End {
                    offsets: None,
                    abort: rng.random_bool(spec.abort),
                    late: rng.random_bool(spec.late),
                };
                let messages = (0..count).map(|_| message(shared, rng)).collect();
                producer.txn(messages, end)
            }
        }
    }

    fn poll(&mut self, shared: &Shared, rng: &mut ChaCha12Rng) -> Op {
        if !std::mem::replace(&mut self.alone, true) {
            return Op {
                value: json!([]),
                ..op("assign", &[])
            };
        }
        if self.next.is_empty() || rng.random_ratio(1, POLLS) {
            let all = shared.partitions();
            let chosen: Vec<&String> = all.sample(rng, ASSIGNED).collect();
            return Op {
                value: json!(chosen),
                ..op("assign", &[])
            };
        }
        // Those that were just assigned are begun anywhere.
        for (partition, next) in &mut self.next {
            if *next == UNKNOWN {
                let end = shared.ends.get(partition).copied().unwrap_or(0);
                *next = rng.random_range(0..=end);
            }
        }
        op("poll", &[Step::Poll(self.next.clone(), POLL_MAX)])
    }

    pub fn observe(&mut self, op: &Op, result: &Value) {
        match op.f {
            "assign" => {
                let chosen = result.as_array().into_iter().flatten().filter_map(Value::as_str);
                let next = |name: &str| self.next.get(name).copied().unwrap_or(UNKNOWN);
                self.next = chosen.map(|name| (name.to_owned(), next(name))).collect();
            }
            "poll" => {
                for (partition, offset) in polled(result) {
                    self.next.insert(partition, offset + 1);
                }
            }
            _ => {}
        }
    }
}

/// Where to begin was not drawn yet.
const UNKNOWN: u64 = u64::MAX;

/// Another message, for any partition.
fn message(shared: &mut Shared, rng: &mut ChaCha12Rng) -> (String, Value) {
    shared.sent += 1;
    let number = rng.random_range(0..shared.spec.partitions);
    (format!("in{number}"), json!(shared.sent))
}
