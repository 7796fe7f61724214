//! Disks of containers that are slow or fail, by a child of the controller and by a helper container; seen in etcd's answers, and by
//! a stranger's calls.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::compose::{ETCD, IN_CONTAINER, both, docker, engine_or_skip, on_engine, spec_with};
use crate::disks::fsync;
use crate::host::{Bench, HostState, duress, start_until, wait_for};

const SPEC: &str = r#"properties = ["linearizable", "recovers"]
---
[workload.register]
[client]
routing = "any"
timeout = "2s"
[evidence]
ok = 100
ok-of-each = 10
[time]
warm-up = "2s"
faults = "16s"
recovery = "30s"
[[faults.at]]
at = "1s"
length = "5s"
kind = "disk-slow"
delay = "100ms"
calls = ["fsync"]
path = "*.wal"
targets = "all"
[[faults.at]]
at = "9s"
length = "2s"
kind = "disk-error"
calls = ["fsync"]
targets = "leader"
"#;

/// Milliseconds that acknowledged writes took that began before the first fault, and under it.
fn writes(history: &str) -> (Vec<f64>, Vec<f64>) {
    let (mut before, mut under) = (Vec::new(), Vec::new());
    let mut begun = std::collections::BTreeMap::new();
    let mut phase = 0;
    for line in history.lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        match (event["f"].as_str(), event["value"]["step"].as_str()) {
            (Some("disk-slow"), Some("inject")) => phase = 1,
            (Some("disk-slow"), Some("verify")) => phase = 2,
            (Some("disk-slow"), Some("heal")) => phase = 3,
            _ => {}
        }
        let (Some(process), Some(time)) = (event["process"].as_u64(), event["time"].as_u64()) else {
            continue;
        };
        match (event["f"].as_str(), event["type"].as_str()) {
            (Some("write"), Some("invoke")) => drop(begun.insert(process, (time, phase))),
            (Some("write"), Some("ok")) => {
                let (began, of) = begun.remove(&process).expect("an invocation");
                let ms = (time - began) as f64 / 1e6;
                match of {
                    0 => before.push(ms),
                    2 => under.push(ms),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    before.sort_by(f64::total_cmp);
    under.sort_by(f64::total_cmp);
    (before, under)
}

/// Layers of a run that are there still.
fn layers(run: &Path) -> Vec<String> {
    let run = run.display().to_string();
    let lines = std::fs::read_dir("/proc").expect("/proc").flatten();
    lines
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok())
        .filter(|line| line.contains("disk-layer") && line.contains(&run))
        .collect()
}

fn disks_are_slow_and_fail_and_work_again(agent: &str) {
    if !engine_or_skip() {
        return;
    }
    let before = HostState::now();
    let bench = Bench::new(&spec_with(Path::new(ETCD), agent, SPEC));
    let output = bench.run_command(4).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    let verdict = bench.verdict();
    assert_eq!(verdict["overall"], "held", "{verdict}");
    assert_eq!(verdict["evidence"]["faults_verified"], 2, "{verdict}");
    assert_eq!(verdict["evidence"]["faults_healed"], 2, "{verdict}");
    let (usual, slow) = writes(&bench.history());
    assert!(
        usual.len() >= 20 && slow.len() >= 5,
        "{} {}",
        usual.len(),
        slow.len()
    );
    // A machine that is busy adds to both. What began while the fault was being healed may be quick.
    assert!(usual[0] < 100.0, "{usual:?}");
    assert!(slow[slow.len() / 4] >= 100.0, "{slow:?}");
    let run = bench.latest();
    assert!(
        run.join("data/n1/member").exists(),
        "the node's files are the run's"
    );
    assert_eq!(on_engine(&run), Vec::<String>::new());
    before.wait_until_back(&bench, Duration::from_secs(10));
    wait_for("the end of all layers", Duration::from_secs(10), || {
        layers(&run).is_empty().then_some(())
    });
}

#[test]
fn by_a_child_of_the_controller() {
    disks_are_slow_and_fail_and_work_again("");
}

#[test]
fn by_a_helper_container() {
    disks_are_slow_and_fail_and_work_again(IN_CONTAINER);
}

/// What stays: a write of which half is there (of the database: etcd's log has none of more than a sector), bits that are others, a
/// directory as it was. etcd may rightly refuse to run on that, and
/// panics where it knows that it knew more.
const DAMAGE: &str = r#"properties = ["linearizable"]
---
[workload.register]
[client]
routing = "any"
timeout = "2s"
[evidence]
ok = 100
ok-of-each = 10
[time]
warm-up = "2s"
faults = "16s"
[[faults.at]]
at = "200ms"
length = "300ms"
kind = "torn-write"
path = "db"
targets = ["n2"]
[[faults.at]]
at = "5s"
length = "100ms"
kind = "bit-rot"
path = "**/*.wal"
targets = ["n1"]
[[faults.at]]
at = "8s"
length = "300ms"
kind = "snapshot-rollback"
by = "2s"
targets = ["n1"]
"#;

fn data_is_damaged(agent: &str) {
    if !engine_or_skip() {
        return;
    }
    let before = HostState::now();
    let bench = Bench::new(&spec_with(Path::new(ETCD), agent, DAMAGE));
    let output = bench.run_command(4).output().expect("the binary starts");
    let verdict = bench.verdict();
    assert_eq!(verdict["evidence"]["faults_verified"], 3, "{}", both(&output));
    assert_eq!(verdict["evidence"]["faults_healed"], 3, "{}", both(&output));
    let data = bench.latest().join("data");
    let names = std::fs::read_dir(&data).expect("data").flatten();
    let mut names: Vec<String> = names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["n1", "n1.before-bit-rot-1", "n2", "n3"]);
    assert_eq!(on_engine(&bench.latest()), Vec::<String>::new());
    before.wait_until_back(&bench, Duration::from_secs(10));
}

#[test]
fn damage_by_a_child_of_the_controller() {
    data_is_damaged("");
}

#[test]
fn damage_by_a_helper_container() {
    data_is_damaged(IN_CONTAINER);
}

/// A node of a run: its process here, and its data directory as it sees it, but for the names of folders above.
fn node(run: &Path) -> (u64, PathBuf) {
    let id = on_engine(run);
    let id = id.iter().filter_map(|line| line.strip_prefix("container "));
    let pid = |id: &str| -> Option<u64> {
        let said = docker(&[
            "inspect",
            "--format",
            "{{.State.Pid}} {{.Config.Cmd}} {{.Name}}",
            id,
        ]);
        said.contains("n1")
            .then(|| said.split(' ').next()?.parse().ok())?
    };
    let pid = id.filter_map(pid).next().expect("a node");
    let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).expect("a node that lives");
    let line = mounts
        .lines()
        .find(|line| line.contains("duress-disk-"))
        .expect("a layer");
    let inside = line.split(' ').nth(4).expect("a folder");
    (
        pid,
        Path::new("/proc")
            .join(pid.to_string())
            .join("root")
            .join(&inside[1..]),
    )
}

