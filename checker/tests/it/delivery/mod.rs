//! Deliveries: small histories with a twin each, a slow oracle, single corruptions of correct histories, Jepsen's formats.

mod corruptions;
mod coverage;
mod cycles;
mod effects;
mod groups;
mod jepsen;
mod lines;
mod oracle;
mod oracle_coverage;
mod oracle_cycles;
mod oracle_effects;
mod oracle_groups;
mod oracle_streams;
mod outputs;
mod pipelines;
mod queues;
mod streams;
mod verdicts;

use duress_checker::delivery::{self, Collector, Findings, Isolation, Journal, Order, Promise, Terms, Until};
use duress_checker::history::Event;
use serde_json::{Value, json};

/// A history in short: `e1:7` process 1 begins to enqueue 7, `+1` it is acknowledged, `-1` it failed, `?1` nobody knows; what
/// stands behind a colon is the value, as JSON or as a word. `d` dequeues, `a` acks, `n` nacks, `z` drains; `i` increments,
/// `l` appends, `r` reads; `s` sends, `p` polls, `t` is a transaction, `A` assigns, `S` subscribes, `I` begins a session, `R` replays. A word `@w` gives the operations
/// of the process before it the field `w`: `e1:7@{"ordering_key":3}`.
pub fn history(text: &str) -> Vec<Event> {
    let mut begun: std::collections::BTreeMap<u64, (&str, Value)> = std::collections::BTreeMap::new();
    let event = |(index, word): (usize, &str)| {
        let (word, fields) = word.split_once('@').unwrap_or((word, "{}"));
        let (head, value) = word.split_once(':').unwrap_or((word, "null"));
        let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        let (sign, process) = head.split_at(1);
        let process: u64 = process.parse().expect("a process");
        let kind = match sign {
            "+" => "ok",
            "-" => "fail",
            "?" => "info",
            _ => "invoke",
        };
        let f = match sign {
            "e" => "enqueue",
            "d" => "dequeue",
            "a" => "ack",
            "n" => "nack",
            "z" => "drain",
            "i" => "increment",
            "l" => "append",
            "r" => "read",
            "s" => "send",
            "p" => "poll",
            "t" => "txn",
            "A" => "assign",
            "S" => "subscribe",
            "I" => "init",
            "R" => "replay",
            _ => begun.get(&process).map_or("", |(f, _)| *f),
        };
        begun.insert(process, (f, value.clone()));
        let mut event = json!({
            "index": index, "time": index * 1_000_000, "process": process, "type": kind, "f": f, "value": value,
        });
        let fields: Value = serde_json::from_str(fields).expect("fields");
        for (name, value) in fields.as_object().into_iter().flatten() {
            event[name] = value.clone();
        }
        serde_json::from_value(event).expect("an event")
    };
    text.split_whitespace().enumerate().map(event).collect()
}

/// Event by event.
pub fn journal(events: &[Event]) -> Journal {
    let mut collector = Collector::default();
    for event in events {
        collector.event(event.clone()).expect("an operation on messages");
    }
    collector.finish().expect("operations on messages")
}

/// As a file that is read line by line, with how many lines were read without making events of them.
pub fn journal_of_lines(events: &[Event]) -> (Journal, usize) {
    let mut collector = Collector::default();
    let mut usual = 0;
    for event in events {
        let line = serde_json::to_vec(event).expect("plain data");
        match collector.line(&line) {
            Some(time) => {
                assert_eq!(time, event.time);
                usual += 1;
            }
            None => collector.event(event.clone()).expect("an operation on messages"),
        }
    }
    (collector.finish().expect("operations on messages"), usual)
}

/// What is found, which is the same however it was read.
fn judged(events: &[Event], terms: Terms) -> Findings {
    let found = delivery::judge(&journal(events), terms).expect("something to judge");
    let of_lines = delivery::judge(&journal_of_lines(events).0, terms).expect("something to judge");
    assert_eq!(format!("{of_lines:?}"), format!("{found:?}"));
    found
}

pub fn findings(events: &[Event], order: Order, until: Until) -> Findings {
    let terms = Terms {
        order,
        until,
        ..Terms::of(Promise::ExactlyOnce)
    };
    judged(events, terms)
}

/// Of a stream, where transactions are promised to be so far apart.
pub fn isolated(events: &[Event], isolation: Isolation) -> Findings {
    let terms = Terms {
        isolation,
        ..Terms::of(Promise::ExactlyOnce)
    };
    judged(events, terms)
}

/// `1 lost, 2 phantom`, in the order of the table of anomalies.
pub fn named(events: &[Event], order: Order, until: Until) -> String {
    let findings = findings(events, order, until);
    assert_eq!(findings.unjudged, None);
    let counts = findings
        .counts
        .iter()
        .map(|(anomaly, count)| format!("{count} {}", anomaly.name()));
    counts.collect::<Vec<_>>().join(", ")
}
