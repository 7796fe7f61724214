//! Queues: what is delivered is judged, whoever asks, and a planted defect is found by its name.

use std::path::Path;

use serde_json::Value;

use crate::host::Bench;

pub const FAULTS: &str = "[faults]\nlength = \"1s..2s\"\npause = \"300ms..600ms\"\n\
    [[faults.mix]]\nkind = \"kill\"\ntargets = \"leader\"\n\
    [[faults.mix]]\nkind = \"partition\"\nshape = \"majority-minority\"\n\
    [[faults.mix]]\nkind = \"pause\"\ntargets = \"majority\"\nlength = \"250ms\"\n";

/// Queues of this system for so many seconds.
fn spec(system: &str, cluster: &str, seconds: u64, faults: &str) -> String {
    format!(
        "name = \"queues\"\nproperties = [\"exactly-once:order=global\"]\n\
         [cluster.local]\nsystem = {system:?}\nnodes = 3\n{cluster}\n\
         [workload.queue]\nlate = 0.1\nlease-ms = 300\n[client]\ntimeout = \"150ms\"\nbackoff = \"100ms\"\n\
         [load.closed]\nprocesses = 24\n[evidence]\nok = 50\nok-of-each = 1\n\
         [time]\nwarm-up = \"500ms\"\nfaults = \"{seconds}s\"\n{faults}"
    )
}

pub fn exactly_once(verdict: &Value) -> &Value {
    let properties = verdict["properties"].as_array().expect("properties");
    let is = |property: &&Value| {
        property["property"]
            .as_str()
            .is_some_and(|name| name.starts_with("exactly-once"))
    };
    properties.iter().find(is).expect("it was claimed")
}

#[test]
fn every_message_is_delivered_and_acknowledged_once_through_kills_and_partitions() {
    let bench = Bench::new(&spec("specimen", "", 8, FAULTS));
    let verdict = bench.run(5, 0);
    assert_eq!(verdict["overall"], "held");
    let detail = exactly_once(&verdict)["detail"].as_str().unwrap_or_default();
    // Nothing would have been tested if nothing had come again.
    assert!(
        detail.contains(" redeliveries ") && detail.contains("2 kept exactly-once"),
        "{detail}"
    );
    let history = std::fs::read_to_string(bench.latest().join("history.jsonl")).expect("a history");
    for event in ["\"f\":\"nack\"", "\"f\":\"hold\"", "\"lease_ms\":300"] {
        assert!(history.contains(event), "{event}");
    }
}

#[test]
fn a_message_that_is_there_twice_is_found_and_its_life_is_told() {
    let bench = Bench::new(&spec(
        "specimen",
        "defects = [\"dedup-window-too-short\"]",
        8,
        FAULTS,
    ));
    let verdict = bench.run(5, 1);
    let diverged = &verdict["diverged"]["dedup-window-too-short"];
    assert!(
        diverged.as_u64() > Some(0),
        "the defect was triggered: {diverged}"
    );
    let proof = &exactly_once(&verdict)["witness"]["proof"];
    assert_eq!(proof["kind"], "messages", "{verdict}");
    let lives = proof["lives"].as_array().expect("lives");
    let is_twice = |life: &&Value| {
        matches!(life["anomaly"].as_str(), Some("resurrected" | "duplicate-ack"))
            && life["cause"] == "client retry after an ambiguous answer"
    };
    let twice = lives.iter().find(is_twice).unwrap_or_else(|| panic!("{proof}"));
    let moments = twice["moments"].as_array().expect("moments");
    let told = |part: &str| {
        (moments.iter()).any(|moment| moment["what"].as_str().is_some_and(|what| what.contains(part)))
    };
    for part in [
        ", attempt 1: ",
        ", attempt 2: ",
        "answered after ",
        "ack acknowledged",
    ] {
        assert!(told(part), "{part}: {twice}");
    }
    let report = std::fs::read_to_string(bench.latest().join("report.html")).expect("a report");
    assert!(report.contains("Faults in force") && report.contains("The life of"));
}

/// Receipts go by way of Duress, and so do leases.
#[test]
fn templates_and_programs_carry_queues_too() {
    for folder in ["tests/fixtures/specimen-http", "../docs/examples/exec-python"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let folder = folder.canonicalize().expect("a system");
        let spec = spec(&folder.display().to_string(), "", 5, "");
        // Programs take their time on a busy machine, and nothing here depends on retries.
        let bench = Bench::new(&spec.replace("timeout = \"150ms\"", "timeout = \"2s\""));
        let verdict = bench.run(5, 0);
        let detail = exactly_once(&verdict)["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("2 kept exactly-once"), "{folder:?}: {detail}");
    }
}

/// Faults of clients alone.
const CLIENTS: &str = "[[faults.at]]\nat = \"0s\"\nlength = \"4s\"\nkind = \"client-replay\"\nshare = 0.3\n\
    [[faults.at]]\nat = \"200ms\"\nlength = \"3s\"\nkind = \"client-crash\"\nwithin = \"20ms\"\n\
    [[faults.at]]\nat = \"500ms\"\nlength = \"3s\"\nkind = \"client-late-retry\"\nafter = \"300ms\"\n";

#[test]
fn requests_that_come_again_are_executed_once() {
    let bench = Bench::new(&spec("specimen", "", 5, CLIENTS));
    let verdict = bench.run(5, 0);
    assert_eq!(verdict["overall"], "held");
    let history = std::fs::read_to_string(bench.latest().join("history.jsonl")).expect("a history");
    let again = history
        .lines()
        .filter(|line| line.contains("\"f\":\"sent-again\""));
    assert!(again.count() > 10, "requests were sent again");
    assert!(history.contains("the client crashed"));
}

#[test]
fn a_message_that_is_there_twice_since_its_request_was_replayed_is_told_so() {
    let bench = Bench::new(&spec(
        "specimen",
        "defects = [\"dedup-window-too-short\"]",
        5,
        CLIENTS,
    ));
    let verdict = bench.run(5, 1);
    let lives = &exactly_once(&verdict)["witness"]["proof"]["lives"];
    let is_replayed = |life: &&Value| {
        let moments = life["moments"].as_array().into_iter().flatten();
        let mut told = moments.filter_map(|moment| moment["what"].as_str());
        life["cause"] == "request sent again after its answer"
            && told.any(|what| what.contains("enqueue, sent again: answered"))
    };
    let lives = lives.as_array().expect("lives");
    assert!(lives.iter().any(|life| is_replayed(&life)), "{verdict}");
}
