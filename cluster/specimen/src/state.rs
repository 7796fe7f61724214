//! The state machine, as a plain value: keys, sessions, and the one function that changes them.
//!
//! Every replica applies the same commands in the same order and so holds the same [`State`]. The session
//! table is part of it: see [`crate::sessions`]. So are [queues](crate::queues) and [streams](crate::streams).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::defect::{Defect, Defects};
use crate::queues::Queues;
use crate::sessions::{Known, Sessions};
use crate::streams::Streams;
use crate::types::{Command, Op, Reply, Scalar};

/// What every replica agrees on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    keys: BTreeMap<String, Scalar>,
    sessions: Sessions,
    /// Locks that are lent.
    locks: BTreeMap<String, Grant>,
    /// How many were lent so far.
    grants: u64,
    queues: Queues,
    streams: Streams,
    /// Those of this node.
    #[serde(skip)]
    defects: Defects,
}

/// A lock that is lent. When its time is over is for the leader to say: see [`crate::locks`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// Counts up by grant.
    pub number: u64,
    /// To whom it is lent.
    pub owner: Scalar,
    /// For how long.
    pub ttl_ms: u64,
}

impl State {
    /// Nothing, on a node with these defects.
    pub fn new(defects: &Defects) -> Self {
        State {
            defects: defects.clone(),
            ..State::default()
        }
    }

    /// The value of `key`; absent keys have [`Scalar::ABSENT`].
    pub fn get(&self, key: &str) -> Scalar {
        self.keys.get(key).cloned().unwrap_or(Scalar::ABSENT)
    }

    /// The locks that are lent, by name.
    pub fn locks(&self) -> impl Iterator<Item = (&String, &Grant)> {
        self.locks.iter()
    }

    /// The queues.
    pub fn queues(&self) -> &Queues {
        &self.queues
    }

    /// The streams.
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Applies `command`, which the log holds at `index`.
    pub fn apply(&mut self, index: u64, command: &Command) -> Reply {
        let Some(token) = &command.token else {
            return self.run(index, &command.op);
        };
        match self.sessions.known(token) {
            Known::Ran(reply) => {
                self.was_tried_again(&command.op);
                return reply;
            }
            Known::Stale(_) if self.defects.has(Defect::AcceptsReplayed) => {
                self.defects.diverged(Defect::AcceptsReplayed);
                return self.run(index, &command.op);
            }
            Known::Stale(last) => return Reply::StaleSeq { last },
            Known::No => {}
        }
        if self.sessions.has_forgotten(token) {
            let forgetful = [Defect::DedupLostInSnapshot, Defect::DedupWindowTooShort];
            let on = forgetful.into_iter().filter(|defect| self.defects.has(*defect));
            on.for_each(|defect| self.defects.diverged(defect));
        }
        let reply = self.run(index, &command.op);
        // What was refused has not run, and may when it is tried again.
        if !reply.is_refusal() {
            self.sessions.remember(token, reply.clone(), &self.defects);
        }
        reply
    }

    /// A request that has run came once more.
    fn was_tried_again(&mut self, op: &Op) {
        if self.defects.has(Defect::ReordersOnRetry)
            && let Op::Enqueue { queue, value, .. } = op
            && self.queues.move_to_head(queue, value)
        {
            self.defects.diverged(Defect::ReordersOnRetry);
        }
    }

    /// Applies `command` whatever the session table says; whether that should have kept it from running.
    pub(crate) fn apply_again(&mut self, index: u64, command: &Command) -> (Reply, bool) {
        let reply = self.run(index, &command.op);
        let Some(token) = &command.token else {
            return (reply, false);
        };
        let again = !matches!(self.sessions.known(token), Known::No);
        if !again && !reply.is_refusal() {
            self.sessions.remember(token, reply.clone(), &self.defects);
        }
        (reply, again)
    }

    /// Applies `op` without asking or telling the session table.
    pub(crate) fn run(&mut self, index: u64, op: &Op) -> Reply {
        match op {
            Op::Put { key, value } => {
                self.set(key, value.clone());
                Reply::Written(index)
            }
            Op::Delete { key } => {
                self.keys.remove(key);
                Reply::Written(index)
            }
            Op::Cas { key, old, new } => {
                let swapped = self.get(key) == *old;
                if swapped {
                    self.set(key, new.clone());
                }
                Reply::Cas { swapped, index }
            }
            Op::Acquire { lock, owner, ttl_ms } => {
                let done = !self.locks.contains_key(lock);
                if done {
                    self.grants += 1;
                    let grant = Grant {
                        number: self.grants,
                        owner: owner.clone(),
                        ttl_ms: *ttl_ms,
                    };
                    self.locks.insert(lock.clone(), grant);
                }
                Reply::Lock { done, index }
            }
            Op::Release { lock, owner } => {
                let is = |grant: &Grant| grant.owner == *owner;
                self.take_back(index, lock, is)
            }
            Op::Expire { lock, grant } => {
                let is = |lent: &Grant| lent.number == *grant;
                self.take_back(index, lock, is)
            }
            Op::Enqueue { queue, value, max } => {
                self.queues.enqueue(index, queue, value, *max, &self.defects)
            }
            Op::Dequeue { queue, lease_ms } => self.queues.dequeue(index, queue, *lease_ms),
            Op::Ack { queue, receipt } => self.queues.ack(index, queue, *receipt, &self.defects),
            Op::Nack { queue, receipt } => self.queues.nack(index, queue, *receipt),
            Op::Lapse { queue, receipts } => self.queues.lapse(index, queue, receipts, &self.defects),
            Op::Stream(op) => match self.streams.apply(index, op, &self.defects) {
                Ok(reply) => Reply::Stream(reply),
                Err(declined) => Reply::Declined(declined),
            },
        }
    }

    /// Takes a lock back, if it `is` lent as is said.
    fn take_back(&mut self, index: u64, lock: &str, is: impl Fn(&Grant) -> bool) -> Reply {
        let done = self.locks.get(lock).is_some_and(is);
        if done {
            self.locks.remove(lock);
        }
        Reply::Lock { done, index }
    }

    fn set(&mut self, key: &str, value: Scalar) {
        if value.is_absent() {
            self.keys.remove(key);
        } else {
            self.keys.insert(key.to_owned(), value);
        }
    }

    /// The bytes that a snapshot holds.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// The state that [`State::encode`] wrote, on a node with these defects.
    pub fn decode(bytes: &[u8], defects: &Defects) -> Result<Self, serde_json::Error> {
        let mut state: State = serde_json::from_slice(bytes)?;
        state.sessions.restore(defects);
        state.defects = defects.clone();
        Ok(state)
    }

    /// Adds the keys of `other`, which win; everything else of `other` replaces what is here. Whether there was a key that `other`
    /// does not have.
    pub(crate) fn merge(&mut self, other: State) -> bool {
        let mut keys = std::mem::take(&mut self.keys);
        let revived = keys.keys().any(|key| !other.keys.contains_key(key));
        keys.extend(other.keys);
        *self = State {
            keys,
            ..State {
                keys: BTreeMap::new(),
                ..other
            }
        };
        revived
    }
}

#[cfg(test)]
mod tests;
