//! Each defect shows itself where the correct specimen, given the same, does not.
//!
//! `lease-by-wallclock` and `trusts-wall-clock-ttl` need clocks that are set; their unit tests stand in `lease.rs` and in `locks.rs`.
//! Those of what is on disk are in `disk.rs`.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::cluster::{Answer, Cluster};
use crate::faults::deleted_while_away;

pub fn defect(name: &str) -> Vec<&str> {
    if name.is_empty() {
        Vec::new()
    } else {
        vec!["--defect", name]
    }
}

/// The last node of a dead cluster is asked for a linearizable read.
async fn read_from_a_survivor(name: &str) -> Answer {
    let mut cluster = Cluster::start(3, &defect(name)).await;
    let leader = cluster.leader().await;
    cluster.put(leader, "x", 1).await;
    let others = cluster.others(leader);
    let index = cluster.status(leader).await.unwrap()["applied"].as_u64();
    cluster
        .until(others[0], "caught up", |status| {
            status["applied"].as_u64() >= index
        })
        .await;
    cluster.kill(leader);
    cluster.kill(others[1]);
    cluster.get(others[0], "x", "linearizable").await
}

#[tokio::test]
async fn stale_read_answers_without_a_majority() {
    assert_ne!(read_from_a_survivor("").await.0, 200);
    let (status, body) = read_from_a_survivor("stale-read").await;
    assert_eq!((status, &body["value"]), (200, &json!(1)));
}

/// The leader writes while its followers are paused, and dies before they are back.
async fn write_without_followers(name: &str) -> (Answer, Value) {
    let mut cluster = Cluster::start(3, &defect(name)).await;
    let leader = cluster.leader().await;
    let others = cluster.others(leader);
    others
        .iter()
        .for_each(|node| cluster.signal(*node, Signal::SIGSTOP));
    let answer = cluster.put(leader, "x", 1).await;
    cluster.kill(leader);
    others
        .iter()
        .for_each(|node| cluster.signal(*node, Signal::SIGCONT));
    let next = cluster.leader().await;
    (answer, cluster.value(next, "x").await)
}

#[tokio::test]
async fn ack_before_quorum_acknowledges_what_only_the_leader_has() {
    let ((status, refused), _) = write_without_followers("").await;
    assert_eq!((status, &refused["executed"]), (503, &json!("unknown")));
    // The append may have reached a follower's socket before it was paused; it must not always.
    for _ in 0..5 {
        let ((status, _), value) = write_without_followers("ack-before-quorum").await;
        assert_eq!(status, 200);
        if value.is_null() {
            return;
        }
    }
    panic!("no acknowledged write was lost");
}

/// How many of some acknowledged writes a kill of the only node loses.
async fn lost_by_a_kill(name: &str) -> usize {
    let mut cluster = Cluster::start(1, &defect(name)).await;
    // A node that loses its beginning is of no cluster any more, and answers nobody.
    cluster.has_begun(0).await;
    for value in 0..10 {
        assert_eq!(cluster.put(0, &format!("k{value}"), value).await.0, 200);
    }
    cluster.kill(0);
    cluster.spawn(0);
    cluster.all_ready().await;
    let mut lost = 0;
    for value in 0..10 {
        lost += usize::from(cluster.value(0, &format!("k{value}")).await != value);
    }
    lost
}

#[tokio::test]
async fn ack_before_sync_loses_writes_at_a_kill() {
    assert_eq!(lost_by_a_kill("").await, 0);
    // The kill may fall right after a sync.
    for _ in 0..5 {
        if lost_by_a_kill("ack-before-sync").await > 0 {
            return;
        }
    }
    panic!("no acknowledged write was lost");
}

