//! A fault that did not bite, or not to its end, is never proven, and a run with one is never held.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::host::{Bench, HostState, start_until, wait_for};

/// Three nodes under these faults.
fn spec(faults: &[(&str, &str, &str)]) -> String {
    let head = r#"
name = "proof"
properties = ["linearizable"]
[cluster.local]
system = "specimen"
nodes = 3
[workload.register]
[load.open]
rate = 300
[client]
timeout = "300ms"
[evidence]
ok = 50
ok-of-each = 1
[time]
warm-up = "500ms"
faults = "8s"
"#;
    let fault = |(at, length, kind): &(&str, &str, &str)| {
        format!("[[faults.at]]\nat = \"{at}\"\nlength = \"{length}\"\n{kind}\n")
    };
    faults
        .iter()
        .map(fault)
        .fold(head.to_owned(), |text, fault| text + &fault)
}

const HALVES: &str = "kind = \"partition\"\nshape = \"halves\"";
const PAUSE_ALL: &str = "kind = \"pause\"\ntargets = \"all\"";
const KILL_ALL: &str = "kind = \"kill\"\ntargets = \"all\"";

/// The nodes' network namespaces, each with a process in it: those that neither this test nor the controller is in.
fn networks_of_nodes(bench: &Bench, controller: u32) -> BTreeMap<String, u32> {
    let network = |pid: u32| {
        let link = std::fs::read_link(format!("/proc/{pid}/ns/net"));
        link.map_or(String::new(), |link| link.display().to_string())
    };
    let (own, its) = (network(std::process::id()), network(controller));
    assert!(
        !own.is_empty() && !its.is_empty(),
        "namespaces can't be told apart"
    );
    let all = bench.processes().into_iter().map(|pid| (network(pid), pid));
    all.filter(|(name, _)| !name.is_empty() && *name != own && *name != its)
        .collect()
}

fn unproven(verdict: &Value) -> String {
    let requirements = verdict["evidence"]["requirements"]
        .as_array()
        .expect("requirements");
    let unmet = requirements
        .iter()
        .filter(|requirement| requirement["met"] == false);
    unmet
        .map(|requirement| format!("{}: {}\n", requirement["what"], requirement["seen"]))
        .collect()
}

#[test]
fn rules_that_somebody_flushes_in_mid_partition_are_missed() {
    let bench = Bench::new(&spec(&[("200ms", "5s", HALVES)]));
    let mut child = start_until(&bench, 1, "\"step\":\"verify\"");
    let networks = networks_of_nodes(&bench, child.id());
    assert_eq!(networks.len(), 3, "{networks:?}");
    for pid in networks.values() {
        for tool in ["iptables", "ip6tables"] {
            let status = Command::new("nsenter")
                .args(["-t", &pid.to_string(), "-n", tool, "-F"])
                .stdin(Stdio::null())
                .status()
                .expect("nsenter");
            assert!(status.success(), "{tool} in the network of {pid}");
        }
    }
    assert_eq!(child.wait().expect("an end").code(), Some(2));
    let verdict = bench.verdict();
    assert_eq!(verdict["evidence"]["faults_verified"], 0, "{verdict}");
    assert!(unproven(&verdict).contains("is gone"), "{}", unproven(&verdict));
}

#[test]
fn a_partition_of_nodes_that_all_stand_still_or_are_dead_hurts_nobody() {
    for stopped in [PAUSE_ALL, KILL_ALL] {
        let bench = Bench::new(&spec(&[("500ms", "4s", stopped), ("1500ms", "1s", HALVES)]));
        let verdict = bench.run(1, 2);
        assert_eq!(verdict["evidence"]["faults_verified"], 1, "{verdict}");
        let unproven = unproven(&verdict);
        assert!(
            unproven.contains("fault 1 (partition) bit") && unproven.contains("nobody was hurt"),
            "{unproven}"
        );
    }
}

#[test]
fn a_pause_of_paused_nodes_is_none() {
    let bench = Bench::new(&spec(&[("500ms", "4s", PAUSE_ALL), ("1500ms", "1s", PAUSE_ALL)]));
    let verdict = bench.run(1, 2);
    let unproven = unproven(&verdict);
    assert!(
        unproven.contains("fault 1 (pause) bit") && unproven.contains("stopped already"),
        "{unproven}"
    );
}

/// The agent of a run: the controller's child that is told to be one.
fn agent_of(bench: &Bench) -> Pid {
    let agent = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.ends_with(b"\0agent\0")
    };
    let pid = wait_for("agent", Duration::from_secs(5), || {
        bench.processes().into_iter().find(agent)
    });
    Pid::from_raw(i32::try_from(pid).expect("a pid"))
}

#[test]
fn an_agent_that_stands_still_ends_the_run_soon_and_is_called_what_it_is() {
    let before = HostState::now();
    let bench = Bench::new(&spec(&[("500ms", "7s", HALVES)]).replace("faults = \"8s\"", "faults = \"60s\""));
    let mut child = start_until(&bench, 1, "\"step\":\"verify\"");
    bench.look_at_namespaces();
    kill(agent_of(&bench), Signal::SIGSTOP).expect("SIGSTOP");
    let status = wait_for("end", Duration::from_secs(30), || {
        child.try_wait().expect("a child")
    });
    assert_eq!(status.code(), Some(3));
    let failure = bench.verdict()["harness_failure"].to_string();
    assert!(
        failure.contains("does not answer") && failure.contains("is stopped"),
        "{failure}"
    );
    before.wait_until_back(&bench, Duration::from_secs(10));
    assert!(Path::new(&bench.latest()).join("report.html").is_file());
}
