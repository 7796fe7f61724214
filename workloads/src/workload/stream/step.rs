//! What one operation on streams does, step by step: its value, in the history and for clients.
//!
//! ```text
//! init       [["init","t1"]]                                        → [["init","t1",3]]: a new session, with this epoch
//! assign     ["in0","out1"]                                         polled by the process itself from now on
//! subscribe  [["join",{"group":"g","member":"t1",                   → [["join",{"group":"g","member":"t1","partitions":["in0","in1"],
//!              "partitions":["in0","in1"],"session_ms":2000}]]         "generation":4,"offsets":{"in0":17}}]]: dealt in0, next is 17
//! send       [["as",{"producer":"s1","epoch":3,"sequence":17}],     → the same with ["send","in0",[31,7]]: at offset 31
//!             ["send","in0",7]]
//! poll       [["poll",{"in0":17,"in1":0},10]]                       → [["poll",{"in0":[[17,6],[18,9]]}]]: from where, how many at most
//! txn        [["as",{"producer":"t1","epoch":3,"sequence":18,"txn":5}],
//!             ["send","out0",{"input":["in0",17],"by":"t1","epoch":3,"attempt":9}],
//!             ["commit-again",4,{…}],                               the commit of transaction 4 comes once more, in between
//!             ["commit",{"group":"g","member":"t1","generation":4,"offsets":{"in0":18}}]]
//! replay     as the send that it repeats
//! ```
//!
//! `send`, `poll`, `txn`, `assign` and `subscribe` are those of `jepsen.tests.kafka`. A transaction ends with `["commit"]`, with or without
//! the offsets of a group, or with `["abort"]`. Sequences count a producer's sends of one epoch from 0, whichever partition they go to:
//! an `as` gives that of the first send behind it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Who sends, and how often it has before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub producer: String,
    pub epoch: u64,
    /// Of the first send that follows.
    pub sequence: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub txn: Option<u64>,
}

/// How far a group has come, said by one of its members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offsets {
    pub group: String,
    pub member: String,
    pub generation: u64,
    /// By partition: the next to be read.
    pub offsets: BTreeMap<String, u64>,
}

/// A member of a group, and what it takes a share of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub group: String,
    pub member: String,
    pub partitions: Vec<String>,
    pub session_ms: u64,
}

/// One step, as it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// A new session of a producer.
    Init(String),
    /// Who sends what follows.
    As(Session),
    /// A message for a partition.
    Send(String, Value),
    /// What lies in each partition from an offset on, so many messages at most.
    Poll(BTreeMap<String, u64>, u64),
    /// Joins a group, or says that one is still there.
    Join(Member),
    /// Ends the transaction.
    Commit(Option<Offsets>),
    /// Asks once more for the commit of an earlier transaction.
    CommitAgain(u64, Option<Offsets>),
    /// Ends the transaction so that nothing of it happens.
    Abort,
}

impl Step {
    /// As it stands in the value of an operation.
    pub fn to_json(&self) -> Value {
        match self {
            Step::Init(producer) => json!(["init", producer]),
            Step::As(session) => json!(["as", session]),
            Step::Send(partition, message) => json!(["send", partition, message]),
            Step::Poll(from, max) => json!(["poll", from, max]),
            Step::Join(member) => json!(["join", member]),
            Step::Commit(None) => json!(["commit"]),
            Step::Commit(Some(offsets)) => json!(["commit", offsets]),
            Step::CommitAgain(txn, None) => json!(["commit-again", txn]),
            Step::CommitAgain(txn, Some(offsets)) => json!(["commit-again", txn, offsets]),
            Step::Abort => json!(["abort"]),
        }
    }

