//! A controller that has no descriptors left, or more than it was given at first.

use std::cell::RefCell;

use crate::Test;
use crate::bench::run;

pub fn tests() -> Vec<Test> {
    vec![
        (
            "a_controller_without_descriptors_does_not_blame_the_system",
            a_controller_without_descriptors_does_not_blame_the_system,
        ),
        (
            "the_controller_takes_the_descriptors_that_it_may_have_and_nodes_keep_their_limit",
            the_controller_takes_the_descriptors_that_it_may_have_and_nodes_keep_their_limit,
        ),
    ]
}

/// Four nodes, so that none of them needs as many descriptors as the controller.
fn spec(processes: usize) -> String {
    format!(
        r#"
name = "descriptors"
properties = ["linearizable"]
[cluster.local]
system = "specimen"
nodes = 4
args = ["--modes", "late"]
[workload.register]
read = 1.0
write = 0.0
cas = 0.0
[load.closed]
processes = {processes}
[client]
attempts = 3
routing = "any"
timeout = "2s"
[time]
warm-up = "0ms"
faults = "3s"
recovery = "2s"
[evidence]
ok = 50
ok-of-each = 0
"#
    )
}

fn a_controller_without_descriptors_does_not_blame_the_system() {
    let run = run(&spec(300), "ulimit -n 200", |_, _| {});
    assert_eq!(run.code, Some(3), "{}", run.said);
    let failure = run.failure().expect("a reason");
    assert!(
        failure.contains("Too many open files") && failure.contains("ulimit -n"),
        "{failure}"
    );
    let history = run.history();
    let of_kind = |kind: &str| {
        let lacking = |event: &&serde_json::Value| {
            event["type"] == kind
                && event["error"]
                    .as_str()
                    .is_some_and(|error| error.contains("open files"))
        };
        history.iter().filter(lacking).count()
    };
    assert_eq!(of_kind("fail"), 0, "{}", run.said);
    assert!(of_kind("info") >= 1, "{}", run.said);
}

fn the_controller_takes_the_descriptors_that_it_may_have_and_nodes_keep_their_limit() {
    let soft = RefCell::new(Vec::new());
    let run = run(&spec(300), "ulimit -Sn 150", |child, _| {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap_or_default();
        let line = limits.lines().find(|line| line.starts_with("Max open files"));
        let word = line.and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
        soft.borrow_mut().extend(word);
    });
    assert_eq!(run.code, Some(0), "{}", run.said);
    let soft = soft.into_inner();
    // The first is the shell's.
    assert!(soft.last() > Some(&150), "{:?}", soft.last());
    assert!(
        run.outcomes(false)
            .values()
            .all(|node| node.ok >= 20 && node.fail == 0),
        "{}",
        run.said
    );
    let log = std::fs::read_to_string(run.latest().join("nodes/n1/log")).expect("a log");
    assert!(log.starts_with("open files: 150 "), "{log}");
}
