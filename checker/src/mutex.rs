//! A lock: whether two held it at once.
//!
//! ```json
//! {"process":3,"type":"ok","f":"acquire","key":"lock0","value":3}
//! {"process":3,"type":"ok","f":"hold","key":"lock0","value":{"holder":3,"ms":120}}
//! {"process":3,"type":"ok","f":"release","key":"lock0","value":3}
//! ```
//!
//! From the moment at which its `acquire` was answered to the one at which it asks for `release`, a process counts on the
//! lock being its own; where it never asks, to its last sign of life. Two such spans of one lock must not overlap. That
//! is all of linearizability for a lock, and needs no search.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::history::{Event, EventType, Half, HistoryError, Pairs, Process};
use crate::verdict::{PropertyVerdict, Verdict, Witness, WitnessOp};

/// Name of the property.
pub const PROPERTY: &str = "mutual-exclusion";

/// A process counting on a lock.
struct Span<'a> {
    invoke: &'a Event,
    acquired: &'a Event,
    /// Where it asks for release, or is last heard of.
    until: &'a Event,
}

/// Judges every lock of a history.
pub fn mutual_exclusion(history: &[Event]) -> PropertyVerdict {
    let mut spans = match spans(history) {
        Ok(spans) => spans,
        Err(error) => {
            return PropertyVerdict {
                property: PROPERTY.to_owned(),
                verdict: Verdict::Inconclusive {
                    reason: error.to_string(),
                },
                detail: String::new(),
            };
        }
    };
    let count: usize = spans.values().map(Vec::len).sum();
    let detail = format!("{count} times held, {} locks", spans.len());
    let witness = spans.iter_mut().find_map(|(lock, spans)| overlap(lock, spans));
    let verdict = match witness {
        Some(witness) => Verdict::Violated { witness },
        None if count == 0 => Verdict::Inconclusive {
            reason: "no lock was ever acquired".to_owned(),
        },
        None => Verdict::Held,
    };
    PropertyVerdict {
        property: PROPERTY.to_owned(),
        verdict,
        detail,
    }
}

/// Spans by lock.
fn spans(history: &[Event]) -> Result<BTreeMap<String, Vec<Span<'_>>>, HistoryError> {
    let mut pairs = Pairs::default();
    let mut held: BTreeMap<u64, Span<'_>> = BTreeMap::new();
    let mut spans: BTreeMap<String, Vec<Span<'_>>> = BTreeMap::new();
    let mut closed = Vec::new();
    for event in history {
        let half = pairs.next(event)?;
        let Process::Client(process) = event.process else {
            continue;
        };
        match (half, event.kind, event.f.as_str()) {
            (Some(Half::Invocation), _, "release") => {
                if let Some(mut span) = held.remove(&process) {
                    span.until = event;
                    closed.push(span);
                }
            }
            (Some(Half::Invocation), ..) | (None, ..) => {}
            (Some(Half::Completion(invoke)), EventType::Ok, "acquire") => {
                let span = Span {
                    invoke,
                    acquired: event,
                    until: event,
                };
                // One that acquires twice counted on the first up to its last sign of life.
                closed.extend(held.insert(process, span));
            }
            (Some(Half::Completion(_)), ..) => {
                if let Some(span) = held.get_mut(&process) {
                    span.until = event;
                }
            }
        }
    }
    closed.extend(held.into_values());
    for span in closed {
        let lock = span.acquired.key.as_ref().unwrap_or(&Value::Null).to_string();
        spans.entry(lock).or_default().push(span);
    }
    Ok(spans)
}

