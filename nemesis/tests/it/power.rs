//! Power failures: what is on the disk afterwards, read by other means than the nemesis has.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use duress_checker::history::FaultStep;
use duress_nemesis::storage::Storage;
use serde_json::{Value, json};

use super::lab::{sh, wait_until};
use super::sabotage::{AnswerInstead, end_all, is_injection, never_bites, never_proven, nothing};
use super::stage::Stage;

const LONG_MS: u64 = 60_000;
const POWER: &str = r#"{"kind":"lose-unsynced","targets":["n1"]}"#;
const REACHES: AnswerInstead = |_: &Value| None;

async fn stage(count: u8, answer_instead: AnswerInstead) -> Stage {
    Stage::with_storage(count, &[Storage::FileSystem], answer_instead).await
}

fn folder(stage: &Stage, node: &str) -> PathBuf {
    stage.cluster.disks.as_ref().unwrap().path().join(node)
}

fn write(file: &Path, is_synced: bool) {
    fs::write(file, "of the test\n".repeat(1000)).unwrap();
    if is_synced {
        File::open(file).unwrap().sync_all().unwrap();
        File::open(file.parent().unwrap()).unwrap().sync_all().unwrap();
    }
}

fn bytes(file: &Path) -> Option<u64> {
    fs::metadata(file).ok().map(|found| found.len())
}

/// Mounts and loop devices below a folder.
fn left(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut left: Vec<String> = mounts
        .lines()
        .filter(|line| line.contains(&folder))
        .map(str::to_owned)
        .collect();
    for device in fs::read_dir("/sys/block").unwrap().flatten() {
        let file = fs::read_to_string(device.path().join("loop/backing_file")).unwrap_or_default();
        if file.contains(&folder) {
            left.push(file);
        }
    }
    left
}

