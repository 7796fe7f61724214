//! The etcd that ships with Duress: deployed, killed, started, replaced.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::{Duration, Instant};

use duress_cluster::compose::ComposeCluster;
use duress_cluster::{Cluster, ProgramState, ReplaceImage};

use crate::support;

/// POSTs to etcd's JSON gateway and gives the whole answer.
fn post(address: IpAddr, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect((address, 2379)).expect("etcd takes connections");
    let request = format!(
        "POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("the request is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// Sends a signal to the process that a place names, as a fault would.
fn kill(pid: u32) {
    let killed = std::process::Command::new("kill")
        .args(["-9", &pid.to_string()])
        .status();
    assert!(killed.expect("kill is there").success());
}

fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(20)
}

async fn until_stopped(cluster: &ComposeCluster, node: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let ProgramState::Stopped { how } = cluster.state(node).await.expect("the engine answers") {
            return how;
        }
        assert!(Instant::now() < deadline, "{node} still runs");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_members_are_deployed_killed_and_started_again() {
    if !support::engine_or_skip() {
        return;
    }
    let directory = tempfile::tempdir().expect("a folder");
    let run = support::run_name("etcd");
    let before = Instant::now();
    let cluster = ComposeCluster::deploy(support::etcd(&run, "3.5.1", directory.path()))
        .await
        .expect("deploys");
    let took = before.elapsed();
    assert!(took < Duration::from_secs(15), "deploying took {took:?}");

    let names: Vec<&str> = cluster.nodes().iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["n1", "n2", "n3"]);
    let first = cluster.place("n1").await.expect("n1 runs");
    let address = IpAddr::from(cluster.nodes()[0].ipv4);
    assert_eq!(first.addresses, [address]);
    assert!(!first.keeper);
    let program = std::fs::read_to_string(format!("/proc/{}/comm", first.pid)).expect("the process is there");
    assert_eq!(program.trim(), "etcd");
    let data = first.data.expect("the system says where");
    assert!(
        data.join("member/wal").is_dir(),
        "{} is no data directory of etcd",
        data.display()
    );
    // Clients come from the gateway, as the node sees it.
    assert_eq!(cluster.client_addresses().len(), 1);

    // Down means down: a policy of the file or the engine must not bring it back.
    kill(first.pid);
    assert_eq!(until_stopped(&cluster, "n1").await, "signal 9");
    let nowhere = cluster
        .place("n1")
        .await
        .expect_err("a stopped container has no place");
    assert!(nowhere.to_string().contains("signal 9"), "{nowhere}");

    cluster.start("n1").await.expect("starts");
    cluster
        .await_node("n1", soon())
        .await
        .expect("becomes ready again");
    let second = cluster.place("n1").await.expect("n1 runs");
    assert_ne!(second.pid, first.pid);
    assert_eq!(second.addresses, first.addresses);
    assert!(cluster.log_tail("n1", 5).await.contains("level"));
    assert!(
        cluster
            .place("n9")
            .await
            .expect_err("no such node")
            .to_string()
            .contains("n1, n2, n3")
    );

    cluster.down().await.expect("goes down");
    assert_eq!(support::leftovers(&run), Vec::<String>::new());
    let log = std::fs::read_to_string(directory.path().join("nodes/n1/log")).expect("the log was saved");
    assert!(
        log.contains("\"etcd-version\":\"3.5.1\"") || log.contains("3.5.1"),
        "{log:.400}"
    );
    assert!(directory.path().join("compose.override.yaml").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_replaced_and_the_data_stays() {
    if !support::engine_or_skip() {
        return;
    }
    let directory = tempfile::tempdir().expect("a folder");
    let run = support::run_name("replace");
    let cluster = ComposeCluster::deploy(support::etcd(&run, "3.5.0", directory.path()))
        .await
        .expect("deploys");
    let address = IpAddr::from(cluster.nodes()[1].ipv4);
    // key1 = value1
    let put = post(address, "/v3/kv/put", r#"{"key":"a2V5MQ==","value":"dmFsdWUx"}"#);
    assert!(put.contains("revision"), "{put}");

    for node in ["n1", "n2", "n3"] {
        cluster
            .replace_image(node, "duress/etcd:3.5.1")
            .await
            .expect("is replaced");
        cluster.await_node(node, soon()).await.expect("becomes ready");
    }
    assert_eq!(
        IpAddr::from(cluster.nodes()[1].ipv4),
        cluster.place("n2").await.expect("n2 runs").addresses[0]
    );
    assert!(post(address, "/v3/maintenance/status", "{}").contains(r#""version":"3.5.1""#));
    let range = post(
        address,
        "/v3/kv/range",
        r#"{"key":"a2V5MQ==","serializable":true}"#,
    );
    assert!(range.contains("dmFsdWUx"), "{range}");

    let missing = cluster
        .replace_image("n1", "duress/etcd:0.0")
        .await
        .expect_err("no such image");
    assert!(missing.to_string().contains("make images"), "{missing}");
    cluster.down().await.expect("goes down");
    assert_eq!(support::leftovers(&run), Vec::<String>::new());
    let log = std::fs::read_to_string(directory.path().join("nodes/n2/log")).expect("the log was saved");
    assert!(
        log.contains("3.5.0") && log.contains("3.5.1"),
        "both containers' logs are kept"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn data_directories_can_be_folders_of_the_run() {
    if !support::engine_or_skip() {
        return;
    }
    let directory = tempfile::tempdir().expect("a folder");
    let run = support::run_name("data");
    let mut config = support::etcd(&run, "3.5.1", directory.path());
    config.own_data = true;
    let cluster = ComposeCluster::deploy(config).await.expect("deploys");
    let data = cluster
        .place("n2")
        .await
        .expect("n2 runs")
        .data
        .expect("asked for");
    assert_eq!(data, directory.path().join("data/n2"));
    assert!(
        data.join("member/wal").is_dir(),
        "{} is no data directory of etcd",
        data.display()
    );
    drop(cluster);
    assert_eq!(support::leftovers(&run), Vec::<String>::new());
    assert!(
        directory.path().join("data/n2/member/wal").is_dir(),
        "data outlives the cluster"
    );
}
