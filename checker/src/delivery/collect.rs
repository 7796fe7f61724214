//! From operations to a [`Journal`]: each is read once, and forgotten.
//!
//! A history that is at hand comes as paired operations ([`Collector::operation`]); one that is read line by line as events
//! ([`Collector::event`]), of which no more is kept than what is open.

use serde_json::Value;

use super::journal::{Journal, NONE, Request, Shape, TouchKind, Upsets};
use super::micro;
use crate::history::values::FastMap;
use crate::history::{Event, EventType, HistoryError, Operation, Process, Val, jsonl, matches, shortened};

/// The field of an `enqueue` or a `send` with what its messages are ordered by.
pub const ORDERING_KEY_FIELD: &str = "ordering_key";
/// The field of a `dequeue` that says for how many milliseconds its message is the consumer's alone.
pub const LEASE_FIELD: &str = "lease_ms";
/// The field of a `dequeue` that found nothing: how many messages of the queue were lent to others then. With 0 it is empty.
pub const LENT_FIELD: &str = "lent";
/// The `error` of a `dequeue` that failed since the queue was empty, as Jepsen's queue tests have it.
const EMPTY: &str = "empty";
/// So many requests are numbered, and so many things that they did.
const NUMBERED_MAX: u64 = u32::MAX as u64 - 1;

/// Why operations can't be read as deliveries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// The history itself is wrong.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// An operation that is none of a queue, a stream or effects.
    #[error(
        "event {index}: {f} is no operation of a queue (enqueue, dequeue, ack, nack, drain), of a stream (send, poll, txn, commit, \
         assign, subscribe, init, replay) or on effects (add, increment, decrement, append, read)"
    )]
    Function {
        /// Index of the invocation.
        index: u64,
        /// What was asked.
        f: String,
    },
    /// An operation of another shape than those before.
    #[error("event {index}: {f} is an operation of another kind of system than those before it")]
    Mixed {
        /// Index of the invocation.
        index: u64,
        /// What was asked.
        f: String,
    },
    /// A value that such an operation can't have.
    #[error("event {index}: {reason}")]
    Value {
        /// Index of the event.
        index: u64,
        /// What is wrong.
        reason: String,
    },
    /// More than is numbered.
    #[error("the history has more than {max} operations on messages: check it in parts")]
    TooLong {
        /// How many there may be.
        max: u64,
    },
}

/// Reads operations one by one.
#[derive(Default)]
pub struct Collector {
    pub(super) journal: Journal,
    /// What each process has begun.
    pub(super) open: FastMap<u64, Begun>,
    /// Index of the last event.
    pub(super) last: Option<u64>,
    /// Room for lines, to be used again.
    pub(super) spare: Vec<Vec<u8>>,
}

/// An operation that has begun.
pub(super) enum Begun {
    Event(Event),
    /// As the [usual](super::lines) line that it is.
    Line(Vec<u8>),
}

impl Begun {
    fn event(self) -> Result<Event, DeliveryError> {
        match self {
            Begun::Event(event) => Ok(event),
            // What is usual is an event.
            Begun::Line(text) => {
                jsonl::parse_event(&text).map_err(|reason| DeliveryError::Value { index: 0, reason })
            }
        }
    }
}

impl Collector {
    /// Takes the next event of a history, in its order.
    pub fn event(&mut self, event: Event) -> Result<(), DeliveryError> {
        let index = event.index;
        if let Some(before) = self.last.filter(|&before| before >= index) {
            return Err(HistoryError::Unordered { index, before }.into());
        }
        self.last = Some(index);
        let Process::Client(process) = event.process else {
            return Ok(());
        };
        if event.kind == EventType::Invoke {
            return match self.open.insert(process, Begun::Event(event)) {
                Some(left) => self.add(process, &left.event()?, None),
                None => Ok(()),
            };
        }
        let invoke = self.open.remove(&process);
        let invoke = invoke
            .ok_or(HistoryError::Unmatched { index, process })?
            .event()?;
        matches(&invoke, &event)?;
        self.add(process, &invoke, Some(&event))
    }

    /// Takes an operation.
    pub fn operation(&mut self, operation: &Operation<'_>) -> Result<(), DeliveryError> {
        self.add(operation.process, operation.invoke, operation.completion)
    }

    /// Bytes of memory that it takes, about.
    pub fn bytes(&self) -> usize {
        self.journal.bytes()
    }

