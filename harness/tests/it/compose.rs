//! The whole way on a container engine: etcd from its compose file, broken, judged, and nothing left.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::{Bench, HostState, duress, start_until};

pub const ETCD: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../cluster/systems/etcd/compose-3.yaml"
);

const SPECIMEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../cluster/systems/specimen/containers/compose.yaml"
);

/// Three members of etcd; `rest` says what is claimed, asked and broken.
pub fn spec(rest: &str) -> String {
    spec_with(Path::new(ETCD), "", rest)
}

/// The same from another compose file, and with more about the cluster.
pub fn spec_with(file: &Path, more: &str, rest: &str) -> String {
    let file = file.canonicalize().expect("the compose file");
    let head = r#"name = "etcd""#;
    let cluster = format!(
        "[cluster.compose]\nsystem = \"etcd\"\nfile = {file:?}\nnodes = [\"n1\", \"n2\", \"n3\"]\nversion = \"3.5.1\"\n{more}\n"
    );
    let (claims, others) = rest.split_once("---").expect("claims, then tables");
    format!("{head}\n{claims}\n{cluster}\n{others}")
}

/// Registers under these faults.
pub fn registers(claims: &str, faults: &str) -> String {
    format!("properties = [{claims}]\n{REGISTERS}{faults}")
}

const REGISTERS: &str = r#"---
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
"#;

/// A partition of the leader, then a kill of it.
pub fn leader_faults() -> String {
    registers(
        "\"linearizable\", \"one-leader-per-term\", \"recovers\"",
        LEADER_FAULTS,
    )
}

const LEADER_FAULTS: &str = r#"
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
pub fn engine_or_skip() -> bool {
    let works = |args: &[&str]| {
        let status = Command::new("docker")
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    let specimen = concat!("duress/specimen:", env!("CARGO_PKG_VERSION"));
    if works(&["image", "inspect", "duress/etcd:3.5.1", specimen]) {
        return true;
    }
    let missing = "there is no container engine with the images of etcd and the specimen; run `make images`";
    assert!(
        std::env::var_os("CI").is_none(),
        "in CI this must run, but {missing}"
    );
    eprintln!("\n*** SKIPPED, nothing was tested: {missing} ***\n");
    false
}

/// What the run in this directory has on the engine.
pub fn on_engine(run: &Path) -> Vec<String> {
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
    let bench = Bench::new(&spec(&leader_faults()));
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

/// Five nodes of the specimen whose image holds one program and nothing else, told `arguments`.
fn specimen(arguments: &str, rest: &str) -> String {
    let file = Path::new(SPECIMEN).canonicalize().expect("the compose file");
    format!(
        "name = \"specimen\"\nproperties = [\"linearizable\"]\n[cluster.compose]\nsystem = \"specimen\"\nfile = {file:?}\n\
         nodes = [\"n1\", \"n2\", \"n3\", \"n4\", \"n5\"]\nvariables = {{ SPECIMEN_ARGS = {arguments:?} }}\n{rest}"
    )
}

#[test]
fn nodes_whose_image_holds_nothing_but_the_program_are_broken_as_any_other() {
    if !engine_or_skip() {
        return;
    }
    let faults = |kinds: &[&str]| {
        let fault = |(number, kind): (usize, &&str)| {
            format!(
                "[[faults.at]]\nat = \"{}s\"\nlength = \"2s\"\n{kind}\n",
                1 + 5 * number
            )
        };
        kinds.iter().enumerate().map(fault).collect::<String>()
    };
    let cut = "kind = \"partition\"\nshape = \"majority-minority\"";
    let common =
        "[evidence]\nok = 200\nok-of-each = 1\n[workload.register]\nkeys = 20\n[load.open]\nrate = 100\n";
    let others = [
        "kind = \"kill\"\ntargets = \"leader\"",
        "kind = \"pause\"\ntargets = \"one\"",
    ];
    let rest = format!(
        "{common}[time]\nwarm-up = \"1s\"\nfaults = \"15s\"\n{}",
        faults(&[cut, others[0], others[1]])
    );
    let verdict = Bench::new(&specimen("", &rest)).run(2, 0);
    assert_eq!(verdict["evidence"]["faults_verified"], 3, "{verdict}");

    let rest = format!(
        "[client]\nrouting = \"any\"\n{common}[time]\nwarm-up = \"1s\"\nfaults = \"5s\"\n{}",
        faults(&[cut])
    );
    let verdict = Bench::new(&specimen("--defect stale-read", &rest)).run(2, 1);
    assert_eq!(verdict["overall"], "violated");
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
    let bench = Bench::new(&spec(&leader_faults()));
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

#[test]
fn ctrl_c_under_a_fault_heals_judges_and_leaves_nothing() {
    if !engine_or_skip() {
        return;
    }
    let before = HostState::now();
    for agent in ["", IN_CONTAINER] {
        let bench = Bench::new(&spec_with(Path::new(ETCD), agent, &leader_faults()));
        let mut child = start_until(&bench, 3, "\"verify\"");
        let run = bench.latest();
        assert!(!on_engine(&run).is_empty(), "nothing runs that could be left");
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("SIGINT");
        assert_eq!(child.wait().expect("an end").code(), Some(2), "agent {agent:?}");
        let verdict = bench.verdict();
        assert_eq!(verdict["cut_short"], true);
        assert_eq!(verdict["evidence"]["faults_verified"], 1, "{verdict}");
        assert_eq!(verdict["evidence"]["faults_healed"], 1, "{verdict}");
        assert_eq!(on_engine(&run), Vec::<String>::new());
        before.wait_until_back(&bench, Duration::from_secs(10));
    }
}

/// Of the cluster: its agent runs in a helper container.
pub const IN_CONTAINER: &str = "agent = \"container\"";

pub fn both(output: &Output) -> String {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&said).into_owned()
}

/// What `docker` prints.
pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker")
        .args(args)
        .output()
        .expect("docker was found before");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Rules of Duress in the nodes' packet filters.
pub fn rules(run: &Path) -> Vec<String> {
    let filter = format!("label=duress.directory={}", run.display());
    let nodes = docker(&[
        "ps",
        "--quiet",
        "--filter",
        &filter,
        "--filter",
        "label=duress.node",
    ]);
    let rules = |node: &str| {
        let pid = docker(&["inspect", "--format", "{{.State.Pid}}", node]);
        let output = Command::new("nsenter")
            .args(["--target", &pid, "--net", "iptables-save"])
            .output()
            .expect("nsenter");
        assert!(output.status.success(), "{}", both(&output));
        let saved = String::from_utf8_lossy(&output.stdout).into_owned();
        (saved.lines().filter(|line| line.contains("DURESS")))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    nodes.lines().flat_map(rules).collect()
}
