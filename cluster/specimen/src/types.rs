//! What is replicated: commands, how they are grouped into log entries, and what they answer.
//!
//! A log entry holds a [`Batch`]: the commands that waited while the entry before it was on its way. One entry
//! costs one sync of the log on every node, however many commands it holds.
//!
//! ```json
//! {"commands":[{"op":{"cas":{"key":"x","old":7,"new":8}},"token":{"client":"c3","seq":19}}]}
//! ```

use std::sync::{Arc, OnceLock};

use openraft::LogId;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::queues::Lent;
use crate::streams::op::{Declined, StreamOp, StreamReply};

/// How a node is numbered in the protocol; people see names.
pub type NodeId = u64;

openraft::declare_raft_types!(
    /// The types that the consensus works with.
    pub TypeConfig:
        D = Batch,
        R = Vec<Reply>,
        NodeId = NodeId,
        Node = Member,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = Vec<u8>,
        AsyncRuntime = openraft::TokioRuntime,
        Responder = openraft::impls::OneshotResponder<TypeConfig>,
);

/// The consensus of this store.
pub type Raft = openraft::Raft<TypeConfig>;
/// A position in the log, with the leader that proposed it.
pub type LogPosition = LogId<NodeId>;
/// A vote of this store's consensus.
pub type Vote = openraft::Vote<NodeId>;
/// A failure of log or state on disk.
pub type StorageError = openraft::StorageError<NodeId>;
/// What a snapshot covers.
pub type SnapshotMeta = openraft::SnapshotMeta<NodeId, Member>;
/// The configuration in force, and where in the log it was decided.
pub type StoredMembership = openraft::StoredMembership<NodeId, Member>;

/// A node as the configuration knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The name that people use, e.g. `n1`.
    pub name: String,
    /// Where it listens, e.g. `10.77.0.11:8080`.
    pub address: String,
}

/// A JSON value without structure; `null` stands for absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
pub struct Scalar(serde_json::Value);

impl Scalar {
    /// The value of an absent key.
    pub const ABSENT: Scalar = Scalar(serde_json::Value::Null);

    /// Whether this stands for an absent key.
    pub fn is_absent(&self) -> bool {
        self.0.is_null()
    }
}

/// An array or an object where a scalar belongs.
#[derive(Debug, thiserror::Error)]
#[error("a value must be a JSON scalar: null, true, false, a number or a string")]
pub struct NotScalar;

impl TryFrom<serde_json::Value> for Scalar {
    type Error = NotScalar;

    fn try_from(value: serde_json::Value) -> Result<Self, NotScalar> {
        if value.is_array() || value.is_object() {
            Err(NotScalar)
        } else {
            Ok(Self(value))
        }
    }
}

impl From<Scalar> for serde_json::Value {
    fn from(value: Scalar) -> Self {
        value.0
    }
}

impl From<i64> for Scalar {
    fn from(value: i64) -> Self {
        Self(value.into())
    }
}

