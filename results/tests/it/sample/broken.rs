//! A small run for each property that violates it while a partition is in force, judged by the checker itself.

use std::fs;
use std::path::Path;

use duress_checker::history::{END_PHASE, Event, Sample, Series, Trace};
use duress_checker::property::overall::conclude;
use duress_checker::property::{self, PROPERTIES, Settings};
use duress_checker::verdict::Verdict;
use duress_results::RunDir;
use duress_results::verdict_file::VerdictFile;
use serde_json::{Value, json};

use super::{MS, STARTED};

/// One for each property, by its name.
pub fn all() -> Vec<(&'static str, VerdictFile, Vec<Event>)> {
    (PROPERTIES.iter())
        .map(|property| {
            let about = property.about();
            let (events, statuses) = run(about.name);
            let trace = Trace::new(&events, statuses);
            let settings = Settings::new(Some("register"));
            let mut judged = property::judge(*property, &trace, &settings);
            assert!(
                matches!(judged.verdict, Verdict::Violated { .. }),
                "the history does not violate {}: {judged:?}",
                about.name
            );
            // How long it took is of no interest to a snapshot.
            judged.detail = "as judged by the checker".to_owned();
            let mut file = super::violated();
            file.name = about.name.to_owned();
            file.properties = vec![judged];
            (file.overall, file.summary) = conclude(&file.properties, &file.evidence, &trace);
            file.duration_ms = trace.end / MS;
            (about.name, file, events)
        })
        .collect()
}

/// Writes the directory of one of them.
pub fn write(root: &Path, verdict: &VerdictFile, events: &[Event]) -> RunDir {
    let dir = RunDir::create(root, &verdict.name, STARTED, 7).expect("a fresh directory");
    let lines: Vec<String> = (events.iter())
        .map(|event| serde_json::to_string(event).expect("an event is plain data"))
        .collect();
    fs::write(dir.history(), lines.join("\n") + "\n").expect("a fresh directory");
    dir.write_verdict(verdict).expect("a fresh directory");
    dir
}

fn run(property: &str) -> (Vec<Event>, Series) {
    let mut history = History::default();
    history.partition();
    let mut statuses = Series::new();
    match property {
        "linearizable" => {
            history.op(1, "write", json!("x"), json!(1), "n2", (1_000, 1_010), json!(1));
            history.op(2, "write", json!("x"), json!(2), "n2", (3_000, 3_012), json!(2));
            history.op(3, "read", json!("x"), Value::Null, "n1", (3_500, 3_502), json!(1));
        }
        "nothing-lost" => {
            history.op(1, "add", Value::Null, json!(7), "n2", (1_000, 1_010), json!(7));
            history.op(2, "add", Value::Null, json!(8), "n1", (2_100, 2_120), json!(8));
            history.op(
                3,
                "read",
                Value::Null,
                Value::Null,
                "n2",
                (7_500, 7_503),
                json!([7]),
            );
        }
        "at-most-once" => {
            let queue = || json!("orders");
            history.op(1, "enqueue", queue(), json!(7), "n2", (1_000, 1_010), json!(7));
            history.op(3, "dequeue", queue(), Value::Null, "n2", (2_500, 2_503), json!(7));
            history.op(3, "ack", queue(), json!(7), "n2", (2_600, 2_603), json!(7));
            history.op(4, "dequeue", queue(), Value::Null, "n1", (3_500, 3_504), json!(7));
        }
        "at-least-once" => {
            let queue = || json!("orders");
            history.op(1, "enqueue", queue(), json!(7), "n2", (1_000, 1_010), json!(7));
            history.op(2, "enqueue", queue(), json!(8), "n1", (2_100, 2_120), json!(8));
            history.op(3, "drain", queue(), Value::Null, "n2", (7_500, 7_503), json!([7]));
        }
        "exactly-once" => {
            let polled = json!([["poll", {"2": [[0, 7], [1, 7]]}]]);
            history.op(
                1,
                "send",
                Value::Null,
                json!([["send", 2, 7]]),
                "n2",
                (2_500, 2_700),
                json!([["send", 2, [0, 7]]]),
            );
            history.op(
                3,
                "assign",
                Value::Null,
                json!([2]),
                "n2",
                (2_800, 2_801),
                json!([2]),
            );
            history.op(
                3,
                "poll",
                Value::Null,
                json!([["poll"]]),
                "n1",
                (3_000, 3_100),
                polled,
            );
        }
        "mutual-exclusion" => {
            let lock = || json!("lock0");
            history.op(1, "acquire", lock(), json!(1), "n1", (2_900, 2_905), json!(1));
            history.op(1, "hold", lock(), json!(1), "n1", (3_000, 3_700), json!(1));
            history.op(2, "acquire", lock(), json!(2), "n2", (3_200, 3_204), json!(2));
            history.op(1, "release", lock(), json!(1), "n1", (3_800, 3_803), json!(1));
            history.op(2, "release", lock(), json!(2), "n2", (3_900, 3_902), json!(2));
        }
        "converged" => {
            history.op(1, "write", json!("x"), json!(1), "n2", (1_000, 1_010), json!(1));
            history.op(2, "write", json!("x"), json!(2), "n2", (3_000, 3_012), json!(2));
            let member = |node: &str, x: Value| json!({"node": node, "applied": 912, "keys": {"x": x, "y": {"revision": 3, "value": 9}}});
            history.note(
                9_000,
                "contents",
                json!({"members": [
                    member("n1", json!({"revision": 5, "value": 1})),
                    member("n2", json!({"revision": 7, "value": 2})),
                    {"node": "n3", "error": "connection refused"},
                ]}),
            );
        }
        "one-leader-per-term" => {
            statuses.insert("n1".to_owned(), samples("F3@5 L4@7 L4@8 L4@9 L4@10 L4@11 L4@12"));
            statuses.insert("n2".to_owned(), samples("F3@5 F4@7 F4@8 L4@9 L4@10 L4@12 L4@13"));
            statuses.insert("n3".to_owned(), samples("F3@5 F4@7 - - F4@9 F4@10 F4@12"));
        }
        "terms-never-go-back" => {
            statuses.insert("n1".to_owned(), samples("F3@5 F5@7 F5@8 F4@9 F4@10"));
            statuses.insert("n2".to_owned(), samples("L3@5 L5@7 L5@8 L5@9 L5@10"));
        }
        "applied-never-goes-back" => {
            statuses.insert("n1".to_owned(), samples("F3@5 F3@17 F3@28 F3@9 F3@10"));
            statuses.insert("n2".to_owned(), samples("L3@5 L3@17 L3@28 L3@29 L3@30"));
        }
        "recovers" => {
            let detail = "n1 does not answer";
            history.note(
                9_000,
                "recovered",
                json!({"recovered": false, "ms": 3_000, "detail": detail}),
            );
            statuses.insert("n1".to_owned(), samples_from(8_500, "F3@5 F3@7 - - - -"));
            statuses.insert(
                "n2".to_owned(),
                samples_from(8_500, "L3@5 L3@7 L3@8 L3@9 L3@10 L3@11"),
            );
        }
        other => panic!("write a history that violates {other}"),
    }
    history.note(9_500, "phase", json!({"phase": END_PHASE}));
    (history.events(), statuses)
}

