//! Clients on a host of their own, whose clock is 300 ms ahead: what they say is judged right.

use serde_json::Value;

use super::rig::{LOGIN, Rig, spec};
use crate::compose::both;

const AHEAD_MS: u32 = 300;

/// A spec whose clients are on the fourth host.
fn with_clients(login: &str, faults: &str) -> String {
    spec(
        3,
        &format!("{LOGIN}\nclient-hosts = [\"root@10.78.0.14\"]\n{login}"),
        faults,
    )
}

fn history(rig: &Rig) -> Vec<Value> {
    let text = std::fs::read_to_string(rig.latest().join("history.jsonl")).expect("a history");
    let event = |line: &str| serde_json::from_str(line).expect("an event");
    text.lines().map(event).collect()
}

#[test]
fn a_clock_that_is_ahead_is_no_violation() {
    let Some(rig) = Rig::ahead(4, AHEAD_MS) else {
        return;
    };
    let faults = "[[faults.mix]]\nkind = \"kill\"\ntargets = \"leader\"\n[[faults.mix]]\nkind = \"partition\"\nshape = \"leader\"\n";
    let output = rig
        .run(&with_clients("", faults))
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    let history = history(&rig);
    let note = history
        .iter()
        .find(|event| event["f"] == "client-clock")
        .expect("a note");
    let (ahead, error) = (&note["value"]["ahead-ns"], &note["value"]["error-ns"]);
    let (ahead, error) = (
        ahead.as_i64().expect("a number"),
        error.as_u64().expect("a number"),
    );
    let really = i64::from(AHEAD_MS) * 1_000_000;
    assert!(ahead.abs_diff(really) <= error, "{ahead} ± {error} ns");
    // Operations lie where their attempts were made, widened by the error: within what was recorded here.
    let answered = history.iter().filter(|event| event["type"] == "ok");
    let mut merged = 0;
    for event in answered {
        let last = event["attempts"]
            .as_array()
            .and_then(|all| all.last())
            .expect("an attempt");
        let host = last["clock"]["host"].as_str().expect("another clock");
        assert!(host.contains("10.78.0.14"), "{event}");
        let (end, error) = (
            last["end"].as_u64().expect("a time"),
            last["clock"]["error-ns"].as_u64().expect("an error"),
        );
        merged += usize::from(event["time"].as_u64() == Some(end + error));
        assert!(event["time"].as_u64() <= Some(end + error), "{event}");
    }
    assert!(merged > 0, "no operation ended by the clock of its client");
    assert!(history.is_sorted_by_key(|event| event["time"].as_u64()));
}

#[test]
fn a_planted_defect_is_found_by_its_clients() {
    let Some(rig) = Rig::ahead(4, AHEAD_MS) else {
        return;
    };
    let faults = "[[faults.mix]]\nkind = \"partition\"\nshape = \"leader\"\n";
    let spec = with_clients("defects = [\"stale-read\"]", faults)
        .replace("[time]", "[client]\nrouting = \"any\"\n[time]");
    let output = rig.run(&spec).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
}
