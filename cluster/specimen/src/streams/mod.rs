//! Streams, as part of the replicated state: partitions that messages are appended to, producers whose messages are there once, groups
//! of consumers that share partitions, and transactions that send and move a group forward at once.
//!
//! ```text
//! init p3                                              epoch 3
//! join g as c1 for in0                                 generation 4, in0 from 17
//! poll in0 from 17                                     (17, a), next 18
//! send to out, p3 epoch 3 sequence 0 txn 1             offset 31, which nobody is shown
//! commit p3 epoch 3 txn 1; g, generation 4, in0: 18    out 31 is shown, and whoever reads in0 next begins at 18
//! ```
//!
//! Every command is decided by the state alone, at its place in the log: sequences and epochs (`producer`), generations (`group`),
//! what is shown (`partition`). Only that something has lasted too long is for the leader to say, by [`StreamOp::Expire`]: see
//! [`crate::overdue`]. All is bounded; what finds no room is declined, and was never there.

mod group;
pub mod op;
mod partition;
mod producer;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::group::Group;
use self::op::{Declined, Origin, Overdue, Progress, Sent, StreamOp, StreamReply, TxnId};
use self::partition::Partitions;
pub use self::partition::Shown;
use self::producer::{Producer, Session, Settling};
use crate::defect::{Defect, Defects};

/// Producers, at most. None is ever forgotten: a late message of an old session must not find a new one under its epoch.
const PRODUCERS_MAX: usize = 4096;

/// Groups, at most.
const GROUPS_MAX: usize = 64;

type Answer = Result<StreamReply, Declined>;

/// All streams, with their producers and groups.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Streams {
    partitions: Partitions,
    producers: BTreeMap<String, Producer>,
    groups: BTreeMap<String, Group>,
    /// How many joins and messages there were so far. Each has a number, by which the leader tells what it watches.
    stamps: u64,
}

/// Something that the leader ends when it lasts too long.
#[derive(Debug, PartialEq)]
pub enum Watched<'a> {
    /// A membership that has not been renewed.
    Member {
        /// Of which group.
        group: &'a str,
        /// Whose.
        member: &'a str,
        /// How long it lasts unless it is renewed.
        session_ms: u64,
    },
    /// A transaction that is open.
    Transaction(TxnId),
}

impl Streams {
    /// Applies `op`, which the log holds at `index`.
    pub(crate) fn apply(&mut self, index: u64, op: &StreamOp, defects: &Defects) -> Answer {
        let done = match op {
            StreamOp::Init { producer } => return self.init(index, producer, defects),
            StreamOp::Send {
                partition,
                value,
                from,
                max,
            } => {
                let sent = self.send(index, partition, value, from.as_ref(), *max, defects)?;
                return Ok(StreamReply::Sent(sent));
            }
            StreamOp::Join {
                group,
                member,
                partitions,
                session_ms,
            } => {
                self.stamps += 1;
                let group = entry(&mut self.groups, group, GROUPS_MAX)?;
                let share = group.join(member, partitions, *session_ms, self.stamps)?;
                return Ok(StreamReply::Joined { share, index });
            }
            StreamOp::Commit {
                transaction,
                progress,
            } => return self.settle(index, transaction, true, progress.as_ref(), defects),
            StreamOp::Abort(transaction) => return self.settle(index, transaction, false, None, defects),
            StreamOp::Progress(progress) => {
                admits(&self.groups, progress)?;
                advance(&mut self.groups, progress);
                true
            }
            StreamOp::Leave { group, member } => {
                let group = self.groups.get_mut(group);
                group.is_some_and(|group| group.leave(member))
            }
            StreamOp::Expire(overdue) => {
                self.expire(index, overdue, defects);
                true
            }
        };
        Ok(StreamReply::Settled { done, index })
    }

    /// At most `max` messages of `partition` from an offset on, of those that may be shown.
    pub fn poll(&self, partition: &str, from: u64, max: usize) -> Shown {
        self.partitions.poll(partition, from, max)
    }

    /// Whether a transaction is known to have been committed.
    pub(crate) fn has_committed(&self, transaction: &TxnId) -> bool {
        let producer = self.producers.get(&transaction.producer);
        producer.is_some_and(|producer| producer.has_committed(transaction.epoch, transaction.txn))
    }

    /// Whether a group may be moved forward so.
    pub(crate) fn admits(&self, progress: &Progress) -> Result<(), Declined> {
        admits(&self.groups, progress)
    }

    /// Everything that the leader ends when it lasts too long, by its number. What is renewed gets another.
    pub fn watched(&self) -> impl Iterator<Item = (u64, Watched<'_>)> {
        let members = self
            .groups
            .iter()
            .flat_map(|(name, group)| members_of(name, group));
        let transactions = self.open().map(|(stamp, id)| (stamp, Watched::Transaction(id)));
        members.chain(transactions)
    }

    /// How much there is: `{"messages":120,"partitions":2,"producers":3,"groups":1,"members":2,"open":1}`; the last counts transactions.
    pub fn to_json(&self) -> Value {
        let (partitions, messages) = self.partitions.counts();
        json!({
            "messages": messages,
            "partitions": partitions,
            "producers": self.producers.len(),
            "groups": self.groups.len(),
            "members": self.groups.values().map(|group| group.members().len()).sum::<usize>(),
            "open": self.open().count(),
        })
    }