    /// All that was read. What is still open is of unknown outcome.
    pub fn finish(mut self) -> Result<Journal, DeliveryError> {
        let mut open: Vec<(u64, Event)> = Vec::new();
        for (process, begun) in std::mem::take(&mut self.open) {
            open.push((process, begun.event()?));
        }
        open.sort_by_key(|(_, event)| event.index);
        for (process, invoke) in open {
            self.add(process, &invoke, None)?;
        }
        Ok(self.journal)
    }

    /// Whether there is no more room.
    pub(super) fn is_full(&self) -> bool {
        self.journal.requests.len().max(self.journal.touches.len()) as u64 >= NUMBERED_MAX
    }

    fn add(&mut self, process: u64, invoke: &Event, completion: Option<&Event>) -> Result<(), DeliveryError> {
        if self.is_full() {
            return Err(DeliveryError::TooLong { max: NUMBERED_MAX });
        }
        let Some(shape) = shape(&invoke.f) else {
            // Jepsen's Kafka tests crash clients and ask for positions, consumers hold what they have: that touches no message.
            if matches!(invoke.f.as_str(), "crash" | "debug-topic-partitions" | "hold") {
                return Ok(());
            }
            return Err(DeliveryError::Function {
                index: invoke.index,
                f: shortened(&invoke.f),
            });
        };
        if self.journal.shape.is_some_and(|before| before != shape) {
            return Err(DeliveryError::Mixed {
                index: invoke.index,
                f: shortened(&invoke.f),
            });
        }
        self.journal.shape = Some(shape);
        let operation = Operation {
            process,
            invoke,
            completion,
        };
        let producer = self.journal.producer(operation.token(), process);
        self.journal.requests.push(Request {
            index: invoke.index,
            end: completion.map_or(NONE, |end| end.index),
            invoked: invoke.time,
            ended: completion.map_or(NONE, |end| end.time),
            process,
            outcome: operation.outcome(),
            attempts: u16::try_from(
                operation
                    .attempts()
                    .iter()
                    .filter(|attempt| !attempt.refused)
                    .count(),
            )
            .unwrap_or(u16::MAX),
            sent_again: false,
            producer,
        });
        let mut touching = Touching {
            journal: &mut self.journal,
            operation,
        };
        match shape {
            Shape::Queue => touching.queue(),
            Shape::Stream => micro::read(&mut touching),
            Shape::Effects => touching.effect(),
        }
        .map_err(|reason| DeliveryError::Value {
            index: completion.map_or(invoke.index, |end| end.index),
            reason,
        })
    }
}

fn shape(f: &str) -> Option<Shape> {
    match f {
        "enqueue" | "dequeue" | "ack" | "nack" | "drain" => Some(Shape::Queue),
        "send" | "poll" | "txn" | "assign" | "subscribe" | "init" | "commit" | "replay" => {
            Some(Shape::Stream)
        }
        "add" | "inc" | "increment" | "dec" | "decrement" | "append" | "read" => Some(Shape::Effects),
        _ => None,
    }
}

/// The request that is being read.
pub(super) struct Touching<'a, 'e> {
    journal: &'a mut Journal,
    pub operation: Operation<'e>,
}

impl Touching<'_, '_> {
    /// Notes what the request did.
    pub fn note(&mut self, kind: TouchKind, stream: Val, value: Val, key: Val, at: u64) {
        self.journal.note(kind, stream, value, key, at);
    }

    /// The position of the request in the journal.
    pub fn request(&self) -> u32 {
        self.journal.requests.len() as u32 - 1
    }

    /// What may have upset streams.
    pub fn upsets(&mut self) -> &mut Upsets {
        &mut self.journal.upsets
    }

    /// The name of a value.
    pub fn value(&mut self, value: &Value) -> Val {
        self.journal.values.intern(value)
    }

    /// The name of a partition. Keys of JSON objects are texts, so all are.
    pub fn partition(&mut self, key: &Value) -> Val {
        match key {
            Value::String(text) => self.journal.values.text(text),
            other => self.journal.values.text(&other.to_string()),
        }
    }

    /// What the messages of the request are ordered by.
    pub fn ordering_key(&mut self) -> Val {
        let Operation {
            invoke, completion, ..
        } = self.operation;
        let given = invoke.extra.get(ORDERING_KEY_FIELD);
        match given.or_else(|| completion?.extra.get(ORDERING_KEY_FIELD)) {
            Some(key) => self.journal.values.intern(key),
            None => Val::NONE,
        }
    }