/// The first two spans that overlap.
fn overlap(lock: &str, spans: &mut [Span<'_>]) -> Option<Witness> {
    spans.sort_by_key(|span| span.acquired.index);
    let mut longest: Option<&Span<'_>> = None;
    for span in spans.iter() {
        if let Some(earlier) = longest
            && span.acquired.index < earlier.until.index
        {
            return Some(witness(lock, earlier, span));
        }
        if longest.is_none_or(|longest| longest.until.index < span.until.index) {
            longest = Some(span);
        }
    }
    None
}

fn witness(lock: &str, first: &Span<'_>, second: &Span<'_>) -> Witness {
    let at = |event: &Event| format!("{:.3} s", event.time as f64 / 1e9);
    let summary = format!(
        "two held {lock} at once: process {} acquired it at {} and counted on it until {}, process {} acquired it at {}",
        number(first.acquired),
        at(first.acquired),
        at(first.until),
        number(second.acquired),
        at(second.acquired),
    );
    let operation = |span: &Span<'_>, note: String| WitnessOp {
        index: span.invoke.index,
        process: number(span.invoke),
        f: span.invoke.f.clone(),
        value: span.invoke.value.clone(),
        result: Some(span.acquired.value.clone()),
        outcome: EventType::Ok,
        node: span.acquired.node.clone(),
        invoked: span.invoke.time,
        completed: Some(span.acquired.time),
        note,
    };
    Witness {
        summary,
        key: first.acquired.key.clone(),
        operations: vec![
            operation(first, format!("asked to release it at {} only", at(first.until))),
            operation(second, "acquired it meanwhile".to_owned()),
        ],
        minimal: true,
        ..Witness::default()
    }
}

fn number(event: &Event) -> u64 {
    match event.process {
        Process::Client(process) => process,
        Process::Nemesis => unreachable!("only clients hold locks"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    /// `"a1 A1 h1 H1 r1 R1"`: process 1 asks to acquire, is answered, holds, releases; capitals are answers, `-1` an
    /// acquire that failed.
    fn verdict(text: &str) -> Verdict {
        let event = |(index, word): (usize, &str)| {
            let (sign, process) = word.split_at(1);
            let process: u64 = process.parse().expect("a process");
            let f = match sign {
                "a" | "A" | "-" => "acquire",
                "h" | "H" => "hold",
                _ => "release",
            };
            let kind = match sign {
                "-" => EventType::Fail,
                sign if sign.chars().all(char::is_uppercase) => EventType::Ok,
                _ => EventType::Invoke,
            };
            Event {
                index: index as u64,
                time: index as u64,
                process: Process::Client(process),
                kind,
                f: f.to_owned(),
                key: Some(json!("lock")),
                value: json!(process),
                node: None,
                attempts: Vec::new(),
                error: None,
                extra: Map::new(),
            }
        };
        let history: Vec<Event> = text.split(' ').enumerate().map(event).collect();
        mutual_exclusion(&history).verdict
    }

    fn violated(text: &str) -> bool {
        matches!(verdict(text), Verdict::Violated { .. })
    }

    #[test]
    fn one_after_the_other_is_fine() {
        for text in [
            "a1 A1 r1 R1 a2 A2 r2 R2",
            "a1 A1 r1 a2 A2 R1",
            "a1 a2 A1 r1 A2 R1",
            "a1 A1 a2 -2 r1 R1",
        ] {
            assert_eq!(verdict(text), Verdict::Held, "{text}");
        }
    }

    #[test]
    fn two_at_once_are_one_too_many() {
        assert!(violated("a1 A1 a2 A2 r1 R1 r2 R2"));
        assert!(violated("a1 A1 h1 a2 A2 H1"));
        // A short span after a long one that covers both.
        assert!(violated("a1 A1 h1 H1 a2 A2 r2 R2 r1 R1"));
    }

    #[test]
    fn one_that_is_not_heard_of_any_more_holds_nothing() {
        assert_eq!(verdict("a1 A1 a2 A2"), Verdict::Held);
    }

    #[test]
    fn a_lock_that_nobody_got_proves_nothing() {
        assert!(matches!(verdict("a1 -1"), Verdict::Inconclusive { .. }));
        assert!(matches!(
            mutual_exclusion(&[]).verdict,
            Verdict::Inconclusive { .. }
        ));
    }

    #[test]
    fn completions_of_something_else_are_not_judged() {
        for text in ["a1 R1", "A1", "a1 H1 a2 A2"] {
            assert!(matches!(verdict(text), Verdict::Inconclusive { .. }), "{text}");
        }
    }
}
