//! Directories that are not put back, or not all of them, are never proven to be. See [`super::sabotage`].

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use duress_checker::history::FaultStep;
use serde_json::{Value, json};

use super::lab::{Lab, sh};
use super::rollback::wait_for_copies;
use super::sabotage::{
    AnswerInstead, Tally, end_all, is_injection, never_bites, never_proven, nothing, rounds, stop_all,
};
use super::stage::Stage;

const BACK: &str = r#"{"kind":"snapshot-rollback","by":"500ms","damage-max":1,"targets":["n1"]}"#;
const REACHES: AnswerInstead = |_: &Value| None;

fn asks_back(request: &Value) -> bool {
    request["do"] == "ask"
        && request["kind"] == "snapshot-rollback"
        && request["question"]["back"].is_object()
}

/// Of some process, which is as dead as it is said to be.
fn ended() -> Value {
    json!([{"node": "n1", "ended": [{"pid": 4_000_000, "started": 1, "state": "S"}]}])
}

#[tokio::test(flavor = "multi_thread")]
pub async fn a_directory_that_nobody_copied_or_put_back() {
    let claims = |request: &Value| {
        let copied = json!([{"node": "n1", "files": 1, "digest": "", "still_us": 1}]);
        is_injection(request, "snapshot-rollback").then_some(copied)
    };
    let stage = Stage::with_disks(1, claims).await;
    never_bites(&stage, BACK, "no copy was taken of its data directory").await;
    let stage = Stage::with_disks(1, |request| asks_back(request).then(ended)).await;
    never_proven(&stage, BACK, nothing, "its program runs again").await;
}

/// All that is done is to end the node.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_not_put_back_though_the_node_is_down() {
    let stage = Stage::with_disks(1, |request| asks_back(request).then(ended)).await;
    let said = "its directory was not put back";
    let mut tally = Tally::new(BACK, said);
    for round in 0..rounds() {
        let lab = &stage.cluster.lab;
        let run = stage.begin(&[(BACK, 60_000)]);
        wait_for_copies(&stage, round as usize + 1);
        end_all(lab, 1..=1);
        stage.event(0, FaultStep::Verify).await;
        stage.cancel.send_replace(true);
        run.await.unwrap().unwrap();
        stage.cancel.send_replace(false);
        tally.add(stage.bit(0), said, round);
        stage.forget();
    }
    tally.end();
}

fn folder(stage: &Stage) -> PathBuf {
    stage.cluster.disks.as_ref().unwrap().path().join("n1")
}

#[tokio::test(flavor = "multi_thread")]
pub async fn a_directory_that_is_put_back_in_part() {
    let stage = Stage::with_disks(1, REACHES).await;
    let folder = folder(&stage);
    fs::write(folder.join("before"), "before").unwrap();
    // A byte of one file, a file more, one less, and another mode; each time another, as the next copy has what was done to the last.
    let round = AtomicU32::new(0);
    let next = || round.fetch_add(1, Ordering::Relaxed);
    let byte = |_: &Lab| fs::write(folder.join("before"), format!("before {}", next())).unwrap();
    never_proven(
        &stage,
        BACK,
        byte,
        "1 of its files are not what they were: before",
    )
    .await;
    let more = |_: &Lab| fs::write(folder.join(format!("more-{}", next())), "").unwrap();
    never_proven(&stage, BACK, more, "1 of its files are not what they were: more-").await;
    let less = |_: &Lab| fs::remove_file(folder.join("data")).unwrap();
    never_proven(&stage, BACK, less, "1 of its files are not what they were: data").await;
    let mode = |_: &Lab| {
        drop(sh(&format!(
            "chmod 60{} {}",
            next() % 8,
            folder.join("before").display()
        )))
    };
    never_proven(
        &stage,
        BACK,
        mode,
        "1 of its files are not what they were: before",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_started_too_early() {
    let stage = Stage::with_disks(1, REACHES).await;
    let cluster = Arc::clone(&stage.cluster);
    let start = move |_: &Lab| cluster.run("n1");
    never_proven(&stage, BACK, start, "its program runs again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_writes_nothing_or_is_dead() {
    let stage = Stage::with_disks(1, REACHES).await;
    let mut tally = Tally::new(BACK, "nobody was hurt");
    for round in 0..rounds() {
        stop_all(&stage.cluster.lab, 1..=1);
        stage.begin(&[(BACK, 10)]).await.unwrap().unwrap();
        tally.add(stage.bit(0), "nobody was hurt", round);
        stage.forget();
    }
    tally.end();
    end_all(&stage.cluster.lab, 1..=1);
    never_bites(&stage, BACK, "no process runs there").await;
}
