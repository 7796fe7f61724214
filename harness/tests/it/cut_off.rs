//! Kill it anywhere: nothing stays broken, nothing recorded is lost.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use crate::host::{Bench, HostState, duress, start_until, wait_for};

const SPEC: &str = r#"
name = "cut"
[cluster.local]
system = "specimen"
nodes = 5
[workload.register]
[load.open]
rate = 200
[time]
warm-up = "300ms"
faults = "60s"
[faults]
length = "500ms..1500ms"
pause = "100ms..300ms"
[[faults.mix]]
kind = "partition"
shape = "halves"
[[faults.mix]]
kind = "pause"
targets = "minority"
[[faults.mix]]
kind = "kill"
targets = "one"
[[faults.mix]]
kind = "clock-jump"
by = "-5m"
targets = "majority"
"#;

/// How many random moments; `DURESS_KILLS` in the environment asks for more.
pub fn kills(default: u64) -> u64 {
    let asked = std::env::var("DURESS_KILLS").ok();
    asked.map_or(default, |number| {
        number.parse().expect("DURESS_KILLS is a number")
    })
}

#[test]
fn kill_9_leaves_nothing_and_loses_nothing() {
    let before = HostState::now();
    let mut rng = ChaCha12Rng::seed_from_u64(9);
    for seed in 0..kills(10) {
        let bench = Bench::new(SPEC);
        // The first ones die while the cluster is still coming up.
        let needle = if seed < 2 { "\"deploy\"" } else { "\"faults\"" };
        let mut child = start_until(&bench, seed, needle);
        std::thread::sleep(Duration::from_millis(rng.random_range(0..3000)));
        let processes = bench.look_at_namespaces();
        child.kill().expect("SIGKILL");
        child.wait().expect("a dead child");
        before.wait_until_back(&bench, Duration::from_secs(10));
        // The controller, the agent, and for each of five nodes its init and its program.
        assert!(
            seed < 2 || processes >= 11,
            "only {processes} processes were looked for"
        );

        let lines = bench.history().lines().count();
        let report = duress(["report".as_ref(), bench.latest().as_os_str()]);
        let said = String::from_utf8_lossy(&report.stderr).into_owned();
        assert_eq!(report.status.code(), Some(2), "{said}");
        let verdict = bench.verdict();
        assert_eq!(verdict["cut_short"], true);
        assert!(bench.latest().join("report.html").is_file());
        assert!(seed < 2 || lines > 20, "only {lines} lines survived");
    }
}

/// The agent first, so that it can't heal; then at once its controller.
#[test]
fn kill_9_of_agent_and_controller_leaves_nothing() {
    let before = HostState::now();
    let mut rng = ChaCha12Rng::seed_from_u64(10);
    for seed in 0..kills(4) {
        let bench = Bench::new(SPEC);
        let mut child = start_until(&bench, seed, "\"verify\"");
        std::thread::sleep(Duration::from_millis(rng.random_range(0..2000)));
        let processes = bench.look_at_namespaces();
        assert!(processes >= 11, "only {processes} processes were looked for");
        kill(bench.agent(), Signal::SIGKILL).expect("SIGKILL");
        child.kill().expect("SIGKILL");
        child.wait().expect("a dead child");
        before.wait_until_back(&bench, Duration::from_secs(10));
        let healed = duress(["heal".as_ref(), bench.latest().as_os_str()]);
        let said = String::from_utf8_lossy(&healed.stdout).into_owned();
        assert_eq!(healed.status.code(), Some(0), "{said}");
        assert!(!said.contains("left alone: its"), "{said}");
        let again = duress(["heal".as_ref(), bench.latest().as_os_str()]);
        assert!(
            !String::from_utf8_lossy(&again.stdout).contains("fault"),
            "it is closed"
        );
    }
}

#[test]
fn the_first_ctrl_c_heals_and_checks_the_second_quits() {
    let before = HostState::now();
    let bench = Bench::new(SPEC);
    let mut child = start_until(&bench, 1, "\"verify\"");
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    bench.look_at_namespaces();
    kill(pid, Signal::SIGINT).expect("SIGINT");
    let status = child.wait().expect("an end");
    assert_eq!(status.code(), Some(2));
    let verdict = bench.verdict();
    assert_eq!(verdict["cut_short"], true);
    assert_eq!(
        verdict["evidence"]["faults_healed"], verdict["evidence"]["faults_verified"],
        "{verdict}"
    );
    before.wait_until_back(&bench, Duration::from_secs(10));

    let bench = Bench::new(SPEC);
    let mut child = start_until(&bench, 1, "\"verify\"");
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    bench.look_at_namespaces();
    for _ in 0..2 {
        kill(pid, Signal::SIGINT).expect("SIGINT");
        std::thread::sleep(Duration::from_millis(20));
    }
    wait_for("end", Duration::from_secs(5), || {
        child.try_wait().expect("a child")
    });
    before.wait_until_back(&bench, Duration::from_secs(10));
}
