//! Power failures on local clusters: what had been acknowledged is there afterwards, or its loss is found; nothing is left of disks.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::host::{Bench, HostState, duress, start_until, wait_for};

fn spec(defects: &str, faults: &str) -> String {
    format!(
        r#"
name = "power"
properties = ["linearizable"]
[cluster.local]
system = "specimen"
nodes = 3
{defects}
[workload.register]
keys = 4
[load.open]
rate = 300
[evidence]
ok = 100
ok-of-each = 1
[time]
warm-up = "500ms"
faults = "10s"
[faults]
{faults}"#
    )
}

const ALL: &str =
    "length = \"300ms\"\npause = \"1s\"\n[[faults.mix]]\nkind = \"lose-unsynced\"\ntargets = \"all\"\n";

/// Loop devices of disks below a folder, and the disks.
pub fn disks(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for device in fs::read_dir("/sys/block").expect("/sys").flatten() {
        let file = fs::read_to_string(device.path().join("loop/backing_file")).unwrap_or_default();
        if Path::new(file.trim()).starts_with(folder) {
            found.push(device.path());
        }
    }
    for node in fs::read_dir(folder.join("nodes")).into_iter().flatten().flatten() {
        for file in fs::read_dir(node.path()).into_iter().flatten().flatten() {
            if file.file_name().to_string_lossy().contains(".ext4") {
                found.push(file.path());
            }
        }
    }
    found
}

#[test]
fn the_specimen_keeps_what_it_acknowledged() {
    let before = HostState::now();
    let bench = Bench::new(&spec("", ALL));
    let verdict = bench.run(1, 0);
    let proven = verdict["evidence"]["faults_verified"].as_u64().expect("a number");
    assert!(proven >= 3, "{verdict}");
    assert_eq!(verdict["evidence"]["faults_healed"], proven, "{verdict}");
    let report = fs::read_to_string(bench.latest().join("report.html")).expect("a report");
    assert!(
        report.contains("on 3 disks what was synced is there, and what was not is lost"),
        "the proof is not in the report"
    );
    before.wait_until_back(&bench, Duration::from_secs(10));
    assert_eq!(disks(&bench.latest()), Vec::<PathBuf>::new());
}

/// A disk that is slow, power that fails, a node that stands still and packets that are late, at once.
#[test]
fn power_fails_under_a_layer_while_others_pause_and_are_late() {
    let before = HostState::now();
    let faults = r#"[[faults.at]]
at = "500ms"
together = [
    { kind = "disk-slow", delay = "50ms", calls = ["fsync"], targets = "all" },
    { kind = "lose-unsynced", targets = ["n1"], after = "1s", length = "1s" },
    { kind = "pause", targets = ["n2"], after = "1500ms", length = "500ms" },
    { kind = "packets", delay = "5ms", targets = ["n3"], after = "1s", length = "1500ms" },
]
length = "8s"
"#;
    // Enough that packets pass between some that neither stand still nor are down, and few enough operations for a busy machine.
    let spec = spec("", faults)
        .replace("nodes = 3", "nodes = 5")
        .replace("ok = 100", "ok = 20");
    let bench = Bench::new(&spec);
    let verdict = bench.run(1, 0);
    assert_eq!(verdict["evidence"]["faults_verified"], 4, "{verdict}");
    assert_eq!(verdict["evidence"]["faults_healed"], 4, "{verdict}");
    before.wait_until_back(&bench, Duration::from_secs(10));
    assert_eq!(disks(&bench.latest()), Vec::<PathBuf>::new());
}

#[test]
fn acknowledging_before_syncing_is_found() {
    let bench = Bench::new(&spec("defects = [\"ack-before-sync\"]", ALL));
    let verdict = bench.run(1, 1);
    assert_eq!(verdict["overall"], "violated", "{verdict}");
}

const LONG: &str =
    "[[faults.at]]\nat = \"500ms\"\nlength = \"9s\"\nkind = \"lose-unsynced\"\ntargets = [\"n1\", \"n2\"]\n";

#[test]
fn kill_9_of_the_controller_and_of_both() {
    let before = HostState::now();
    // While disks are made, while all works, and while power is off.
    for stage in ["\"op\":\"storage\"", "\"warm-up\"", "\"verify\""] {
        for both_die in [false, true] {
            let bench = Bench::new(&spec("", LONG));
            let in_journal = stage.contains("storage");
            let mut child = match in_journal {
                false => start_until(&bench, 1, stage),
                true => {
                    let mut child = bench
                        .run_command(1)
                        .stdout(std::process::Stdio::null())
                        .spawn()
                        .expect("it starts");
                    let runs = bench.spec().with_file_name("runs");
                    wait_for(stage, Duration::from_secs(30), || {
                        assert!(child.try_wait().expect("a child").is_none());
                        let journal = runs.join("latest").join("nemesis-journal.jsonl");
                        fs::read_to_string(journal)
                            .is_ok_and(|text| text.contains(stage))
                            .then_some(())
                    });
                    child
                }
            };
            if both_die {
                kill(bench.agent(), Signal::SIGKILL).expect("SIGKILL");
            }
            child.kill().expect("SIGKILL");
            child.wait().expect("a dead child");
            wait_for("the nodes to end", Duration::from_secs(20), || {
                bench.processes().is_empty().then_some(())
            });
            let run = bench.latest();
            let healed = duress(["heal".as_ref(), run.as_os_str()]);
            let said = [healed.stdout, healed.stderr].concat();
            let said = String::from_utf8_lossy(&said).into_owned();
            assert_eq!(healed.status.code(), Some(0), "{stage}: {said}");
            wait_for("loop devices to go", Duration::from_secs(10), || {
                disks(&run).is_empty().then_some(())
            });
            before.wait_until_back(&bench, Duration::from_secs(10));
        }
    }
}
