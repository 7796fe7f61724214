//! Queues: what is lent, given back, acknowledged and refused, through kills and snapshots; and what defects make of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Answer, Cluster};
use crate::defects::defect;

/// Asks `node` about the queue `q`.
async fn ask(cluster: &Cluster, node: usize, f: &str, body: Value) -> Answer {
    cluster
        .request(node, "POST", &format!("/queues/q/{f}"), Some(body))
        .await
}

/// Puts these into the queue, each once.
async fn fill(cluster: &Cluster, node: usize, values: std::ops::RangeInclusive<i64>) {
    for value in values {
        let answer = ask(cluster, node, "enqueue", json!({"value": value})).await;
        assert_eq!(answer.0, 200, "{answer:?}");
    }
}

/// What is lent next, for so long.
async fn take(cluster: &Cluster, node: usize, lease_ms: u64) -> Value {
    let (status, body) = ask(cluster, node, "dequeue", json!({"lease_ms": lease_ms})).await;
    assert_eq!(status, 200, "{body}");
    body
}

/// What is lent next, if it has to come back first.
async fn take_later(cluster: &Cluster, node: usize) -> Value {
    let waiting = async {
        loop {
            let taken = take(cluster, node, 60_000).await;
            if !taken["value"].is_null() {
                return taken;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, waiting).await.expect("a message")
}

async fn ack(cluster: &Cluster, node: usize, taken: &Value) -> Value {
    let body = json!({"receipt": taken["receipt"]});
    ask(cluster, node, "ack", body).await.1["done"].clone()
}

#[tokio::test]
async fn a_message_is_lent_acknowledged_given_back_and_comes_again_when_its_lease_is_over() {
    let cluster = Cluster::start(3, &[]).await;
    let leader = cluster.leader().await;
    fill(&cluster, leader, 1..=2).await;
    let first = take(&cluster, leader, 60_000).await;
    let second = take(&cluster, leader, 60_000).await;
    assert_eq!(
        (&first["value"], &second["value"], &second["lent"]),
        (&json!(1), &json!(2), &json!(2))
    );
    let nothing = take(&cluster, leader, 60_000).await;
    assert_eq!(
        (&nothing["value"], &nothing["receipt"], &nothing["lent"]),
        (&Value::Null, &Value::Null, &json!(2))
    );
    assert_eq!(ack(&cluster, leader, &second).await, true);
    assert_eq!(ack(&cluster, leader, &second).await, false);
    let back = ask(&cluster, leader, "nack", json!({"receipt": first["receipt"]})).await;
    assert_eq!(back.1["done"], true);
    let short = take(&cluster, leader, 50).await;
    assert_eq!(short["value"], 1);
    let again = take_later(&cluster, leader).await;
    assert_eq!(again["value"], 1);
    assert_eq!(ack(&cluster, leader, &short).await, false, "that lease is over");
    assert_eq!(ack(&cluster, leader, &again).await, true);
    let nothing = take(&cluster, leader, 60_000).await;
    assert_eq!((&nothing["value"], &nothing["lent"]), (&Value::Null, &json!(0)));
}

#[tokio::test]
async fn queues_are_bounded_and_refusals_are_counted_by_reason() {
    let cluster = Cluster::start(1, &["--queue-max", "2"]).await;
    let leader = cluster.leader().await;
    fill(&cluster, leader, 1..=2).await;
    let token = |value: i64| json!({"value": value, "client": "c", "seq": 1});
    let (status, refused) = ask(&cluster, leader, "enqueue", token(3)).await;
    assert_eq!(
        (status, &refused["error"], &refused["executed"]),
        (429, &json!("full"), &json!("no"))
    );
    let status = cluster.status(leader).await.unwrap();
    assert_eq!(
        (&status["rejected"]["full"], &status["messages"]["ready"]),
        (&json!(1), &json!(2))
    );
    let first = take(&cluster, leader, 60_000).await;
    assert_eq!(ack(&cluster, leader, &first).await, true);
    assert_eq!(
        ask(&cluster, leader, "enqueue", token(3)).await.0,
        200,
        "there is room now"
    );
    for (f, body) in [
        ("enqueue", json!({"value": null})),
        ("enqueue", json!({})),
        ("dequeue", json!({"lease_ms": 0})),
        ("dequeue", json!({"lease_ms": 3_600_001})),
        ("ack", json!({"receipt": "1"})),
        ("nack", json!({})),
    ] {
        let (status, refused) = ask(&cluster, leader, f, body.clone()).await;
        assert_eq!(
            (status, &refused["error"]),
            (400, &json!("bad-request")),
            "{f} {body}"
        );
    }
}

#[tokio::test]
async fn queues_survive_the_kill_of_all_nodes_and_snapshots() {
    let mut cluster = Cluster::start(3, &["--snapshot-every", "5"]).await;
    let leader = cluster.leader().await;
    fill(&cluster, leader, 1..=20).await;
    let lent = take(&cluster, leader, 60_000).await;
    let gone = take(&cluster, leader, 60_000).await;
    assert_eq!(ack(&cluster, leader, &gone).await, true);
    (0..3).for_each(|node| cluster.kill(node));
    (0..3).for_each(|node| cluster.spawn(node));
    cluster.all_ready().await;
    let leader = cluster.leader().await;
    for value in 3..=20 {
        assert_eq!(take(&cluster, leader, 60_000).await["value"], value);
    }
    assert_eq!(take(&cluster, leader, 60_000).await["value"], Value::Null);
    assert_eq!(ack(&cluster, leader, &lent).await, true, "it is still lent");
}

/// How often a message is there after its enqueue was tried again at the next leader.
async fn tried_again_elsewhere(name: &str) -> (u64, Value) {
    let mut cluster = Cluster::start(3, &defect(name)).await;
    let leader = cluster.leader().await;
    let message = || json!({"value": 7, "client": "c", "seq": 1});
    for _ in 0..2 {
        assert_eq!(ask(&cluster, leader, "enqueue", message()).await.0, 200);
    }
    assert_eq!(
        cluster.status(leader).await.unwrap()["messages"]["ready"],
        1,
        "the leader knows it"
    );
    cluster.kill(leader);
    let next = cluster.leader().await;
    assert_eq!(ask(&cluster, next, "enqueue", message()).await.0, 200);
    let status = cluster.status(next).await.unwrap();
    let ready = status["messages"]["ready"].as_u64().unwrap();
    (ready, status["diverged"][name].clone())
}

#[tokio::test]
async fn dedup_in_memory_forgets_with_the_leader() {
    assert_eq!(tried_again_elsewhere("").await, (1, Value::Null));
    assert_eq!(tried_again_elsewhere("dedup-in-memory").await, (2, json!(1)));
}

/// Whether an acknowledged message comes again under the next leader.
async fn resurrected(name: &str) -> bool {
    let mut cluster = Cluster::start(3, &defect(name)).await;
    let leader = cluster.leader().await;
    fill(&cluster, leader, 7..=7).await;
    let taken = take(&cluster, leader, 50).await;
    assert_eq!(ack(&cluster, leader, &taken).await, true);
    cluster.kill(leader);
    let next = cluster.leader().await;
    let nothing = take(&cluster, next, 60_000).await;
    if nothing["lent"] == 0 {
        return false;
    }
    // Its lease may be over already.
    nothing["value"] == 7 || take_later(&cluster, next).await["value"] == 7
}

#[tokio::test]
async fn ack_not_replicated_is_forgotten_with_the_leader() {
    assert!(!resurrected("").await);
    assert!(resurrected("ack-not-replicated").await);
}
