//! What a healthy cluster answers.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::cluster::Cluster;

#[tokio::test]
async fn keys_are_written_read_compared_and_deleted() {
    let cluster = Cluster::start(3, &[]).await;
    let leader = cluster.leader().await;
    assert_eq!(
        cluster.get(leader, "x", "linearizable").await.1["value"],
        Value::Null
    );
    let (status, put) = cluster.put(leader, "x", 7).await;
    assert_eq!(status, 200);
    for read in ["linearizable", "lease", "local"] {
        let (status, body) = cluster.get(leader, "x", read).await;
        assert_eq!((status, &body["value"]), (200, &json!(7)), "{read}");
        assert!(body["index"].as_u64() >= put["index"].as_u64(), "{read}: {body}");
    }
    let cas = |old: i64, new: i64| Some(json!({ "old": old, "new": new }));
    assert_eq!(
        cluster.request(leader, "POST", "/kv/x/cas", cas(7, 8)).await.1["swapped"],
        true
    );
    assert_eq!(
        cluster.request(leader, "POST", "/kv/x/cas", cas(7, 9)).await.1["swapped"],
        false
    );
    assert_eq!(cluster.value(leader, "x").await, 8);
    assert_eq!(cluster.request(leader, "DELETE", "/kv/x", None).await.0, 200);
    assert_eq!(cluster.value(leader, "x").await, Value::Null);
}

#[tokio::test]
async fn refusals_say_whether_the_request_was_executed() {
    let cluster = Cluster::start(3, &[]).await;
    let leader = cluster.leader().await;
    let follower = cluster.others(leader)[0];
    for (method, body) in [("GET", None), ("PUT", Some(json!({ "value": 1 })))] {
        let (status, refused) = cluster.request(follower, method, "/kv/x", body).await;
        assert_eq!(
            (status, &refused["error"], &refused["executed"]),
            (421, &json!("not-leader"), &json!("no"))
        );
        assert_eq!(refused["leader"], cluster.name(leader));
        assert_eq!(refused["leader_address"], cluster.address(leader));
    }
    for body in [
        json!({}),
        json!({ "value": [1] }),
        json!({ "value": 1, "client": "c" }),
    ] {
        let (status, refused) = cluster.request(leader, "PUT", "/kv/x", Some(body)).await;
        assert_eq!(
            (status, &refused["error"]),
            (400, &json!("bad-request")),
            "{refused}"
        );
    }
    assert_eq!(cluster.get(leader, "x", "fresh").await.0, 400);
    assert_eq!(cluster.request(leader, "GET", "/nothing", None).await.0, 404);
    let rejected = cluster.status(follower).await.unwrap()["rejected"].clone();
    assert_eq!(rejected["not-leader"], 2, "{rejected}");
}

#[tokio::test]
async fn a_retry_is_answered_and_not_repeated() {
    let cluster = Cluster::start(3, &[]).await;
    let leader = cluster.leader().await;
    let put = |value: i64, seq: u64| Some(json!({ "value": value, "client": "c1", "seq": seq }));
    let first = cluster.request(leader, "PUT", "/kv/x", put(1, 5)).await;
    cluster.put(leader, "x", 2).await;
    assert_eq!(cluster.request(leader, "PUT", "/kv/x", put(1, 5)).await, first);
    assert_eq!(cluster.value(leader, "x").await, 2);
    let (status, refused) = cluster.request(leader, "PUT", "/kv/x", put(3, 4)).await;
    assert_eq!(
        (status, &refused["error"], &refused["executed"]),
        (409, &json!("stale-seq"), &json!("no"))
    );
    assert_eq!(cluster.value(leader, "x").await, 2);
}

