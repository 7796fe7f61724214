//! The whole way on a container engine: etcd from its compose file, broken, judged, and nothing left.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::host::{Bench, HostState, duress, start_until};

/// Three members of etcd; `rest` says what is claimed, asked and broken.
fn spec(rest: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster/systems/etcd/compose-3.yaml");
    let file = file.canonicalize().expect("the compose file");
    let head = r#"name = "etcd""#;
    let cluster = format!(
        "[cluster.compose]\nsystem = \"etcd\"\nfile = {file:?}\nnodes = [\"n1\", \"n2\", \"n3\"]\nversion = \"3.5.1\"\n"
    );
    let (claims, others) = rest.split_once("---").expect("claims, then tables");
    format!("{head}\n{claims}\n{cluster}\n{others}")
}

const REGISTERS: &str = r#"
properties = ["linearizable", "one-leader-per-term", "recovers"]
---
[workload.register]
[client]
routing = "any"
timeout = "1s"
[evidence]
ok = 200
ok-of-each = 20
[time]
warm-up = "1s"
faults = "14s"
recovery = "30s"
[[faults.at]]
at = "1s"
length = "3s"
kind = "partition"
shape = "leader"
[[faults.at]]
at = "8s"
length = "1s"
kind = "kill"
targets = "leader"
"#;

/// Whether the tests can run here. In CI they must.
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests has to see that some did not"
)]
fn engine_or_skip() -> bool {
    let works = |args: &[&str]| {
        let status = Command::new("docker")
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    if works(&["image", "inspect", "duress/etcd:3.5.1"]) {
        return true;
    }
    let missing = "there is no container engine with the image duress/etcd:3.5.1; run `make images`";
    assert!(
        std::env::var_os("CI").is_none(),
        "in CI this must run, but {missing}"
    );
    eprintln!("\n*** SKIPPED, nothing was tested: {missing} ***\n");
    false
}

/// What the run in this directory has on the engine.
fn on_engine(run: &Path) -> Vec<String> {
    let filter = format!("label=duress.directory={}", run.display());
    let list = |kind: &str| {
        let mut command = Command::new("docker");
        command.args([kind, "ls", "--quiet", "--filter", &filter]);
        if kind == "container" {
            command.arg("--all");
        }
        let output = command.output().expect("docker was found before");
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|id| format!("{kind} {id}"))
            .collect::<Vec<_>>()
    };
    ["container", "network", "volume"]
        .into_iter()
        .flat_map(list)
        .collect()
}

#[test]
fn etcd_keeps_its_promise_under_faults_that_are_verified_and_nothing_is_left() {
    if !engine_or_skip() {
        return;
    }
    let before = HostState::now();
    let bench = Bench::new(&spec(REGISTERS));
    let verdict = bench.run(3, 0);
    assert_eq!(verdict["overall"], "held");
    assert_eq!(verdict["evidence"]["faults_verified"], 2, "{verdict}");
    assert_eq!(verdict["evidence"]["faults_healed"], 2, "{verdict}");
    let run = bench.latest();
    assert_eq!(on_engine(&run), Vec::<String>::new());
    for node in ["n1", "n2", "n3"] {
        let log = std::fs::read_to_string(run.join("nodes").join(node).join("log")).expect("a log");
        assert!(log.contains("etcd"), "{node} wrote nothing");
    }
    before.wait_until_back(&bench, Duration::from_secs(10));
}

#[test]
fn a_stalled_holder_is_not_the_only_one() {
    if !engine_or_skip() {
        return;
    }
    let rest = "properties = [\"mutual-exclusion\"]\n---\n[workload.lock]\nlocks = 1\nstall = 0.3\n\
                [load.closed]\nprocesses = 5\n[client]\nrouting = \"any\"\ntimeout = \"5s\"\n[time]\nfaults = \"15s\"\n";
    let verdict = Bench::new(&spec(rest)).run(1, 1);
    let summary = verdict["summary"].as_str().expect("a sentence");
    assert!(summary.contains("two held \"lock0\" at once"), "{summary}");
}

#[test]
fn heal_removes_what_a_killed_controller_left() {
    if !engine_or_skip() {
        return;
    }
    let before = HostState::now();
    let bench = Bench::new(&spec(REGISTERS));
    let mut child = start_until(&bench, 3, "\"verify\"");
    child.kill().expect("SIGKILL");
    child.wait().expect("a dead child");
    let run = bench.latest();
    assert!(!on_engine(&run).is_empty(), "containers outlive their controller");
    let healed = duress(["heal".as_ref(), run.as_os_str()]);
    let said = String::from_utf8_lossy(&healed.stdout).into_owned();
    assert_eq!(
        healed.status.code(),
        Some(0),
        "{said}{}",
        String::from_utf8_lossy(&healed.stderr)
    );
    assert!(said.contains("removed container"), "{said}");
    assert_eq!(on_engine(&run), Vec::<String>::new());
    before.wait_until_back(&bench, Duration::from_secs(10));
}
