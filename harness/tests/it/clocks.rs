//! Wrong clocks on local clusters: seen in what the nodes themselves log.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::host::{Bench, HostState};

const SPEC: &str = r#"
name = "clocks"
properties = ["linearizable", "recovers"]
[cluster.local]
system = "specimen"
nodes = 3
[workload.register]
[load.open]
rate = 200
[client]
timeout = "500ms"
[evidence]
ok = 100
ok-of-each = 1
[time]
warm-up = "500ms"
faults = "16s"
[[faults.at]]
at = "500ms"
length = "5s"
kind = "clock-jump"
by = "6h"
targets = "all"
[[faults.at]]
at = "1500ms"
length = "2s"
kind = "partition"
shape = "leader"
[[faults.at]]
at = "4500ms"
length = "300ms"
kind = "kill"
targets = "one"
[[faults.at]]
at = "8s"
length = "1s"
kind = "clock-strobe"
delta = "-200ms"
period = "20ms"
targets = "leader"
[[faults.at]]
at = "11s"
length = "1s"
kind = "clock-drift"
ppm = -500
clocks = ["realtime", "monotonic"]
[[faults.at]]
at = "13s"
length = "1s"
kind = "clock-freeze"
targets = "leader"
"#;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// `12:03:55.120 n1 role follower -> leader, term 3`: the second of the day.
fn logged(line: &str) -> Option<u64> {
    let mut parts = line.get(..8)?.split(':');
    let mut number = || parts.next()?.parse::<u64>().ok();
    Some(number()? * HOUR + number()? * 60 + number()?)
}

#[test]
fn clocks_are_wrong_in_all_that_runs_at_a_node_and_right_again() {
    let before = HostState::now();
    let bench = Bench::new(SPEC);
    let began = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let verdict = bench.run(1, 0);
    let took = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
        - began;
    assert_eq!(verdict["evidence"]["faults_verified"], 6, "{verdict}");
    assert_eq!(verdict["evidence"]["faults_healed"], 6, "{verdict}");
    for node in ["n1", "n2", "n3"] {
        let path = bench.latest().join("nodes").join(node).join("log");
        let log = std::fs::read_to_string(path).expect("a log");
        let within = |line: &str, ahead: u64| {
            logged(line).is_some_and(|time| (time + 2 * DAY - (began + ahead) % DAY) % DAY <= took)
        };
        let wrong = log.lines().filter(|line| within(line, 6 * HOUR)).count();
        let right = log.lines().filter(|line| within(line, 0)).count();
        assert!(
            right > 0 && wrong > 0,
            "{node}: {right} lines at the true time, {wrong} six hours later\n{log}"
        );
    }
    let report = std::fs::read_to_string(bench.latest().join("report.html")).expect("a report");
    assert!(
        report.contains("realtime is +21600.000000000 s off"),
        "the proof is not in the report"
    );
    before.wait_until_back(&bench, Duration::from_secs(10));
}
