//! Whether all members have the same content once everything is healed and nobody writes any more.
//!
//! Replicas of one log that have applied it up to the same index must hold the same. The harness reads each member's own
//! content after the last operation and notes all of them in the history:
//!
//! ```json
//! {"process":"nemesis","type":"info","f":"contents","value":{"members":[
//!   {"node":"n1","applied":912,"keys":{"k1":{"revision":801,"value":55}}},
//!   {"node":"n2","applied":912,"keys":{"k1":{"revision":790,"value":54}}},
//!   {"node":"n3","error":"connection refused"}]}}
//! ```
//!
//! Only members at the same applied index are compared: one that is behind may be on its way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::history::{Event, EventType, Process};
use crate::verdict::{PropertyVerdict, Verdict, Witness, WitnessOp};

/// Name of the property.
pub const PROPERTY: &str = "converged";

/// What the harness calls its note.
pub const NOTE: &str = "contents";

/// One key of one member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was changed last, in the system's own count.
    pub revision: u64,
    /// What it holds.
    pub value: Value,
}

/// What one member holds, by its own words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// Index of the log up to which the member had applied it.
    pub applied: u64,
    /// Everything that it has stored.
    pub keys: BTreeMap<String, Entry>,
}

/// What one member holds, or why nobody knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Its node.
    pub node: String,
    /// Why its content could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it holds; empty after an error.
    #[serde(flatten)]
    pub content: Content,
}

/// The value of the note.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Contents {
    /// Every node of the cluster.
    pub members: Vec<Member>,
}

impl Contents {
    /// Whether all members were read at one applied index.
    pub fn comparable(&self) -> bool {
        let mut indices = self.members.iter().map(|member| member.content.applied);
        let first = indices.next();
        self.members.iter().all(|member| member.error.is_none()) && indices.all(|index| Some(index) == first)
    }

    /// Whether no member holds a key.
    fn is_empty(&self) -> bool {
        self.members.iter().all(|member| member.content.keys.is_empty())
    }
}

/// Judges the last contents that a history has.
pub fn converged(history: &[Event]) -> PropertyVerdict {
    let noted = history
        .iter()
        .rev()
        .filter(|event| event.process == Process::Nemesis && event.f == NOTE)
        .find_map(|event| serde_json::from_value::<Contents>(event.value.clone()).ok());
    let Some(contents) = noted else {
        let reason = "the run ended before the members' contents were read".to_owned();
        return verdict(Verdict::Inconclusive { reason }, String::new());
    };
    let detail = describe(&contents);
    match difference(&contents) {
        Some(difference) => verdict(
            Verdict::Violated {
                witness: difference.witness(history),
            },
            detail,
        ),
        None if contents.members.len() > 1 && contents.comparable() && contents.is_empty() => {
            let reason = format!("no member holds anything that could differ: {detail}");
            verdict(Verdict::Inconclusive { reason }, String::new())
        }
        None if contents.members.len() > 1 && contents.comparable() => verdict(Verdict::Held, detail),
        None => {
            let reason = format!("not all members could be compared: {detail}");
            verdict(Verdict::Inconclusive { reason }, String::new())
        }
    }
}

fn verdict(verdict: Verdict, detail: String) -> PropertyVerdict {
    PropertyVerdict {
        property: PROPERTY.to_owned(),
        verdict,
        detail,
    }
}

/// e.g. `n1: 200 keys at 912, n2: connection refused`.
fn describe(contents: &Contents) -> String {
    let member = |member: &Member| match &member.error {
        Some(error) => format!("{}: {error}", member.node),
        None => format!(
            "{}: {} keys at {}",
            member.node,
            member.content.keys.len(),
            member.content.applied
        ),
    };
    contents.members.iter().map(member).collect::<Vec<_>>().join(", ")
}

/// Two members at one index, and the keys in which they differ, those that differ in more than the revision first.
struct Difference<'a> {
    one: &'a Member,
    other: &'a Member,
    keys: Vec<&'a str>,
}

