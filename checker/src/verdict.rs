//! Verdicts: what can be said of a property, and why.

mod proof;

pub use proof::{
    AnomalyProof, ContentsProof, LifeProof, MemberProof, MessagesProof, MomentProof, Proof, StatusSpan,
    StatusesProof, TenureProof, TenuresProof,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::history::EventType;

/// What can be said of one property of one history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing in the history contradicts the property, and all of it was looked at.
    Held,
    /// The history contradicts the property.
    Violated {
        /// What proves it.
        witness: Witness,
    },
    /// The history could not be decided, or there is too little of it.
    Inconclusive {
        /// What stood in the way, and where one knows, what to do.
        reason: String,
    },
}

/// The verdict on one named property.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PropertyVerdict {
    /// Name of the property, e.g. `linearizable`.
    pub property: String,
    /// Held, violated or inconclusive.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// One line about how it was decided, e.g. `10 of 10 keys, 23,114 operations, 12 ms`.
    #[serde(default)]
    pub detail: String,
    /// Who decided it, where there are several ways.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decided_by: Vec<DecidedBy>,
}

/// One of the ways to decide a property, and what became of its answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DecidedBy {
    /// Its name, e.g. `direct` or `search`.
    pub path: String,
    /// Of how many objects its answer was taken.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub objects: u64,
    /// Of how many its answer did not stand up to being checked. That is a defect of the checker.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refuted: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A proof of a violation that a person can follow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Witness {
    /// One sentence, e.g. `read of "x" returned 3 after the write of 4 had been acknowledged`.
    pub summary: String,
    /// The object that it is about, where a history has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Value>,
    /// What proves it, and so what is shown.
    #[serde(default)]
    pub proof: Proof,
    /// The operations that prove it, in order of invocation; beside another [`Proof`] those that it came from.
    pub operations: Vec<WitnessOp>,
    /// False where the operations are not minimal, because the budget for minimising ran out.
    #[serde(default)]
    pub minimal: bool,
    /// How far the history of the object can be explained, where that was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<Box<Reached>>,
    /// Which weaker promises the whole history keeps instead, where that was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weaker: Option<Box<Weaker>>,
    /// When and where it happened and which faults were in force, in one sentence; empty where that is not known, as in
    /// a history from elsewhere.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub circumstances: String,
}

impl Witness {
    /// One without operations.
    pub(crate) fn of(proof: Proof, summary: String) -> Self {
        Witness {
            summary,
            proof,
            minimal: true,
            ..Witness::default()
        }
    }
}

/// What a history keeps that is not linearizable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Weaker {
    /// Promises that nothing contradicts, e.g. `causal`.
    pub kept: Vec<String>,
    /// Promises that it breaks.
    pub broken: Vec<String>,
    /// Promises of which it can't be said, each with the reason.
    pub undecided: Vec<String>,
    /// Reads that were looked at for staleness.
    pub reads: u64,
    /// How many of them returned a value that had certainly been replaced before they began.
    pub stale_reads: u64,
    /// How stale those were: half of them, 99 of a hundred, and all of them at most so much.
    pub staleness: Vec<StaleBy>,
    /// All of this in words.
    pub sentence: String,
}

/// How stale so many of the stale reads are at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StaleBy {
    /// Of a hundred.
    pub percent: u64,
    /// Nanoseconds from the completion of the first write that had replaced the value to the beginning of the read.
    pub nanos: u64,
    /// Writes that came after the value and before the read.
    pub versions: u64,
}

/// How far a history that is impossible as a whole can be explained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reached {
    /// Index of the completion with which the shortest impossible prefix ends.
    pub fails_at: u64,
    /// How many operations an order that explains everything before it has.
    pub ordered: u64,
    /// The last of that order, as they took effect.
    pub order: Vec<Ordered>,
    /// Operations that were open after it and are not in it, where taking effect would lead to more of the states.
    pub open: Vec<WitnessOp>,
    /// What the object may hold after it; there may be others.
    pub states: Vec<String>,
    /// The operation that completes there and fits no such order.
    pub failing: WitnessOp,
    /// All of this in a sentence.
    pub sentence: String,
}

/// One operation of an order that explains what was returned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ordered {
    /// The operation.
    #[serde(flatten)]
    pub operation: WitnessOp,
    /// When it may have taken effect, in nanoseconds since the run began: while it was open, and no earlier than any
    /// before it in the order.
    pub effect: u64,
}

/// One operation of a [`Witness`] or of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WitnessOp {
    /// Index of its invocation in the history.
    pub index: u64,
    /// Process that asked for it.
    pub process: u64,
    /// What was asked.
    pub f: String,
    /// Its arguments.
    #[serde(default)]
    pub value: Value,
    /// Its result, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// `ok`, `info`, or `fail` of one that was refused and so says what the object did not hold.
    pub outcome: EventType,
    /// Node that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Nanoseconds since the run began.
    pub invoked: u64,
    /// Nanoseconds since the run began; `None`: it never completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<u64>,
    /// What this operation contributes, e.g. `acknowledged before the read began`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What a checker may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Milliseconds of wall time.
    pub time_ms_max: u64,
    /// Bytes of memory for the search.
    pub memory_bytes_max: usize,
}

impl Default for Budget {
    /// 60 seconds and 2 GiB.
    fn default() -> Self {
        Budget {
            time_ms_max: 60_000,
            memory_bytes_max: 2 << 30,
        }
    }
}