/// The most of twenty rival cas that succeeded, over some rounds.
async fn winners(name: &str, rounds: usize) -> usize {
    let cluster = Cluster::start(3, &defect(name)).await;
    let leader = cluster.leader().await;
    let mut most = 0;
    for round in 0..rounds {
        let path = format!("/kv/k{round}/cas");
        let rivals = (0..20).map(|new| {
            let body = json!({ "old": null, "new": new });
            let (http, url) = (
                cluster.http.clone(),
                format!("http://{}{path}", cluster.address(leader)),
            );
            tokio::spawn(async move {
                let answer = http.post(url).body(body.to_string()).send().await.unwrap();
                let body: Value = answer.json().await.unwrap();
                assert!(body["swapped"].is_boolean(), "{body}");
                body["swapped"] == true
            })
        });
        let rivals: Vec<_> = rivals.collect();
        let mut won = 0;
        for rival in rivals {
            won += usize::from(rival.await.unwrap());
        }
        assert!(won >= 1);
        most = most.max(won);
        if most > 1 {
            break;
        }
    }
    most
}

#[tokio::test]
async fn split_cas_lets_rivals_win_together() {
    assert_eq!(winners("", 5).await, 1);
    assert!(winners("split-cas", 50).await > 1);
}

/// How many keys are lost when a node is killed after a snapshot.
async fn lost_by_compaction(name: &str) -> usize {
    let mut cluster = Cluster::start(1, &[defect(name), vec!["--snapshot-every", "20"]].concat()).await;
    let mut written = 0;
    // Writes must go on while the snapshot is on its way to the disk.
    while cluster.status(0).await.unwrap()["snapshot"].as_u64() < Some(40) {
        assert_eq!(cluster.put(0, &format!("k{written}"), written).await.0, 200);
        written += 1;
    }
    cluster.kill(0);
    cluster.spawn(0);
    cluster.all_ready().await;
    let mut lost = 0;
    for value in 0..written {
        lost += usize::from(cluster.value(0, &format!("k{value}")).await != value);
    }
    lost
}

#[tokio::test]
async fn lost_on_compaction_loses_what_was_applied_after_the_copy() {
    assert_eq!(lost_by_compaction("").await, 0);
    // On a busy machine nothing may be written while a snapshot is.
    for _ in 0..5 {
        if lost_by_compaction("lost-on-compaction").await > 0 {
            return;
        }
    }
    panic!("no acknowledged write was lost");
}

#[tokio::test]
async fn double_apply_runs_a_retry_again() {
    let cluster = Cluster::start(3, &defect("double-apply")).await;
    let leader = cluster.leader().await;
    let first = Some(json!({ "value": 1, "client": "c1", "seq": 1 }));
    cluster.request(leader, "PUT", "/kv/x", first.clone()).await;
    cluster.put(leader, "x", 2).await;
    cluster.request(leader, "PUT", "/kv/x", first).await;
    assert_eq!(cluster.value(leader, "x").await, 1, "the first value is back");
}

#[tokio::test]
async fn revive_deleted_brings_a_key_back_on_a_follower_that_lagged() {
    let args = [defect("revive-deleted"), vec!["--snapshot-every", "20"]].concat();
    let mut cluster = Cluster::start(3, &args).await;
    let leader = cluster.leader().await;
    let lagging = cluster.others(leader)[0];
    let key = deleted_while_away(&mut cluster, leader, lagging).await;
    assert_eq!(cluster.get(lagging, &key, "local").await.1["value"], 1);
}

#[tokio::test]
async fn a_status_names_the_defects() {
    let cluster = Cluster::start(1, &["--defect", "split-cas", "--defect", "stale-read"]).await;
    assert_eq!(
        cluster.status(0).await.unwrap()["defects"],
        json!(["stale-read", "split-cas"])
    );
    assert!(cluster.log(0).contains("defects: stale-read, split-cas"));
}

#[tokio::test]
async fn a_status_tells_how_often_a_defect_made_a_difference() {
    let cluster = Cluster::start(3, &defect("stale-read")).await;
    let leader = cluster.leader().await;
    let follower = cluster.others(leader)[0];
    let times = async |node| cluster.status(node).await.unwrap()["diverged"]["stale-read"].clone();
    assert_eq!(times(follower).await, 0);
    for _ in 0..3 {
        cluster.value(follower, "x").await;
        // A leader may answer.
        cluster.value(leader, "x").await;
    }
    assert_eq!((times(follower).await, times(leader).await), (json!(3), json!(0)));
}
