//! The queue workload: messages are enqueued, delivered, acknowledged; now and then one is given back, or kept past its lease.
//!
//! ```json
//! {"process":3,"type":"ok","f":"enqueue","key":"queue0","value":7}
//! {"process":5,"type":"ok","f":"dequeue","key":"queue0","value":7,"lease_ms":500}
//! {"process":5,"type":"ok","f":"ack","key":"queue0","value":7}
//! {"process":6,"type":"ok","f":"dequeue","key":"queue0","value":null}
//! ```
//!
//! Each value is enqueued once, so that a message that comes twice shows for what it is. A process has one message at most; what
//! it got it acknowledges next, with these exceptions:
//!
//! - it gives it back ([`nack`](QueueSpec::nack));
//! - it is *late*: it holds it for half a lease to one and a half, as a consumer does that is busy or was suspended, and then
//!   acknowledges it as if it still had it;
//! - its own dequeue has no known outcome. Then nobody acknowledges, as if the consumer had died, and the lease ends.
//!
//! So messages come again before they are acknowledged, which is no violation: the promise of `exactly-once` ends with the
//! acknowledgement. An ack whose lease is over must be refused, or it takes effect and the message comes no more; what must not be is
//! that the system says "acknowledged" to two, or delivers afterwards.
//!
//! At the end queues are emptied: processes dequeue and acknowledge until each queue says that it has nothing, so that what is lost can
//! be told from what is still there. A system must say `null` only of a queue in which nothing is lent either.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::HOLD;
use crate::bounds::{Bound, SpecError, share};
use crate::generator::{CatalogueEntry, Workload, WorkloadParameters};
use crate::op::{Op, Operation};

/// What a spec says of the queue workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct QueueSpec {
    /// Number of queues. At least 1.
    pub queues: u64,
    /// Share of enqueues, from 0 to 1, in what a process without a message asks for. The rest are dequeues.
    pub enqueue: f64,
    /// Share of deliveries, from 0 to 1, that are given back.
    pub nack: f64,
    /// Share of deliveries, from 0 to 1, that are held for half a lease to one and a half.
    pub late: f64,
    /// How long a message is lent, in milliseconds.
    pub lease_ms: u64,
}

impl Default for QueueSpec {
    fn default() -> Self {
        QueueSpec {
            queues: 2,
            enqueue: 0.5,
            nack: 0.05,
            late: 0.05,
            lease_ms: 500,
        }
    }
}

const QUEUES: Bound<u64> = Bound {
    key: "queues",
    least: 1,
    most: 1000,
    why: "each is emptied at the end",
};
const ENQUEUE: Bound<f64> = share("enqueue");
const NACK: Bound<f64> = share("nack");
const LATE: Bound<f64> = share("late");
const LEASE_MS: Bound<u64> = Bound {
    key: "lease-ms",
    least: 1,
    most: 3_600_000,
    why: "an hour; who is late stands still for half as long again",
};

impl WorkloadParameters for QueueSpec {
    const ABOUT: CatalogueEntry = CatalogueEntry {
        name: "queue",
        description: "queues with leases: enqueue, dequeue, ack, nack, and all of them emptied at the end; for the promises of delivery",
        model: None,
        properties: &["exactly-once", "at-least-once", "at-most-once"],
        operations: &[
            Operation::on_key("enqueue"),
            Operation::on_key("dequeue"),
            Operation::on_key("ack"),
            Operation::on_key("nack"),
        ],
        parameters: &[
            ("queues", "number of queues (2)"),
            (
                "enqueue",
                "share of enqueues in what a process without a message asks for (0.5)",
            ),
            ("nack", "share of deliveries that are given back (0.05)"),
            (
                "late",
                "share of deliveries that are held for half a lease to one and a half (0.05)",
            ),
            ("lease-ms", "how long a message is lent (500)"),
        ],
    };

    fn bounds() -> Vec<String> {
        vec![
            QUEUES.row(),
            ENQUEUE.row(),
            NACK.row(),
            LATE.row(),
            LEASE_MS.row(),
        ]
    }

    fn generator(&self) -> Result<Box<dyn Workload>, SpecError> {
        Ok(Box::new(Queue::new(self)?))
    }

    /// Nobody is asked to take a message back where none is given back.
    fn operations(&self) -> Vec<Operation> {
        let asked = |operation: &&Operation| operation.f != "nack" || self.nack > 0.0;
        Self::ABOUT.operations.iter().filter(asked).copied().collect()
    }