fn difference(contents: &Contents) -> Option<Difference<'_>> {
    let readable: Vec<&Member> = contents
        .members
        .iter()
        .filter(|member| member.error.is_none())
        .collect();
    for (position, one) in readable.iter().enumerate() {
        for other in &readable[position + 1..] {
            if one.content.applied != other.content.applied || one.content.keys == other.content.keys {
                continue;
            }
            let (mine, theirs) = (&one.content.keys, &other.content.keys);
            let mut keys: Vec<&str> = mine
                .keys()
                .chain(theirs.keys().filter(|key| !mine.contains_key(*key)))
                .filter(|key| mine.get(*key) != theirs.get(*key))
                .map(String::as_str)
                .collect();
            let value =
                |keys: &'_ BTreeMap<String, Entry>, key: &str| keys.get(key).map(|entry| entry.value.clone());
            keys.sort_by_key(|key| value(mine, key) == value(theirs, key));
            return Some(Difference { one, other, keys });
        }
    }
    None
}

/// Keys that a summary names.
const KEYS_NAMED_MAX: usize = 5;

impl Difference<'_> {
    fn witness(&self, history: &[Event]) -> Witness {
        let first = self.keys[0];
        let named = self
            .keys
            .iter()
            .take(KEYS_NAMED_MAX)
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        let more = self.keys.len().saturating_sub(KEYS_NAMED_MAX);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let summary = format!(
            "{} and {} have both applied the log up to {}, yet differ in {named}{more}: {first} is {} on {} and {} on {}{}",
            self.one.node,
            self.other.node,
            self.one.content.applied,
            shown(self.one, first),
            self.one.node,
            shown(self.other, first),
            self.other.node,
            if self.values_agree(first) {
                "; values agree by now, but one of them has counted fewer changes: it missed writes"
            } else {
                ""
            },
        );
        let operations = self.keys[..1]
            .iter()
            .flat_map(|key| self.writers(history, key))
            .collect();
        Witness {
            summary,
            key: Some(Value::String(first.to_owned())),
            operations,
            minimal: true,
            ..Witness::default()
        }
    }

    /// Whether only revisions differ. Then they do for every key, since keys whose values differ come first.
    fn values_agree(&self, key: &str) -> bool {
        let value = |member: &Member| member.content.keys.get(key).map(|entry| entry.value.clone());
        value(self.one) == value(self.other)
    }

    /// The acknowledged operations that wrote what the one or the other member holds.
    fn writers(&self, history: &[Event], key: &str) -> Vec<WitnessOp> {
        let held = |member: &Member| Some(member.content.keys.get(key)?.value.clone());
        let values = [
            (&self.one.node, held(self.one)),
            (&self.other.node, held(self.other)),
        ];
        let mut operations = Vec::new();
        for event in history.iter().filter(|event| event.kind == EventType::Ok) {
            let Process::Client(process) = event.process else {
                continue;
            };
            if event.key.as_ref().and_then(Value::as_str) != Some(key) || event.f == "read" {
                continue;
            }
            let written = if event.f == "cas" {
                event.value.get(1).unwrap_or(&Value::Null)
            } else {
                &event.value
            };
            let Some((node, _)) = values.iter().find(|(_, value)| value.as_ref() == Some(written)) else {
                continue;
            };
            let invocation = history[..event.index.min(history.len() as u64) as usize]
                .iter()
                .rev()
                .find(|earlier| earlier.process == event.process && earlier.kind == EventType::Invoke);
            let Some(invocation) = invocation else { continue };
            operations.push(WitnessOp {
                index: invocation.index,
                process,
                f: event.f.clone(),
                value: invocation.value.clone(),
                result: Some(event.value.clone()),
                outcome: EventType::Ok,
                node: event.node.clone(),
                invoked: invocation.time,
                completed: Some(event.time),
                note: format!("wrote what {node} holds"),
            });
        }
        operations.sort_by_key(|operation| operation.index);
        // The same small value may have been written often; the last ones count.
        operations.split_off(operations.len().saturating_sub(4))
    }
}