/// Nothing of it is left, and the folders are as they were before: empty.
fn assert_nothing_left(folder: &Path) {
    wait_until("mounts and loop devices to go", || {
        left(folder).is_empty().then_some(())
    });
    let all: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    let files: Vec<&PathBuf> = all.iter().filter(|path| !path.is_dir()).collect();
    assert!(files.is_empty(), "{files:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_synced_is_lost_at_the_nodes_without_power_and_nowhere_else() {
    let stage = stage(3, REACHES).await;
    for node in ["n1", "n2", "n3"] {
        write(&folder(&stage, node).join("kept"), true);
        write(&folder(&stage, node).join("lost"), false);
    }
    let run = stage.begin(&[(r#"{"kind":"lose-unsynced","targets":["n1","n3"]}"#, LONG_MS)]);
    stage.event(0, FaultStep::Verify).await;
    for (node, number) in [("n1", 1), ("n2", 2), ("n3", 3)] {
        let written = fs::write(folder(&stage, node).join("late"), "x");
        let runs = !stage.cluster.lab.pids(number).is_empty();
        assert_eq!(
            (written.is_ok(), runs),
            (node == "n2", node == "n2"),
            "{node}: {written:?}"
        );
    }
    stage.cancel.send_replace(true);
    run.await.unwrap().unwrap();
    stage.assert_proven(0);
    for node in ["n1", "n2", "n3"] {
        let (kept, lost) = (
            folder(&stage, node).join("kept"),
            folder(&stage, node).join("lost"),
        );
        assert_eq!(bytes(&kept), Some(12_000), "{node}");
        assert_eq!(
            bytes(&lost).unwrap_or(0),
            if node == "n2" { 12_000 } else { 0 },
            "{node}"
        );
    }
    // Once more, on the disk that is there now.
    // A new name: ext4 writes a file that was emptied and written anew to its disk by itself.
    write(&folder(&stage, "n1").join("again"), false);
    stage.cancel.send_replace(false);
    stage.begin_from(1, &[(POWER, 1)]).await.unwrap().unwrap();
    stage.assert_proven(1);
    assert_eq!(bytes(&folder(&stage, "n1").join("again")).unwrap_or(0), 0);
    assert_eq!(bytes(&folder(&stage, "n1").join("kept")), Some(12_000));
    let root = folder(&stage, "n1").parent().unwrap().to_owned();
    let (cluster, report, ..) = stage.heal().await;
    assert_eq!(report.failed, [""; 0]);
    assert_nothing_left(&root);
    drop(cluster);
}

/// The layer lies on the disk, and another one on the disk that comes in its place, with the same faults in force.
#[tokio::test(flavor = "multi_thread")]
async fn under_a_layer_that_others_have_armed() {
    let under = [Storage::FileSystem, Storage::Layer];
    let stage = Stage::with_storage(2, &under, REACHES).await;
    let slow = r#"{"kind":"disk-slow","delay":"150ms","calls":["fsync"],"targets":["n1"]}"#;
    let others = stage.begin(&[(slow, LONG_MS), (r#"{"kind":"pause","targets":["n2"]}"#, LONG_MS)]);
    for fault in [0, 1] {
        stage.event(fault, FaultStep::Verify).await;
    }
    write(&folder(&stage, "n1").join("kept"), true);
    for (fault, lost) in [(2, "lost"), (3, "again")] {
        write(&folder(&stage, "n1").join(lost), false);
        stage.begin_from(fault, &[(POWER, 300)]).await.unwrap().unwrap();
        stage.assert_proven(fault);
        assert_eq!(bytes(&folder(&stage, "n1").join("kept")), Some(12_000));
        assert_eq!(bytes(&folder(&stage, "n1").join(lost)).unwrap_or(0), 0);
        let began = Instant::now();
        write(&folder(&stage, "n1").join("kept"), true);
        assert!(
            began.elapsed() >= Duration::from_millis(150),
            "its disk is slow still"
        );
    }
    // Until the system has met what is slow again.
    tokio::time::sleep(Duration::from_millis(600)).await;
    stage.cancel.send_replace(true);
    others.await.unwrap().unwrap();
    stage.assert_proven(0);
    stage.assert_proven(1);
    let root = folder(&stage, "n1").parent().unwrap().to_owned();
    let (cluster, report, ..) = stage.heal().await;
    assert_eq!(report.failed, [""; 0]);
    assert_nothing_left(&root);
    drop(cluster);
}

/// The agent is killed some milliseconds further each time: before the cut, in it, after it, in its healing.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_the_agent_at_every_stage() {
    let mut restored = 0;
    for delay_ms in [0, 10, 25, 40, 60, 90, 130, 180, 240, 320] {
        let stage = stage(1, REACHES).await;
        let root = folder(&stage, "n1").parent().unwrap().to_owned();
        write(&folder(&stage, "n1").join("kept"), true);
        let pid = stage.agent_pid();
        let began = Instant::now();
        let run = stage.begin(&[(POWER, 50)]);
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        sh(&format!("kill -KILL {pid}"));
        let _ = run.await.unwrap();
        let (cluster, report, dir, key) = stage.heal().await;
        assert_eq!(report.failed, [""; 0], "after {:?}", began.elapsed());
        restored += usize::from(
            report
                .done
                .iter()
                .any(|line| line.contains("as the cut had left it")),
        );
        assert_nothing_left(&root);
        let again =
            duress_nemesis::heal_from_journal(&dir.path().join(duress_nemesis::journal::JOURNAL_FILE), &key);
        assert_eq!(again.unwrap().done, [""; 0], "it is closed");
        drop(cluster);
    }
    assert!(restored > 0, "none was killed while power was off");
}

#[tokio::test(flavor = "multi_thread")]
pub async fn power_that_does_not_fail() {
    let swallow = |request: &Value| {
        let ended = json!([{"node": "n1", "processes": [{"pid": 1, "started": 1, "state": "S"}]}]);
        is_injection(request, "lose-unsynced").then_some(ended)
    };
    let stage = stage(1, swallow).await;
    never_proven(&stage, POWER, nothing, "its disk still takes what is written").await;
}

/// The processes are gone and the disk is cut off, but all that had been written got there first.
#[tokio::test(flavor = "multi_thread")]
pub async fn power_that_fails_in_order() {
    // The agent's own answer to what the cut has left, as if a sync had come before it.
    let synced = |request: &Value| {
        let asks = request["do"] == "ask" && request["question"]["of"] == "left";
        asks.then(|| json!([{"node": "n1", "probes": ["whole", "whole"]}]))
    };
    let stage = stage(1, synced).await;
    never_proven(&stage, POWER, nothing, "nothing was lost").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn power_that_is_back_too_early() {
    let stage = stage(1, REACHES).await;
    let cluster = std::sync::Arc::clone(&stage.cluster);
    let start = move |_: &super::lab::Lab| cluster.run("n1");
    never_proven(&stage, POWER, start, "its program runs again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn power_of_nodes_that_are_dead_or_on_another_disk() {
    let stage = stage(1, REACHES).await;
    end_all(&stage.cluster.lab, 1..=1);
    never_bites(&stage, POWER, "no process runs there").await;
    let stage = Stage::new(1).await;
    never_bites(&stage, POWER, "no file system was put under its data directory").await;
}