    fn lease(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.lease_ms))
    }
}

/// A message that a process has.
#[derive(Clone, Debug)]
struct InHand {
    queue: u64,
    message: Value,
    /// It has been held, and is acknowledged next.
    held: bool,
}

/// Generates the operations.
#[derive(Debug)]
pub struct Queue {
    spec: QueueSpec,
    sent: u64,
    in_hand: BTreeMap<u64, InHand>,
    /// Queues that were found empty since the end began; `None` before.
    emptied: Option<BTreeSet<u64>>,
}

impl Queue {
    /// A generator from the beginning; what is wrong with the spec, if it can't be used.
    pub fn new(spec: &QueueSpec) -> Result<Self, SpecError> {
        QUEUES.check(spec.queues)?;
        ENQUEUE.check(spec.enqueue)?;
        NACK.check(spec.nack)?;
        LATE.check(spec.late)?;
        LEASE_MS.check(spec.lease_ms)?;
        Ok(Queue {
            spec: spec.clone(),
            sent: 0,
            in_hand: BTreeMap::new(),
            emptied: None,
        })
    }

    fn op(f: &'static str, queue: u64, value: Value) -> Op {
        Op {
            f,
            key: Some(json!(format!("queue{queue}"))),
            value,
            idempotent: f == HOLD,
        }
    }

    /// What a process does with its message; whatever becomes of it, it has the message no more.
    fn done(&mut self, process: u64, f: &'static str) -> Option<Op> {
        let InHand { queue, message, .. } = self.in_hand.remove(&process)?;
        Some(Queue::op(f, queue, message))
    }

    fn with_message(&mut self, process: u64, rng: &mut ChaCha12Rng) -> Option<Op> {
        let in_hand = self.in_hand.get_mut(&process)?;
        if in_hand.held {
            return self.done(process, "ack");
        }
        if rng.random_bool(self.spec.nack) {
            return self.done(process, "nack");
        }
        if !rng.random_bool(self.spec.late) {
            return self.done(process, "ack");
        }
        in_hand.held = true;
        let lease = self.spec.lease_ms;
        let ms = rng.random_range(lease / 2..=lease * 3 / 2);
        let queue = in_hand.queue;
        Some(Queue::op(HOLD, queue, json!({"holder": process, "ms": ms})))
    }
}

/// The number of the queue that an operation is about.
fn queue_of(op: &Op) -> Option<u64> {
    op.key.as_ref()?.as_str()?.strip_prefix("queue")?.parse().ok()
}

impl Workload for Queue {
    fn next(&mut self, process: u64, rng: &mut ChaCha12Rng) -> Op {
        if let Some(op) = self.with_message(process, rng) {
            return op;
        }
        let queue = rng.random_range(0..self.spec.queues);
        if rng.random_bool(self.spec.enqueue) {
            self.sent += 1;
            return Queue::op("enqueue", queue, json!(self.sent));
        }
        Queue::op("dequeue", queue, Value::Null)
    }

    fn observe(&mut self, process: u64, op: &Op, result: &Value) {
        let (Some(queue), "dequeue") = (queue_of(op), op.f) else {
            return;
        };
        if !result.is_null() {
            let in_hand = InHand {
                queue,
                message: result.clone(),
                held: false,
            };
            self.in_hand.insert(process, in_hand);
        } else if let Some(emptied) = &mut self.emptied {
            emptied.insert(queue);
        }
    }

    fn final_ops(&mut self) -> Vec<Op> {
        Vec::new()
    }

