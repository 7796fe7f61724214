//! A set that only grows: whether what was added can be read from then on, and nothing else ever is.
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

use crate::history::{Event, EventType, Half, Pairs, Process};
use crate::verdict::{PropertyVerdict, Verdict, Witness, WitnessOp};

/// Name of the property.
pub const PROPERTY: &str = "nothing-lost";

/// One add.
struct Add<'a> {
    invoke: &'a Event,
    completion: Option<&'a Event>,
}

/// Judges every read of a history.
pub fn nothing_lost(history: &[Event]) -> PropertyVerdict {
    let Operations { adds, reads } = match operations(history) {
        Ok(operations) => operations,
        Err(reason) => return undecided(reason, String::new()),
    };
    let acknowledged = adds
        .values()
        .filter(|add| kind(add) == Some(EventType::Ok))
        .count();
    let detail = format!("{acknowledged} elements acknowledged, {} reads", reads.len());
    if let Some(witness) = reads.iter().find_map(|read| judge(read, &adds, &reads)) {
        return PropertyVerdict {
            property: PROPERTY.to_owned(),
            verdict: Verdict::Violated { witness },
            detail,
        };
    }
    // A loss can only be seen by a read that began after an element was acknowledged.
    let completions = adds.values().filter_map(|add| add.completion);
    let first = (completions.filter(|completion| completion.kind == EventType::Ok))
        .map(|completion| completion.index)
        .min();
    let last = reads.iter().map(|(invoke, _)| invoke.index).max();
    match (first, last) {
        (None, _) => undecided(
            "no element was acknowledged, so none could be lost".to_owned(),
            detail,
        ),
        (_, None) => undecided("no read was answered".to_owned(), detail),
        (Some(first), Some(last)) if last < first => undecided(
            "no read began after an element was acknowledged".to_owned(),
            detail,
        ),
        _ => PropertyVerdict {
            property: PROPERTY.to_owned(),
            verdict: Verdict::Held,
            detail,
        },
    }
}

fn undecided(reason: String, detail: String) -> PropertyVerdict {
    PropertyVerdict {
        property: PROPERTY.to_owned(),
        verdict: Verdict::Inconclusive { reason },
        detail,
    }
}

struct Operations<'a> {
    /// By their element.
    adds: BTreeMap<String, Add<'a>>,
    /// Invocation and answer.
    reads: Vec<(&'a Event, &'a Event)>,
}

/// The adds and reads of a history, or why it can't be judged.
fn operations(history: &[Event]) -> Result<Operations<'_>, String> {
    let mut adds: BTreeMap<String, Add<'_>> = BTreeMap::new();
    let mut reads: Vec<(&Event, &Event)> = Vec::new();
    let mut pairs = Pairs::default();
    for event in history {
        let half = pairs.next(event).map_err(|error| error.to_string())?;
        match (half, event.f.as_str(), event.kind) {
            (Some(Half::Invocation), "add", _) => {
                let add = Add {
                    invoke: event,
                    completion: None,
                };
                if adds.insert(event.value.to_string(), add).is_some() {
                    return Err(format!(
                        "event {} adds {} again: which of the two a read shows can't be told",
                        event.index, event.value
                    ));
                }
            }
            (Some(Half::Completion(invoke)), "add", _) => {
                if let Some(add) = adds.get_mut(&invoke.value.to_string()) {
                    add.completion = Some(event);
                }
            }
            (Some(Half::Completion(invoke)), "read", EventType::Ok) => {
                // An answer without a value shows nothing.
                if !event.value.is_array() && !event.value.is_null() {
                    return Err(format!(
                        "event {} reads {}, which is no list of elements",
                        event.index, event.value
                    ));
                }
                reads.push((invoke, event));
            }
            _ => {}
        }
    }
    Ok(Operations { adds, reads })
}

fn kind(add: &Add<'_>) -> Option<EventType> {
    add.completion.map(|completion| completion.kind)
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
    (invoke, completion): &(&Event, &Event),
    adds: &BTreeMap<String, Add<'_>>,
    reads: &[(&Event, &Event)],
) -> Option<Witness> {
    let shown = elements(completion);
    let missing: Vec<&Add<'_>> = adds
        .iter()
        .filter(|(element, add)| {
            let before = add
                .completion
                .is_some_and(|ok| ok.kind == EventType::Ok && ok.index < invoke.index);
            before && !shown.contains(*element)
        })
        .map(|(_, add)| add)
        .collect();
    if let Some(first) = missing.first() {
        let element = &first.invoke.value;
        let again = reads.iter().any(|(later, answer)| {
            later.index > completion.index && elements(answer).contains(&element.to_string())
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
                operation(
                    first.invoke,
                    first.completion,
                    "acknowledged before the read began",
                ),
                operation(invoke, Some(completion), "misses it"),
            ],
            minimal: true,
            ..Witness::default()
        });
    }
    let unexpected = shown.iter().find(|element| {
        adds.get(*element)
            .is_none_or(|add| add.invoke.index > completion.index || kind(add) == Some(EventType::Fail))
    })?;
    let why = if adds.contains_key(unexpected) {
        "was not added then"
    } else {
        "nobody ever asked to add"
    };
    Some(Witness {
        summary: format!("a read shows {unexpected}, which {why}"),
        key: None,
        operations: vec![operation(invoke, Some(completion), "shows what is not there")],
        minimal: true,
        ..Witness::default()
    })
}

fn operation(invoke: &Event, completion: Option<&Event>, note: &str) -> WitnessOp {
    let Process::Client(process) = invoke.process else {
        unreachable!("only clients' operations are looked at")
    };
    // A read's result is the whole set, which no one reads.
    let result = completion
        .filter(|_| invoke.f != "read")
        .map(|completion| completion.value.clone());
    WitnessOp {
        index: invoke.index,
        process,
        f: invoke.f.clone(),
        value: invoke.value.clone(),
        result,
        outcome: completion.map_or(EventType::Info, |completion| completion.kind),
        node: completion.and_then(|completion| completion.node.clone()),
        invoked: invoke.time,
        completed: completion.map(|completion| completion.time),
        note: note.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

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

    fn verdict(text: &str) -> Verdict {
        nothing_lost(&history(text)).verdict
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
        match nothing_lost(history).verdict {
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
