//! Nothing is left: after an error at any stage, and after a controller that was killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use duress_cluster::compose::{ComposeCluster, ComposeConfig, Scope, heal};
use duress_cluster::{Cluster, Readiness};

use crate::support;

const RUN_VARIABLE: &str = "DURESS_TEST_RUN";

fn folder_with(file: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("compose.yaml"), file).expect("written");
    folder
}

async fn error_of(config: ComposeConfig) -> String {
    let run = config.run.clone();
    let error = ComposeCluster::deploy(config).await.expect_err("must not deploy");
    assert_eq!(support::leftovers(&run), Vec::<String>::new(), "after: {error}");
    match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn simple(folder: &Path, nodes: &[&str]) -> ComposeConfig {
    support::config(
        &folder.join("compose.yaml"),
        nodes,
        &support::run_name("error"),
        &folder.join("results"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_is_wrong_and_leave_nothing() {
    if !support::engine_or_skip() {
        return;
    }
    let folder = folder_with("services:\n  n1:\n    image: duress/no-such-image:1\n");
    let said = error_of(simple(folder.path(), &["n1"])).await;
    assert!(
        said.contains("duress/no-such-image:1") && said.contains("make images"),
        "{said}"
    );

    let said = error_of(simple(folder.path(), &["n1", "n7"])).await;
    assert!(said.contains("n7") && said.contains("there are n1"), "{said}");

    let folder = folder_with("services: [this, is, no, mapping]\n");
    assert!(error_of(simple(folder.path(), &["n1"])).await.contains("config"));

    let folder = folder_with("services:\n  n1:\n    image: debian:bookworm-slim\n    network_mode: host\n");
    assert!(
        error_of(simple(folder.path(), &["n1"]))
            .await
            .contains("network_mode: host")
    );

    let folder =
        folder_with("services:\n  n1:\n    image: debian:bookworm-slim\n    command: [/no/such/program]\n");
    assert!(
        error_of(simple(folder.path(), &["n1"]))
            .await
            .contains("/no/such/program")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_never_becomes_ready_is_an_error_with_its_last_words() {
    if !support::engine_or_skip() {
        return;
    }
    let folder = folder_with(
        "services:\n  n1:\n    image: debian:bookworm-slim\n    command: [sh, -c, 'echo no disk today; sleep 1; exit 3']\n    \
         volumes: ['data:/data', '/anonymous']\nvolumes: {data: {}}\n",
    );
    let mut config = simple(folder.path(), &["n1"]);
    config.readiness = Some(Readiness::Tcp { port: 1 });
    let said = error_of(config).await;
    assert!(
        said.contains("no disk today") && said.contains("exit status 3"),
        "{said}"
    );
    // What the node wrote is kept, too.
    let log = std::fs::read_to_string(folder.path().join("results/nodes/n1/log")).expect("the log was saved");
    assert!(log.contains("no disk today"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_controller_leaves_is_found_and_removed() {
    if !support::engine_or_skip() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let run = support::run_name("killed");
    let mut controller = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "leftovers::controller_that_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(RUN_VARIABLE, &run)
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let lines = BufReader::new(controller.stdout.take().expect("piped")).lines();
    let up = lines
        .map_while(Result::ok)
        .any(|line| line.contains("CLUSTER IS UP"));
    assert!(up, "the controller ended early");
    assert!(!support::leftovers(&run).is_empty());

    // As long as its controller lives, a run is left alone.
    let healed = heal(&support::engine(), &support::key(), &Scope::Dead)
        .await
        .expect("heals");
    let ours = healed
        .iter()
        .find(|healed| healed.run == run)
        .expect("the run is seen");
    assert!(ours.removed.is_empty() && ours.spared.is_some(), "{ours:?}");

    controller.kill().expect("is killed");
    controller.wait().expect("is dead");
    let healed = heal(&support::engine(), &support::key(), &Scope::Dead)
        .await
        .expect("heals");
    let ours = healed
        .iter()
        .find(|healed| healed.run == run)
        .expect("the run is seen");
    assert!(ours.spared.is_none() && ours.removed.len() >= 7, "{ours:?}");
    assert_eq!(support::leftovers(&run), Vec::<String>::new());
    assert!(
        folder.path().join("results/nodes/n3/log").is_file(),
        "logs are saved even then"
    );
    assert!(
        heal(&support::engine(), &support::key(), &Scope::Run(run))
            .await
            .expect("heals")
            .is_empty()
    );
}

/// Not a test: the controller of the test above.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "is run by what_a_killed_controller_leaves_is_found_and_removed"]
#[allow(clippy::print_stdout)]
async fn controller_that_is_killed() {
    let Ok(run) = std::env::var(RUN_VARIABLE) else {
        return;
    };
    let config = support::etcd(&run, "3.5.1", Path::new("results"));
    let cluster = ComposeCluster::deploy(config).await.expect("deploys");
    println!("\nCLUSTER IS UP, {} nodes", cluster.nodes().len());
    std::future::pending::<()>().await;
}

/// An image that carries labels of Duress, as one does that was made from a node: ours are put in their place.
#[tokio::test(flavor = "multi_thread")]
async fn labels_of_an_image_do_not_make_its_containers_another_runs() {
    if !support::engine_or_skip() {
        return;
    }
    let run = support::run_name("labelled");
    let image = format!("duress-{run}");
    let _images = support::Images(image.clone());
    let made = support::docker(&["create", "debian:bookworm-slim"]);
    let labels = [
        "duress.run=another",
        "duress.directory=/another",
        "duress.seal=0",
        "duress.controller=1/1/1/b",
    ];
    let change = format!("LABEL {}", labels.join(" "));
    support::docker(&["commit", "--change", &change, &made, &image]);
    support::docker(&["rm", "--force", &made]);
    let service = format!("    image: {image}\n    command: [sleep, '1000']\n");
    let folder = folder_with(&format!("services:\n  n1:\n{service}  side:\n{service}"));
    let mut config = simple(folder.path(), &["n1"]);
    config.run.clone_from(&run);
    let deployed = ComposeCluster::deploy(config).await;
    let filter = format!("label=duress.run={run}");
    let ours = support::docker(&[
        "ps",
        "--quiet",
        "--filter",
        &filter,
        "--filter",
        "label=duress.seal",
    ]);
    let others = support::docker(&["ps", "--all", "--quiet", "--filter", "label=duress.run=another"]);
    let down = match deployed {
        Ok(cluster) => cluster.down().await,
        Err(error) => Err(error),
    };
    down.expect("deployed, and taken down");
    assert_eq!((ours.lines().count(), others.lines().count()), (2, 0));
    assert_eq!(support::leftovers(&run), Vec::<String>::new());
}
