//! Hostile nodes in sandboxes.

use std::time::Duration;

use crate::Test;
use crate::bench::run;

pub fn tests() -> Vec<Test> {
    vec![
        (
            "nodes_that_answer_with_anything_prove_nothing_and_cost_little",
            nodes_that_answer_with_anything_prove_nothing_and_cost_little,
        ),
        (
            "bodies_that_come_for_seconds_cost_little",
            bodies_that_come_for_seconds_cost_little,
        ),
        (
            "values_that_nobody_wrote_are_found_and_kept_short",
            values_that_nobody_wrote_are_found_and_kept_short,
        ),
        (
            "a_write_that_was_applied_and_then_redirected_to_a_dead_port_did_not_fail",
            a_write_that_was_applied_and_then_redirected_to_a_dead_port_did_not_fail,
        ),
        (
            "a_status_without_end_is_a_node_that_is_not_ready",
            a_status_without_end_is_a_node_that_is_not_ready,
        ),
        (
            "a_system_that_wants_to_be_left_alone_does_not_hold_up_the_end",
            a_system_that_wants_to_be_left_alone_does_not_hold_up_the_end,
        ),
    ]
}

/// A local cluster with a mode for each node, and what else the spec says.
fn spec(modes: &[&str], rest: &str) -> String {
    format!(
        "name = \"hostile\"\nproperties = [\"linearizable\"]\n[cluster.local]\nsystem = \"specimen\"\nnodes = {}\n\
         args = [\"--modes\", {:?}]\nready = \"5s\"\n{rest}",
        modes.len(),
        modes.join(",")
    )
}

/// One attempt to an operation, so that what becomes of it is what that attempt proves.
const ONE_ATTEMPT: &str = r#"
[workload.register]
keys = 20
[load.closed]
processes = 40
[client]
attempts = 1
timeout = "300ms"
routing = "any"
[time]
warm-up = "0ms"
faults = "4s"
recovery = "1s"
"#;

/// Whatever a node does that may have been after it had applied the request.
const AMBIGUOUS: [&str; 17] = [
    "redirect",
    "long-body",
    "endless-body",
    "endless-chunks",
    "tiny-chunks",
    "endless-headers",
    "endless-header",
    "slow-headers",
    "slow-body",
    "garbage",
    "half-closed",
    "reset",
    "wrong-type",
    "long-error",
    "lies",
    "deep",
    "silent",
];

fn nodes_that_answer_with_anything_prove_nothing_and_cost_little() {
    let run = run(&spec(&AMBIGUOUS, ONE_ATTEMPT), "", |_, _| {});
    // Nothing was answered: there is nothing to judge, and nobody to blame.
    assert_eq!(run.code, Some(2), "{}", run.said);
    assert!(run.took < Duration::from_secs(45), "{:?}", run.took);
    let outcomes = run.outcomes(false);
    for (number, mode) in AMBIGUOUS.iter().enumerate() {
        let node = format!("n{}", number + 1);
        let outcomes = &outcomes[&node];
        assert!(outcomes.info >= 5, "{mode}: {outcomes:?}");
        assert_eq!((outcomes.ok, outcomes.fail), (0, 0), "{mode}: {outcomes:?}");
    }
}

fn bodies_that_come_for_seconds_cost_little() {
    let rest = ONE_ATTEMPT
        .replace("300ms", "3s")
        .replace("faults = \"4s\"", "faults = \"2s\"");
    let modes = ["long-body", "endless-body", "endless-chunks"];
    let run = run(&spec(&modes, &rest), "", |_, _| {});
    assert_eq!(run.code, Some(2), "{}", run.said);
    for (node, outcomes) in run.outcomes(false) {
        assert!(outcomes.info >= 5, "{node}: {outcomes:?}");
        assert_eq!((outcomes.ok, outcomes.fail), (0, 0), "{node}: {outcomes:?}");
        assert!(
            outcomes.error.contains("longer than 1048576 bytes"),
            "{node}: {outcomes:?}"
        );
    }
}

fn values_that_nobody_wrote_are_found_and_kept_short() {
    let rest = ONE_ATTEMPT
        .replace("300ms", "3s")
        .replace("processes = 40", "processes = 5")
        .replace("faults = \"4s\"", "faults = \"2s\"");
    let run = run(&spec(&["long-value"], &rest), "", |_, _| {});
    assert_eq!(run.code, Some(1), "{}", run.said);
    let outcomes = &run.outcomes(false)["n1"];
    assert!(outcomes.ok >= 5, "{outcomes:?}");
    let longest = run
        .history()
        .iter()
        .map(|event| event["value"].to_string().len())
        .max();
    assert!(longest < Some(2000), "{longest:?}");
}

fn a_write_that_was_applied_and_then_redirected_to_a_dead_port_did_not_fail() {
    let rest =
        ONE_ATTEMPT.replace("processes = 40", "processes = 3") + "[evidence]\nok = 50\nok-of-each = 5\n";
    let run = run(&spec(&["redirect-writes"], &rest), "", |_, _| {});
    assert_eq!(run.code, Some(0), "{}", run.said);
    let outcomes = &run.outcomes(true)["n1"];
    assert!(outcomes.info >= 5, "{outcomes:?}");
    assert!(outcomes.error.starts_with("status 307"), "{outcomes:?}");
}

fn a_status_without_end_is_a_node_that_is_not_ready() {
    for mode in ["status-endless-chunks", "status-redirect"] {
        let spec = spec(&["honest", mode], ONE_ATTEMPT).replace("ready = \"5s\"", "ready = \"2s\"");
        let run = run(&spec, "", |_, _| {});
        assert_eq!(run.code, Some(3), "{}", run.said);
        assert!(run.took < Duration::from_secs(30), "{:?}", run.took);
        let failure = run.failure().expect("a reason");
        let why = [
            "is longer than 1048576 bytes",
            "HTTP status 307",
            "no answer in time",
        ];
        assert!(why.iter().any(|why| failure.contains(why)), "{failure}");
    }
}

fn a_system_that_wants_to_be_left_alone_does_not_hold_up_the_end() {
    let rest = ONE_ATTEMPT
        .replace("attempts = 1", "attempts = 3\ndeadline = \"1h\"")
        .replace("faults = \"4s\"", "faults = \"2s\"");
    let run = run(&spec(&["retry-after", "honest"], &rest), "", |_, _| {});
    assert!(matches!(run.code, Some(0 | 2)), "{}", run.said);
    assert!(run.took < Duration::from_secs(30), "{:?}", run.took);
    let history = run.history();
    let refused = |event: &&serde_json::Value| event["type"] == "fail" && event["error"] == "overloaded";
    // Those that were waiting when the load was stopped: nothing of them can have happened.
    assert!(history.iter().filter(refused).count() >= 5, "{}", run.said);
}