    /// Transactions that are open, by their numbers.
    fn open(&self) -> impl Iterator<Item = (u64, TxnId)> {
        let producers = self.producers.iter();
        producers.flat_map(|(name, producer)| open_of(name, producer))
    }

    fn init(&mut self, index: u64, producer: &str, defects: &Defects) -> Answer {
        let producer = entry(&mut self.producers, producer, PRODUCERS_MAX)?;
        if let Some(open) = producer.init(defects) {
            self.partitions.decide(&open.sent, false);
        }
        let epoch = producer.epoch();
        Ok(StreamReply::Began { epoch, index })
    }

    /// Appends a message, unless it is known as one that was appended before.
    fn send(
        &mut self,
        index: u64,
        partition: &str,
        value: &Value,
        from: Option<&Origin>,
        max: u64,
        defects: &Defects,
    ) -> Result<Sent, Declined> {
        let Some(origin) = from else {
            self.partitions.has_room(partition, max)?;
            let offset = self.partitions.append(partition, value.clone());
            return Ok(Sent { offset, index });
        };
        let session = session(&mut self.producers, &origin.producer, origin.epoch, defects)?;
        let first_answer = session.first_answer(origin.sequence);
        let replayed = defects.has(Defect::AcceptsReplayed) && first_answer == Err(Declined::Forgotten);
        if !replayed && let Some(sent) = first_answer? {
            return Ok(sent);
        }
        if let Some(txn) = origin.txn {
            session.admits(txn)?;
        }
        self.partitions.has_room(partition, max)?;
        let offset = self.partitions.append(partition, value.clone());
        let sent = Sent { offset, index };
        if replayed {
            defects.diverged(Defect::AcceptsReplayed);
        } else {
            session.sent(sent);
        }
        self.stamps += 1;
        if let Some(txn) = origin.txn
            && session.joins(txn, self.stamps, partition, offset)
        {
            self.partitions.begin(partition, offset);
        }
        Ok(sent)
    }

    /// Commits or aborts a transaction: what it has sent and what it says of its group, or nothing of both.
    fn settle(
        &mut self,
        index: u64,
        transaction: &TxnId,
        committed: bool,
        progress: Option<&Progress>,
        defects: &Defects,
    ) -> Answer {
        let TxnId { producer, epoch, txn } = transaction;
        let session = session(&mut self.producers, producer, *epoch, defects)?;
        let mut txn = *txn;
        if defects.has(Defect::LateCommitWins)
            && committed
            && let Some(open) = session.open().filter(|open| *open > txn)
        {
            defects.diverged(Defect::LateCommitWins);
            txn = open;
        }
        let open = match session.settling(txn, committed)? {
            Settling::Before(index) => return Ok(StreamReply::Settled { done: true, index }),
            Settling::Now(open) => open,
        };
        // Before anything is changed: it may be declined.
        if let Some(progress) = progress {
            admits(&self.groups, progress)?;
            advance(&mut self.groups, progress);
        }
        session.settled(txn, committed, index);
        self.partitions.decide(&open.sent, committed);
        Ok(StreamReply::Settled { done: true, index })
    }

    /// What has ended or been renewed meanwhile stays as it is.
    fn expire(&mut self, index: u64, overdue: &Overdue, defects: &Defects) {
        for (name, member, stamp) in &overdue.members {
            let Some(group) = self.groups.get_mut(name) else {
                continue;
            };
            if group
                .members()
                .get(member)
                .is_some_and(|member| member.stamp == *stamp)
            {
                group.leave(member);
            }
        }
        for transaction in &overdue.transactions {
            let _ = self.settle(index, transaction, false, None, defects);
        }
    }
}

/// What has this name, or is given it if there are fewer than `max`.
fn entry<'a, T: Default>(
    table: &'a mut BTreeMap<String, T>,
    name: &str,
    max: usize,
) -> Result<&'a mut T, Declined> {
    if table.len() >= max && !table.contains_key(name) {
        return Err(Declined::Full);
    }
    Ok(table.entry(name.to_owned()).or_default())
}

/// The session of a producer, which must be its current one.
fn session<'a>(
    producers: &'a mut BTreeMap<String, Producer>,
    name: &str,
    epoch: u64,
    defects: &Defects,
) -> Result<&'a mut Session, Declined> {
    let producer = producers.get_mut(name).ok_or(Declined::Fenced { epoch: 0 })?;
    producer.session(epoch, defects)
}

/// Whether `progress` may be noted.
fn admits(groups: &BTreeMap<String, Group>, progress: &Progress) -> Result<(), Declined> {
    let none = Declined::Rebalanced { generation: 0 };
    groups.get(&progress.group).ok_or(none)?.admits(progress)
}

/// Notes it.
fn advance(groups: &mut BTreeMap<String, Group>, progress: &Progress) {
    if let Some(group) = groups.get_mut(&progress.group) {
        group.advance(&progress.offsets);
    }
}

fn members_of<'a>(name: &'a str, group: &'a Group) -> impl Iterator<Item = (u64, Watched<'a>)> {
    group.members().iter().map(move |(member, it)| {
        let watched = Watched::Member {
            group: name,
            member,
            session_ms: it.session_ms,
        };
        (it.stamp, watched)
    })
}

fn open_of<'a>(name: &'a str, producer: &'a Producer) -> impl Iterator<Item = (u64, TxnId)> + 'a {
    producer.open().map(move |(epoch, open)| {
        let id = TxnId {
            producer: name.to_owned(),
            epoch,
            txn: open.txn,
        };
        (open.stamp, id)
    })
}
