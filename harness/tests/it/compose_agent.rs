//! The agent where the controller is not root: in a container of its own.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::compose::{
    ETCD, IN_CONTAINER, both, docker, engine_or_skip, leader_faults, on_engine, registers, rules, spec_with,
};
use crate::host::{Bench, DURESS, HostState, duress, start_until, wait_for};

/// A fault of each kind.
fn all_faults() -> String {
    registers("\"linearizable\", \"recovers\"", ALL_FAULTS)
}

const ALL_FAULTS: &str = r#"
[[faults.at]]
at = "500ms"
length = "2s"
kind = "partition"
shape = "halves"
[[faults.at]]
at = "5s"
length = "1s"
kind = "kill"
targets = "one"
[[faults.at]]
at = "10s"
length = "2s"
kind = "pause"
targets = "one"
"#;

/// Every fault of [`ALL_FAULTS`] bit and was healed, clients' links were looked at too, and nothing is left.
fn assert_all_verified(bench: &Bench) {
    let verdict = bench.verdict();
    assert_eq!(verdict["overall"], "held", "{verdict}");
    assert_eq!(verdict["evidence"]["faults_verified"], 3, "{verdict}");
    assert_eq!(verdict["evidence"]["faults_healed"], 3, "{verdict}");
    assert!(
        bench.history().contains("the clients>n1"),
        "clients were not probed, the gateway is out of the agent's reach"
    );
    assert_eq!(on_engine(&bench.latest()), Vec::<String>::new());
}

#[test]
fn the_agent_in_a_container_does_all_that_a_child_does() {
    if !engine_or_skip() {
        return;
    }
    let before = HostState::now();
    let bench = Bench::new(&spec_with(Path::new(ETCD), IN_CONTAINER, &all_faults()));
    let output = bench.run_command(5).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert_all_verified(&bench);
    before.wait_until_back(&bench, Duration::from_secs(10));
}

/// Nobody in particular, as numbered in every distribution.
const NOBODY: &str = "65534";

/// `duress` as a user who may use the engine's socket, by its group, and nothing else. `None` if that can't be had.
fn as_ordinary_user(bench: &Bench) -> Option<Command> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    let socket = host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock");
    let socket = std::fs::metadata(socket).ok()?;
    if socket.mode() & 0o060 != 0o060 || !nix::unistd::geteuid().is_root() {
        return None;
    }
    let home = bench.spec().parent().expect("a folder").to_owned();
    // None of these may be in a folder that others can enter.
    std::fs::copy(DURESS, home.join("duress")).expect("a copy of the binary");
    std::fs::copy(ETCD, home.join("compose-3.yaml")).expect("a copy of the compose file");
    if let Ok(config) = std::env::var("DOCKER_CONFIG") {
        let plugins = home.join(".docker/cli-plugins");
        std::fs::create_dir_all(&plugins).expect("a folder");
        let compose = Path::new(&config).join("cli-plugins/docker-compose");
        std::fs::copy(compose, plugins.join("docker-compose")).expect("a copy of Compose");
    }
    let spec = spec_with(&home.join("compose-3.yaml"), "", &all_faults());
    std::fs::write(bench.spec(), spec).expect("a spec");
    let nobody: u32 = NOBODY.parse().expect("a number");
    chown(&home, Some(nobody), None).expect("a folder of theirs");
    std::fs::set_permissions(&home, PermissionsExt::from_mode(0o755)).expect("a folder of theirs");
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid",
            NOBODY,
            "--regid",
            NOBODY,
            "--groups",
            &socket.gid().to_string(),
        ])
        .args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"])
        .arg(home.join("duress"))
        .stdin(Stdio::null())
        .env("HOME", &home)
        .env_remove("DOCKER_CONFIG")
        .current_dir(&home);
    Some(command)
}

#[test]
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests has to see that some did not"
)]
fn an_ordinary_user_who_may_talk_to_the_engine_needs_nothing_else() {
    if !engine_or_skip() {
        return;
    }
    let bench = Bench::new("");
    let Some(mut command) = as_ordinary_user(&bench) else {
        let missing =
            "no ordinary user can be made: the tests are not root, or the engine's socket is not its group's";
        assert!(
            std::env::var_os("CI").is_none(),
            "in CI this must run, but {missing}"
        );
        eprintln!("\n*** SKIPPED, nothing was tested: {missing} ***\n");
        return;
    };
    let before = HostState::now();
    command.args(["run", "spec.toml", "--seed", "6", "--out", "."]);
    let output = command.output().expect("setpriv, of util-linux");
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert_all_verified(&bench);
    before.wait_until_back(&bench, Duration::from_secs(10));
}

/// Containers of a run, all but the nodes.
fn helpers(run: &Path) -> Vec<String> {
    let filter = format!("label=duress.directory={}", run.display());
    let all = docker(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]);
    let helper = |name: &&str| name.ends_with("-agent");
    all.lines().filter(helper).map(str::to_owned).collect()
}

#[test]
fn a_helper_whose_controller_was_killed_heals_and_goes() {
    if !engine_or_skip() {
        return;
    }
    let before = HostState::now();
    let bench = Bench::new(&spec_with(Path::new(ETCD), IN_CONTAINER, &leader_faults()));
    let mut child = start_until(&bench, 3, "\"verify\"");
    let run = bench.latest();
    assert_eq!(helpers(&run).len(), 1);
    assert!(!rules(&run).is_empty(), "the partition has no rules");
    child.kill().expect("SIGKILL");
    child.wait().expect("a dead child");
    wait_for("end of the helper", Duration::from_secs(5), || {
        helpers(&run).is_empty().then_some(())
    });
    assert_eq!(rules(&run), Vec::<String>::new());
    let healed = duress(["heal".as_ref(), run.as_os_str()]);
    assert_eq!(healed.status.code(), Some(0), "{}", both(&healed));
    assert_eq!(on_engine(&run), Vec::<String>::new());
    before.wait_until_back(&bench, Duration::from_secs(10));
}
