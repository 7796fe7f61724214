//! Faults of disks, on nodes that write and sync all the time.

use duress_checker::history::{FaultStep, StepResult};
use serde_json::Value;

use super::sabotage::AnswerInstead;
use super::stage::Stage;

const REACHES: AnswerInstead = |_: &Value| None;

/// Each is proven, by the agent's calls and by those of the system, and leaves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_proven_and_healed() {
    let stage = Stage::with_disks(2, REACHES).await;
    for fault in [
        r#"{"kind":"disk-slow","delay":"100ms","calls":["fsync"],"targets":["n1"]}"#,
        r#"{"kind":"disk-slow","delay":"30ms","jitter":"20ms","distribution":"exponential","targets":"all"}"#,
        r#"{"kind":"disk-error","targets":["n1"]}"#,
        r#"{"kind":"disk-error","calls":["fsync"],"share":0.5,"path":"d*a","errno":"EROFS","targets":["n2"]}"#,
        r#"{"kind":"disk-error","calls":["write"],"nth":2,"targets":["n1"]}"#,
        r#"{"kind":"disk-full","targets":["n1"]}"#,
    ] {
        stage.begin(&[(fault, 700)]).await.unwrap().unwrap();
        stage.assert_proven(0);
        stage.forget();
    }
}

/// Both at one node: their delays add up, and the end of one is not the end of the other.
#[tokio::test(flavor = "multi_thread")]
async fn two_on_one_disk_do_not_disturb_each_other() {
    let stage = Stage::with_disks(1, REACHES).await;
    let (long, short) = (
        r#"{"kind":"disk-slow","delay":"50ms","calls":["write"],"targets":["n1"]}"#,
        r#"{"kind":"disk-error","calls":["fsync"],"targets":["n1"]}"#,
    );
    stage.begin(&[(long, 2000), (short, 500)]).await.unwrap().unwrap();
    stage.assert_proven(0);
    stage.assert_proven(1);
}

/// The folder of a node's disk.
fn disk(stage: &Stage, node: &str) -> std::path::PathBuf {
    stage.cluster.disks.as_ref().unwrap().path().join(node)
}

/// The node is down until its end, with half a write on its disk; then it works again.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_torn_and_the_node_is_down_until_it_is_over() {
    let stage = Stage::with_disks(2, REACHES).await;
    let fault = r#"{"kind":"torn-write","path":"dat?","targets":["n1"]}"#;
    let run = stage.begin(&[(fault, 700)]);
    let verified = stage.event(0, FaultStep::Verify).await;
    assert_eq!(verified.result, StepResult::Installed, "{verified:?}");
    let length = std::fs::read(disk(&stage, "n1").join("data")).unwrap().len();
    assert!(
        length.is_multiple_of(512) && (512..2048).contains(&length),
        "{length}"
    );
    assert!(stage.cluster.lab.pids(1).is_empty());
    run.await.unwrap().unwrap();
    stage.assert_proven(0);
    assert!(!stage.cluster.lab.pids(1).is_empty());
}

/// Bits stay as they are; what was there is kept; not more nodes are damaged than may be.
#[tokio::test(flavor = "multi_thread")]
async fn bits_rot_for_good_and_at_a_minority_only() {
    let stage = Stage::with_disks(3, REACHES).await;
    for node in ["n1", "n2"] {
        std::fs::write(disk(&stage, node).join("rest.db"), [7; 3000]).unwrap();
    }
    let fault = |node: &str| format!(r#"{{"kind":"bit-rot","path":"*.db","bits":20,"targets":["{node}"]}}"#);
    stage.begin(&[(&fault("n1"), 300)]).await.unwrap().unwrap();
    stage.assert_proven(0);
    let now = std::fs::read(disk(&stage, "n1").join("rest.db")).unwrap();
    let changed: u32 = now.iter().map(|byte| (byte ^ 7).count_ones()).sum();
    assert!((15..=20).contains(&changed), "{changed}");
    let kept = disk(&stage, "n1")
        .with_file_name("n1.before-bit-rot-0")
        .join("rest.db");
    assert_eq!(std::fs::read(kept).unwrap(), [7; 3000]);
    stage
        .begin_from(1, &[(&fault("n2"), 300)])
        .await
        .unwrap()
        .unwrap();
    let why = stage.bit(1).unwrap_err();
    assert!(
        why.contains("spared, since others are damaged already: n2"),
        "{why}"
    );
    assert_eq!(
        std::fs::read(disk(&stage, "n2").join("rest.db")).unwrap(),
        [7; 3000]
    );
}
