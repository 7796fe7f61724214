//! What proves a violation, and so what is shown of it.
//!
//! ```text
//! operations   operations that contradict each other         linearizable, nothing-lost
//! contents     what each member holds, side by side          converged
//! statuses     what nodes said of themselves over time       one-leader-per-term, terms-never-go-back, recovers …
//! tenures      who counted on a lock, and for how long        mutual-exclusion
//! messages     what is wrong, how often, and single lives     at-most-once, at-least-once, exactly-once
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::history::Entry;

/// The kind of a proof, with what is peculiar to it. Operations stand in the [`Witness`](super::Witness) itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Proof {
    /// Operations that can't all have returned what they did.
    #[default]
    Operations,
    /// Members that ought to hold the same, and don't.
    Contents(ContentsProof),
    /// What nodes said of themselves.
    Statuses(StatusesProof),
    /// Spans of time in which processes counted on one lock.
    Tenures(TenuresProof),
    /// Messages that were lost, came twice, or came as they ought not to.
    Messages(MessagesProof),
}

/// What members hold of the keys in which they differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ContentsProof {
    /// The first keys that differ, those first whose values differ and not only their revisions.
    pub keys: Vec<String>,
    /// How many differ in all.
    pub differing: u64,
    /// Every member, in the order of the cluster.
    pub members: Vec<MemberProof>,
}

/// What one member holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MemberProof {
    /// Its node.
    pub node: String,
    /// Index of the log up to which it had applied it.
    pub applied: u64,
    /// Why its contents could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it holds under each of [`ContentsProof::keys`]; `None`: nothing.
    pub entries: Vec<Option<Entry>>,
}

/// What nodes said of themselves around the violation, in order of node and time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StatusesProof {
    /// Stretches of time in which a node said the same.
    pub spans: Vec<StatusSpan>,
}

/// A stretch of time in which a node said the same of itself, while its applied index did not go back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StatusSpan {
    /// The node.
    pub node: String,
    /// First look at it, in nanoseconds since the run began.
    pub from: u64,
    /// Last look at it, in nanoseconds since the run began.
    pub to: u64,
    /// Whether it answered. If not, the rest says nothing.
    pub up: bool,
    /// Whether it said that it leads.
    pub leads: bool,
    /// Its term.
    pub term: u64,
    /// Its applied index at the first look.
    pub applied_from: u64,
    /// Its applied index at the last look.
    pub applied_to: u64,
    /// Whether this span is one of those that contradict the property.
    #[serde(default)]
    pub contradicts: bool,
}

/// Who counted on one lock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TenuresProof {
    /// In the order in which they acquired it.
    pub tenures: Vec<TenureProof>,
}

/// A process counting on a lock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TenureProof {
    /// Who.
    pub process: u64,
    /// The node that granted the lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// When the lock was granted, in nanoseconds since the run began.
    pub acquired: u64,
    /// Up to when it counted on it, in nanoseconds since the run began.
    pub until: u64,
    /// Whether it asked for release at `until`. If not, it was heard of there for the last time.
    pub released: bool,
}

/// What is wrong with the delivery of messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MessagesProof {
    /// Every anomaly that breaks the promise.
    pub anomalies: Vec<AnomalyProof>,
    /// The first message of each.
    pub lives: Vec<LifeProof>,
}

/// One kind of anomaly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnomalyProof {
    /// Its name, e.g. `duplicate-delivery`.
    pub name: String,
    /// How often it was found.
    pub count: u64,
    /// How often with which likely cause.
    pub causes: BTreeMap<String, u64>,
}

/// What happened to one message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LifeProof {
    /// The message; `null` where it is no single one.
    pub message: Value,
    /// The queue, partition or object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Value>,
    /// What is wrong with it.
    pub anomaly: String,
    /// What that may have come from.
    pub cause: String,
    /// What is wrong, in a sentence.
    pub sentence: String,
    /// In the order of the operations, each attempt before the end of its operation.
    pub moments: Vec<MomentProof>,
}

/// One thing that happened to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MomentProof {
    /// Nanoseconds since the run began.
    pub time: u64,
    /// Who asked.
    pub process: u64,
    /// The node that was asked, or that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// What was done, and how it ended.
    pub what: String,
    /// The faults that were in force meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

impl Proof {
    /// The first and the last moment that it is about, where it is about moments.
    pub(crate) fn moments(&self) -> Option<(u64, u64)> {
        match self {
            Proof::Operations | Proof::Contents(_) | Proof::Messages(_) => None,
            Proof::Statuses(proof) => {
                let telling = || proof.spans.iter().filter(|span| span.contradicts);
                let from = telling().map(|span| span.from).min()?;
                Some((from, telling().map(|span| span.to).max()?))
            }
            Proof::Tenures(proof) => {
                let from = proof.tenures.iter().map(|tenure| tenure.acquired).min()?;
                Some((from, proof.tenures.iter().map(|tenure| tenure.until).max()?))
            }
        }
    }

    /// The nodes that contradict each other, where the proof names any.
    pub(crate) fn nodes(&self) -> Vec<&str> {
        match self {
            Proof::Operations | Proof::Messages(_) => Vec::new(),
            Proof::Contents(proof) => (proof.members.iter())
                .filter(|member| member.error.is_none())
                .map(|member| member.node.as_str())
                .collect(),
            Proof::Statuses(proof) => (proof.spans.iter())
                .filter(|span| span.contradicts)
                .map(|span| span.node.as_str())
                .collect(),
            Proof::Tenures(proof) => (proof.tenures.iter())
                .filter_map(|tenure| tenure.node.as_deref())
                .collect(),
        }
    }
}
