//! A worker: joins the group, polls what it is dealt, makes an output of each message, and commits both outputs and offsets.

use std::collections::BTreeMap;

use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use serde_json::{Value, json};

use super::producer::{End, Producer};
use super::step::{Member, Offsets, Step, joined, polled};
use super::{Shared, hold, op};
use crate::op::Op;

/// The one group.
const GROUP: &str = "g";
/// Polls until a member says that it is there, on average.
const POLLS: u32 = 5;

#[derive(Debug, Default)]
pub(super) struct Worker {
    /// What it was dealt. `None`: it has to join.
    membership: Option<Membership>,
    /// What it polled and has not worked on: partition and offset.
    inputs: Vec<(String, u64)>,
    /// It has stalled over these.
    stalled: bool,
}

#[derive(Debug)]
struct Membership {
    generation: u64,
    /// By partition, the next to be read.
    next: BTreeMap<String, u64>,
}

impl Worker {
    /// The next operation, and whether others may take over.
    pub fn next(
        &mut self,
        process: u64,
        producer: &Producer,
        shared: &mut Shared,
        rng: &mut ChaCha12Rng,
    ) -> (Op, bool) {
        let Some(membership) = &self.membership else {
            return (join(producer, shared), false);
        };
        if self.inputs.is_empty() {
            let again = membership.next.is_empty() || rng.random_ratio(1, POLLS);
            let op = match again {
                true => join(producer, shared),
                false => op("poll", &[Step::Poll(membership.next.clone(), shared.spec.size)]),
            };
            return (op, false);
        }
        if !self.stalled && rng.random_bool(shared.spec.stall) {
            self.stalled = true;
            let ms = shared.spec.stall_ms;
            return (hold(process, rng.random_range(ms / 2..=ms * 3 / 2)), true);
        }
        // Of each partition that many may have come; the rest is polled again. Whichever is behind goes first.
        self.inputs.sort_by_key(|(_, offset)| *offset);
        self.inputs.truncate(shared.spec.size as usize);
        let output = |(partition, offset): &(String, u64)| {
            shared.sent += 1;
            let message = json!({
                "input": [partition, offset], "by": producer.name.to_string(), "epoch": producer.epoch, "attempt": shared.sent,
            });
            (partition.replacen("in", "out", 1), message)
        };
        let outputs = self.inputs.iter().map(output).collect();
        let spec = &shared.spec;
        let end = End {
            offsets: Some(Offsets {
                group: GROUP.to_owned(),
                member: producer.name.to_string(),
                generation: membership.generation,
                offsets: ends(&self.inputs),
            }),
            abort: rng.random_bool(spec.abort),
            late: rng.random_bool(spec.late),
        };
        (producer.txn(outputs, end), false)
    }

    pub fn observe(&mut self, op: &Op, result: &Value) {
        match op.f {
            "subscribe" => {
                self.membership = joined(result).map(|(generation, next)| Membership { generation, next });
            }
            "poll" => self.inputs = polled(result),
            "txn" => {
                let inputs = std::mem::take(&mut self.inputs);
                if let Some(membership) = &mut self.membership {
                    membership.next.extend(ends(&inputs));
                }
            }
            _ => return,
        }
        self.stalled = false;
    }
}

fn join(producer: &Producer, shared: &Shared) -> Op {
    let member = Member {
        group: GROUP.to_owned(),
        member: producer.name.to_string(),
        partitions: shared.inputs(),
        session_ms: shared.spec.session_ms,
    };
    op("subscribe", &[Step::Join(member)])
}

/// By partition, what is next behind these.
fn ends(inputs: &[(String, u64)]) -> BTreeMap<String, u64> {
    let mut ends = BTreeMap::new();
    for (partition, offset) in inputs {
        let end: &mut u64 = ends.entry(partition.clone()).or_default();
        *end = (offset + 1).max(*end);
    }
    ends
}
