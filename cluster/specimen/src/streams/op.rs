//! What is asked of streams, and what comes of it.
//!
//! ```json
//! {"send":{"partition":"in0","value":7,"from":{"producer":"p3","epoch":3,"sequence":17,"txn":5},"max":10000}}
//! {"sent":{"offset":31,"index":120}}
//! {"fenced":{"epoch":4}}
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A change of the streams.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamOp {
    /// Begin a new session of a producer, which ends the one before.
    Init {
        /// Whose.
        producer: String,
    },
    /// Append `value` to `partition`, if that has fewer than `max` messages.
    Send {
        /// Where it goes.
        partition: String,
        /// The message.
        value: Value,
        /// Without one, nobody's: a repeat is a new message.
        from: Option<Origin>,
        /// How many messages the partition may have, aborted ones included.
        max: u64,
    },
    /// Show what a transaction has sent, and move a group forward.
    Commit {
        /// Which one.
        transaction: TxnId,
        /// What was read for it.
        progress: Option<Progress>,
    },
    /// Drop what a transaction has sent.
    Abort(TxnId),
    /// Make `member` one of `group`, or renew its session.
    Join {
        /// Of what.
        group: String,
        /// Who.
        member: String,
        /// What it wants a share of.
        partitions: Vec<String>,
        /// How long it may be silent, counted by whoever leads.
        session_ms: u64,
    },
    /// Move a group forward.
    Progress(Progress),
    /// End a membership.
    Leave {
        /// Of what.
        group: String,
        /// Who.
        member: String,
    },
    /// End what has lasted too long, unless it has ended or been renewed meanwhile.
    Expire(Overdue),
}

/// Which message of which producer a message is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Who sends it.
    pub producer: String,
    /// In which session.
    pub epoch: u64,
    /// Counts up from 0 in a session, over all partitions.
    pub sequence: u64,
    /// The transaction that it belongs to.
    pub txn: Option<u64>,
}

/// A transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxnId {
    /// Whose.
    pub producer: String,
    /// In which session.
    pub epoch: u64,
    /// Counts up in a session.
    pub txn: u64,
}

/// How far a member of a group has read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Which group.
    pub group: String,
    /// What the member was told when it joined.
    pub generation: u64,
    /// Who.
    pub member: String,
    /// By partition: the next offset to read.
    pub offsets: BTreeMap<String, u64>,
}

/// What has lasted too long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overdue {
    /// Group and member, and the number of the join that was its last sign of life.
    pub members: Vec<(String, String, u64)>,
    /// Transactions that are still open.
    pub transactions: Vec<TxnId>,
}

/// What came of a change that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamReply {
    /// A session began.
    Began {
        /// Its number; those of earlier sessions are lower.
        epoch: u64,
        /// The log index that decided.
        index: u64,
    },
    /// A message was appended.
    Sent(Sent),
    /// A member has its share.
    Joined {
        /// Which share it is.
        #[serde(flatten)]
        share: Share,
        /// The log index that decided.
        index: u64,
    },
    /// A transaction, a group's progress or a membership was settled.
    Settled {
        /// Whether there was something to settle.
        done: bool,
        /// The log index that decided.
        index: u64,
    },
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Its offset in the partition.
    pub offset: u64,
    /// The log index that put it there.
    pub index: u64,
}

/// A member's share of its group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Counts up whenever members, or what they want, change.
    pub generation: u64,
    /// The partitions that are this member's alone.
    pub assigned: Vec<String>,
    /// By each of these: the next offset to read.
    pub offsets: BTreeMap<String, u64>,
}

/// Why a change was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Declined {
    /// The session is not the producer's current one.
    Fenced {
        /// The current one; 0 if it never had any.
        epoch: u64,
    },
    /// Messages before this one are missing.
    Gap {
        /// The sequence that is expected.
        next: u64,
    },
    /// It has been decided so long ago that nobody knows what came of it.
    Forgotten,
    /// Members have changed, or this is none of them.
    Rebalanced {
        /// The generation now.
        generation: u64,
    },
    /// The transaction has ended the other way, or its number has been passed.
    Over,
    /// Another transaction of the producer is open.
    Open {
        /// Its number.
        txn: u64,
    },
    /// There is no room.
    Full,
}
