//! Whole runs: a correct system holds, a planted defect is found, and the pages say so.

use crate::host::{Bench, HostState, duress};
use std::time::Duration;

const CORRECT: &str = r#"
name = "correct"
[cluster.local]
system = "specimen"
nodes = 5
[workload.register]
keys = 5
delete = 0.3
[load.open]
rate = 150
[client]
timeout = "1s"
[evidence]
ok = 300
ok-of-each = 10
[time]
warm-up = "500ms"
faults = "10s"
[faults]
length = "1s..2s"
pause = "300ms..600ms"
[[faults.mix]]
kind = "partition"
shape = "majority-minority"
[[faults.mix]]
kind = "kill"
targets = "leader"
[[faults.mix]]
kind = "pause"
targets = "leader"
[[faults.mix]]
kind = "restart"
targets = "minority"
"#;

const STALE: &str = r#"
name = "stale"
properties = ["linearizable"]
[cluster.local]
system = "specimen"
nodes = 3
defects = ["stale-read"]
[workload.register]
keys = 3
cas = 0.0
[client]
routing = "any"
[load.open]
rate = 300
[time]
warm-up = "500ms"
faults = "8s"
[faults]
length = "2s"
pause = "500ms"
[[faults.mix]]
kind = "partition"
shape = "majority-minority"
"#;

#[test]
fn a_correct_system_holds_under_faults_that_are_proven() {
    let before = HostState::now();
    let bench = Bench::new(CORRECT);
    let verdict = bench.run(3, 0);
    assert_eq!(verdict["overall"], "held");
    assert!(
        verdict["evidence"]["faults_verified"].as_u64() >= Some(4),
        "{}",
        verdict["evidence"]
    );
    assert_eq!(
        verdict["evidence"]["faults_verified"],
        verdict["evidence"]["faults_planned"]
    );
    assert_eq!(
        verdict["evidence"]["faults_healed"],
        verdict["evidence"]["faults_planned"]
    );
    assert!(verdict["evidence"]["operations"]["ok"].as_u64() >= Some(300));
    for file in [
        "spec.toml",
        "schedule.json",
        "history.jsonl",
        "report.html",
        "junit.xml",
        "nodes/n5/probes.jsonl",
    ] {
        assert!(bench.latest().join(file).is_file(), "{file} is missing");
    }
    let log = std::fs::read_to_string(bench.latest().join("duress.log")).expect("a log");
    assert!(
        log.contains("phase recovery") && log.contains("VerifyHealed Installed"),
        "{log}"
    );
    before.wait_until_back(&bench, Duration::from_secs(10));
}

#[test]
fn a_stale_read_is_found_and_shown() {
    let bench = Bench::new(STALE);
    let verdict = bench.run(1, 1);
    assert_eq!(verdict["overall"], "violated");
    let witness = &verdict["properties"][0]["witness"];
    let operations = witness["operations"].as_array().expect("a witness");
    assert!((2..=8).contains(&operations.len()), "{witness}");
    assert!(
        operations.iter().any(|operation| operation["f"] == "read"),
        "{witness}"
    );

    let history = bench.latest().join("history.jsonl");
    let check = duress([
        "check".as_ref(),
        history.as_os_str(),
        "--model".as_ref(),
        "cas-register".as_ref(),
        "--quiet".as_ref(),
    ]);
    assert_eq!(check.status.code(), Some(1));
    let report = std::fs::read_to_string(bench.latest().join("report.html")).expect("a report");
    assert!(report.contains("violated"));
    let junit = std::fs::read_to_string(bench.latest().join("junit.xml")).expect("a JUnit file");
    assert!(junit.contains("<failure"));
}

#[test]
fn the_same_seed_plans_the_same_faults() {
    let plan = |seed| {
        let bench = Bench::new(&CORRECT.replace("faults = \"10s\"", "faults = \"3s\""));
        let _ = bench.run_command(seed).arg("--quiet").output().expect("a run");
        std::fs::read_to_string(bench.latest().join("schedule.json")).expect("a schedule")
    };
    let first = plan(11);
    assert_eq!(first, plan(11));
    assert_ne!(first, plan(12));
}