/// What a client wants done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Set `key` to `value`.
    Put {
        /// Whose value is set.
        key: String,
        /// What it becomes.
        value: Scalar,
    },
    /// Forget `key`.
    Delete {
        /// What is forgotten.
        key: String,
    },
    /// Set `key` to `new` if it is `old`.
    Cas {
        /// Whose value is compared and set.
        key: String,
        /// What it must be.
        old: Scalar,
        /// What it becomes.
        new: Scalar,
    },
    /// Lend `lock` to `owner`, if nobody has it.
    Acquire {
        /// What is lent.
        lock: String,
        /// To whom.
        owner: Scalar,
        /// For how long, unless it is released before; counted by whoever leads.
        ttl_ms: u64,
    },
    /// Take `lock` back from `owner`, who is done with it.
    Release {
        /// What was lent.
        lock: String,
        /// To whom.
        owner: Scalar,
    },
    /// Take `lock` back, if it is still lent as it was: its time is over.
    Expire {
        /// What was lent.
        lock: String,
        /// Number of that grant.
        grant: u64,
    },
    /// Put `value` at the end of `queue`, if that has fewer than `max` messages.
    Enqueue {
        /// Where it goes.
        queue: String,
        /// The message.
        value: Scalar,
        /// How many messages the queue may have, lent ones included.
        max: u64,
    },
    /// Lend the first message of `queue`.
    Dequeue {
        /// Where it comes from.
        queue: String,
        /// For how long, unless it is acknowledged or given back before; counted by whoever leads.
        lease_ms: u64,
    },
    /// Forget a message: its consumer is done with it.
    Ack {
        /// Where it came from.
        queue: String,
        /// What it was lent under.
        receipt: u64,
    },
    /// Take a message back from its consumer, who gives it up.
    Nack {
        /// Where it came from.
        queue: String,
        /// What it was lent under.
        receipt: u64,
    },
    /// Take messages back that are still lent under these receipts: their time is over.
    Lapse {
        /// Where they came from.
        queue: String,
        /// What they were lent under.
        receipts: Vec<u64>,
    },
    /// Change the streams.
    Stream(StreamOp),
}

/// Says that two requests are the same one: the client's name and its request number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The client; it has one request outstanding.
    pub client: String,
    /// Counts up by request; a retry carries the same number.
    pub seq: u64,
}

/// An operation, and the token that makes it idempotent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// What is to be done.
    pub op: Op,
    /// Without one, a retry is a new request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub token: Option<Token>,
}

/// What a command came to. The state machine remembers it for retries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// A put or a delete took effect at this log index.
    Written(u64),
    /// A cas was decided at this log index.
    Cas {
        /// Whether the value was the old one and has been replaced.
        swapped: bool,
        /// The log index that decided.
        index: u64,
    },
    /// A lock was lent or taken back, or it was not, at this log index.
    Lock {
        /// Whether it was.
        done: bool,
        /// The log index that decided.
        index: u64,
    },
    /// A message was put into a queue, or found no room, at this log index.
    Enqueued {
        /// Whether it was.
        done: bool,
        /// The log index that decided.
        index: u64,
    },
    /// A message was lent, or there was none, at this log index.
    Dequeued {
        /// What was lent.
        #[serde(flatten)]
        lent: Lent,
        /// The log index that decided.
        index: u64,
    },
    /// A message was acknowledged or taken back at this log index, or was not lent under this receipt any more.
    Settled {
        /// Whether it was.
        done: bool,
        /// The log index that decided.
        index: u64,
    },
    /// The streams were changed.
    Stream(StreamReply),
    /// The streams were not changed.
    Declined(Declined),
    /// The client has already sent a later request: refused, and never applied.
    StaleSeq {
        /// The latest request of that client.
        last: u64,
    },
}

impl Reply {
    /// Whether the command changed nothing, for a reason that may pass.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Reply::Enqueued { done: false, .. } | Reply::Declined(_))
    }
}

/// The commands of one log entry, and (at the proposing node only) the word that the log has them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Batch {
    /// In the order in which they are applied.
    pub commands: Vec<Command>,
    /// Set by the log of the node that proposed this batch; it never travels.
    #[serde(skip)]
    pub logged: Option<Arc<Logged>>,
}

/// Tells the proposer of a batch whether, where and when its own log took it.
///
/// A proposal that was refused and never came as far as the log provably did not happen; one that did may
/// still be committed by a later leader, whatever this node is told.
#[derive(Debug, Default)]
pub struct Logged {
    index: OnceLock<u64>,
    durable: Notify,
}

impl Logged {
    /// The log is about to write the batch at `index`.
    pub fn taken(&self, index: u64) {
        let _ = self.index.set(index);
    }

    /// The batch is on disk.
    pub fn durable(&self) {
        self.durable.notify_one();
    }

    /// Where the log took the batch, if it did.
    pub fn index(&self) -> Option<u64> {
        self.index.get().copied()
    }

    /// Resolves when the batch is on this node's disk.
    pub async fn wait_durable(&self) {
        self.durable.notified().await;
    }
}
