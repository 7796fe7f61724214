//! What the disk does to a node, and what the node makes of it: damage, writes cut off in the middle, writes that fail.

use std::fs::{self, File};
use std::io::Write;

use serde_json::json;

use crate::cluster::Cluster;
use crate::defects::defect;

/// Turns a bit over in the last value of `key` that the node's log has.
fn rot(cluster: &Cluster, node: usize, key: &str) {
    let path = cluster.data(node).join("log.wal");
    let mut bytes = fs::read(&path).unwrap();
    let before = format!(r#""key":"{key}","value":"#).into_bytes();
    let at = bytes.windows(before.len()).rposition(|window| window == before);
    let digit = at.expect("the log has the write") + before.len();
    assert_eq!(bytes[digit], b'4');
    bytes[digit] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Three nodes that have 4 for `x` in their logs, and of which some are dead.
async fn written(flags: &[&str], dead: impl Fn(usize) -> Vec<usize>) -> (Cluster, usize, Vec<usize>) {
    let mut cluster = Cluster::start(3, flags).await;
    let leader = cluster.leader().await;
    assert_eq!(cluster.put(leader, "x", 4).await.0, 200);
    let index = cluster.status(leader).await.unwrap()["applied"].as_u64();
    for other in cluster.others(leader) {
        cluster
            .until(other, "caught up", |status| status["applied"].as_u64() >= index)
            .await;
    }
    let dead = dead(leader);
    for node in &dead {
        cluster.kill(*node);
        rot(&cluster, *node, "x");
    }
    (cluster, leader, dead)
}

#[tokio::test]
async fn a_damaged_node_has_its_log_sent_again_and_votes_then() {
    let (mut cluster, leader, dead) = written(&[], |leader| vec![(leader + 1) % 3]).await;
    let [damaged] = dead[..] else { panic!("{dead:?}") };
    cluster.spawn(damaged);
    cluster.ready(damaged).await;
    let log = cluster.log(damaged);
    assert!(log.contains("a body does not fit its checksum"), "{log}");
    assert!(log.contains("has its log again"), "{log}");
    assert_eq!(cluster.get(damaged, "x", "local").await.1["value"], 4);
    // It takes its vote to elect another leader.
    let leader = match cluster.status(leader).await.unwrap()["role"] == "leader" {
        true => leader,
        false => cluster.leader().await,
    };
    cluster.kill(leader);
    let next = cluster.leader().await;
    assert_eq!(cluster.value(next, "x").await, 4);
}

#[tokio::test]
async fn a_damaged_majority_stands_still_and_elects_nobody_who_lacks_something() {
    let (mut cluster, leader, dead) = written(&[], |leader| vec![(leader + 1) % 3, (leader + 2) % 3]).await;
    cluster.kill(leader);
    dead.iter().for_each(|node| cluster.spawn(*node));
    for node in &dead {
        let status = cluster
            .until(*node, "up", |status| status["recovering"] == true)
            .await;
        assert_eq!((&status["ready"], &status["applied"]), (&json!(false), &json!(0)));
    }
    // Many election timeouts of two nodes that would elect each other if they could.
    for _ in 0..20 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        for node in &dead {
            let status = cluster.status(*node).await.unwrap();
            assert_eq!(
                (&status["leader"], &status["recovering"]),
                (&json!(null), &json!(true))
            );
        }
    }
}

#[tokio::test]
async fn no_checksum_takes_what_rotted() {
    let (mut cluster, _, dead) = written(&defect("no-checksum"), |leader| vec![(leader + 1) % 3]).await;
    cluster.spawn(dead[0]);
    let status = cluster.ready(dead[0]).await;
    assert_eq!(cluster.get(dead[0], "x", "local").await.1["value"], 5);
    assert_eq!(status["diverged"]["no-checksum"], 1);
}

/// How many of ten writes are lost that were acknowledged after the only node had crashed in the middle of a write.
async fn lost_after_a_torn_write(name: &str) -> usize {
    let mut cluster = Cluster::start(1, &defect(name)).await;
    cluster.put(0, "x", 1).await;
    cluster.kill(0);
    let path = cluster.data(0).join("log.wal");
    let bytes = fs::read(&path).unwrap();
    // Half of a record as it was written before.
    let mut file = File::options().append(true).open(&path).unwrap();
    file.write_all(&bytes[..bytes.len().min(60)]).unwrap();
    cluster.spawn(0);
    cluster.all_ready().await;
    assert_eq!(cluster.value(0, "x").await, 1);
    for value in 0..10 {
        assert_eq!(cluster.put(0, &format!("k{value}"), value).await.0, 200);
    }
    cluster.kill(0);
    cluster.spawn(0);
    let status = cluster.ready(0).await;
    assert_eq!(
        status["diverged"]["torn-log-tail"]
            .as_u64()
            .is_some_and(|times| times > 0),
        !name.is_empty()
    );
    let mut lost = 0;
    for value in 0..10 {
        lost += usize::from(cluster.value(0, &format!("k{value}")).await != value);
    }
    lost
}

#[tokio::test]
async fn torn_log_tail_forgets_what_comes_behind_it() {
    assert_eq!(lost_after_a_torn_write("").await, 0);
    assert_eq!(lost_after_a_torn_write("torn-log-tail").await, 10);
}

/// One node whose log can't grow any more, and what a write comes to.
async fn write_that_fails(name: &str) -> (Cluster, u16) {
    let cluster = Cluster::start(1, &defect(name)).await;
    let length = fs::metadata(cluster.data(0).join("log.wal")).unwrap().len();
    cluster.limit_files(0, length);
    let answer = cluster
        .try_request(0, "PUT", "/kv/x", Some(json!({ "value": 1 })))
        .await;
    (cluster, answer.map_or(0, |(status, _)| status))
}

#[tokio::test]
async fn a_node_whose_log_cannot_be_written_ends() {
    let (mut cluster, status) = write_that_fails("").await;
    assert_ne!(status, 200, "it was not kept");
    assert_eq!(cluster.ended(0).await, Some(1));
    assert!(cluster.log(0).contains("write to log.wal"), "{}", cluster.log(0));
    cluster.spawn(0);
    cluster.all_ready().await;
    assert_eq!(cluster.value(0, "x").await, json!(null));
}

#[tokio::test]
async fn ignores_eio_acknowledges_what_was_not_written() {
    let (mut cluster, status) = write_that_fails("ignores-eio").await;
    assert_eq!(status, 200);
    let times = cluster.status(0).await.unwrap()["diverged"]["ignores-eio"].as_u64();
    assert!(times > Some(0), "{times:?}");
    cluster.kill(0);
    cluster.spawn(0);
    cluster.all_ready().await;
    assert_eq!(cluster.value(0, "x").await, json!(null), "it is lost");
}
