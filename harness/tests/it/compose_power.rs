//! Power failures of containers: a system with syncing switched off loses what it acknowledged, and doesn't with it.
//!
//! etcd's specs take minutes: docs/power-failure.md says how they are run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::compose::{IN_CONTAINER, both, engine_or_skip, on_engine};
use crate::host::{Bench, HostState, duress, start_until, wait_for};

/// A spec that ships, with its paths made whole.
fn shipped(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../cluster/systems")
        .join(path);
    let folder = path.parent().expect("a folder");
    let text = fs::read_to_string(&path).expect("a spec");
    let whole = |line: &str| {
        let (key, value) = line.split_once(" = ")?;
        let value = value.trim_matches('"');
        let is_path = key == "file" || key == "system" && value.starts_with('.');
        is_path.then(|| format!("{key} = {:?}", folder.join(value)))
    };
    let lines = text
        .lines()
        .map(|line| whole(line).unwrap_or_else(|| line.to_owned()));
    lines.map(|line| line + "\n").collect()
}

fn disks_of(folder: &Path) -> Vec<PathBuf> {
    let devices = fs::read_dir("/sys/block").expect("/sys").flatten();
    let of = |path: &PathBuf| {
        let file = fs::read_to_string(path.join("loop/backing_file")).unwrap_or_default();
        Path::new(file.trim()).starts_with(folder)
    };
    devices.map(|device| device.path()).filter(of).collect()
}

fn comes_out_as(path: &str, agent: &str, code: i32, overall: &str) {
    if !engine_or_skip() {
        return;
    }
    let before = HostState::now();
    let spec = shipped(path).replace("[cluster.compose]\n", &format!("[cluster.compose]\n{agent}\n"));
    let bench = Bench::new(&spec);
    let output = bench.run_command(1).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(code), "{}", both(&output));
    let verdict = bench.verdict();
    assert_eq!(verdict["overall"], overall, "{verdict}");
    assert!(
        verdict["evidence"]["faults_verified"].as_u64() >= Some(2),
        "{verdict}"
    );
    assert_eq!(on_engine(&bench.latest()), Vec::<String>::new());
    before.wait_until_back(&bench, Duration::from_secs(10));
    assert_eq!(disks_of(&bench.latest()), Vec::<PathBuf>::new());
}

#[test]
fn sqlite_that_syncs_holds() {
    comes_out_as("sqlite/power.toml", "", 0, "held");
}

/// By an agent in a helper container, which has no disks of its own to cut off.
#[test]
fn sqlite_that_does_not_loses_what_it_acknowledged() {
    comes_out_as("sqlite/defects/power-off.toml", IN_CONTAINER, 1, "violated");
}

/// With power off: without the controller the agent mounts disks again; without both `duress heal` does, before it takes all away.
#[test]
fn kill_9_of_the_controller_and_of_both() {
    if !engine_or_skip() {
        return;
    }
    let before = HostState::now();
    let spec = shipped("sqlite/power.toml").replace("500ms..1500ms", "60s");
    let spec = spec.replace("faults = \"25s\"", "faults = \"5m\"");
    for (both_die, agent) in [(false, IN_CONTAINER), (true, ""), (true, IN_CONTAINER)] {
        let bench =
            Bench::new(&spec.replace("[cluster.compose]\n", &format!("[cluster.compose]\n{agent}\n")));
        let mut child = start_until(&bench, 1, "\"verify\"");
        let run = bench.latest();
        if both_die {
            kill(bench.agent(), Signal::SIGKILL).expect("SIGKILL");
        }
        child.kill().expect("SIGKILL");
        child.wait().expect("a dead child");
        wait_for("the agent to end", Duration::from_secs(20), || {
            bench.processes().is_empty().then_some(())
        });
        assert!(
            on_engine(&run).iter().any(|line| line.starts_with("container")),
            "it is there to be started"
        );
        let healed = duress(["heal".as_ref(), run.as_os_str()]);
        let said = both(&healed);
        assert_eq!(healed.status.code(), Some(0), "{said}");
        assert_eq!(
            said.contains("mounted its disk as the cut had left it"),
            both_die,
            "{said}"
        );
        assert_eq!(on_engine(&run), Vec::<String>::new());
        wait_for("loop devices to go", Duration::from_secs(10), || {
            disks_of(&run).is_empty().then_some(())
        });
        before.wait_until_back(&bench, Duration::from_secs(10));
    }
}