fn shown(member: &Member, key: &str) -> String {
    match member.content.keys.get(key) {
        Some(entry) => format!("{} (revision {})", entry.value, entry.revision),
        None => "absent".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn event(index: u64, process: Process, kind: EventType, f: &str, value: Value) -> Event {
        Event {
            index,
            time: index * 1000,
            process,
            kind,
            f: f.to_owned(),
            key: matches!(process, Process::Client(_)).then(|| json!("a")),
            value,
            node: None,
            attempts: Vec::new(),
            error: None,
            extra: Map::new(),
        }
    }

    /// `"n1@9 a=1.5 b=2.6"`: a member, its applied index, and value and revision of each key. `"n1!"` can't be read.
    fn history(members: &[&str]) -> Vec<Event> {
        let member = |text: &&str| {
            let (head, keys) = text.split_once(' ').unwrap_or((text, ""));
            if let Some(node) = head.strip_suffix('!') {
                return json!({"node": node, "error": "gone", "applied": 0, "keys": {}});
            }
            let (node, applied) = head.split_once('@').expect("node@index");
            let entry = |word: &str| {
                let (key, rest) = word.split_once('=').expect("key=value.revision");
                let (value, revision) = rest.split_once('.').expect("value.revision");
                let number = |text: &str| text.parse::<u64>().expect("a number");
                (
                    key.to_owned(),
                    json!({"value": number(value), "revision": number(revision)}),
                )
            };
            let keys: Map<String, Value> = keys.split_whitespace().map(entry).collect();
            json!({"node": node, "applied": applied.parse::<u64>().expect("an index"), "keys": keys})
        };
        let note = json!({"members": members.iter().map(member).collect::<Vec<_>>()});
        vec![
            event(0, Process::Client(3), EventType::Invoke, "write", json!(2)),
            event(1, Process::Client(3), EventType::Ok, "write", json!(2)),
            event(2, Process::Nemesis, EventType::Info, NOTE, note),
        ]
    }

    fn judged(members: &[&str]) -> Verdict {
        converged(&history(members)).verdict
    }

    #[test]
    fn equal_contents_at_one_index_have_converged() {
        assert_eq!(
            judged(&["n1@9 a=1.5 b=2.6", "n2@9 a=1.5 b=2.6", "n3@9 a=1.5 b=2.6"]),
            Verdict::Held
        );
    }

    #[test]
    fn a_difference_at_one_index_is_a_violation_that_names_keys_and_writers() {
        let Verdict::Violated { witness } = judged(&["n1@9 a=1.5 b=2.6", "n2@9 a=2.7 b=2.6", "n3!"]) else {
            panic!("they differ");
        };
        assert!(
            witness.summary.contains("n1 and n2") && witness.summary.contains("a is 1 (revision 5) on n1")
        );
        assert_eq!(witness.operations.len(), 1);
        assert!(witness.operations[0].note.contains("n2"));
    }

    #[test]
    fn lost_keys_and_lost_revisions_are_differences_and_values_come_first() {
        for other in ["n2@9 b=2.6", "n2@9 a=1.4 b=2.6"] {
            assert!(matches!(
                judged(&["n1@9 a=1.5 b=2.6", other]),
                Verdict::Violated { .. }
            ));
        }
        let Verdict::Violated { witness } = judged(&["n1@9 a=1.5 b=2.6", "n2@9 a=1.4 b=3.6"]) else {
            panic!("they differ");
        };
        assert_eq!(witness.key, Some(json!("b")));
    }

    #[test]
    fn members_at_different_indices_prove_nothing() {
        assert!(matches!(
            judged(&["n1@9 a=1.5", "n2@8 a=2.4"]),
            Verdict::Inconclusive { .. }
        ));
        assert!(matches!(
            judged(&["n1@9 a=1.5", "n2!"]),
            Verdict::Inconclusive { .. }
        ));
        assert!(matches!(judged(&["n1@9 a=1.5"]), Verdict::Inconclusive { .. }));
        assert!(matches!(converged(&[]).verdict, Verdict::Inconclusive { .. }));
    }

    #[test]
    fn members_that_hold_nothing_prove_nothing() {
        let Verdict::Inconclusive { reason } = judged(&["n1@9", "n2@9"]) else {
            panic!("there was nothing to compare");
        };
        assert!(reason.contains("no member holds anything"), "{reason}");
        assert!(matches!(
            judged(&["n1@9", "n2@9 a=1.5"]),
            Verdict::Violated { .. }
        ));
    }
}