/// Containers that live on have disks that work, whoever is dead; nothing is left when they are gone.
#[test]
fn kill_9_of_the_controller_and_of_both() {
    if !engine_or_skip() {
        return;
    }
    let before = HostState::now();
    let spec = "properties = [\"linearizable\"]\n---\n[workload.register]\n[time]\nfaults = \"5m\"\n[[faults.at]]\nat = \"1s\"\n\
                length = \"4m\"\nkind = \"disk-slow\"\ndelay = \"1s\"\ncalls = [\"fsync\"]\npath = \"stranger\"\ntargets = \"all\"\n";
    let own = u64::from(std::process::id());
    for (agent, too) in [("", true), (IN_CONTAINER, false), (IN_CONTAINER, true)] {
        let bench = Bench::new(&spec_with(Path::new(ETCD), agent, spec));
        let mut child = start_until(&bench, 5, "\"verify\"");
        let run = bench.latest();
        let (_, data) = node(&run);
        assert!(fsync(own, &data).expect("it works") >= 1000.0);
        if too {
            kill(bench.agent(), Signal::SIGKILL).expect("SIGKILL");
        }
        child.kill().expect("SIGKILL");
        child.wait().expect("a dead child");
        wait_for("a disk that works", Duration::from_secs(10), || {
            fsync(own, &data).ok().filter(|ms| *ms < 1000.0)
        });
        assert!(on_engine(&run).len() >= 3, "the containers live on");
        let healed = duress(["heal".as_ref(), run.as_os_str()]);
        assert_eq!(healed.status.code(), Some(0), "{}", both(&healed));
        assert_eq!(on_engine(&run), Vec::<String>::new());
        before.wait_until_back(&bench, Duration::from_secs(10));
        wait_for("the end of all layers", Duration::from_secs(10), || {
            layers(&run).is_empty().then_some(())
        });
    }
}
