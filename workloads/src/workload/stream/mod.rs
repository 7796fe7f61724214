//! The stream workload: messages are sent to partitions and polled, and some processes consume, transform and produce.
//!
//! ```json
//! {"process":3,"type":"ok","f":"send","value":[["as",{"producer":"s1","epoch":2,"sequence":0}],["send","in0",[31,7]]]}
//! {"process":5,"type":"ok","f":"poll","value":[["poll",{"in0":[[30,6],[31,7]]}]]}
//! ```
//!
//! Values are in the words of `jepsen.tests.kafka`, see [`step`]. Messages go to `in0`, `in1`…; each is sent once, so that one that lies at
//! two offsets shows for what it is. A process is one of two things:
//!
//! - a *sender* sends single messages, sends transactions of several, some of which it aborts, and polls what it assigned itself;
//! - a *worker* is a member of a group: it polls what it is dealt, and makes of each message of `in0` one of `out0` that names its input. Outputs
//!   and the offset up to which it came are one transaction.
//!
//! What goes wrong with clients is part of it:
//!
//! - a producer that failed, or whose process is replaced, begins a new session; what the former one left open must come to nothing;
//! - a worker *stalls* between its poll and its transaction, while another takes over its name and does the same work; then it goes on as a
//!   zombie, and must be refused;
//! - the commit of one transaction comes *late*, once more, in the midst of the next one;
//! - a send is *replayed* long after it was answered.
//!
//! At the end every name begins a session, so that nothing is open; then all partitions are polled to their end, so that what is lost can be
//! told from what nobody polled.

mod closing;
mod names;
mod producer;
mod sender;
mod spec;
pub(crate) mod step;
mod worker;

use std::collections::{BTreeMap, VecDeque};

use duress_checker::history::EventType;
use rand_chacha::ChaCha12Rng;
use serde_json::{Value, json};

use self::closing::Closing;
use self::names::{Name, Names};
use self::producer::Producer;
use self::sender::Sender;
pub use self::spec::StreamSpec;
use self::step::Step;
use self::worker::Worker;
use crate::bounds::SpecError;
use crate::generator::Workload;
use crate::op::Op;

/// What one process is.
#[derive(Debug)]
struct Seat {
    name: Name,
    /// `None`: it has to begin a session first.
    producer: Option<Producer>,
    role: Role,
}

#[derive(Debug)]
enum Role {
    Sender(Sender),
    Worker(Worker),
}

impl Seat {
    fn new(name: Name) -> Self {
        Seat {
            name,
            producer: None,
            role: match name {
                Name::Worker(_) => Role::Worker(Worker::default()),
                Name::Sender(_) => Role::Sender(Sender::default()),
            },
        }
    }
}

/// What all processes share.
#[derive(Debug)]
struct Shared {
    spec: StreamSpec,
    /// Numbers everything that is sent.
    sent: u64,
    /// Where each partition ends, as far as anybody has seen.
    ends: BTreeMap<String, u64>,
    /// Sends that were answered.
    answered: VecDeque<Value>,
}

/// Answered sends that are kept to be replayed.
const ANSWERED_MAX: usize = 256;

/// Generates the operations.
#[derive(Debug)]
pub struct Stream {
    shared: Shared,
    names: Names,
    seats: BTreeMap<u64, Seat>,
    closing: Option<Closing>,
}

impl Stream {
    /// A generator from the beginning; what is wrong with the spec, if it can't be used.
    pub fn new(spec: &StreamSpec) -> Result<Self, SpecError> {
        spec.check()?;
        Ok(Stream {
            shared: Shared {
                spec: spec.clone(),
                sent: 0,
                ends: BTreeMap::new(),
                answered: VecDeque::new(),
            },
            names: Names::new(spec.workers),
            seats: BTreeMap::new(),
            closing: None,
        })
    }
}

impl Shared {
    fn inputs(&self) -> Vec<String> {
        (0..self.spec.partitions)
            .map(|number| format!("in{number}"))
            .collect()
    }

