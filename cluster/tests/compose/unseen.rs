//! A compose file that Duress never saw: two networks, `depends_on`, a healthcheck, named volumes, fixed names, a
//! restart policy, a build, and a service that is no node.

use std::path::Path;
use std::time::Duration;

use duress_cluster::compose::{ComposeCluster, ComposeConfig, preview};
use duress_cluster::{Cluster, ProgramState};

use crate::support;

const FILE: &str = r#"
services:
  alpha:
    image: debian:bookworm-slim
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do date > /state/alive; sleep 0.2; done"]
    container_name: the-alpha
    restart: unless-stopped
    volumes: ["alpha-state:/state"]
    networks:
      back: {aliases: [first]}
      front: {}
    healthcheck: {test: ["CMD", "test", "-s", "/state/alive"], interval: 1s, retries: 20}
  beta:
    image: debian:bookworm-slim
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do date > /state/alive; sleep 0.2; done"]
    restart: always
    depends_on: [alpha]
    volumes: ["beta-state:/state", "/anonymous"]
    networks: [back]
    healthcheck: {test: ["CMD", "test", "-s", "/state/alive"], interval: 1s, retries: 20}
  watcher:
    build: .
    restart: always
    depends_on: [alpha, beta]
    networks: [front]
networks:
  front: {}
  back:
    name: the-back-network
    internal: true
volumes:
  alpha-state: {}
  beta-state: {name: the-beta-state}
"#;

fn config(folder: &Path, run: &str) -> ComposeConfig {
    std::fs::write(folder.join("compose.yaml"), FILE).expect("written");
    std::fs::write(
        folder.join("Dockerfile"),
        "FROM debian:bookworm-slim\nLABEL duress.test=unseen\nCMD [\"sleep\", \"1000\"]\n",
    )
    .expect("written");
    let mut config = support::config(
        &folder.join("compose.yaml"),
        &["alpha", "beta"],
        run,
        &folder.join("results"),
    );
    config.data = Some("/state".to_owned());
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_never_seen_before_works_twice_at_once() {
    if !support::engine_or_skip() {
        return;
    }
    let folders = [
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    ];
    let runs = [support::run_name("unseen"), support::run_name("unseen")];
    let built = (runs.each_ref()).map(|run| support::Images(format!("duress-{run}")));
    // Names that the file fixes don't make the two meet.
    let (one, other) = tokio::join!(
        ComposeCluster::deploy(config(folders[0].path(), &runs[0])),
        ComposeCluster::deploy(config(folders[1].path(), &runs[1])),
    );
    let (one, other) = (one.expect("deploys"), other.expect("deploys"));

    for cluster in [&one, &other] {
        let alpha = cluster.place("alpha").await.expect("alpha runs");
        assert_eq!(alpha.addresses.len(), 2, "alpha is on two networks");
        let node = &cluster.nodes()[0];
        assert!(alpha.addresses.contains(&node.ipv4.into()));
        assert!(alpha.data.expect("asked for").join("alive").is_file());
        // The old name still leads to it, on the network and in the run's own name space only.
        let found = support::docker(&[
            "exec",
            &support::docker(&[
                "ps",
                "--quiet",
                "--filter",
                &format!("label=duress.run={}", run_of(cluster)),
                "--filter",
                "label=duress.node=beta",
            ]),
            "getent",
            "hosts",
            "the-alpha",
            "first",
        ]);
        assert!(found.contains(&node.ipv4.to_string()), "{found}");
    }
    assert_ne!(one.nodes()[0].ipv4, other.nodes()[0].ipv4);

    // `restart: always` of the file is off for nodes.
    let pid = one.place("beta").await.expect("beta runs").pid;
    assert!(
        std::process::Command::new("kill")
            .args(["-9", &pid.to_string()])
            .status()
            .expect("kill")
            .success()
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(matches!(
        one.state("beta").await,
        Ok(ProgramState::Stopped { .. })
    ));

    one.down().await.expect("goes down");
    assert_eq!(support::leftovers(&runs[0]), Vec::<String>::new());
    assert!(
        matches!(other.state("beta").await, Ok(ProgramState::Running)),
        "the other run is not touched"
    );
    other.down().await.expect("goes down");
    assert_eq!(support::leftovers(&runs[1]), Vec::<String>::new());

    for images in built {
        let prefix = images.0.clone();
        assert_eq!(support::images(&prefix).len(), 1, "of the service that is built");
        drop(images);
        assert_eq!(support::images(&prefix), Vec::<String>::new());
    }
}

/// The run's name, out of the override file.
fn run_of(cluster: &ComposeCluster) -> String {
    let yaml = cluster.override_yaml();
    let line = yaml
        .lines()
        .find(|line| line.contains("duress.run"))
        .expect("labelled");
    line.split_once(':')
        .expect("key and value")
        .1
        .trim_matches([' ', '"', ','])
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_override_can_be_seen_before_anything_is_made() {
    if !support::engine_or_skip() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let run = support::run_name("preview");
    let shown = preview(&config(folder.path(), &run)).await.expect("is shown");
    assert!(shown.contains(r#""restart": "no""#), "{shown}");
    assert!(shown.contains("ipv4_address"), "{shown}");
    assert_eq!(support::leftovers(&run), Vec::<String>::new());
}
