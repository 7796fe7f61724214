//! A run directory that looks like a real one: five nodes, a partition, a kill and a pause, a stale read.
//!
//! Everything follows from a counter, so that two samples are the same to the byte.

#![allow(dead_code)] // the example and each test use a part of it

pub mod broken;
mod verdicts;

pub use verdicts::*;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use duress_checker::history::EventType;
use duress_results::RunDir;
use duress_results::verdict_file::Probe;
use serde_json::{Value, json};

pub const SECOND: u64 = 1_000_000_000;
pub const MS: u64 = 1_000_000;
const DURATION: u64 = 30 * SECOND;
const NODES: [&str; 5] = ["n1", "n2", "n3", "n4", "n5"];
pub const STARTED: &str = "2026-11-23T00:05:00Z";

/// Kind, targets, injection, heal, what the verification saw.
type Planned = (&'static str, &'static [&'static str], u64, u64, &'static str);
const FAULTS: [Planned; 4] = [
    (
        "partition",
        &["n1", "n4"],
        5 * SECOND,
        10 * SECOND,
        "12 of 12 directed links between {n1 n4} and {n2 n3 n5} are cut",
    ),
    ("kill", &["n3"], 12 * SECOND, 14 * SECOND, "process 4711 is gone"),
    (
        "partition",
        &["n2"],
        13 * SECOND,
        18 * SECOND,
        "8 of 8 directed links of n2 are cut",
    ),
    (
        "pause",
        &["n5"],
        21 * SECOND,
        24 * SECOND,
        "3 of 3 threads of n5 are stopped (T)",
    ),
];

/// Writes the whole of a violated run, and says where.
pub fn write(root: &Path) -> RunDir {
    let dir = RunDir::create(root, "register", STARTED, 7).expect("a fresh directory");
    fs::write(dir.history(), history()).expect("a fresh directory");
    for (node, number) in NODES.iter().zip(0..) {
        dir.create_node(node).expect("a fresh directory");
        fs::write(dir.probes(node), probes(number)).expect("a fresh directory");
    }
    dir.write_spec(SPEC).expect("a fresh directory");
    dir.write_schedule(&schedule()).expect("a fresh directory");
    dir.write_verdict(&violated()).expect("a fresh directory");
    dir
}

const SPEC: &str = r#"name = "register"
seed = 7

[cluster]
kind = "local"
nodes = 5
system = "specimen"
defects = ["stale-read"]

[workload]
kind = "register"
keys = 10
concurrency = 20

[run]
warm_up = "3s"
faults = "22s"

[[property]]
kind = "linearizable"
"#;

fn schedule() -> Value {
    let faults: Vec<Value> = (FAULTS.iter().zip(1..))
        .map(|((kind, targets, from, to, _), id)| {
            json!({"id": id, "at_ms": from / MS, "length_ms": (to - from) / MS, "fault": {"kind": kind, "targets": targets}})
        })
        .collect();
    json!({"format": 1, "faults": faults})
}

/// A small stream of numbers that look random.
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn cut_off(node: usize, time: u64) -> bool {
    (FAULTS.iter())
        .any(|(_, targets, from, to, _)| targets.contains(&NODES[node]) && (*from..*to).contains(&time))
}

fn history() -> String {
    let mut noise = Noise(7);
    let mut events: Vec<(u64, Value)> = vec![(
        0,
        json!({"process": "nemesis", "type": "info", "f": "run", "value": {"format": 1, "name": "register", "seed": 7}}),
    )];
    let mut process_next = 20;
    for worker in 0..8u64 {
        let mut process = worker;
        let mut time = noise.below(20) * MS;
        while time < DURATION - SECOND {
            let node = noise.below(5) as usize;
            let f = ["read", "read", "write", "cas"][noise.below(4) as usize];
            let key = format!("k{}", noise.below(10));
            let value = if f == "read" {
                Value::Null
            } else if f == "cas" {
                json!([noise.below(50), noise.below(50)])
            } else {
                json!(noise.below(50))
            };
            let base = 600_000
                + noise.below(2_500_000)
                + if noise.below(60) == 0 {
                    noise.below(40 * MS)
                } else {
                    0
                };
            let (kind, took, error) = match () {
                () if cut_off(node, time) && noise.below(3) > 0 => (EventType::Info, SECOND, Some("timeout")),
                () if cut_off(node, time) => (EventType::Fail, 3 * MS, Some("connection refused")),
                () if f == "cas" && noise.below(3) == 0 => {
                    (EventType::Fail, base, Some("precondition failed"))
                }
                () => (EventType::Ok, base, None),
            };
            events.push((
                time,
                json!({"process": process, "type": "invoke", "f": f, "key": key, "value": value}),
            ));
            let mut end = json!({"process": process, "type": kind, "f": f, "key": key, "node": NODES[node],
                "value": if f == "read" && kind == EventType::Ok { json!(noise.below(50)) } else { value.clone() }});
            if let Some(error) = error {
                end["error"] = json!(error);
            }
            events.push((time + took, end));
            if kind == EventType::Info {
                process = process_next;
                process_next += 1;
            }
            time += took + 4 * MS + noise.below(12 * MS);
        }
    }
    for ((kind, targets, from, to, seen), id) in FAULTS.iter().zip(1u64..) {
        let steps = [
            (
                from - 40 * MS,
                "prepare",
                "targets resolved by seed",
                json!({"duration_ms": (to - from) / MS}),
            ),
            (*from, "inject", "rules are in place", Value::Null),
            (
                from + 120 * MS,
                "verify",
                seen,
                json!({"dropped_packets": 0, "probes": 20}),
            ),
            (
                to - 130 * MS,
                "recheck",
                "still in force right before it is healed",
                json!({"dropped_packets": 312 * id}),
            ),
            (
                *to,
                "heal",
                "rules are gone",
                json!({"dropped_packets": 312 * id}),
            ),
            (
                to + 90 * MS,
                "verify-healed",
                "20 of 20 directed links are open",
                json!({"probes": 20}),
            ),
            (to + 95 * MS, "clean-up", "journal entry closed", Value::Null),
        ];
        for (time, step, detail, evidence) in steps {
            let value = json!({"id": id, "step": step, "targets": targets, "result": "installed", "detail": detail, "evidence": evidence});
            events.push((
                time,
                json!({"process": "nemesis", "type": "info", "f": kind, "value": value}),
            ));
        }
    }
    events.sort_by_key(|(time, _)| *time);
    let mut text = String::new();
    for (index, (time, mut event)) in events.into_iter().enumerate() {
        event["index"] = json!(index);
        event["time"] = json!(time);
        let _ = writeln!(text, "{event}");
    }
    text
}

fn probes(node: usize) -> String {
    let mut text = String::new();
    let mut applied = 0;
    for tick in 0..150u64 {
        let time = tick * 200 * MS;
        let (leader, term, leader_since) = match time {
            t if t < 5_600 * MS => (0, 1, 600 * MS),
            t if t < 13_800 * MS => (1, 2, 5_600 * MS),
            _ => (2, 4, 15_400 * MS),
        };
        let killed = node == 2 && (12 * SECOND..14 * SECOND).contains(&time);
        let paused = node == 4 && (21 * SECOND..24 * SECOND).contains(&time);
        let electing = time < leader_since;
        let isolated = cut_off(node, time);
        let role = match () {
            () if node == leader && !electing => "leader",
            () if node == 0 && (5..10).contains(&(time / SECOND)) => "leader",
            () if electing || (isolated && node == 1) => "candidate",
            () => "follower",
        };
        let commit = time / MS * 3;
        if !isolated {
            applied = commit.saturating_sub(node as u64 * 3);
        }
        let up = !killed && !paused;
        let probe = Probe {
            time,
            up,
            role: up.then(|| role.to_owned()),
            term: up.then_some(if isolated && node != 1 { term.min(1) } else { term }),
            leader: up.then(|| NODES[leader].to_owned()),
            commit: up.then_some(if isolated { applied } else { commit }),
            applied: up.then_some(applied),
        };
        let _ = writeln!(
            text,
            "{}",
            serde_json::to_string(&probe).expect("a probe is plain data")
        );
    }
    text
}
