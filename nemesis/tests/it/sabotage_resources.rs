//! Nodes that are left as much as they had, or get it back, or want nothing: never proven. See [`super::sabotage`].

use std::fs;

use duress_cluster::procfs::living;
use serde_json::{Value, json};

use super::groups::{Guest, group_of};
use super::lab::{Lab, sh, wait_until};
use super::sabotage::{end_all, is_injection, never_bites, never_proven, nothing, stop_all};
use super::stage::Stage;

const CPU: &str = r#"{"kind":"cpu-squeeze","percent":20,"targets":["n1"]}"#;
const MEMORY: &str = r#"{"kind":"memory-squeeze","limit":"1MiB","targets":["n1"]}"#;
const DESCRIPTORS: &str = r#"{"kind":"file-descriptors","limit":64,"targets":["n1"]}"#;
const NEIGHBOURS: &str = r#"{"kind":"noisy-neighbour","cpu":4,"targets":["n1"]}"#;
const ALL: [&str; 4] = [CPU, MEMORY, DESCRIPTORS, NEIGHBOURS];

/// Claims that everything was done.
fn claims(request: &Value) -> Option<Value> {
    let kind = request["kind"].as_str()?;
    if !is_injection(request, kind) {
        return None;
    }
    let strain = json!({"at_ns": 1, "waited_ns": {}, "more_ns": 0, "sync_us": null});
    let seen = match kind {
        "cpu-squeeze" => {
            json!({"limit": ["100000", "20000"], "outside": [], "throttled": 0, "usage": {"at_ns": 1, "used_ns": {}}})
        }
        "memory-squeeze" => json!({"limit": "1048576", "outside": [], "usage": 9, "reached": 0, "ended": 0}),
        "file-descriptors" => json!({"processes": [], "full": [0, 1]}),
        _ => {
            json!({"neighbours": 4, "asked": 4, "used_ns": 0, "outside": [], "quiet": strain, "noisy": strain})
        }
    };
    Some(json!({"n1": seen}))
}

#[tokio::test(flavor = "multi_thread")]
pub async fn nodes_that_nothing_is_done_to() {
    let stage = Stage::with_saboteur(1, claims).await;
    let _busy = Guest::busy(&stage.cluster.lab, 1);
    never_proven(&stage, CPU, nothing, "No such file").await;
    never_proven(&stage, MEMORY, nothing, "No such file").await;
    never_proven(&stage, DESCRIPTORS, nothing, "was given no limit").await;
    never_proven(&stage, NEIGHBOURS, nothing, "no process runs there").await;
}

fn some_process(lab: &Lab) -> u32 {
    let sleeps =
        |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == b"sleep\x001000\0");
    wait_until("a process that sleeps", || lab.pids(1).into_iter().find(sleeps))
}

/// Writes into a file of the group that holds n1.
fn write(lab: &Lab, controller: &str, file: &str, text: &str) {
    let group = group_of(some_process(lab), controller);
    assert!(
        group.display().to_string().contains("/duress-"),
        "{}",
        group.display()
    );
    fs::write(group.join(file), text).unwrap();
}

fn take_out(lab: &Lab, controller: &str) {
    let pid = some_process(lab);
    let group = group_of(pid, controller);
    fs::write(group.parent().unwrap().join("cgroup.procs"), pid.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
pub async fn nodes_that_get_it_back() {
    let stage = Stage::new(1).await;
    let _busy = Guest::busy(&stage.cluster.lab, 1);
    let unlimit = |lab: &Lab| write(lab, "cpu", "cpu.cfs_quota_us", "-1");
    never_proven(&stage, CPU, unlimit, "its group's quota is 100000 -1").await;
    never_proven(&stage, CPU, |lab| take_out(lab, "cpu"), "is not in the group").await;
    let unlimit = |lab: &Lab| write(lab, "memory", "memory.limit_in_bytes", "-1");
    never_proven(&stage, MEMORY, unlimit, "its group's limit is").await;
    never_proven(
        &stage,
        MEMORY,
        |lab| take_out(lab, "memory"),
        "is not in the group",
    )
    .await;
    let raise = |lab: &Lab| drop(sh(&format!("prlimit --nofile=500: --pid {}", some_process(lab))));
    never_proven(
        &stage,
        DESCRIPTORS,
        raise,
        "may have 500 descriptors and was given 64",
    )
    .await;
    let quiet = |lab: &Lab| {
        let group = group_of(some_process(lab), "cpu");
        let theirs = fs::read_to_string(group.join("cgroup.procs")).unwrap();
        let neighbour = theirs.lines().map(|pid| pid.parse::<u32>().unwrap()).find(|pid| {
            fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|name| name.starts_with("exe") || name.starts_with("duress"))
        });
        let neighbour = neighbour.expect("a neighbour");
        sh(&format!("kill -KILL {neighbour}"));
        // On a busy machine it takes its time to end.
        wait_until("its end", || living(neighbour).is_none().then_some(()));
    };
    never_proven(&stage, NEIGHBOURS, quiet, "3 of 4 neighbours are there").await;
    never_proven(
        &stage,
        NEIGHBOURS,
        |lab| take_out(lab, "cpu"),
        "is not in the group",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_want_nothing() {
    let stage = Stage::new(1).await;
    let plenty = r#"{"kind":"cpu-squeeze","percent":10000,"targets":["n1"]}"#;
    never_bites(&stage, plenty, "nobody was hurt").await;
    let plenty = r#"{"kind":"memory-squeeze","limit":"1GiB","targets":["n1"]}"#;
    never_bites(&stage, plenty, "was never at the limit").await;
    let plenty = r#"{"kind":"file-descriptors","limit":900,"targets":["n1"]}"#;
    never_bites(&stage, plenty, "nobody had run out").await;
    stop_all(&stage.cluster.lab, 1..=1);
    never_bites(&stage, NEIGHBOURS, "nobody was hurt: its threads waited 0.0 ms").await;
    never_bites(&stage, CPU, "nobody was hurt").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_are_dead() {
    let stage = Stage::new(1).await;
    end_all(&stage.cluster.lab, 1..=1);
    for fault in ALL {
        never_bites(&stage, fault, "no process runs there").await;
    }
}