    /// What stands in the value of an operation, if it is a step.
    fn read(value: &Value) -> Option<Step> {
        fn of<T: serde::de::DeserializeOwned>(value: &Value) -> Option<T> {
            T::deserialize(value).ok()
        }
        let (name, rest) = value.as_array()?.split_first()?;
        Some(match (name.as_str()?, rest) {
            ("init", [producer]) => Step::Init(of(producer)?),
            ("as", [session]) => Step::As(of(session)?),
            ("send", [partition, message]) => Step::Send(of(partition)?, message.clone()),
            ("poll", [from, max]) => Step::Poll(of(from)?, of(max)?),
            ("join", [member]) => Step::Join(of(member)?),
            ("commit", []) => Step::Commit(None),
            ("commit", [offsets]) => Step::Commit(Some(of(offsets)?)),
            ("commit-again", [txn]) => Step::CommitAgain(of(txn)?, None),
            ("commit-again", [txn, offsets]) => Step::CommitAgain(of(txn)?, Some(of(offsets)?)),
            ("abort", []) => Step::Abort,
            _ => return None,
        })
    }

    /// The steps of an operation with this value; `None` if it is no list of steps.
    pub fn all(value: &Value) -> Option<Vec<Step>> {
        value.as_array()?.iter().map(Step::read).collect()
    }
}

/// The value of an operation with these steps.
pub(crate) fn value(steps: &[Step]) -> Value {
    steps.iter().map(Step::to_json).collect()
}

/// What a join says: the generation, and of each partition that was dealt to the member the next offset.
pub(crate) fn joined(result: &Value) -> Option<(u64, BTreeMap<String, u64>)> {
    let answer = result.get(0)?.get(1)?;
    let offsets = BTreeMap::deserialize(answer.get("offsets")?).ok()?;
    Some((answer.get("generation")?.as_u64()?, offsets))
}

/// What a poll shows: partition, offset, message.
pub(crate) fn polled(result: &Value) -> Vec<(String, u64)> {
    let partitions = result.get(0).and_then(|step| step.get(1)?.as_object());
    let pairs = partitions.into_iter().flatten().flat_map(|(partition, pairs)| {
        let offsets = pairs.as_array().into_iter().flatten();
        offsets.filter_map(|pair| Some((partition.clone(), pair.get(0)?.as_u64()?)))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_back_as_they_are_written() {
        let offsets = Offsets {
            group: "g".into(),
            member: "t1".into(),
            generation: 4,
            offsets: BTreeMap::from([("in0".into(), 18)]),
        };
        let session = |txn| Session {
            producer: "t1".into(),
            epoch: 3,
            sequence: 17,
            txn,
        };
        let steps = [
            Step::Init("t1".into()),
            Step::As(session(None)),
            Step::As(session(Some(5))),
            Step::Send("out0".into(), json!({"input": ["in0", 17]})),
            Step::Poll(BTreeMap::from([("in0".into(), 17)]), 10),
            Step::Join(Member {
                group: "g".into(),
                member: "t1".into(),
                partitions: vec!["in0".into()],
                session_ms: 2000,
            }),
            Step::CommitAgain(4, None),
            Step::CommitAgain(4, Some(offsets.clone())),
            Step::Commit(None),
            Step::Commit(Some(offsets)),
            Step::Abort,
        ];
        assert_eq!(Step::all(&value(&steps)), Some(steps.to_vec()));
        assert_eq!(Step::all(&json!([["send", "in0"]])), None);
        assert_eq!(Step::all(&json!([["commit", {"group": "g"}]])), None);
    }

    #[test]
    fn results_are_read_as_far_as_they_make_sense() {
        let result = json!([["join", {"generation": 4, "offsets": {"in0": 17}}]]);
        assert_eq!(joined(&result), Some((4, BTreeMap::from([("in0".into(), 17)]))));
        assert_eq!(joined(&json!([["join", {"generation": 4}]])), None);
        let result = json!([["poll", {"in0": [[17, 6], [18, 9]], "in1": []}]]);
        assert_eq!(polled(&result), [("in0".into(), 17), ("in0".into(), 18)]);
        assert_eq!(polled(&json!(null)), []);
    }
}
