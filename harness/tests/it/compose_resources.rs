//! Less of something in containers, by a child of the controller and by a helper container; groups read as the engine made them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::compose::{ETCD, IN_CONTAINER, both, docker, engine_or_skip, on_engine, spec_with};
use crate::host::{Bench, HostState, duress, start_until, wait_for};

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
faults = "24s"
recovery = "30s"
[[faults.at]]
at = "500ms"
length = "4s"
kind = "cpu-squeeze"
percent = 1
targets = "all"
[[faults.at]]
at = "7s"
length = "3s"
kind = "noisy-neighbour"
cpu = 4
targets = "leader"
[[faults.at]]
at = "10500ms"
length = "1s"
kind = "noisy-neighbour"
disk = 2
targets = "one"
[[faults.at]]
at = "12s"
length = "1s"
kind = "file-descriptors"
targets = "follower"
[[faults.at]]
at = "15s"
length = "4s"
kind = "crash-loop"
every = "1500ms"
after = "50ms"
targets = "one"
[[faults.at]]
at = "22s"
length = "2s"
kind = "memory-squeeze"
limit = "512MiB"
targets = "one"
"#;

fn each_is_proven(agent: &str) {
    if !engine_or_skip() {
        return;
    }
    let before = HostState::now();
    let bench = Bench::new(&spec_with(Path::new(ETCD), agent, SPEC));
    let output = bench.run_command(4).output().expect("the binary starts");
    let said = both(&output);
    let verdict = bench.verdict();
    // A container has a group of its own; etcd never needs so much memory, and that must be said. A disk may be too quick for any
    // neighbour to be felt, and then that must be said.
    let too_quick = said.contains("nobody was hurt: a sync beside its data took");
    let proven = if too_quick { 4 } else { 5 };
    assert_eq!(verdict["evidence"]["faults_verified"], proven, "{said}");
    assert_eq!(verdict["evidence"]["faults_healed"], 6, "{said}");
    assert!(said.contains("was never at the limit"), "{said}");
    assert_eq!(output.status.code(), Some(2), "{said}");
    let report = fs::read_to_string(bench.latest().join("report.html")).expect("a report");
    for said in [
        "% of a processor, of at most 1 %",
        "a second for a processor, and",
        "a sync beside its data took",
        "a process had all in use that it may have",
        "started and killed",
    ] {
        assert!(report.contains(said), "{said:?} is not in the report");
    }
    assert_eq!(on_engine(&bench.latest()), Vec::<String>::new());
    before.wait_until_back(&bench, Duration::from_secs(10));
}

#[test]
fn by_a_child_of_the_controller() {
    each_is_proven("");
}

#[test]
fn by_a_helper_container() {
    each_is_proven(IN_CONTAINER);
}

const HELD: &str = r#"properties = ["linearizable"]
---
[workload.register]
[time]
faults = "5m"
[[faults.at]]
at = "3s"
length = "4m"
kind = "cpu-squeeze"
percent = 150
targets = "all"
[[faults.at]]
at = "3s"
length = "4m"
kind = "memory-squeeze"
limit = "300MiB"
targets = "all"
[[faults.at]]
at = "3s"
length = "4m"
kind = "file-descriptors"
limit = 700
targets = "all"
[[faults.at]]
at = "3s"
length = "4m"
kind = "noisy-neighbour"
cpu = 1
targets = ["n1"]
"#;

/// The files of a container's groups that hold it, and the limits of its program.
fn limits(run: &Path) -> Vec<String> {
    let containers = on_engine(run);
    let ids = containers
        .iter()
        .filter_map(|line| line.strip_prefix("container "));
    let program = |id: &str| {
        docker(&["inspect", "--format", "{{.State.Pid}}", id])
            .trim()
            .to_owned()
    };
    let of = |id: &str| {
        let pid = program(id);
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let mut said = Vec::new();
        for line in groups.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controller, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let folder = PathBuf::from(format!("/sys/fs/cgroup/{controller}{path}"));
            for file in [
                "cpu.cfs_quota_us",
                "cpu.cfs_period_us",
                "memory.limit_in_bytes",
                "cpu.max",
                "memory.max",
            ] {
                if let Ok(text) = fs::read_to_string(folder.join(file)) {
                    said.push(format!("{id} {file} {text}"));
                }
            }
        }
        let text = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("Max open files"));
        said.push(format!("{id} {}", line.unwrap_or_default()));
        said
    };
    // Not the agent's.
    let image = |id: &&str| docker(&["inspect", "--format", "{{.Config.Image}}", id]);
    let mut all: Vec<String> = ids.filter(|id| image(id).contains("etcd")).flat_map(of).collect();
    all.sort();
    all
}

/// Without its controller the agent gives containers that live on back what they had, byte for byte; without both `duress heal` does, and
/// neighbours end by themselves.
#[test]
fn kill_9_of_the_controller_and_of_both() {
    if !engine_or_skip() {
        return;
    }
    let before = HostState::now();
    for agent in ["", IN_CONTAINER] {
        for both_die in [false, true] {
            let bench = Bench::new(&spec_with(Path::new(ETCD), agent, HELD));
            let mut child = start_until(&bench, 7, "\"warm-up\"");
            let run = bench.latest();
            let untouched = wait_for("containers", Duration::from_secs(30), || {
                Some(limits(&run)).filter(|limits| !limits.is_empty())
            });
            wait_for("all four", Duration::from_secs(60), || {
                (bench.history().matches("\"step\":\"verify\"").count() == 4).then_some(())
            });
            let held = limits(&run);
            assert_ne!(held, untouched);
            for said in [
                "cpu.cfs_quota_us 150000",
                "memory.limit_in_bytes 314572800",
                " Max open files            700 ",
            ] {
                let held = held.iter().filter(|line| line.contains(said)).count();
                assert_eq!(held, 3, "{said}: {held:?}");
            }
            if both_die {
                kill(bench.agent(), Signal::SIGKILL).expect("SIGKILL");
            }
            child.kill().expect("SIGKILL");
            child.wait().expect("a dead child");
            if both_die {
                assert_eq!(limits(&run), held, "somebody healed");
            } else {
                wait_for("limits as before", Duration::from_secs(15), || {
                    (limits(&run) == untouched).then_some(())
                });
            }
            let healed = duress(["heal".as_ref(), run.as_os_str()]);
            assert_eq!(healed.status.code(), Some(0), "{}", both(&healed));
            for said in [
                "cpu-squeeze",
                "memory-squeeze",
                "file-descriptors",
                "noisy-neighbour",
            ] {
                assert!(both(&healed).contains(said), "{}", both(&healed));
            }
            assert_eq!(on_engine(&run), Vec::<String>::new());
            before.wait_until_back(&bench, Duration::from_secs(10));
        }
    }
}