    fn queue(&mut self) -> Result<(), String> {
        let Operation {
            invoke, completion, ..
        } = self.operation;
        let queue = match &invoke.key {
            Some(key) => self.value(key),
            None => Val::NONE,
        };
        let outcome = self.operation.outcome();
        // What a completion of unknown outcome says was received, was.
        let received = completion.map_or(&Value::Null, |end| &end.value);
        match (invoke.f.as_str(), outcome) {
            ("enqueue", _) => {
                let (message, key) = (self.value(&invoke.value), self.ordering_key());
                self.note(TouchKind::Send, queue, message, key, NONE);
            }
            ("ack" | "nack", _) => {
                let kind = if invoke.f == "ack" {
                    TouchKind::Ack
                } else {
                    TouchKind::Nack
                };
                let message = self.value(&invoke.value);
                self.note(kind, queue, message, Val::NONE, NONE);
            }
            ("dequeue", EventType::Fail) => {
                let empty = completion.and_then(|end| end.error.as_deref()) == Some(EMPTY);
                if empty {
                    self.note(TouchKind::Empty, queue, Val::NIL, Val::NONE, NONE);
                }
            }
            ("dequeue", EventType::Ok) if received.is_null() => {
                let lent = completion.and_then(|end| end.extra.get(LENT_FIELD)?.as_u64());
                let at = lent.filter(|lent| *lent == 0).unwrap_or(NONE);
                self.note(TouchKind::Empty, queue, Val::NIL, Val::NONE, at);
            }
            ("dequeue", EventType::Ok) => {
                let message = self.value(received);
                let lease =
                    completion.and_then(|end| Some((end.time, end.extra.get(LEASE_FIELD)?.as_u64()?)));
                let until = lease.map_or(NONE, |(time, ms)| {
                    time.saturating_add(ms.saturating_mul(1_000_000))
                });
                self.note(TouchKind::Receive, queue, message, Val::NONE, until);
            }
            ("dequeue", _) => {
                let lease = completion.and_then(|end| end.extra.get(LEASE_FIELD)?.as_u64());
                let at = lease.map_or(NONE, |_| 0);
                self.note(TouchKind::Take, queue, Val::NIL, Val::NONE, at);
            }
            (_, EventType::Fail) => {}
            (_, outcome) => {
                let received = match received {
                    Value::Array(received) => received.as_slice(),
                    Value::Null => &[],
                    other => {
                        return Err(format!(
                            "drain takes a list out, not {}",
                            shortened(&other.to_string())
                        ));
                    }
                };
                for message in received {
                    let message = self.value(message);
                    self.note(TouchKind::Receive, queue, message, Val::NONE, NONE);
                }
                let end = match outcome {
                    EventType::Ok => TouchKind::Empty,
                    _ => TouchKind::TakeAll,
                };
                self.note(end, queue, Val::NIL, Val::NONE, NONE);
            }
        }
        Ok(())
    }

    fn effect(&mut self) -> Result<(), String> {
        let invoke = self.operation.invoke;
        let object = match &invoke.key {
            Some(key) => self.value(key),
            None => Val::NONE,
        };
        let by_one = |value: &Value| match value {
            Value::Null => Value::from(1),
            other => other.clone(),
        };
        match invoke.f.as_str() {
            "read" => {
                if let Some(end) = self.operation.ok() {
                    let state = self.value(&end.value);
                    self.note(TouchKind::State, object, state, Val::NONE, NONE);
                }
                return Ok(());
            }
            "dec" | "decrement" => {
                let amount = by_one(&invoke.value).as_i64().and_then(i64::checked_neg);
                let amount = amount.ok_or_else(|| format!("{} takes a whole number", invoke.f))?;
                let amount = self.value(&Value::from(amount));
                self.note(TouchKind::Effect, object, amount, Val::NONE, NONE);
            }
            "inc" | "increment" => {
                let amount = self.value(&by_one(&invoke.value));
                self.note(TouchKind::Effect, object, amount, Val::NONE, NONE);
            }
            _ => {
                let effect = self.value(&invoke.value);
                self.note(TouchKind::Effect, object, effect, Val::NONE, NONE);
            }
        }
        Ok(())
    }
}
