//! Programs that are killed again and again, and pauses as short as a collector's: seen from outside.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use duress_checker::history::FaultStep;
use serde_json::{Value, json};

use super::groups::Guest;
use super::lab::Lab;
use super::sabotage::{end_all, never_bites, never_proven, nothing};
use super::stage::Stage;

const LOOP: &str = r#"{"kind":"crash-loop","every":"100ms","after":"20ms","targets":["n1"]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_killed_each_time_that_it_was_started() {
    let stage = Stage::new(2).await;
    let lab = &stage.cluster.lab;
    let (first, bystanders) = (lab.pids(1), lab.pids(2)[0]);
    let run = stage.begin(&[(LOOP, 1000)]);
    // The numbers of processes that sleep the way that only a whole program does, by other eyes than the nemesis'.
    let mut seen = std::collections::BTreeSet::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    while stage
        .events(0)
        .iter()
        .all(|event| event.step != FaultStep::Recheck)
    {
        let sleeps =
            |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == b"sleep\x001000\0");
        seen.extend(lab.pids(1).into_iter().filter(sleeps));
        assert!(Instant::now() < deadline, "{:?}", stage.events(0));
    }
    run.await.unwrap().unwrap();
    stage.assert_proven(0);
    let recheck = stage.event(0, FaultStep::Recheck).await;
    let rounds = recheck.evidence["rounds"]["n1"].as_array().unwrap().clone();
    assert!(rounds.len() >= 3, "{recheck:?}");
    let pids = |round: &Value| -> Vec<u64> { serde_json::from_value(round["pids"].clone()).unwrap() };
    let seen_dead = rounds
        .iter()
        .filter(|round| pids(round).iter().any(|pid| seen.contains(&(*pid as u32))));
    assert!(seen_dead.count() >= 2, "{seen:?} {recheck:?}");
    let now = lab.pids(1);
    assert!(
        now.len() >= 2 && now.iter().all(|pid| !first.contains(pid)),
        "it runs at last"
    );
    assert_eq!(lab.pids(2)[0], bystanders);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_shorter_than_a_round_has_one() {
    let stage = Stage::new(1).await;
    stage
        .begin(&[(r#"{"kind":"crash-loop","targets":["n1"]}"#, 10)])
        .await
        .unwrap()
        .unwrap();
    stage.assert_proven(0);
    let recheck = stage.event(0, FaultStep::Recheck).await;
    assert_eq!(
        recheck.evidence["rounds"]["n1"].as_array().map(Vec::len),
        Some(1),
        "{recheck:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
pub async fn a_loop_that_kills_nothing() {
    // The processes that it claims to have ended live.
    let swallow = |request: &Value| {
        let survivor = json!([{"node": "n1", "processes": [{"pid": 1, "started": 0, "state": 'S'}]}]);
        match request["do"].as_str() {
            Some("signal") => Some(survivor),
            Some("alive") => Some(survivor[0]["processes"].clone()),
            _ => None,
        }
    };
    let stage = Stage::with_saboteur(1, swallow).await;
    never_proven(&stage, LOOP, nothing, "1 processes live").await;
    let stage = Stage::with_saboteur(1, |request| (request["do"] == "signal").then(|| json!([]))).await;
    never_proven(&stage, LOOP, nothing, "no process was there").await;
    // It claims to have ended others each time, and all that really runs goes on.
    let swallow = |request: &Value| {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let now = NEXT.fetch_add(1, Ordering::Relaxed);
        match request["do"].as_str() {
            Some("signal") => {
                Some(json!([{"node": "n1", "processes": [{"pid": 1, "started": now, "state": 'S'}]}]))
            }
            Some("alive") => Some(json!([])),
            _ => None,
        }
    };
    let stage = Stage::with_saboteur(1, swallow).await;
    never_proven(&stage, LOOP, nothing, "its program runs again").await;
}

/// Between two rounds somebody starts it, and it is not killed.
#[tokio::test(flavor = "multi_thread")]
pub async fn a_loop_whose_program_runs_at_the_end() {
    let stage = Stage::new(1).await;
    let cluster = Arc::clone(&stage.cluster);
    let start = move |_: &Lab| cluster.run("n1");
    let slow = r#"{"kind":"crash-loop","every":"1h","after":"20ms","targets":["n1"]}"#;
    never_proven(&stage, slow, start, "its program runs again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_of_a_node_that_is_dead() {
    let stage = Stage::new(1).await;
    end_all(&stage.cluster.lab, 1..=1);
    never_bites(&stage, LOOP, "no process runs there").await;
}

/// Counts in a file for how long it did not run, in milliseconds: the longest so far.
const WATCHER: &str = "import os, time
last, longest = time.monotonic(), 0
while True:
    time.sleep(0.001)
    now = time.monotonic()
    longest = max(longest, now - last)
    last = now
    os.pwrite(3, b'%8d' % int(longest * 1000), 0)
";

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_as_short_as_a_collectors_is_proven_at_both_ends() {
    let stage = Stage::new(1).await;
    let lab = &stage.cluster.lab;
    let dir = tempfile::tempdir().unwrap();
    let said = dir.path().join("said");
    fs::write(&said, "").unwrap();
    let script = format!("exec python3 -c \"$0\" 3<> {}", said.display());
    let _watcher = Guest::start(lab, 1, &["bash", "-c", &script, WATCHER]);
    let longest = || {
        fs::read_to_string(&said)
            .unwrap()
            .trim()
            .parse::<u64>()
            .unwrap_or(0)
    };
    super::lab::wait_until("the watcher", || (longest() > 0).then_some(()));
    stage
        .begin(&[(r#"{"kind":"pause","targets":["n1"]}"#, 50)])
        .await
        .unwrap()
        .unwrap();
    stage.assert_proven(0);
    let healed = stage.event(0, FaultStep::Heal).await;
    let measured = healed.evidence["stopped_ms"].as_f64().unwrap();
    let felt = super::lab::wait_until("a gap", || Some(longest()).filter(|longest| *longest >= 50));
    assert!((50.0..1000.0).contains(&measured), "{healed:?}");
    assert!(
        felt as f64 >= measured - 25.0,
        "it stood still for {felt} ms, and {measured} ms is what was said"
    );
}
