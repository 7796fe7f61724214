//! `nothing-lost`, of a set that only grows: whether what was added can be read from then on, and nothing else ever is.
//!
//! ```json
//! {"process":3,"type":"ok","f":"add","value":7}
//! {"process":5,"type":"ok","f":"read","value":[3,7]}
//! ```
//!
//! A read must show every element whose `add` was `ok` before the read began, and none that nobody had asked to add by
//! the time it ended, or whose `add` is a `fail`. One pass over the history, since nothing is ever taken out. Called
//! `set-full` in Jepsen (Kingsbury), where lost and stale elements are told apart; here as well: an element that a later
//! read does show was stale, one that none shows is lost.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::history::{Event, EventType, Operation, Trace};
use crate::property::claim::{About, Property, PropertyKind, Settings, Source};
use crate::verdict::{PropertyVerdict, Witness, WitnessOp};

/// What was acknowledged can be read, and nothing else.
pub struct NothingLost;

const ABOUT: About = About {
    name: "nothing-lost",
    claim: "of sets: what was acknowledged can be read from then on, and nothing that was never added",
    kind: PropertyKind::Safety,
    judges: Source::Operations,
    parameters: &[],
};

impl Property for NothingLost {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn judge(&self, trace: &Trace<'_>, _: &Settings<'_>) -> PropertyVerdict {
        nothing_lost(trace)
    }
}

fn nothing_lost(trace: &Trace<'_>) -> PropertyVerdict {
    let Operations { adds, reads } = match operations(trace) {
        Ok(operations) => operations,
        Err(reason) => return ABOUT.inconclusive(reason, String::new()),
    };
    let acknowledged = adds.values().filter(|add| add.ok().is_some()).count();
    let detail = format!("{acknowledged} elements acknowledged, {} reads", reads.len());
    if let Some(witness) = reads.iter().find_map(|read| judge(read, &adds, &reads)) {
        return ABOUT.violated(witness, detail);
    }
    // A loss can only be seen by a read that began after an element was acknowledged.
    let first = (adds.values().filter_map(Operation::ok))
        .map(|completion| completion.index)
        .min();
    let last = reads.iter().map(|(read, _)| read.invoke.index).max();
    match (first, last) {
        (None, _) => ABOUT.inconclusive("no element was acknowledged, so none could be lost", detail),
        (_, None) => ABOUT.inconclusive("no read was answered", detail),
        (Some(first), Some(last)) if last < first => {
            ABOUT.inconclusive("no read began after an element was acknowledged", detail)
        }
        _ => ABOUT.held(detail),
    }
}

/// A read, and its answer.
type Read<'a> = (Operation<'a>, &'a Event);

struct Operations<'a> {
    /// By their element.
    adds: BTreeMap<String, Operation<'a>>,
    /// In the order of their answers.
    reads: Vec<Read<'a>>,
}

/// The adds and reads of a history, or why it can't be judged.
fn operations<'a>(trace: &Trace<'a>) -> Result<Operations<'a>, String> {
    let mut adds: BTreeMap<String, Operation<'a>> = BTreeMap::new();
    let mut reads: Vec<Read<'a>> = Vec::new();
    for &operation in trace.operations().map_err(|error| error.to_string())? {
        match (operation.f(), operation.ok()) {
            ("add", _) => {
                let invoke = operation.invoke;
                if adds.insert(invoke.value.to_string(), operation).is_some() {
                    return Err(format!(
                        "event {} adds {} again: which of the two a read shows can't be told",
                        invoke.index, invoke.value
                    ));
                }
            }
            ("read", Some(answer)) => {
                // An answer without a value shows nothing.
                if !answer.value.is_array() && !answer.value.is_null() {
                    return Err(format!(
                        "event {} reads {}, which is no list of elements",
                        answer.index, answer.value
                    ));
                }
                reads.push((operation, answer));
            }
            _ => {}
        }
    }
    reads.sort_by_key(|(_, answer)| answer.index);
    Ok(Operations { adds, reads })
}

fn elements(read: &Event) -> BTreeSet<String> {
    read.value
        .as_array()
        .into_iter()
        .flatten()
        .map(Value::to_string)
        .collect()
}

