//! What a correct cluster keeps, whatever happens to its processes.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::cluster::Cluster;

#[tokio::test]
async fn what_was_acknowledged_survives_the_kill_of_all_nodes() {
    let mut cluster = Cluster::start(3, &["--snapshot-every", "10"]).await;
    for round in 0..3 {
        let leader = cluster.leader().await;
        for value in 0..25 {
            assert_eq!(
                cluster
                    .put(leader, &format!("k{value}"), round * 100 + value)
                    .await
                    .0,
                200
            );
        }
        (0..3).for_each(|node| cluster.kill(node));
        (0..3).for_each(|node| cluster.spawn(node));
        cluster.all_ready().await;
        let leader = cluster.leader().await;
        for value in 0..25 {
            assert_eq!(
                cluster.value(leader, &format!("k{value}")).await,
                round * 100 + value
            );
        }
    }
}

#[tokio::test]
async fn a_killed_leader_is_replaced_and_returns_as_a_follower() {
    let mut cluster = Cluster::start(3, &[]).await;
    let first = cluster.leader().await;
    cluster.put(first, "x", 1).await;
    cluster.kill(first);
    let second = cluster.leader().await;
    assert_eq!(cluster.value(second, "x").await, 1);
    cluster.put(second, "x", 2).await;
    cluster.spawn(first);
    let index = cluster.status(second).await.unwrap()["applied"].as_u64();
    cluster
        .until(first, "caught up", |status| status["applied"].as_u64() >= index)
        .await;
    assert_eq!(cluster.get(first, "x", "local").await.1["value"], 2);
}

#[tokio::test]
async fn a_leader_killed_alone_does_not_lead_on_when_it_returns() {
    let mut cluster = Cluster::start(3, &[]).await;
    let leader = cluster.leader().await;
    let term = cluster.status(leader).await.unwrap()["term"].as_u64();
    let others = cluster.others(leader);
    for value in 0..20 {
        cluster.put(leader, "x", value).await;
    }
    // Nobody can take over meanwhile, so the restarted node finds its own vote and a commit index that is
    // older than what it has acknowledged.
    others
        .iter()
        .for_each(|node| cluster.signal(*node, Signal::SIGSTOP));
    cluster.kill(leader);
    cluster.spawn(leader);
    cluster
        .until(leader, "up", |status| status["name"].is_string())
        .await;
    others
        .iter()
        .for_each(|node| cluster.signal(*node, Signal::SIGCONT));
    let next = cluster.leader().await;
    assert_eq!(cluster.value(next, "x").await, 19);
    assert!(cluster.status(next).await.unwrap()["term"].as_u64() > term);
}

#[tokio::test]
async fn a_paused_leader_does_not_answer_from_the_past() {
    let cluster = Cluster::start(3, &[]).await;
    let old = cluster.leader().await;
    cluster.put(old, "x", 1).await;
    cluster.signal(old, Signal::SIGSTOP);
    let new = cluster.leader_of(&cluster.others(old)).await;
    assert_eq!(cluster.put(new, "x", 2).await.0, 200);
    cluster.signal(old, Signal::SIGCONT);
    for read in ["lease", "linearizable"].into_iter().cycle().take(20) {
        let (status, body) = cluster.get(old, "x", read).await;
        assert!(status != 200 || body["value"] == 2, "{read}: {status} {body}");
    }
}

#[tokio::test]
async fn a_follower_that_lags_too_far_is_sent_a_snapshot() {
    let mut cluster = Cluster::start(3, &["--snapshot-every", "20"]).await;
    let leader = cluster.leader().await;
    let lagging = cluster.others(leader)[0];
    let key = deleted_while_away(&mut cluster, leader, lagging).await;
    assert_eq!(cluster.get(lagging, &key, "local").await.1["value"], json!(null));
    assert_eq!(cluster.get(lagging, "x", "local").await.1["value"], 99);
}

/// A key that `lagging` has in its snapshot, and that is deleted while it is away for so long that it needs another one.
pub async fn deleted_while_away(cluster: &mut Cluster, leader: usize, lagging: usize) -> String {
    let key = "deleted".to_owned();
    cluster.put(leader, &key, 1).await;
    let index = cluster.status(leader).await.unwrap()["applied"].as_u64();
    for value in 0..40 {
        cluster.put(leader, "x", value).await;
    }
    cluster
        .until(lagging, "compacted", |status| {
            status["snapshot"].as_u64() >= index
        })
        .await;
    // Killed, not paused: what the leader sends meanwhile must not wait in its buffers.
    cluster.kill(lagging);
    cluster
        .request(leader, "DELETE", &format!("/kv/{key}"), None)
        .await;
    let index = cluster.status(leader).await.unwrap()["applied"].as_u64();
    for value in 0..100 {
        cluster.put(leader, "x", value).await;
    }
    cluster
        .until(leader, "compacted", |status| status["purged"].as_u64() > index)
        .await;
    let index = cluster.status(leader).await.unwrap()["applied"].as_u64();
    cluster.spawn(lagging);
    cluster
        .until(lagging, "caught up", |status| status["applied"].as_u64() >= index)
        .await;
    assert!(
        cluster.log(lagging).contains("snapshot installed"),
        "{}",
        cluster.log(lagging)
    );
    key
}
