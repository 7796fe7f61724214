//! Less of something on local clusters: a run with all of it is proven, heals, and leaves nothing; so does one that is killed.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::compose::both;
use crate::host::{Bench, HostState, duress, start_until, wait_for};

fn spec(faults: &str, length: &str) -> String {
    format!(
        r#"
name = "resources"
properties = ["linearizable"]
[cluster.local]
system = "specimen"
nodes = 3
[workload.register]
[load.open]
rate = 300
[client]
timeout = "500ms"
[evidence]
ok = 100
ok-of-each = 1
[time]
warm-up = "500ms"
faults = "{length}"
{faults}"#
    )
}

const ALL: &str = r#"
[[faults.at]]
at = "200ms"
length = "2s"
kind = "cpu-squeeze"
percent = 2
targets = "all"
[[faults.at]]
at = "2500ms"
length = "10s"
kind = "memory-squeeze"
limit = "1MiB"
targets = "leader"
[[faults.at]]
at = "13s"
length = "2s"
kind = "noisy-neighbour"
cpu = 4
targets = "leader"
[[faults.at]]
at = "16s"
length = "1s"
kind = "file-descriptors"
targets = "follower"
[[faults.at]]
at = "18s"
length = "2s"
kind = "crash-loop"
every = "400ms"
after = "5ms"
targets = "one"
[[faults.at]]
at = "21s"
length = "50ms"
kind = "pause"
targets = "leader"
[[faults.at]]
at = "22s"
length = "2s"
kind = "noisy-neighbour"
disk = 2
targets = "leader"
"#;

/// Groups of Duress, in all hierarchies.
fn groups() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with("duress-") {
                    found.push(entry.path());
                }
                folders.push(entry.path());
            }
        }
    }
    found
}

#[test]
fn each_is_proven_with_what_it_did_and_leaves_nothing() {
    let before = HostState::now();
    let bench = Bench::new(&spec(ALL, "25s"));
    let output = bench.run_command(1).output().expect("the binary starts");
    let said = both(&output);
    let verdict = bench.verdict();
    // A disk may be too quick for any neighbour to be felt, and then that must be said.
    let too_quick = said.contains("nobody was hurt: a sync beside its data took");
    let (proven, code) = if too_quick { (6, 2) } else { (7, 0) };
    assert_eq!(verdict["evidence"]["faults_verified"], proven, "{said}");
    assert_eq!(verdict["evidence"]["faults_healed"], 7, "{said}");
    assert_eq!(output.status.code(), Some(code), "{said}");
    let report = fs::read_to_string(bench.latest().join("report.html")).expect("a report");
    for said in [
        "% of a processor, of at most 2 %",
        "at the limit of 1048576 bytes",
        "a second for a processor, and",
        "a sync beside its data took",
        "a process had all in use that it may have",
        "started and killed",
        " of them after it was ready",
    ] {
        assert!(report.contains(said), "{said:?} is not in the report");
    }
    before.wait_until_back(&bench, Duration::from_secs(10));
    assert_eq!(groups(), Vec::<PathBuf>::new());
}

const HELD: &str = r#"
[[faults.at]]
at = "200ms"
length = "50s"
kind = "cpu-squeeze"
percent = 50
targets = "all"
[[faults.at]]
at = "200ms"
length = "50s"
kind = "memory-squeeze"
limit = "64MiB"
targets = "all"
"#;

const NOISY: &str = r#"
[[faults.at]]
at = "200ms"
length = "50s"
kind = "noisy-neighbour"
cpu = 2
targets = "all"
[[faults.at]]
at = "200ms"
length = "50s"
kind = "file-descriptors"
limit = 500
targets = "all"
"#;

/// A cluster of sandboxes goes with its controller; what was made for it outside has to go, too.
#[test]
fn kill_9_of_the_controller_and_of_both() {
    let before = HostState::now();
    for faults in [HELD, NOISY] {
        let spec = spec(faults, "60s");
        let started = || {
            let bench = Bench::new(&spec);
            let child = start_until(&bench, 1, "\"verify\"");
            wait_for("both faults", Duration::from_secs(30), || {
                (bench.history().matches("\"verify\"").count() == 2).then_some(())
            });
            assert!(groups().len() >= 3, "{:?}", groups());
            (bench, child)
        };
        let (bench, mut child) = started();
        child.kill().expect("SIGKILL");
        child.wait().expect("a dead child");
        wait_for("the agent to remove all groups", Duration::from_secs(15), || {
            groups().is_empty().then_some(())
        });
        before.wait_until_back(&bench, Duration::from_secs(10));

        let (bench, mut child) = started();
        kill(bench.agent(), Signal::SIGKILL).expect("SIGKILL");
        child.kill().expect("SIGKILL");
        child.wait().expect("a dead child");
        wait_for("the nodes and neighbours to end", Duration::from_secs(10), || {
            bench.processes().is_empty().then_some(())
        });
        let run = bench.latest();
        let healed = duress(["heal".as_ref(), run.as_os_str()]);
        let said = String::from_utf8_lossy(&healed.stdout).into_owned();
        assert_eq!(healed.status.code(), Some(0), "{said}");
        assert_eq!(groups(), Vec::<PathBuf>::new(), "{said}");
        before.wait_until_back(&bench, Duration::from_secs(10));
    }
}