    /// Every partition.
    fn partitions(&self) -> Vec<String> {
        let mut all = self.inputs();
        if self.spec.workers > 0 {
            all.extend((0..self.spec.partitions).map(|number| format!("out{number}")));
        }
        all
    }

    /// What a poll shows: partitions end behind that at least.
    fn polled(&mut self, result: &Value) {
        for (partition, offset) in step::polled(result) {
            let end = self.ends.entry(partition).or_default();
            *end = (offset + 1).max(*end);
        }
    }

    /// Keeps a send that was answered.
    fn answered(&mut self, op: &Op) {
        if self.spec.replay > 0.0 {
            self.answered.truncate(ANSWERED_MAX - 1);
            self.answered.push_front(op.value.clone());
        }
    }
}

/// An operation with these steps.
fn op(f: &'static str, steps: &[Step]) -> Op {
    Op {
        f,
        key: None,
        value: step::value(steps),
        idempotent: f == "poll",
    }
}

fn init(name: Name) -> Op {
    op("init", &[Step::Init(name.to_string())])
}

/// The epoch of the session that an `init` began.
fn epoch(result: &Value) -> Option<u64> {
    result.get(0)?.get(2)?.as_u64()
}

impl Workload for Stream {
    fn next(&mut self, process: u64, rng: &mut ChaCha12Rng) -> Op {
        let names = &mut self.names;
        let seat = (self.seats.entry(process)).or_insert_with(|| Seat::new(names.take(process)));
        if let Some(name) = names.take_over(process, seat.name) {
            *seat = Seat::new(name);
        }
        let Some(producer) = &seat.producer else {
            return init(seat.name);
        };
        match &mut seat.role {
            Role::Sender(sender) => sender.next(producer, &mut self.shared, rng),
            Role::Worker(worker) => {
                let (op, stalls) = worker.next(process, producer, &mut self.shared, rng);
                if stalls {
                    names.leave(process, seat.name);
                }
                op
            }
        }
    }

    fn observe(&mut self, process: u64, op: &Op, result: &Value) {
        self.shared.polled(result);
        if let Some(closing) = &mut self.closing {
            closing.observe(process, op, result);
            return;
        }
        let Some(seat) = self.seats.get_mut(&process) else {
            return;
        };
        match op.f {
            "init" => seat.producer = epoch(result).map(|epoch| Producer::new(seat.name, epoch)),
            "send" => self.shared.answered(op),
            _ => {}
        }
        if let Some(producer) = &mut seat.producer {
            producer.done(op);
        }
        match &mut seat.role {
            Role::Sender(sender) => sender.observe(op, result),
            Role::Worker(worker) => worker.observe(op, result),
        }
    }

    /// Of a session in which something failed nobody knows which sequence is next: another one is begun.
    fn unanswered(&mut self, process: u64, op: &Op, outcome: EventType) {
        if let Some(closing) = &mut self.closing {
            if outcome == EventType::Info {
                closing.lost(process);
            }
            return;
        }
        let Some(seat) = self.seats.get_mut(&process) else {
            return;
        };
        if outcome != EventType::Fail || self.names.is_zombie(process, seat.name) {
            self.names.leave(process, seat.name);
            self.seats.remove(&process);
            return;
        }
        if matches!(op.f, "send" | "txn") {
            seat.producer = None;
        }
        if let Role::Worker(worker) = &mut seat.role {
            *worker = Worker::default();
        }
    }

    fn final_ops(&mut self) -> Vec<Op> {
        Vec::new()
    }

    fn closing(&mut self, process: u64) -> Option<Op> {
        let begin = || Closing::new(self.names.used(), self.shared.partitions());
        self.closing.get_or_insert_with(begin).next(process)
    }
}

/// What a process holds for so long.
fn hold(process: u64, ms: u64) -> Op {
    Op {
        f: super::HOLD,
        key: None,
        value: json!({"holder": process, "ms": ms}),
        idempotent: true,
    }
}

#[cfg(test)]
mod tests;
