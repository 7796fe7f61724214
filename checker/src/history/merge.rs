//! Operations that were carried out on other machines, merged into one order by what their clocks tell.
//!
//! Whoever records a history that others take part in sees less than they do: an operation seems to begin when it is handed over, and to
//! end when its answer is back. Between lie the ways there and back. Where attempts say when they were made, by a clock whose error is
//! known, the operation is known better:
//!
//! ```text
//! recorded     invoke ─────────────────────────────────── ok
//! attempt                 start ─────────── end              by the clock of c1, ± error
//! merged            invoke ─────────────────────── ok        widened by the error, never beyond what was recorded
//! ```
//!
//! One operation comes before another only if it ended before that began: where intervals may overlap, no order is claimed, and so nothing
//! false is concluded from clocks that differ. What an attempt tells that lies outside of what was recorded can't be: its clock was set, or
//! stood still. Then what was recorded counts.

use std::collections::BTreeMap;

use super::{Attempt, Event, EventType, Process};

/// Puts events where their attempts say that they belong, and numbers them anew. Events of which no attempt tells another clock stay as they
/// are; the order of a process is kept.
pub fn merge(mut events: Vec<Event>) -> Vec<Event> {
    let mut open: BTreeMap<u64, usize> = BTreeMap::new();
    for position in 0..events.len() {
        let Process::Client(process) = events[position].process else {
            continue;
        };
        if events[position].kind == EventType::Invoke {
            open.insert(process, position);
        } else if let Some(invoked) = open.remove(&process) {
            let (from, to) = within(&events[invoked], &events[position]);
            events[invoked].time = from;
            events[position].time = to;
        }
    }
    // Stable: what has the same time stays as it was.
    events.sort_by_key(|event| event.time);
    for (index, event) in (0..).zip(&mut events) {
        event.index = index;
    }
    events
}

/// Whether there is anything to merge.
pub fn has_other_clocks(events: &[Event]) -> bool {
    let mut attempts = events.iter().flat_map(|event| &event.attempts);
    attempts.any(|attempt| attempt.clock.is_some())
}

/// When the operation was carried out: at the earliest, and at the latest.
fn within(invoke: &Event, completion: &Event) -> (u64, u64) {
    let recorded = (invoke.time, completion.time);
    let earliest = |attempt: &Attempt| {
        let clock = attempt.clock.as_ref()?;
        Some(attempt.start.saturating_sub(clock.error_ns))
    };
    let latest = |attempt: &Attempt| {
        let clock = attempt.clock.as_ref()?;
        Some(attempt.end.saturating_add(clock.error_ns))
    };
    let (Some(first), Some(last)) = (completion.attempts.first(), completion.attempts.last()) else {
        return recorded;
    };
    let from = earliest(first).map_or(recorded.0, |from| from.max(recorded.0));
    // Nobody knows when an operation took effect whose attempts brought no answer.
    let to = match completion.kind {
        EventType::Ok | EventType::Fail => latest(last).map_or(recorded.1, |to| to.min(recorded.1)),
        EventType::Info | EventType::Invoke => recorded.1,
    };
    if from <= to && from <= recorded.1 && to >= recorded.0 {
        (from, to)
    } else {
        recorded
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::linearizability::check;
    use crate::verdict::{Budget, Verdict};

    /// When it was invoked and completed.
    type Recorded = (u64, u64);
    /// When its attempt began and ended, by another clock, and how far that may be off.
    type Told = Option<(u64, u64, u64)>;

    /// `process f value invoke..completion [start..end±error]`, all in order of `invoke` or completion afterwards.
    fn recorded(operations: &[(u64, &str, u64, Recorded, Told)]) -> Vec<Event> {
        let mut events = Vec::new();
        for (process, f, value, (invoked, completed), told) in operations {
            let event = |time, kind, attempts| {
                json!({"index": 0, "time": time, "process": process, "type": kind, "f": f,
                       "value": if kind == "invoke" && *f == "read" { json!(null) } else { json!(value) }, "attempts": attempts})
            };
            let attempt = |(start, end, error): (u64, u64, u64)| json!({"start": start, "end": end, "node": "n1", "clock": {"host": "c1", "error-ns": error}});
            let attempts: Vec<_> = told.map(attempt).into_iter().collect();
            events.push(event(*invoked, "invoke", json!([])));
            events.push(event(*completed, "ok", json!(attempts)));
        }
        events.sort_by_key(|event| event["time"].as_u64());
        let numbered = (0..).zip(events).map(|(index, mut event)| {
            event["index"] = json!(index);
            serde_json::from_value(event).unwrap()
        });
        numbered.collect::<Vec<Event>>()
    }

    fn times(events: &[Event]) -> Vec<(u64, u64)> {
        events.iter().map(|event| (event.index, event.time)).collect()
    }

    fn holds(events: &[Event]) -> bool {
        let verdict = check(events, "register", Budget::default(), &Duration::default).unwrap();
        matches!(verdict.verdict, Verdict::Held)
    }

    #[test]
    fn intervals_shrink_to_what_the_clock_tells_and_are_widened_by_its_error() {
        let merged = merge(recorded(&[(1, "write", 5, (100, 900), Some((400, 500, 50)))]));
        assert_eq!(times(&merged), [(0, 350), (1, 550)]);
        // Never beyond what was recorded.
        let merged = merge(recorded(&[(1, "write", 5, (100, 900), Some((120, 880, 50)))]));
        assert_eq!(times(&merged), [(0, 100), (1, 900)]);
    }

    #[test]
    fn what_can_not_be_is_not_believed() {
        for impossible in [(2000, 2100, 50), (0, 20, 10), (800, 200, 10)] {
            let merged = merge(recorded(&[(1, "write", 5, (100, 900), Some(impossible))]));
            assert_eq!(times(&merged), [(0, 100), (1, 900)], "{impossible:?}");
        }
    }

    #[test]
    fn an_end_that_nobody_knows_stays_where_it_was() {
        let mut events = recorded(&[(1, "write", 5, (100, 900), Some((400, 500, 50)))]);
        events[1].kind = EventType::Info;
        assert_eq!(times(&merge(events)), [(0, 350), (1, 900)]);
    }

    #[test]
    fn a_stale_read_shows_only_where_the_order_is_certain() {
        // Recorded, the two overlap. By their clocks the write had ended before the read began, whose value is older.
        let stale = |error| {
            recorded(&[
                (0, "write", 1, (0, 10), None),
                (1, "write", 2, (100, 900), Some((200, 300, error))),
                (2, "read", 1, (150, 950), Some((600, 700, error))),
            ])
        };
        assert!(holds(&stale(50)));
        assert!(!holds(&merge(stale(50))));
        // They may have overlapped: no order is claimed.
        assert!(holds(&merge(stale(160))));
        // Its twin, which read what was there.
        let mut fresh = stale(50);
        fresh
            .iter_mut()
            .filter(|event| event.f == "read")
            .for_each(|read| {
                if read.kind == EventType::Ok {
                    read.value = json!(2);
                }
            });
        assert!(holds(&merge(fresh)));
    }

    #[test]
    fn what_has_one_clock_stays_as_it_is() {
        let events = recorded(&[
            (1, "write", 5, (100, 900), None),
            (2, "read", 5, (900, 950), None),
        ]);
        assert!(!has_other_clocks(&events));
        assert_eq!(merge(events.clone()), events);
    }
}