/// What is wrong with one read.
fn judge(
    (read, completion): &Read<'_>,
    adds: &BTreeMap<String, Operation<'_>>,
    reads: &[Read<'_>],
) -> Option<Witness> {
    let shown = elements(completion);
    let missing: Vec<&Operation<'_>> = adds
        .iter()
        .filter(|(element, add)| {
            let before = add.ok().is_some_and(|ok| ok.index < read.invoke.index);
            before && !shown.contains(*element)
        })
        .map(|(_, add)| add)
        .collect();
    if let Some(first) = missing.first() {
        let element = &first.invoke.value;
        let again = reads.iter().any(|(later, answer)| {
            later.invoke.index > completion.index && elements(answer).contains(&element.to_string())
        });
        let fate = if again {
            "a later read shows it: the read was stale"
        } else {
            "no later read shows it: it is lost"
        };
        let more = match missing.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        return Some(Witness {
            summary: format!("a read misses {element}{more}, acknowledged before the read began; {fate}"),
            key: None,
            operations: vec![
                first.witness("acknowledged before the read began"),
                shown_as(read, "misses it"),
            ],
            minimal: true,
            ..Witness::default()
        });
    }
    let unexpected = shown.iter().find(|element| {
        adds.get(*element)
            .is_none_or(|add| add.invoke.index > completion.index || add.outcome() == EventType::Fail)
    })?;
    let why = if adds.contains_key(unexpected) {
        "was not added then"
    } else {
        "nobody ever asked to add"
    };
    Some(Witness {
        summary: format!("a read shows {unexpected}, which {why}"),
        key: None,
        operations: vec![shown_as(read, "shows what is not there")],
        minimal: true,
        ..Witness::default()
    })
}

/// A read in a witness: its result is the whole set, which no one reads.
fn shown_as(read: &Operation<'_>, note: &str) -> WitnessOp {
    WitnessOp {
        result: None,
        ..read.witness(note)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::history::{Process, Series};
    use crate::verdict::Verdict;

    /// `"a1 a1ok r r1,2ok"`: process 1 adds 1… Letters: `+7` adds 7, `=7` is acknowledged, `!7` failed, `?` a read
    /// begins, `.1,2` it shows these. Each add has a process of its own; reads are those of process 0.
    fn history(text: &str) -> Vec<Event> {
        let event = |(index, word): (usize, &str)| {
            let (sign, rest) = word.split_at(1);
            let number = || rest.parse::<u64>().expect("a number");
            let (process, kind, f, value) = match sign {
                "+" => (number(), EventType::Invoke, "add", json!(number())),
                "=" => (number(), EventType::Ok, "add", json!(number())),
                "!" => (number(), EventType::Fail, "add", json!(number())),
                "?" => (0, EventType::Invoke, "read", Value::Null),
                _ => {
                    let list: Vec<u64> = rest.split(',').filter_map(|part| part.parse().ok()).collect();
                    (0, EventType::Ok, "read", json!(list))
                }
            };
            Event {
                index: index as u64,
                time: index as u64,
                process: Process::Client(process),
                kind,
                f: f.to_owned(),
                key: None,
                value,
                node: None,
                attempts: Vec::new(),
                error: None,
                extra: Map::new(),
            }
        };
        text.split(' ').enumerate().map(event).collect()
    }

    fn judged(events: &[Event]) -> Verdict {
        nothing_lost(&Trace::new(events, Series::new())).verdict
    }

    fn verdict(text: &str) -> Verdict {
        judged(&history(text))
    }

    fn violation(text: &str) -> String {
        match verdict(text) {
            Verdict::Violated { witness } => witness.summary,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn what_was_acknowledged_must_be_read() {
        assert_eq!(verdict("+1 =1 +2 =2 ? .1,2"), Verdict::Held);
        assert!(violation("+1 =1 +2 =2 ? .1").contains("misses 2"));
        assert!(violation("+1 =1 ? . ? .").contains("lost"));
        assert!(violation("+1 =1 ? . ? .1").contains("stale"));
    }

    #[test]
    fn what_is_open_may_or_may_not_be_read() {
        for text in ["+1 ? .1", "+1 ? .", "+1 ? =1 .", "? +1 =1 .1"] {
            // Another element, so that there is something to judge.
            let text = format!("+9 =9 {}", text.replace('.', ".9,"));
            assert_eq!(verdict(&text), Verdict::Held, "{text}");
        }
    }

    #[test]
    fn what_was_never_added_must_not_be_read() {
        assert!(violation("? .3").contains("nobody"));
        assert!(violation("+1 !1 ? .1").contains("not added then"));
        assert!(violation("? .1 +1 =1").contains("not added then"));
    }

    fn reason(history: &[Event]) -> String {
        match judged(history) {
            Verdict::Inconclusive { reason } => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn where_nothing_can_be_lost_nothing_is_held() {
        for (text, wanted) in [
            ("+1 =1", "no read was answered"),
            ("+1 ? .1", "no element was acknowledged"),
            ("? .", "no element was acknowledged"),
            ("? +1 =1 .1", "no read began after"),
            ("+1 =1 +1 ? .1", "adds 1 again"),
        ] {
            let said = reason(&history(text));
            assert!(said.contains(wanted), "{text}: {said}");
        }
        assert!(reason(&[]).contains("no element was acknowledged"));
    }

    #[test]
    fn what_is_no_set_is_not_judged_as_one() {
        let mut register = history("+1 =1 ? .1");
        register[3].value = json!(1);
        assert!(reason(&register).contains("event 3 reads 1, which is no list"));
        let mut mismatched = history("+1 =1 ? .1");
        mismatched[3].f = "add".to_owned();
        assert!(reason(&mismatched).contains("event 3: process 0 completes add [1]"));
    }
}
