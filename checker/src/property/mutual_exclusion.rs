//! `mutual-exclusion`, of locks: whether two held one at once.
//!
//! ```json
//! {"process":3,"type":"ok","f":"acquire","key":"lock0","value":3}
//! {"process":3,"type":"ok","f":"hold","key":"lock0","value":{"holder":3,"ms":120}}
//! {"process":3,"type":"ok","f":"release","key":"lock0","value":3}
//! ```
//!
//! From the moment at which its `acquire` was answered to the one at which it asks for `release`, a process counts on the
//! lock being its own; where it never asks, to its last sign of life. Two such tenures of one lock must not overlap. That
//! is all of linearizability for a lock, and needs no search.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::history::{Event, HistoryError, Operation, Trace};
use crate::property::claim::{About, Property, PropertyKind, Settings, Source};
use crate::verdict::{Proof, PropertyVerdict, TenureProof, TenuresProof, Witness};

/// No two hold a lock at once.
pub struct MutualExclusion;

const ABOUT: About = About {
    name: "mutual-exclusion",
    claim: "of locks: nobody acquires a lock that somebody provably holds",
    kind: PropertyKind::Safety,
    judges: Source::Operations,
    parameters: &[],
};

impl Property for MutualExclusion {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn judge(&self, trace: &Trace<'_>, _: &Settings<'_>) -> PropertyVerdict {
        mutual_exclusion(trace)
    }
}

/// A process counting on a lock.
struct Tenure<'a> {
    operation: Operation<'a>,
    acquired: &'a Event,
    /// Where it asks for release, or is last heard of.
    until: &'a Event,
    /// Whether it asked.
    released: bool,
}

impl Tenure<'_> {
    fn proof(&self) -> TenureProof {
        TenureProof {
            process: self.operation.process,
            node: self.acquired.node.clone(),
            acquired: self.acquired.time,
            until: self.until.time,
            released: self.released,
        }
    }
}

fn mutual_exclusion(trace: &Trace<'_>) -> PropertyVerdict {
    let mut tenures = match tenures(trace) {
        Ok(tenures) => tenures,
        Err(error) => return ABOUT.inconclusive(error.to_string(), String::new()),
    };
    let count: usize = tenures.values().map(Vec::len).sum();
    let detail = format!("{count} times held, {} locks", tenures.len());
    let witness = (tenures.iter_mut()).find_map(|(lock, tenures)| overlap(lock, tenures));
    match witness {
        Some(witness) => ABOUT.violated(witness, detail),
        None if count == 0 => ABOUT.inconclusive("no lock was ever acquired", detail),
        None => ABOUT.held(detail),
    }
}

/// Tenures by lock. Those of one process follow from its own operations, which are in order.
fn tenures<'a>(trace: &Trace<'a>) -> Result<BTreeMap<String, Vec<Tenure<'a>>>, HistoryError> {
    let mut held: BTreeMap<u64, Tenure<'a>> = BTreeMap::new();
    let mut closed = Vec::new();
    for &operation in trace.operations()? {
        let process = operation.process;
        if operation.f() == "release"
            && let Some(mut tenure) = held.remove(&process)
        {
            tenure.until = operation.invoke;
            tenure.released = true;
            closed.push(tenure);
        }
        if operation.f() == "acquire"
            && let Some(acquired) = operation.ok()
        {
            let tenure = Tenure {
                operation,
                acquired,
                until: acquired,
                released: false,
            };
            // One that acquires twice counted on the first up to its last sign of life.
            closed.extend(held.insert(process, tenure));
        } else if let (Some(end), Some(tenure)) = (operation.completion, held.get_mut(&process)) {
            tenure.until = end;
        }
    }
    closed.extend(held.into_values());
    let mut tenures: BTreeMap<String, Vec<Tenure<'a>>> = BTreeMap::new();
    for tenure in closed {
        let lock = tenure.acquired.key.as_ref().unwrap_or(&Value::Null).to_string();
        tenures.entry(lock).or_default().push(tenure);
    }
    Ok(tenures)
}

/// The first two tenures that overlap.
fn overlap(lock: &str, tenures: &mut [Tenure<'_>]) -> Option<Witness> {
    tenures.sort_by_key(|tenure| tenure.acquired.index);
    let mut longest: Option<&Tenure<'_>> = None;
    for tenure in tenures.iter() {
        if let Some(earlier) = longest
            && tenure.acquired.index < earlier.until.index
        {
            return Some(witness(lock, earlier, tenure));
        }
        if longest.is_none_or(|longest| longest.until.index < tenure.until.index) {
            longest = Some(tenure);
        }
    }
    None
}

fn witness(lock: &str, first: &Tenure<'_>, second: &Tenure<'_>) -> Witness {
    let at = |event: &Event| format!("{:.3} s", event.time as f64 / 1e9);
    let summary = format!(
        "two held {lock} at once: process {} acquired it at {} and counted on it until {}, process {} acquired it at {}",
        first.operation.process,
        at(first.acquired),
        at(first.until),
        second.operation.process,
        at(second.acquired),
    );
    Witness {
        summary,
        key: first.acquired.key.clone(),
        proof: Proof::Tenures(TenuresProof {
            tenures: vec![first.proof(), second.proof()],
        }),
        operations: vec![
            first.operation.witness(format!(
                "{} at {} only",
                if first.released {
                    "asked to release it"
                } else {
                    "was last heard of"
                },
                at(first.until)
            )),
            second.operation.witness("acquired it meanwhile"),
        ],
        minimal: true,
        ..Witness::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::history::{EventType, Process, Series};
    use crate::verdict::Verdict;

    fn judged(events: &[Event]) -> PropertyVerdict {
        mutual_exclusion(&Trace::new(events, Series::new()))
    }

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
        judged(&history).verdict
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
        assert!(matches!(judged(&[]).verdict, Verdict::Inconclusive { .. }));
    }

    #[test]
    fn completions_of_something_else_are_not_judged() {
        for text in ["a1 R1", "A1", "a1 H1 a2 A2"] {
            assert!(matches!(verdict(text), Verdict::Inconclusive { .. }), "{text}");
        }
    }
}