#[tokio::test]
async fn overload_is_refused_and_a_lost_majority_is_admitted_to() {
    let cluster = Cluster::start(3, &["--in-flight-max", "1"]).await;
    let leader = cluster.leader().await;
    for follower in cluster.others(leader) {
        cluster.signal(follower, Signal::SIGSTOP);
    }
    let stuck = cluster.put(leader, "x", 1);
    let meanwhile = async {
        cluster
            .until(leader, "busy", |status| status["in_flight"] == 1)
            .await;
        let url = format!("http://{}/kv/x", cluster.address(leader));
        let answer = cluster.http.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 429);
        assert!(answer.headers().contains_key("retry-after"));
        let refused: Value = answer.json().await.unwrap();
        assert_eq!(
            (&refused["error"], &refused["executed"]),
            (&json!("overloaded"), &json!("no"))
        );
    };
    let ((status, refused), ()) = tokio::join!(stuck, meanwhile);
    assert_eq!(
        (status, &refused["error"], &refused["executed"]),
        (503, &json!("no-quorum"), &json!("unknown"))
    );
    let (status, refused) = cluster.get(leader, "x", "linearizable").await;
    assert_eq!((status, &refused["executed"]), (503, &json!("no")), "{refused}");
}

#[tokio::test]
async fn members_come_and_go_by_joint_consensus() {
    let mut cluster = Cluster::prepare(4, &["--snapshot-every", "20"]);
    for node in 0..3 {
        cluster.spawn_among(node, 3);
    }
    cluster.all_ready().await;
    let leader = cluster.leader().await;
    for value in 0..60 {
        cluster.put(leader, "x", value).await;
    }
    cluster.spawn(3);
    let blank = cluster.until(3, "up", |status| status["name"] == "n4").await;
    assert_eq!(
        (&blank["role"], &blank["ready"]),
        (&json!("learner"), &json!(false))
    );

    let leaver = cluster.name(leader).to_owned();
    let voters: Vec<_> = (0..4)
        .map(|node| cluster.name(node).to_owned())
        .filter(|name| *name != leaver)
        .collect();
    let wanted = json!({ "voters": voters, "addresses": { "n4": cluster.address(3) } });
    let (status, body) = cluster.request(leader, "POST", "/members", Some(wanted)).await;
    assert_eq!(status, 200, "{body}");

    cluster.terminate(leader);
    let next = cluster.leader().await;
    let status = cluster
        .until(3, "caught up", |status| status["ready"] == true)
        .await;
    assert_eq!(status["voters"], json!(voters));
    assert_eq!(cluster.value(next, "x").await, 59);
    cluster.put(next, "x", 60).await;
    assert_eq!(cluster.value(next, "x").await, 60);
}

#[tokio::test]
async fn members_that_make_no_sense_are_refused() {
    let cluster = Cluster::start(3, &[]).await;
    let leader = cluster.leader().await;
    for wanted in [
        json!({ "voters": [] }),
        json!({ "voters": ["n1", "n9"] }),
        json!({ "voters": ["n1"], "learners": ["n1"] }),
        json!({ "voters": ["n9"], "addresses": { "n9": cluster.address(leader) } }),
    ] {
        let (status, refused) = cluster.request(leader, "POST", "/members", Some(wanted)).await;
        assert_eq!((status, &refused["executed"]), (400, &json!("no")), "{refused}");
    }
}

#[tokio::test]
async fn a_node_stops_cleanly_when_asked_to() {
    let mut cluster = Cluster::start(1, &[]).await;
    assert_eq!(cluster.terminate(0), Some(0));
    assert!(cluster.log(0).contains("shut down"), "{}", cluster.log(0));
}

#[tokio::test]
async fn a_lock_has_one_holder_until_its_time_is_over() {
    let cluster = Cluster::start(1, &[]).await;
    let ask = async |what: &str, body| {
        let path = format!("/locks/l/{what}");
        let (status, answer) = cluster.request(0, "POST", &path, Some(body)).await;
        assert_eq!(status, 200, "{answer}");
        answer["done"] == true
    };
    assert!(ask("acquire", json!({ "owner": 1, "ttl_ms": 60_000 })).await);
    assert!(!ask("acquire", json!({ "owner": 2, "ttl_ms": 60_000 })).await);
    assert!(!ask("release", json!({ "owner": 2 })).await);
    assert!(ask("release", json!({ "owner": 1 })).await);
    assert!(ask("acquire", json!({ "owner": 2, "ttl_ms": 1 })).await);
    // It is never given back.
    while !ask("acquire", json!({ "owner": 3, "ttl_ms": 60_000 })).await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
