//! Damage to the data of local clusters, and programs that crash again and again: seen from outside, and whoever is killed meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::{Bench, HostState, duress, start_until, wait_for};

fn spec(nodes: u32, time: &str, faults: &str) -> String {
    format!(
        "name = \"damage\"\nproperties = [\"linearizable\"]\n[cluster.local]\nsystem = \"specimen\"\nnodes = {nodes}\n\
         [workload.register]\n[load.open]\nrate = 100\n[client]\ntimeout = \"1s\"\n[evidence]\nok = 50\nok-of-each = 1\n\
         [time]\nwarm-up = \"500ms\"\nfaults = \"{time}\"\n{faults}"
    )
}

/// Each at a node of its own, all at the same time; a majority goes on.
const FOUR: &str = r#"
[[faults.at]]
at = "200ms"
length = "100s"
kind = "torn-write"
path = "log.wal"
targets = ["n1"]
[[faults.at]]
at = "200ms"
length = "100s"
kind = "bit-rot"
path = "log.wal"
targets = ["n2"]
[[faults.at]]
at = "200ms"
length = "100s"
kind = "snapshot-rollback"
by = "1s"
targets = ["n3"]
[[faults.at]]
at = "200ms"
length = "100s"
kind = "crash-loop"
every = "300ms"
targets = ["n4"]
"#;

/// What lies beside the data directories of a run, but for what is kept on purpose.
fn left(run: &Path) -> Vec<PathBuf> {
    let mut left = Vec::new();
    for node in fs::read_dir(run.join("nodes")).expect("nodes").flatten() {
        let beside = fs::read_dir(node.path()).expect("a node's folder").flatten();
        let names = beside.map(|entry| entry.path());
        left.extend(names.filter(|path| path.to_string_lossy().contains("snapshot-")));
    }
    left
}

fn verified(bench: &Bench) -> usize {
    let history = bench.history();
    let lines = history.lines();
    lines
        .filter(|line| line.contains("\"verify\"") && line.contains("\"installed\""))
        .count()
}

fn end(mut child: Child) {
    child.kill().expect("SIGKILL");
    child.wait().expect("a dead child");
}

#[test]
fn kill_9_of_the_agent_the_controller_and_both_under_each() {
    let before = HostState::now();
    for (agent, controller) in [(true, false), (false, true), (true, true)] {
        let bench = Bench::new(&spec(7, "110s", FOUR));
        let mut child = start_until(&bench, 1, "\"verify\"");
        wait_for("four faults in force", Duration::from_secs(30), || {
            (verified(&bench) == 4).then_some(())
        });
        let run = bench.latest();
        let rolled_back = run.join("nodes/n3/data/log.wal");
        let was = fs::read(&rolled_back).expect("the node's file");
        if agent {
            kill(bench.agent(), Signal::SIGKILL).expect("SIGKILL");
        }
        match controller {
            true => end(child),
            false => assert_eq!(child.wait().expect("an end").code(), Some(3)),
        }
        before.wait_until_back(&bench, Duration::from_secs(10));
        let healed = duress(["heal".as_ref(), run.as_os_str()]);
        let said = String::from_utf8_lossy(&healed.stdout).into_owned();
        assert_eq!(healed.status.code(), Some(0), "{said}");
        assert_eq!(left(&run), Vec::<PathBuf>::new(), "{said}");
        if controller {
            // Without its controller nobody starts it again.
            assert!(
                fs::read(&rolled_back).expect("the node's file") == was,
                "it is what it was put back to"
            );
        }
        assert!(run.join("nodes/n2/data.before-bit-rot-1/log.wal").is_file());
    }
}

/// While it waits until it is time to go back there is a copy, which goes with whoever heals; the data directory is nobody's.
#[test]
fn kill_9_before_it_is_time_to_go_back() {
    let before = HostState::now();
    let fault = "[[faults.at]]\nat = \"200ms\"\nlength = \"1s\"\nkind = \"snapshot-rollback\"\nby = \"60s\"\ntargets = [\"n1\"]\n";
    for both in [false, true] {
        let bench = Bench::new(&spec(3, "100s", fault));
        let child = start_until(&bench, 1, "\"prepare\"");
        let run = bench.latest();
        wait_for("a copy", Duration::from_secs(30), || {
            let journal = fs::read_to_string(run.join("nemesis-journal.jsonl")).expect("a journal");
            (journal.matches("\"op\":\"held\"").count() == 2).then_some(())
        });
        assert_eq!(left(&run).len(), 1);
        if both {
            let controller = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
            kill(controller, Signal::SIGSTOP).expect("SIGSTOP");
            kill(bench.agent(), Signal::SIGKILL).expect("SIGKILL");
        }
        end(child);
        before.wait_until_back(&bench, Duration::from_secs(10));
        let healed = duress(["heal".as_ref(), run.as_os_str()]);
        assert_eq!(healed.status.code(), Some(0));
        assert_eq!(left(&run), Vec::<PathBuf>::new());
        assert!(run.join("nodes/n1/data/log.wal").is_file());
    }
}
