//! One producer: its current session, what that has sent, and how its transactions ended.
//!
//! ```text
//! init                                   epoch 3: epoch 2 is fenced, and what it had open is aborted
//! send epoch 3 sequence 0                offset 31
//! send epoch 3 sequence 0                offset 31: the first answer again
//! send epoch 3 sequence 2                declined: 1 is missing
//! send epoch 3 sequence 1 txn 1          offset 32, and transaction 1 is open
//! commit epoch 3 txn 1                   it is decided; a repeat gets the first answer, an abort is declined
//! ```
//!
//! Of a session the last [`WINDOW`] answers are kept, and as many decisions. What is older is declined as forgotten.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::op::{Declined, Sent};
use crate::defect::{Defect, Defects};

/// Answers, and decisions of transactions, that are kept of a session.
pub(super) const WINDOW: usize = 16;

/// With [`Defect::NoFencing`]: sessions that go on beside the current one.
const OLDER_MAX: usize = 8;

/// A producer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Producer {
    epoch: u64,
    session: Session,
    /// With [`Defect::NoFencing`]: earlier sessions.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    older: BTreeMap<u64, Session>,
}

/// What is known of a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Session {
    /// The sequence of the next message.
    next: u64,
    /// Those of the messages before it.
    answers: VecDeque<Sent>,
    open: Option<Open>,
    /// By number of the transaction.
    decided: BTreeMap<u64, Decision>,
}

/// A transaction that is open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Open {
    /// Its number in its session.
    pub txn: u64,
    /// Its number among all that is watched by the leader: see [`super::Watched`].
    pub stamp: u64,
    /// Offsets of what it has sent, by partition.
    pub sent: BTreeMap<String, Vec<u64>>,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Decision {
    committed: bool,
    /// The log index that decided.
    index: u64,
}

/// What has to be done to decide a transaction.
#[derive(Debug, PartialEq)]
pub(super) enum Settling {
    /// Nothing: it was decided at this index.
    Before(u64),
    /// This transaction ends, and has sent what it says.
    Now(Open),
}

impl Producer {
    /// Begins a new session; what the one before had open.
    pub fn init(&mut self, defects: &Defects) -> Option<Open> {
        let mut before = std::mem::take(&mut self.session);
        self.epoch += 1;
        if !defects.has(Defect::NoFencing) {
            return before.open.take();
        }
        self.older.insert(self.epoch - 1, before);
        if self.older.len() <= OLDER_MAX {
            return None;
        }
        self.older.pop_first().and_then(|(_, oldest)| oldest.open)
    }

    /// The current session.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The session of `epoch`, which must be the current one.
    pub fn session(&mut self, epoch: u64, defects: &Defects) -> Result<&mut Session, Declined> {
        if epoch == self.epoch {
            return Ok(&mut self.session);
        }
        let fenced = Declined::Fenced { epoch: self.epoch };
        let older = self.older.get_mut(&epoch).ok_or(fenced)?;
        defects.diverged(Defect::NoFencing);
        Ok(older)
    }

    /// Whether it is known that a transaction of the current session was committed.
    pub fn has_committed(&self, epoch: u64, txn: u64) -> bool {
        let decision = self.session.decided.get(&txn);
        epoch == self.epoch && decision.is_some_and(|decision| decision.committed)
    }

    /// Transactions that are open, with their epochs.
    pub fn open(&self) -> impl Iterator<Item = (u64, &Open)> {
        let current = std::iter::once((&self.epoch, &self.session));
        let sessions = self.older.iter().chain(current);
        sessions.filter_map(|(epoch, session)| Some((*epoch, session.open.as_ref()?)))
    }
}

impl Session {
    /// The first answer to the message with this sequence; none if it is the next one.
    pub fn first_answer(&self, sequence: u64) -> Result<Option<Sent>, Declined> {
        if sequence >= self.next {
            let is_next = sequence == self.next;
            return is_next.then_some(None).ok_or(Declined::Gap { next: self.next });
        }
        let back = usize::try_from(self.next - sequence).unwrap_or(usize::MAX);
        let at = self.answers.len().checked_sub(back);
        at.map(|at| Some(self.answers[at])).ok_or(Declined::Forgotten)
    }

    /// The next message was appended.
    pub fn sent(&mut self, sent: Sent) {
        self.next += 1;
        self.answers.push_back(sent);
        if self.answers.len() > WINDOW {
            self.answers.pop_front();
        }
    }

    /// The number of the transaction that is open.
    pub fn open(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.txn)
    }

    /// Whether a message may be sent in this transaction. The first one begins it.
    pub fn admits(&self, txn: u64) -> Result<(), Declined> {
        match &self.open {
            Some(open) if txn == open.txn => Ok(()),
            Some(open) if txn > open.txn => Err(Declined::Open { txn: open.txn }),
            None if self.is_new(txn) => Ok(()),
            _ => Err(Declined::Over),
        }
    }

    /// A message of a transaction that [`Session::admits`] it was appended. Whether it is the transaction's first in that partition.
    pub fn joins(&mut self, txn: u64, stamp: u64, partition: &str, offset: u64) -> bool {
        let open = self.open.get_or_insert_with(|| Open {
            txn,
            stamp,
            ..Open::default()
        });
        let sent = open.sent.entry(partition.to_owned()).or_default();
        sent.push(offset);
        sent.len() == 1
    }

    /// What it takes to commit or abort this transaction. Changes nothing.
    pub fn settling(&self, txn: u64, committed: bool) -> Result<Settling, Declined> {
        match (self.decided.get(&txn), &self.open) {
            (Some(before), _) if before.committed == committed => Ok(Settling::Before(before.index)),
            (Some(_), _) => Err(Declined::Over),
            (None, Some(open)) if txn == open.txn => Ok(Settling::Now(open.clone())),
            (None, Some(open)) if txn > open.txn => Err(Declined::Open { txn: open.txn }),
            (None, None) if self.is_new(txn) => Ok(Settling::Now(Open {
                txn,
                ..Open::default()
            })),
            (None, _) if self.is_forgotten(txn) => Err(Declined::Forgotten),
            (None, _) => Err(Declined::Over),
        }
    }

    /// The transaction has ended so.
    pub fn settled(&mut self, txn: u64, committed: bool, index: u64) {
        self.open = None;
        self.decided.insert(txn, Decision { committed, index });
        if self.decided.len() > WINDOW {
            self.decided.pop_first();
        }
    }

    /// Whether its number is beyond those of all that were decided.
    fn is_new(&self, txn: u64) -> bool {
        self.decided.last_key_value().is_none_or(|(last, _)| txn > *last)
    }

    /// Whether it may have been decided before all that are remembered.
    fn is_forgotten(&self, txn: u64) -> bool {
        self.decided.len() == WINDOW
            && self
                .decided
                .first_key_value()
                .is_some_and(|(first, _)| txn < *first)
    }
}
