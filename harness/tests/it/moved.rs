//! A node that comes back at another address, as a container may on a network whose addresses Duress doesn't choose.

use std::process::Command;

use duress_cluster::compose::{ComposeCluster, ComposeConfig};
use duress_cluster::{Cluster, Key};

use crate::compose::engine_or_skip;

const FILE: &str = "services:\n  n1: {image: 'duress/etcd:3.5.1', entrypoint: [sleep, '1000'], networks: [outside]}\n\
                    networks: {outside: {external: true, name: NETWORK}}\n";

/// What `docker` prints; the error is what it says.
fn docker(args: &[&str]) -> Result<String, String> {
    let output = Command::new("docker")
        .args(args)
        .output()
        .expect("docker was found before");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

/// A network of the test's own, and a container that takes an address on it.
struct Outside {
    network: String,
    squatter: String,
}

impl Outside {
    fn new() -> Self {
        let pid = std::process::id();
        let (network, squatter) = (
            format!("duress-test-{pid}"),
            format!("duress-test-{pid}-squatter"),
        );
        // Another network may have the first ones.
        let made = (0..8).map(|number| format!("10.185.{}.0/24", (pid + number) % 256));
        let mut made = made.map(|subnet| docker(&["network", "create", "--subnet", &subnet, &network]));
        assert!(made.any(|made| made.is_ok()), "no subnet is free");
        Outside { network, squatter }
    }

    /// Keeps this address from whoever had it.
    fn take(&self, address: &str) {
        let name = [
            "--name",
            &self.squatter,
            "--network",
            &self.network,
            "--ip",
            address,
        ];
        let program = ["--entrypoint", "sleep", "duress/etcd:3.5.1", "1000"];
        let args: Vec<&str> = ["run", "--detach"]
            .into_iter()
            .chain(name)
            .chain(program)
            .collect();
        docker(&args).expect("the address is free");
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", &self.squatter]);
        let _ = docker(&["network", "rm", &self.network]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_whose_address_was_taken_is_found_at_its_new_one() {
    if !engine_or_skip() {
        return;
    }
    let outside = Outside::new();
    let directory = tempfile::tempdir().expect("a folder");
    let file = directory.path().join("compose.yaml");
    std::fs::write(&file, FILE.replace("NETWORK", &outside.network)).expect("a compose file");
    let run = format!("test-moved-{}", std::process::id());
    let config = ComposeConfig::new(&file, &["n1"], &run, directory.path(), Key::of_this_process());
    let cluster = ComposeCluster::deploy(config).await.expect("deploys");
    let addresses = cluster.node_addresses().expect("containers may move");

    let before = addresses.current("n1").await.expect("it runs");
    assert_eq!(before, cluster.nodes()[0]);
    let container =
        docker(&["ps", "--quiet", "--filter", &format!("label=duress.run={run}")]).expect("it is listed");
    docker(&["kill", &container]).expect("it runs");
    assert!(addresses.current("n1").await.is_err(), "it is nowhere");
    outside.take(&before.ipv4.to_string());
    cluster.start("n1").await.expect("starts");
    let after = addresses.current("n1").await.expect("it runs");
    assert_ne!(after.ipv4, before.ipv4);
    let place = cluster.place("n1").await.expect("it runs");
    assert_eq!(place.addresses, [std::net::IpAddr::from(after.ipv4)]);
    cluster.down().await.expect("goes down");
}
