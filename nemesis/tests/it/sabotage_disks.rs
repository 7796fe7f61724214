//! Faults of disks that don't bite are never proven to.

use serde_json::Value;

use super::lab::{Lab, sh};
use super::sabotage::{AnswerInstead, never_bites, never_proven, nothing};
use super::stage::Stage;

const REACHES: AnswerInstead = |_: &Value| None;
/// The agent hears of no injection.
const NEVER: AnswerInstead = |request: &Value| (request["do"] == "inject").then_some(Value::Null);

const KINDS: [&str; 3] = [
    r#"{"kind":"disk-slow","delay":"100ms","calls":["fsync"],"targets":["n1"]}"#,
    r#"{"kind":"disk-error","calls":["fsync"],"targets":["n1"]}"#,
    r#"{"kind":"disk-full","targets":["n1"]}"#,
];

#[tokio::test(flavor = "multi_thread")]
pub async fn what_never_happened_is_not_proven() {
    let stage = Stage::with_disks(1, NEVER).await;
    for (fault, said) in KINDS
        .into_iter()
        .zip(["fsync took", "fsync did not fail", "create did not fail"])
    {
        never_proven(&stage, fault, nothing, said).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
pub async fn what_is_undone_half_way_is_not_proven() {
    let stage = Stage::with_disks(1, REACHES).await;
    let disarm = |_: &Lab| {
        let journal = std::fs::read_to_string(stage.journal()).unwrap();
        let mut lines = (journal.lines().rev()).map(|line| serde_json::from_str::<Value>(line).unwrap());
        let held = lines.find(|line| line["op"] == "held").unwrap();
        sh(&format!("kill -USR1 {}", held["data"][0]["layer"]));
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    for (fault, said) in KINDS
        .into_iter()
        .zip(["fsync took", "fsync did not fail", "create did not fail"])
    {
        never_proven(&stage, fault, disarm, said).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hit_no_call_of_the_system_is_not_proven() {
    let stage = Stage::with_disks(1, REACHES).await;
    for (fault, said) in [
        (
            r#"{"kind":"disk-slow","delay":"50ms","path":"nobody","targets":["n1"]}"#,
            "it has hit no call of the system",
        ),
        (
            r#"{"kind":"disk-error","calls":["mkdir"],"targets":["n1"]}"#,
            "it has hit no call of the system",
        ),
        (
            r#"{"kind":"disk-error","calls":["fsync"],"nth":1000000,"targets":["n1"]}"#,
            "it has hit no call of the system",
        ),
    ] {
        never_bites(&stage, fault, said).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_no_layer_is_left_out() {
    let stage = Stage::new(1).await;
    never_bites(&stage, KINDS[0], "no layer was put under its data directory").await;
}

const TORN: &str = r#"{"kind":"torn-write","targets":["n1"]}"#;
const ROT: &str = r#"{"kind":"bit-rot","path":"*.db","targets":["n1"]}"#;

#[tokio::test(flavor = "multi_thread")]
pub async fn neither_are_writes_that_nobody_tore_nor_bits_that_nobody_turned() {
    let stage = Stage::with_disks(3, NEVER).await;
    never_bites(&stage, TORN, "no write was torn").await;
    never_bites(&stage, ROT, "makes no sense").await;
}

#[tokio::test(flavor = "multi_thread")]
pub async fn a_write_that_somebody_ends_is_not_torn() {
    let stage = Stage::with_disks(1, REACHES).await;
    let file = stage.cluster.disks.as_ref().unwrap().path().join("n1/data");
    let whole = |_: &Lab| std::fs::write(&file, [b'x'; 2048]).unwrap();
    never_proven(&stage, TORN, whole, "the file has not just").await;
}

#[tokio::test(flavor = "multi_thread")]
pub async fn bits_that_somebody_turned_back_are_not_rotten() {
    let stage = Stage::with_disks(3, REACHES).await;
    let file = stage.cluster.disks.as_ref().unwrap().path().join("n1/rest.db");
    let whole = |_: &Lab| std::fs::write(&file, [7; 3000]).unwrap();
    std::fs::write(&file, [7; 3000]).unwrap();
    never_proven(&stage, ROT, whole, "0 of 8 bits are turned over").await;
}
