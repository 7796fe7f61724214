//! Connections that do not end, or not as they should: never proven. See [`super::sabotage`].

use std::sync::Mutex;

use serde_json::{Value, json};

use super::connections::{HALF_OPEN, Held};
use super::lab::Lab;
use super::sabotage::{is_injection, never_bites, never_proven, never_proven_after, nothing};
use super::stage::Stage;

const RESET: &str = r#"{"kind":"tcp-reset","targets":["n1"]}"#;

/// What an agent says that does nothing.
static CLAIMED: Mutex<Value> = Mutex::new(Value::Null);

fn claims(request: &Value) -> Option<Value> {
    let ours = is_injection(request, "tcp-reset") || is_injection(request, "half-open");
    ours.then(|| CLAIMED.lock().unwrap().clone())
}

#[tokio::test(flavor = "multi_thread")]
pub async fn connections_that_nothing_is_done_to() {
    let stage = Stage::with_saboteur(2, claims).await;
    let held = Held::open(&stage.cluster.lab, &[(1, 2, "10.9.0.2")]);
    let [there, here] = [0, 1].map(|end| held.ends[0][end].clone());
    *CLAIMED.lock().unwrap() = json!([{"forgot": "n1", "there": there, "kept": "n2", "here": here}]);
    for fault in [RESET, HALF_OPEN] {
        never_bites(&stage, fault, "1 of 1 connections are established still").await;
    }
    // One that never was is none that has ended.
    let other = json!({"local": "10.9.0.1:9", "remote": "10.9.0.2:9", "inode": 1});
    *CLAIMED.lock().unwrap() = json!([{"forgot": "n1", "there": other, "kept": "n2", "here": other}]);
    for fault in [RESET, HALF_OPEN] {
        never_bites(&stage, fault, "was established before").await;
    }
    *CLAIMED.lock().unwrap() = json!([]);
    for fault in [RESET, HALF_OPEN] {
        never_bites(&stage, fault, "nobody was hurt: no connection was established").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
pub async fn connections_of_which_one_end_is_not_told_or_is_told_after_all() {
    let stage = Stage::new(2).await;
    let untold = "iptables -I INPUT -p tcp --tcp-flags RST RST -j DROP";
    let flush = |lab: &Lab| {
        lab.at(2, "iptables -F");
    };
    let held_untold = |lab: &Lab| {
        let held = Held::open(lab, &[(1, 2, "10.9.0.2")]);
        lab.at(2, untold);
        held
    };
    let end_untold = |lab: &Lab| {
        lab.at(2, &untold.replace("-I", "-D"));
    };
    let said = "1 of 1 connections are half-open";
    never_proven_after(&stage, RESET, held_untold, end_untold, said).await;
    let held = |lab: &Lab| Held::open(lab, &[(1, 2, "10.9.0.2")]);
    never_proven_after(&stage, HALF_OPEN, held, flush, "is gone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_nobody() {
    let stage = Stage::new(2).await;
    for fault in [RESET, HALF_OPEN] {
        never_bites(&stage, fault, "nobody was hurt: no connection was established").await;
    }
    never_proven(&stage, HALF_OPEN, nothing, "nobody was hurt").await;
}
