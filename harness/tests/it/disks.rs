//! Disks of local clusters that are slow, fail, or are full: seen by a stranger's calls in the data directory of a node.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::{Bench, HostState, duress, start_until, wait_for};
use crate::packets::nodes;

fn spec(faults: &str) -> String {
    format!(
        r#"
name = "disks"
properties = ["linearizable", "recovers"]
[cluster.local]
system = "specimen"
nodes = 3
[workload.register]
[load.open]
rate = 100
[client]
timeout = "1s"
[evidence]
ok = 50
ok-of-each = 1
[time]
warm-up = "500ms"
{faults}
"#
    )
}

const EACH: &str = r#"faults = "17s"
[[faults.at]]
at = "500ms"
length = "5s"
kind = "disk-slow"
delay = "150ms"
calls = ["fsync"]
targets = ["n1"]
[[faults.at]]
at = "7s"
length = "2s"
kind = "disk-error"
calls = ["fsync"]
targets = "leader"
[[faults.at]]
at = "12s"
length = "2s"
kind = "disk-full"
targets = "leader"
"#;

/// What an fsync takes, and how it ends, of a file in this folder, as somebody in this mount namespace sees it.
pub fn fsync(pid: u64, folder: &Path) -> Result<f64, String> {
    let script = "import os, sys, time\n\
                  f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\nos.write(f, b'x')\nt = time.monotonic()\n\
                  os.fsync(f)\nprint((time.monotonic() - t) * 1000)\nos.unlink(sys.argv[1])";
    let output = Command::new("nsenter")
        .args(["--target", &pid.to_string(), "--mount", "python3", "-c", script])
        .arg(folder.join("stranger"))
        .output()
        .expect("nsenter and python3");
    let said = String::from_utf8_lossy(&output.stdout);
    let why = || String::from_utf8_lossy(&output.stderr).into_owned();
    said.trim().parse().map_err(|_| why())
}

/// The data directories of a run's nodes that a fault was injected at, and who lives there.
fn hit(run: &Path) -> Vec<(u64, PathBuf)> {
    let data = |name: &str| run.join("nodes").join(name).join("data");
    nodes(run)
        .iter()
        .map(|(name, pid, _)| (*pid, data(name)))
        .collect()
}

#[test]
fn each_kind_is_proven_and_healed_and_seen_from_outside() {
    let before = HostState::now();
    let bench = Bench::new(&spec(EACH));
    let mut child = start_until(&bench, 1, "\"verify\"");
    let run = bench.latest();
    let (n1, data) = hit(&run)[0].clone();
    let slow = fsync(n1, &data).expect("it works");
    let other = fsync(n1, &run.join("nodes/n2/data")).expect("it works");
    assert!((150.0..400.0).contains(&slow), "{slow} ms at n1");
    assert!(other < 150.0, "{other} ms at n2");
    let status = child.wait().expect("an end");
    let verdict = bench.verdict();
    assert_eq!(status.code(), Some(0), "{verdict}");
    assert_eq!(verdict["evidence"]["faults_verified"], 3, "{verdict}");
    assert_eq!(verdict["evidence"]["faults_healed"], 3, "{verdict}");
    let report = std::fs::read_to_string(run.join("report.html")).expect("a report");
    for proof in [
        "(asked 150.0 ms)",
        "Input/output error",
        "No space left on device",
    ] {
        assert!(report.contains(proof), "{proof} is not in the report");
    }
    assert!(
        data.join("log.wal").is_file(),
        "the node's files are where they always are"
    );
    before.wait_until_back(&bench, Duration::from_secs(10));
}

/// What a crash tore the store finds, and goes on; what rots at one node, and what one has forgotten, the others have.
#[test]
fn a_torn_write_rotten_bits_and_a_rollback_are_survived() {
    let before = HostState::now();
    let faults = r#"faults = "14s"
[[faults.at]]
at = "500ms"
length = "1s"
kind = "torn-write"
path = "log.wal"
targets = "leader"
[[faults.at]]
at = "5s"
length = "1s"
kind = "bit-rot"
path = "log.wal"
bits = 4
targets = ["n1"]
[[faults.at]]
at = "8s"
length = "500ms"
kind = "snapshot-rollback"
by = "2s"
targets = ["n1"]
"#;
    let bench = Bench::new(&spec(faults));
    let verdict = bench.run(1, 0);
    assert_eq!(verdict["evidence"]["faults_verified"], 3, "{verdict}");
    assert_eq!(verdict["evidence"]["faults_healed"], 3, "{verdict}");
    let nodes = std::fs::read_dir(bench.latest().join("nodes"))
        .expect("nodes")
        .flatten();
    let kept = nodes.filter(|node| node.path().join("data.before-bit-rot-1/log.wal").is_file());
    assert_eq!(kept.count(), 1);
    let report = std::fs::read_to_string(bench.latest().join("report.html")).expect("a report");
    assert!(
        report.contains("files are what they were, which"),
        "the proof is not in the report"
    );
    before.wait_until_back(&bench, Duration::from_secs(10));
}

/// One for each kind, as long as the test needs.
const KINDS: [&str; 3] = [
    "kind = \"disk-slow\"\ndelay = \"400ms\"\ncalls = [\"fsync\"]",
    "kind = \"disk-error\"\ncalls = [\"fsync\"]",
    "kind = \"disk-full\"",
];

fn long(kind: &str) -> String {
    spec(&format!(
        "faults = \"60s\"\n[[faults.at]]\nat = \"200ms\"\nlength = \"50s\"\n{kind}\ntargets = [\"n1\"]\n"
    ))
}

/// A node's disk works though nobody is left who could say so: the layer sees that its agent is gone.
#[test]
fn kill_9_of_the_agent() {
    let before = HostState::now();
    for kind in KINDS {
        let bench = Bench::new(&long(kind));
        let mut child = start_until(&bench, 1, "\"verify\"");
        let (n1, data) = hit(&bench.latest())[0].clone();
        let broken = fsync(n1, &data);
        assert!(
            broken.as_ref().is_ok_and(|ms| *ms >= 400.0) || broken.is_err(),
            "{kind}: {broken:?}"
        );
        // Else it would take the nodes down before anybody could look.
        let controller = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        kill(controller, Signal::SIGSTOP).expect("SIGSTOP");
        kill(bench.agent(), Signal::SIGKILL).expect("SIGKILL");
        wait_for("a disk that works", Duration::from_secs(5), || {
            fsync(n1, &data).ok().filter(|ms| *ms < 400.0)
        });
        kill(controller, Signal::SIGCONT).expect("SIGCONT");
        assert_eq!(child.wait().expect("an end").code(), Some(3), "{kind}");
        before.wait_until_back(&bench, Duration::from_secs(10));
        let healed = duress(["heal".as_ref(), bench.latest().as_os_str()]);
        assert_eq!(healed.status.code(), Some(0));
    }
}

#[test]
fn kill_9_of_the_controller_and_of_both() {
    let before = HostState::now();
    for (kind, both) in KINDS
        .into_iter()
        .zip([false, true, true])
        .chain([(KINDS[1], false)])
    {
        let bench = Bench::new(&long(kind));
        let mut child = start_until(&bench, 1, "\"verify\"");
        if both {
            kill(bench.agent(), Signal::SIGKILL).expect("SIGKILL");
        }
        child.kill().expect("SIGKILL");
        child.wait().expect("a dead child");
        before.wait_until_back(&bench, Duration::from_secs(10));
        let healed = duress(["heal".as_ref(), bench.latest().as_os_str()]);
        assert_eq!(healed.status.code(), Some(0));
    }
}