/// Events in any order, each with its time in milliseconds.
#[derive(Default)]
struct History {
    events: Vec<(u64, Value)>,
}

impl History {
    /// Fault 1, from 2 s to 6 s.
    fn partition(&mut self) {
        for (time, step) in [
            (1_950, "prepare"),
            (2_000, "inject"),
            (2_100, "verify"),
            (5_900, "recheck"),
            (6_000, "heal"),
            (6_100, "verify-healed"),
            (6_110, "clean-up"),
        ] {
            let value =
                json!({"id": 1, "step": step, "targets": ["n1"], "result": "installed", "detail": ""});
            self.note(time, "partition", value);
        }
    }

    fn note(&mut self, time: u64, f: &str, value: Value) {
        let event = json!({"process": "nemesis", "type": "info", "f": f, "value": value});
        self.events.push((time, event));
    }

    #[allow(clippy::too_many_arguments)] // a line of a table
    fn op(
        &mut self,
        process: u64,
        f: &str,
        key: Value,
        value: Value,
        node: &str,
        (from, to): (u64, u64),
        result: Value,
    ) {
        let keyed = |mut event: Value| {
            if !key.is_null() {
                event["key"] = key.clone();
            }
            event
        };
        let invoke = json!({"process": process, "type": "invoke", "f": f, "value": value});
        self.events.push((from, keyed(invoke)));
        let end = json!({"process": process, "type": "ok", "f": f, "value": result, "node": node});
        self.events.push((to, keyed(end)));
    }

    fn events(mut self) -> Vec<Event> {
        self.events.sort_by_key(|(time, _)| *time);
        let event = |(index, (time, mut event)): (usize, (u64, Value))| {
            event["index"] = json!(index);
            event["time"] = json!(time * MS);
            serde_json::from_value(event).expect("an event")
        };
        self.events.into_iter().enumerate().map(event).collect()
    }
}

/// A look each 100 ms from 3 s on, while the partition is in force.
fn samples(text: &str) -> Vec<Sample> {
    samples_from(3_000, text)
}

/// A look each 100 ms: `L4@7` leads in term 4 with 7 applied, `F4@7` does not lead, `-` does not answer.
fn samples_from(start: u64, text: &str) -> Vec<Sample> {
    let sample = |(at, word): (u64, &str)| {
        let time = (start + at * 100) * MS;
        let Some((head, applied)) = word.split_once('@') else {
            return Sample {
                time,
                ..Sample::default()
            };
        };
        Sample {
            time,
            up: true,
            leads: head.starts_with('L'),
            term: head[1..].parse().expect("a term"),
            applied: applied.parse().expect("an index"),
        }
    };
    (0..).zip(text.split(' ')).map(sample).collect()
}
