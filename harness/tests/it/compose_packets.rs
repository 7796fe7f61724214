//! Packets and connections of containers, by a child of the controller and by a helper container; late ones are seen by TCP connections
//! between members.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::compose::{ETCD, IN_CONTAINER, both, engine_or_skip, on_engine, spec_with};
use crate::host::{Bench, HostState, duress, start_until, wait_for};
use crate::packets::{connect_ms, nodes};

/// etcd's peers wait 100 ms for a heartbeat and 1 s for a leader: it lives with this.
const SPEC: &str = r#"properties = ["linearizable", "recovers"]
---
[workload.register]
[client]
routing = "any"
timeout = "2s"
[evidence]
ok = 50
ok-of-each = 5
[time]
warm-up = "1s"
faults = "28s"
recovery = "30s"
[[faults.at]]
at = "1s"
length = "11s"
kind = "packets"
delay = "50ms"
duplicate = 0.1
reorder = 0.1
targets = ["n1"]
[[faults.at]]
at = "5s"
length = "1s"
kind = "kill"
targets = ["n1"]
[[faults.at]]
at = "15s"
length = "3s"
kind = "packets"
jam = "60ms"
loss = 0.1
targets = ["n2"]
[[faults.at]]
at = "21s"
length = "2s"
kind = "half-open"
targets = ["n3"]
[[faults.at]]
at = "25s"
length = "1s"
kind = "tcp-reset"
targets = ["n1"]
"#;

/// From n2 to n1 and back, in milliseconds, to the port of etcd's peers.
fn there_and_back(run: &Path) -> f64 {
    let nodes = nodes(run);
    let node = |wanted: &str| {
        let node = nodes.iter().find(|(name, ..)| name == wanted);
        node.unwrap_or_else(|| panic!("{wanted} in {nodes:?}"))
    };
    connect_ms(node("n2").1, &node("n1").2, 2380)
}

fn packets_are_late_and_in_time_again(agent: &str) {
    if !engine_or_skip() {
        return;
    }
    let before = HostState::now();
    let bench = Bench::new(&spec_with(Path::new(ETCD), agent, SPEC));
    let child = start_until(&bench, 6, "\"verify\"");
    let run = bench.latest();
    let late = there_and_back(&run);
    assert!((100.0..200.0).contains(&late), "{late} ms");
    // A node that comes back in a network namespace of its own is as far away as before.
    wait_for("the node to be back", Duration::from_secs(30), || {
        let is_back = |line: &str| line.contains("\"f\":\"kill\"") && line.contains("\"clean-up\"");
        bench.history().lines().any(is_back).then_some(())
    });
    assert!(bench.history().contains("faults [0] were in force there again"));
    let late = there_and_back(&run);
    assert!((100.0..200.0).contains(&late), "{late} ms, once it is back");
    let output = child.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    let verdict = bench.verdict();
    assert_eq!(verdict["evidence"]["faults_verified"], 5, "{verdict}");
    assert_eq!(verdict["evidence"]["faults_healed"], 5, "{verdict}");
    assert_eq!(on_engine(&run), Vec::<String>::new());
    before.wait_until_back(&bench, Duration::from_secs(10));
}

#[test]
fn by_a_child_of_the_controller() {
    packets_are_late_and_in_time_again("");
}

#[test]
fn by_a_helper_container() {
    packets_are_late_and_in_time_again(IN_CONTAINER);
}

/// Without its controller the agent heals containers that live on; without both, packets pass, and the rules go with `duress heal`.
#[test]
fn kill_9_of_the_controller_and_of_both() {
    if !engine_or_skip() {
        return;
    }
    let before = HostState::now();
    for agent in ["", IN_CONTAINER] {
        for both_die in [false, true] {
            let bench = Bench::new(&spec_with(Path::new(ETCD), agent, SPEC));
            let mut child = start_until(&bench, 7, "\"verify\"");
            let run = bench.latest();
            assert!(there_and_back(&run) >= 100.0);
            if both_die {
                kill(bench.agent(), Signal::SIGKILL).expect("SIGKILL");
            }
            child.kill().expect("SIGKILL");
            child.wait().expect("a dead child");
            wait_for("packets in time", Duration::from_secs(10), || {
                (there_and_back(&run) < 50.0).then_some(())
            });
            let healed = duress(["heal".as_ref(), run.as_os_str()]);
            assert_eq!(healed.status.code(), Some(0), "{}", both(&healed));
            assert_eq!(on_engine(&run), Vec::<String>::new());
            before.wait_until_back(&bench, Duration::from_secs(10));
        }
    }
}
