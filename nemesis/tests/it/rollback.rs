//! Directories that are put back to what they were: seen by other means than the nemesis has.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use duress_checker::history::{FaultStep, StepResult};
use duress_nemesis::heal_from_journal;
use duress_nemesis::journal::JOURNAL_FILE;
use serde_json::Value;

use super::lab::{sh, wait_until};
use super::sabotage::AnswerInstead;
use super::stage::Stage;

const REACHES: AnswerInstead = |_: &Value| None;

fn disk(stage: &Stage, node: &str) -> PathBuf {
    stage.cluster.disks.as_ref().unwrap().path().join(node)
}

/// SHA-256, as the system's own tool has it.
fn digest(file: &Path) -> String {
    sh(&format!("sha256sum < {}", file.display()))
}

/// Returns when so many copies have been taken in all, and their nodes go on.
pub fn wait_for_copies(stage: &Stage, count: usize) {
    wait_until("a copy", || {
        let journal = fs::read_to_string(stage.journal()).unwrap();
        let held = journal.lines().filter(|line| line.contains("\"held\""));
        (held.count() == 2 * count).then_some(())
    });
}

/// Beside the data directories.
fn copies(stage: &Stage) -> Vec<String> {
    let names = fs::read_dir(stage.cluster.disks.as_ref().unwrap().path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains("snapshot")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_after_the_copy_is_gone_and_what_came_before_is_there() {
    let stage = Stage::with_disks(3, REACHES).await;
    let (before, changed, after) = ("before", "changed", "after");
    for node in ["n1", "n2"] {
        for file in [before, changed] {
            fs::write(disk(&stage, node).join(file), format!("{file} of {node}")).unwrap();
        }
    }
    let was = [before, changed].map(|file| digest(&disk(&stage, "n1").join(file)));
    let fault = r#"{"kind":"snapshot-rollback","by":"3s","targets":["n1"]}"#;
    let began = Instant::now();
    let run = stage.begin(&[(fault, 60_000)]);
    wait_for_copies(&stage, 1);
    assert!(!stage.cluster.lab.states(1).contains(&'T'), "it goes on");
    for node in ["n1", "n2"] {
        fs::write(disk(&stage, node).join(changed), "something else").unwrap();
        fs::write(disk(&stage, node).join(after), "late").unwrap();
    }
    let verified = stage.event(0, FaultStep::Verify).await;
    assert_eq!(verified.result, StepResult::Installed, "{verified:?}");
    assert!(began.elapsed() >= Duration::from_secs(3));
    assert!(stage.cluster.lab.pids(1).is_empty(), "it is down");
    assert_eq!(
        [before, changed].map(|file| digest(&disk(&stage, "n1").join(file))),
        was
    );
    assert!(!disk(&stage, "n1").join(after).exists());
    assert_eq!(
        fs::read(disk(&stage, "n2").join(changed)).unwrap(),
        b"something else"
    );
    assert!(disk(&stage, "n2").join(after).exists());
    stage.cancel.send_replace(true);
    run.await.unwrap().unwrap();
    stage.assert_proven(0);
    assert!(!stage.cluster.lab.pids(1).is_empty(), "it runs again");
    assert_eq!(copies(&stage), [""; 0]);
    // Damage of all kinds counts together.
    stage.cancel.send_replace(false);
    for (number, fault) in [
        (1, r#"{"kind":"snapshot-rollback","targets":["n2"]}"#),
        (2, r#"{"kind":"bit-rot","targets":["n3"]}"#),
    ] {
        stage.begin_from(number, &[(fault, 100)]).await.unwrap().unwrap();
        let why = stage.bit(number).unwrap_err();
        assert!(why.contains("spared, since others are damaged already"), "{why}");
    }
}

/// A run that is cancelled does not wait until it would have been time.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_first_leaves_the_directory_as_it_is() {
    let stage = Stage::with_disks(3, REACHES).await;
    let run = stage.begin(&[(r#"{"kind":"snapshot-rollback","by":"60s","targets":["n1"]}"#, 100)]);
    wait_for_copies(&stage, 1);
    fs::write(disk(&stage, "n1").join("after"), "late").unwrap();
    let began = Instant::now();
    stage.cancel.send_replace(true);
    run.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(stage.bit(0).is_err());
    assert!(disk(&stage, "n1").join("after").exists());
    assert_eq!(copies(&stage), [""; 0]);
}

const FILES: usize = 150;

fn write_all(folder: &Path, text: &str) {
    for number in 0..FILES {
        fs::write(folder.join(format!("file-{number}")), text).unwrap();
    }
}

/// The agent is killed some milliseconds further each time: before the copy, in it, while the directory is put back, and after. Whatever
/// is healed then, nobody stands still, and the directory is what it was or what it has become, and no mixture.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_the_agent_at_every_stage() {
    let mut seen = std::collections::BTreeSet::new();
    // After the beginning, and after the copy, from which it is a second until the directory is put back.
    let before = [0, 20, 60].map(|ms| (false, ms));
    let after = [0, 980, 1000, 1010, 1030, 1060, 1100, 1150, 1200].map(|ms| (true, ms));
    for (copied, delay_ms) in before.into_iter().chain(after) {
        let stage = Stage::with_disks(1, REACHES).await;
        let data = disk(&stage, "n1");
        write_all(&data, "old");
        let pid = stage.agent_pid();
        let fault = r#"{"kind":"snapshot-rollback","by":"1s","damage-max":1,"targets":["n1"]}"#;
        let run = stage.begin(&[(fault, 50)]);
        let mut since = Instant::now();
        if copied {
            wait_for_copies(&stage, 1);
            since = Instant::now();
            write_all(&data, "new");
            if since.elapsed() > Duration::from_millis(900) {
                // A machine too busy to write in time: some may have come after the directory was put back.
                continue;
            }
        }
        tokio::time::sleep(Duration::from_millis(delay_ms).saturating_sub(since.elapsed())).await;
        sh(&format!("kill -KILL {pid}"));
        let _ = run.await.unwrap();
        let lab_states = stage.cluster.lab.states(1);
        let root = data.parent().unwrap().to_owned();
        let (cluster, report, dir, key) = stage.heal().await;
        assert_eq!(report.failed, [""; 0], "{lab_states:?}");
        assert!(!cluster.lab.states(1).contains(&'T'), "{:?}", report.done);
        let left = fs::read_dir(&root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        assert_eq!(left.collect::<Vec<_>>(), ["n1"]);
        let texts = (0..FILES)
            .map(|number| fs::read_to_string(data.join(format!("file-{number}"))).unwrap_or_default());
        let texts: std::collections::BTreeSet<String> = texts.collect();
        assert_eq!(texts.len(), 1, "{delay_ms} ms: {texts:?} {:?}", report.done);
        seen.insert(report.done.join("; "));
        seen.extend(texts);
        assert_eq!(
            heal_from_journal(&dir.path().join(JOURNAL_FILE), &key)
                .unwrap()
                .done,
            [""; 0]
        );
    }
    assert!(seen.contains("old"), "none was killed after it: {seen:?}");
    let cut_off = seen
        .iter()
        .filter(|said| said.contains("to the end") || said.contains("removed the copy"));
    assert!(cut_off.count() > 0, "none was killed in the middle: {seen:?}");
}
