//! One session of a producer: which sequence and which transaction is next.

use serde_json::Value;

use super::names::Name;
use super::op;
use super::step::{Offsets, Session, Step};
use crate::op::Op;

#[derive(Debug)]
pub(super) struct Producer {
    pub name: Name,
    pub epoch: u64,
    sequence: u64,
    txn: u64,
    /// How the last transaction ended, if it was committed.
    committed: Option<Step>,
}

/// How a transaction ends.
pub(super) struct End {
    /// The offsets that go with it.
    pub offsets: Option<Offsets>,
    /// It is aborted.
    pub abort: bool,
    /// The commit of the one before comes again in its midst.
    pub late: bool,
}

impl Producer {
    pub fn new(name: Name, epoch: u64) -> Self {
        Producer {
            name,
            epoch,
            sequence: 0,
            txn: 0,
            committed: None,
        }
    }

    fn session(&self, txn: Option<u64>) -> Step {
        Step::As(Session {
            producer: self.name.to_string(),
            epoch: self.epoch,
            sequence: self.sequence,
            txn,
        })
    }

    /// Sends one message.
    pub fn send(&self, partition: String, message: Value) -> Op {
        op("send", &[self.session(None), Step::Send(partition, message)])
    }

    /// Sends messages as one transaction.
    pub fn txn(&self, messages: Vec<(String, Value)>, end: End) -> Op {
        let mut steps = vec![self.session(Some(self.txn + 1))];
        steps.extend((messages.into_iter()).map(|(partition, message)| Step::Send(partition, message)));
        steps.extend(self.committed.clone().filter(|_| end.late));
        steps.push(match end.abort {
            true => Step::Abort,
            false => Step::Commit(end.offsets),
        });
        op("txn", &steps)
    }

    /// Takes note of what ended `ok`.
    pub fn done(&mut self, op: &Op) {
        if !matches!(op.f, "send" | "txn") {
            return;
        }
        for step in Step::all(&op.value).into_iter().flatten() {
            match step {
                Step::Send(..) => self.sequence += 1,
                Step::Commit(offsets) => {
                    self.txn += 1;
                    self.committed = Some(Step::CommitAgain(self.txn, offsets));
                }
                _ => {}
            }
        }
    }
}
