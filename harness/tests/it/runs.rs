//! Whole runs: a correct system holds, a planted defect is found, and the pages say so.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use crate::host::{Bench, DURESS, HostState, duress};

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
        log.contains("phase recovery") && log.contains(" healed: ") && log.contains("verified healed: "),
        "{log}"
    );
    before.wait_until_back(&bench, Duration::from_secs(10));
}

/// `duress check - --stream` on these lines: exit code and output.
fn check_lines(lines: &str) -> (Option<i32>, String) {
    let mut child = std::process::Command::new(DURESS)
        .args(["check", "-", "--stream", "--model", "cas-register"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut input = child.stdin.take().expect("a pipe");
    // It stops reading at the first violation.
    let _ = input.write_all(lines.as_bytes());
    drop(input);
    let output = child.wait_with_output().expect("an end");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_history_is_judged_while_it_comes() {
    let event = |index: u64, kind: &str, f: &str, value: &str| {
        format!(
            "{{\"index\":{index},\"time\":{index},\"process\":0,\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n"
        )
    };
    let write = [event(0, "invoke", "write", "1"), event(1, "ok", "write", "1")].concat();
    let fresh = [event(2, "invoke", "read", "null"), event(3, "ok", "read", "1")].concat();
    let stale = [event(4, "invoke", "read", "null"), event(5, "ok", "read", "null")].concat();
    let (code, said) = check_lines(&(write.clone() + &fresh));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("4 events, line by line"), "{said}");
    let (code, said) = check_lines(&(write.clone() + &fresh + &stale));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("began with the events 4"), "{said}");
    let (code, said) = check_lines(&(write + "nonsense\n"));
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("line 3: "), "{said}");
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
    let (code, said) = check_lines(&std::fs::read_to_string(&history).expect("a history"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no order explains the operations on \"k"), "{said}");
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