    /// Whoever asks begins with another queue, so that all are emptied at once.
    fn closing(&mut self, process: u64) -> Option<Op> {
        if let Some(ack) = self.done(process, "ack") {
            return Some(ack);
        }
        let emptied = self.emptied.get_or_insert_default();
        let queues = self.spec.queues;
        let left = (0..queues)
            .map(|number| (process % queues + number) % queues)
            .find(|queue| !emptied.contains(queue))?;
        Some(Queue::op("dequeue", left, Value::Null))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn queue(spec: QueueSpec) -> Queue {
        Queue::new(&spec).expect("a valid spec")
    }

    /// Operations of one process, to which every dequeue brings a message.
    fn life(queue: &mut Queue, count: usize) -> Vec<Op> {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let mut messages = 1_000_000..;
        let mut ops = Vec::new();
        for _ in 0..count {
            let op = queue.next(7, &mut rng);
            if op.f == "dequeue" {
                queue.observe(7, &op, &json!(messages.next()));
            }
            ops.push(op);
        }
        ops
    }

    #[test]
    fn what_is_delivered_is_acknowledged_given_back_or_held_first() {
        let mut queue = queue(QueueSpec {
            nack: 0.2,
            late: 0.2,
            ..QueueSpec::default()
        });
        let ops = life(&mut queue, 2000);
        for pair in ops.windows(2) {
            let follows = match pair[0].f {
                "dequeue" => matches!(pair[1].f, "ack" | "nack" | "hold"),
                "hold" => pair[1].f == "ack",
                _ => matches!(pair[1].f, "enqueue" | "dequeue"),
            };
            assert!(follows, "{pair:?}");
        }
        let count = |f| ops.iter().filter(|op| op.f == f).count();
        assert!(count("nack") > 50 && count("hold") > 50 && count("enqueue") > 300);
        let mut sent: Vec<&Value> = (ops.iter().filter(|op| op.f == "enqueue"))
            .map(|op| &op.value)
            .collect();
        let enqueues = sent.len();
        sent.sort_by_key(|value| value.as_u64());
        sent.dedup();
        assert_eq!(sent.len(), enqueues, "every value is sent once");
    }

    #[test]
    fn some_hold_a_message_past_its_lease_and_some_do_not() {
        let mut queue = queue(QueueSpec {
            late: 1.0,
            nack: 0.0,
            ..QueueSpec::default()
        });
        let ops = life(&mut queue, 300);
        let held = ops.iter().filter_map(|op| op.value["ms"].as_u64());
        let (past, within): (Vec<u64>, Vec<u64>) = held.partition(|ms| *ms > 500);
        assert!(past.len() > 20 && within.len() > 20);
        assert!(past.iter().all(|ms| *ms <= 750) && within.iter().all(|ms| *ms >= 250));
    }

    #[test]
    fn a_process_without_a_known_delivery_has_none() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let mut queue = queue(QueueSpec {
            enqueue: 0.0,
            ..QueueSpec::default()
        });
        let op = queue.next(7, &mut rng);
        assert_eq!(op.f, "dequeue");
        queue.observe(8, &op, &json!(1));
        assert_eq!(queue.next(7, &mut rng).f, "dequeue", "another one got it");
        queue.observe(7, &op, &Value::Null);
        assert_eq!(queue.next(7, &mut rng).f, "dequeue", "there was nothing");
        assert_ne!(queue.next(8, &mut rng).f, "dequeue");
    }

    #[test]
    fn at_the_end_each_queue_is_emptied_by_whoever_is_there() {
        let mut queue = queue(QueueSpec::default());
        let take = |queue: &mut Queue, process, expected: &str| {
            let op = queue.closing(process).expect("not all are empty");
            assert_eq!((op.f, op.key.clone()), ("dequeue", Some(json!(expected))));
            op
        };
        let first = take(&mut queue, 1, "queue1");
        queue.observe(1, &first, &json!(5));
        let ack = queue.closing(1).expect("it has a message");
        assert_eq!((ack.f, ack.value), ("ack", json!(5)));
        let second = take(&mut queue, 2, "queue0");
        queue.observe(2, &second, &Value::Null);
        let third = take(&mut queue, 2, "queue1");
        // Another one found something there meanwhile, and still has it when the queue says that it is empty.
        queue.observe(1, &first, &json!(6));
        queue.observe(2, &third, &Value::Null);
        assert_eq!(queue.closing(2), None);
        assert_eq!(queue.closing(1).map(|op| op.f), Some("ack"));
        assert_eq!(queue.closing(1), None);
    }

    #[test]
    fn nack_is_asked_for_only_where_something_is_given_back() {
        let asked = |nack| {
            let spec = QueueSpec {
                nack,
                ..QueueSpec::default()
            };
            spec.operations().iter().any(|operation| operation.f == "nack")
        };
        assert!(asked(0.1) && !asked(0.0));
        let error = Queue::new(&QueueSpec {
            late: 1.5,
            ..QueueSpec::default()
        });
        assert!(error.is_err_and(|error| error.key == "late"));
    }
}
