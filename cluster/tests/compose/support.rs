//! What the tests share: whether there is an engine, names of runs, what a run left.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use duress_cluster::compose::{ComposeConfig, EngineAddress};
use duress_cluster::{Key, Readiness};

/// Whether the tests can run here.
pub fn engine_or_skip() -> bool {
    let works = |program: &str, args: &[&str]| {
        let status = Command::new(program)
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    let missing = if !works("docker", &["version"]) {
        "there is no container engine"
    } else if !works(
        "docker",
        &["image", "inspect", "duress/etcd:3.5.0", "duress/etcd:3.5.1"],
    ) {
        "images are missing; run `make images`"
    } else {
        return true;
    };
    assert!(
        std::env::var_os("CI").is_none(),
        "in CI this must run, but {missing}"
    );
    eprintln!("\n*** SKIPPED, nothing was tested: {missing} ***\n");
    false
}

/// A name that no other run has.
pub fn run_name(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "test-{what}-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// A file of the systems that ship with Duress.
pub fn system_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systems").join(name)
}

/// What the tests' runs are sealed with, also in the processes that they start.
pub fn key() -> Key {
    Key::kept_in(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("state")).expect("a key")
}

/// The engine that `docker` uses, too.
pub fn engine() -> EngineAddress {
    EngineAddress::of_environment().expect("the environment names an engine")
}

/// These services, on the engine of the tests.
pub fn config(file: &Path, nodes: &[&str], run: &str, directory: &Path) -> ComposeConfig {
    let mut config = ComposeConfig::new(file, nodes, run, directory, key());
    config.engine = engine();
    config
}

/// Three members of etcd.
pub fn etcd(run: &str, version: &str, directory: &Path) -> ComposeConfig {
    let file = system_file("etcd/compose-3.yaml");
    let mut config = config(&file, &["n1", "n2", "n3"], run, directory);
    config
        .variables
        .insert("ETCD_VERSION".to_owned(), version.to_owned());
    config.readiness = Some(Readiness::Http {
        port: 2379,
        path: "/health".to_owned(),
        true_field: None,
    });
    config.data = Some("/var/lib/etcd".to_owned());
    config
}

/// What `docker` prints.
pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker")
        .args(args)
        .output()
        .expect("docker was found before");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Containers, networks and volumes of a run, by our label and by Compose's.
pub fn leftovers(run: &str) -> Vec<String> {
    let mut left = Vec::new();
    for label in [
        format!("label=duress.run={run}"),
        format!("label=com.docker.compose.project=duress-{run}"),
    ] {
        for kind in ["container", "network", "volume"] {
            let mut args = vec![kind, "ls", "--quiet", "--filter", &label];
            if kind == "container" {
                args.push("--all");
            }
            left.extend(docker(&args).lines().map(|id| format!("{kind} {id}")));
        }
    }
    left
}

/// Images whose names begin like this: those that Compose built for a run begin with the name of its project.
pub fn images(prefix: &str) -> Vec<String> {
    let filter = format!("reference={prefix}*");
    let format = "{{.Repository}}:{{.Tag}}";
    let found = docker(&["image", "ls", "--filter", &filter, "--format", format]);
    found.lines().map(str::to_owned).collect()
}

/// Removes [`images`] when it is dropped, so also when a test fails. It has to outlive the containers.
pub struct Images(pub String);

impl Drop for Images {
    fn drop(&mut self) {
        for image in images(&self.0) {
            docker(&["image", "rm", &image]);
        }
    }
}
