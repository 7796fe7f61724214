//! Streams: what is sent, polled and transformed is judged, and a planted defect is found by its name.

use crate::host::Bench;
use crate::queues::{FAULTS, exactly_once};

/// Streams of the specimen for so many seconds.
fn spec(cluster: &str, workload: &str, seconds: u64) -> String {
    format!(
        "name = \"streams\"\nproperties = [\"exactly-once\"]\n\
         [cluster.local]\nsystem = \"specimen\"\nnodes = 3\n{cluster}\n\
         [workload.stream]\n{workload}\n[client]\ntimeout = \"1s\"\ndeadline = \"5s\"\n\
         [load.closed]\nprocesses = 8\n[evidence]\nok = 50\nok-of-each = 1\n\
         [time]\nwarm-up = \"500ms\"\nfaults = \"{seconds}s\"\n{FAULTS}"
    )
}

#[test]
fn every_message_is_there_once_and_makes_one_output_through_kills_and_partitions() {
    let bench = Bench::new(&spec("", "stall = 0.1\nlate = 0.1\nreplay = 0.2", 8));
    let verdict = bench.run(5, 0);
    assert_eq!(verdict["overall"], "held");
    let detail = exactly_once(&verdict)["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("4 kept exactly-once"), "{detail}");
    let history = std::fs::read_to_string(bench.latest().join("history.jsonl")).expect("a history");
    // Nothing would have been tested if clients had done nothing wrong.
    for event in [
        "\"f\":\"hold\"",
        "\"f\":\"replay\"",
        "\"commit-again\"",
        "\"error\":\"aborted\"",
        "\"error\":\"fenced\"",
    ] {
        assert!(history.contains(event), "{event}");
    }
}

#[test]
fn what_a_late_commit_shows_is_found_and_its_life_is_told() {
    let bench = Bench::new(&spec(
        "defects = [\"late-commit-wins\"]",
        "late = 0.4\nabort = 0.3",
        8,
    ));
    let verdict = bench.run(5, 1);
    let diverged = &verdict["diverged"]["late-commit-wins"];
    assert!(
        diverged.as_u64() > Some(0),
        "the defect was triggered: {diverged}"
    );
    let proof = &exactly_once(&verdict)["witness"]["proof"];
    let lives = proof["lives"].as_array().expect("lives");
    let read = lives.iter().find(|life| life["anomaly"] == "G1a");
    let read = read.unwrap_or_else(|| panic!("{proof}"));
    assert_eq!(read["cause"], "request sent again after its answer", "{read}");
    let moments = read["moments"].as_array().expect("moments");
    let told = |what: &str| moments.iter().any(|moment| moment["what"] == what);
    assert!(told("txn failed") && told("poll delivered it"), "{read}");
}
