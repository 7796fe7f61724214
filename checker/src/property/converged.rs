//! `converged`: whether all members have the same content once everything is healed and nobody writes any more.
//!
//! Replicas of one log that have applied it up to the same index must hold the same. The harness reads each member's own
//! content after the last operation and notes all of them in the history, see [`Contents`]. Only members at the same
//! applied index are compared: one that is behind may be on its way.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::history::{Contents, Entry, Member, Operation, Trace};
use crate::property::claim::{About, Property, PropertyKind, Settings, Source};
use crate::verdict::{ContentsProof, MemberProof, Proof, PropertyVerdict, Witness, WitnessOp};

/// Members that have applied the same hold the same.
pub struct Converged;

const ABOUT: About = About {
    name: "converged",
    claim: "members that applied the same log hold the same contents, once all is healed and nobody writes",
    kind: PropertyKind::Safety,
    judges: Source::Contents,
    parameters: &[],
};

impl Property for Converged {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn judge(&self, trace: &Trace<'_>, _: &Settings<'_>) -> PropertyVerdict {
        converged(trace)
    }
}

fn converged(trace: &Trace<'_>) -> PropertyVerdict {
    let Some(contents) = &trace.contents else {
        let reason = "the run ended before the members' contents were read";
        return ABOUT.inconclusive(reason, String::new());
    };
    let detail = describe(contents);
    if let Some(difference) = difference(contents) {
        return ABOUT.violated(difference.witness(contents, trace.paired()), detail);
    }
    if contents.members.len() < 2 || !contents.comparable() {
        let reason = format!("not all members could be compared: {detail}");
        return ABOUT.inconclusive(reason, String::new());
    }
    if contents.is_empty() {
        let reason = format!("no member holds anything that could differ: {detail}");
        return ABOUT.inconclusive(reason, String::new());
    }
    ABOUT.held(detail)
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

/// Keys of which it is shown what each member holds.
const KEYS_SHOWN_MAX: usize = 20;

impl Difference<'_> {
    fn witness(&self, contents: &Contents, operations: &[Operation<'_>]) -> Witness {
        let first = self.keys[0];
        let named = (self.keys.iter().take(KEYS_NAMED_MAX).copied())
            .collect::<Vec<_>>()
            .join(", ");
        let more = self.keys.len().saturating_sub(KEYS_NAMED_MAX);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let (mut operations, missed) = self.writers(operations, first);
        let tail = match (self.behind(first), &missed) {
            (Some((behind, _)), Some(write)) => format!(
                "; {behind} missed the {} of process {} at {:.3} s",
                write.f,
                write.process,
                write.invoked as f64 / 1e9
            ),
            _ if self.values_agree(first) => {
                "; values agree by now, but one of them has counted fewer changes: it missed writes"
                    .to_owned()
            }
            _ => String::new(),
        };
        let summary = format!(
            "{} and {} have both applied the log up to {}, yet differ in {named}{more}: {first} is {} on {} and {} on {}{tail}",
            self.one.node,
            self.other.node,
            self.one.content.applied,
            shown(self.one, first),
            self.one.node,
            shown(self.other, first),
            self.other.node,
        );
        operations.extend(missed);
        Witness {
            key: Some(Value::String(first.to_owned())),
            operations,
            ..Witness::of(Proof::Contents(self.proof(contents)), summary)
        }
    }

    /// What all members hold of the keys that differ.
    fn proof(&self, contents: &Contents) -> ContentsProof {
        let keys: Vec<String> = (self.keys.iter().take(KEYS_SHOWN_MAX))
            .map(|&key| key.to_owned())
            .collect();
        let member = |member: &Member| MemberProof {
            node: member.node.clone(),
            applied: member.content.applied,
            error: member.error.clone(),
            entries: (keys.iter())
                .map(|key| member.content.keys.get(key).cloned())
                .collect(),
        };
        ContentsProof {
            differing: self.keys.len() as u64,
            members: contents.members.iter().map(member).collect(),
            keys,
        }
    }

    /// Whether only revisions differ. Then they do for every key, since keys whose values differ come first.
    fn values_agree(&self, key: &str) -> bool {
        let value = |member: &Member| member.content.keys.get(key).map(|entry| entry.value.clone());
        value(self.one) == value(self.other)
    }

    /// The node whose key was changed less recently than that of the other, and the other: it missed what the other
    /// holds. `None` where both count the same change, and hold different values by it.
    fn behind(&self, key: &str) -> Option<(&str, &str)> {
        let revision = |member: &Member| member.content.keys.get(key).map(|entry| entry.revision);
        let (one, other) = (self.one.node.as_str(), self.other.node.as_str());
        match revision(self.one).cmp(&revision(self.other)) {
            std::cmp::Ordering::Less => Some((one, other)),
            std::cmp::Ordering::Greater => Some((other, one)),
            std::cmp::Ordering::Equal => None,
        }
    }

    /// The acknowledged operations that wrote what the one or the other member holds, and the one that a member missed.
    fn writers(&self, operations: &[Operation<'_>], key: &str) -> (Vec<WitnessOp>, Option<WitnessOp>) {
        let held = |member: &Member| Some(member.content.keys.get(key)?.value.clone());
        let members = [
            (self.one.node.as_str(), held(self.one)),
            (self.other.node.as_str(), held(self.other)),
        ];
        let ahead = self.behind(key);
        let mut writers: Vec<(bool, WitnessOp)> = Vec::new();
        for operation in operations.iter().filter(|operation| operation.f() != "read") {
            let Some(end) = operation.ok() else { continue };
            if operation.invoke.key.as_ref().and_then(Value::as_str) != Some(key) {
                continue;
            }
            let written = match operation.f() {
                "cas" => end.value.get(1).unwrap_or(&Value::Null),
                _ => &end.value,
            };
            let holders: Vec<&str> = (members.iter())
                .filter(|(_, held)| held.as_ref() == Some(written))
                .map(|(node, _)| *node)
                .collect();
            let (missed, note) = match (holders.as_slice(), ahead) {
                ([], _) => continue,
                ([holder], Some((behind, ahead))) if *holder == ahead => {
                    (true, format!("{ahead} holds it, {behind} missed it"))
                }
                (holders, _) => (false, format!("wrote what {} holds", holders.join(" and "))),
            };
            writers.push((missed, operation.witness(note)));
        }
        // The same small value may have been written often; the last one is what a member holds.
        let last = |missed: bool| writers.iter().rev().filter(move |(of, _)| *of == missed);
        let mut others: Vec<WitnessOp> = last(false).take(3).map(|(_, write)| write.clone()).collect();
        others.reverse();
        let missed = last(true).next().map(|(_, write)| write.clone());
        (others, missed)
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
    use crate::history::{Event, EventType, Process, Series};
    use crate::verdict::Verdict;

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
            event(2, Process::Nemesis, EventType::Info, "contents", note),
        ]
    }

    fn judged(members: &[&str]) -> Verdict {
        converged(&Trace::new(&history(members), Series::new())).verdict
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
        assert_eq!(witness.operations[0].note, "n2 holds it, n1 missed it");
        assert!(
            witness
                .summary
                .ends_with("; n1 missed the write of process 3 at 0.000 s"),
            "{}",
            witness.summary
        );
        let Proof::Contents(proof) = witness.proof else {
            panic!("{:?}", witness.proof);
        };
        assert_eq!((proof.keys, proof.differing), (vec!["a".to_owned()], 1));
        let columns: Vec<_> = (proof.members.iter())
            .map(|member| {
                let value = member.entries[0].as_ref().map(|entry| entry.value.clone());
                (member.node.as_str(), value, member.error.is_some())
            })
            .collect();
        assert_eq!(
            columns,
            [
                ("n1", Some(json!(1)), false),
                ("n2", Some(json!(2)), false),
                ("n3", None, true)
            ]
        );
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
        assert!(matches!(
            converged(&Trace::default()).verdict,
            Verdict::Inconclusive { .. }
        ));
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
