//! Wrong clocks in containers, by a child of the controller and by a helper container; seen in what the system itself logs.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};

use crate::compose::{ETCD, IN_CONTAINER, both, docker, engine_or_skip, on_engine, spec_with};
use crate::host::{Bench, HostState, duress, start_until, wait_for};

/// All four. Under the jump the leader is cut off, so that all have something to log, and a node ends and starts again.
const SPEC: &str = r#"properties = ["linearizable", "recovers"]
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
faults = "26s"
recovery = "30s"
[[faults.at]]
at = "1s"
length = "9s"
kind = "clock-jump"
by = "BY"
targets = "all"
[[faults.at]]
at = "3s"
length = "3s"
kind = "partition"
shape = "leader"
[[faults.at]]
at = "7s"
length = "300ms"
kind = "kill"
targets = ["n2"]
[[faults.at]]
at = "13s"
length = "2s"
kind = "clock-strobe"
delta = "-200ms"
period = "20ms"
targets = "leader"
[[faults.at]]
at = "17s"
length = "2s"
kind = "clock-drift"
ppm = 500
targets = "one"
[[faults.at]]
at = "21s"
length = "2s"
kind = "clock-freeze"
targets = "one"
"#;

const DAY: i64 = 24 * 3600;

/// How many seconds after `began` the lines of etcd's log say that they were written.
fn logged(log: &str, began: SystemTime) -> Vec<i64> {
    let time = |line: &str| {
        let (_, rest) = line.split_once("\"ts\":\"")?;
        let time = humantime::parse_rfc3339_weak(rest.split('"').next()?).ok()?;
        Some(match time.duration_since(began) {
            Ok(after) => after.as_secs() as i64,
            Err(before) => -(before.duration().as_secs() as i64),
        })
    };
    log.lines().filter_map(time).collect()
}

fn clocks_are_wrong_and_right_again(agent: &str, by: &str, jump: i64) {
    if !engine_or_skip() {
        return;
    }
    let before = HostState::now();
    let bench = Bench::new(&spec_with(Path::new(ETCD), agent, &SPEC.replace("BY", by)));
    let began = SystemTime::now();
    let output = bench.run_command(4).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    let took = began.elapsed().expect("a clock that nobody sets").as_secs() as i64;
    let verdict = bench.verdict();
    assert_eq!(verdict["overall"], "held", "{verdict}");
    assert_eq!(verdict["evidence"]["faults_verified"], 6, "{verdict}");
    assert_eq!(verdict["evidence"]["faults_healed"], 6, "{verdict}");
    let run = bench.latest();
    for node in ["n1", "n2", "n3"] {
        let log = std::fs::read_to_string(run.join("nodes").join(node).join("log")).expect("a log");
        let times = logged(&log, began);
        let right = times.iter().filter(|time| (-1..=took).contains(*time)).count();
        let wrong = times
            .iter()
            .filter(|time| (jump - 1..=jump + took).contains(*time))
            .count();
        assert!(
            right > 0 && wrong > 0,
            "{node}: {right} lines at the true time, {wrong} {by} off"
        );
        assert_eq!(right + wrong, times.len(), "{node}: {times:?}");
    }
    assert!(
        bench.history().contains("faults [0] were in force there again"),
        "the jump did not follow the node that was started again"
    );
    let report = std::fs::read_to_string(run.join("report.html")).expect("a report");
    assert!(
        report.contains(&format!("realtime is {jump:+}.000000000 s off")),
        "the proof is not in the report"
    );
    assert_eq!(on_engine(&run), Vec::<String>::new());
    before.wait_until_back(&bench, Duration::from_secs(10));
}

#[test]
fn by_a_child_of_the_controller() {
    clocks_are_wrong_and_right_again("", "1d", DAY);
}

#[test]
fn by_a_helper_container() {
    clocks_are_wrong_and_right_again(IN_CONTAINER, "-1d", -DAY);
}

/// The bytes of a process' vDSO.
fn vdso(pid: &str) -> Option<Vec<u8>> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let line = maps.lines().find(|line| line.ends_with("[vdso]"))?;
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    let number = |digits| u64::from_str_radix(digits, 16).expect("an address");
    let (start, end) = (number(start), number(end));
    let mut bytes = vec![0; usize::try_from(end - start).expect("a few pages")];
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    memory.read_exact_at(&mut bytes, start).ok()?;
    Some(bytes)
}

/// How many of a run's containers run a program whose vDSO is not the one that this process has.
fn patched(run: &Path) -> usize {
    let ours = vdso("self").expect("a vDSO");
    let containers = on_engine(run);
    let ids = containers
        .iter()
        .filter_map(|line| line.strip_prefix("container "));
    let program = |id: &str| docker(&["inspect", "--format", "{{.State.Pid}}", id]);
    let differs = |id: &&str| vdso(program(id).trim()).is_some_and(|theirs| theirs != ours);
    ids.filter(differs).count()
}

/// Without its controller the agent sets clocks right in containers that live on; without both they stay wrong until somebody
/// heals.
#[test]
fn kill_9_of_the_controller_and_of_both() {
    if !engine_or_skip() {
        return;
    }
    let before = HostState::now();
    // Long enough for a machine that is busy.
    let spec = "properties = [\"linearizable\"]\n---\n[workload.register]\n[time]\nfaults = \"5m\"\n[[faults.at]]\nat = \"1s\"\n\
                length = \"4m\"\nkind = \"clock-jump\"\nby = \"6h\"\ntargets = \"all\"\n";
    for agent in ["", IN_CONTAINER] {
        let bench = Bench::new(&spec_with(Path::new(ETCD), agent, spec));
        let mut child = start_until(&bench, 5, "\"verify\"");
        let run = bench.latest();
        assert_eq!(patched(&run), 3);
        child.kill().expect("SIGKILL");
        child.wait().expect("a dead child");
        wait_for("right clocks", Duration::from_secs(10), || {
            (patched(&run) == 0).then_some(())
        });
        assert!(on_engine(&run).len() >= 3, "the containers live on");
        assert_eq!(duress(["heal".as_ref(), run.as_os_str()]).status.code(), Some(0));
        assert_eq!(on_engine(&run), Vec::<String>::new());

        let bench = Bench::new(&spec_with(Path::new(ETCD), agent, spec));
        let mut child = start_until(&bench, 6, "\"verify\"");
        let run = bench.latest();
        kill(bench.agent(), Signal::SIGKILL).expect("SIGKILL");
        child.kill().expect("SIGKILL");
        child.wait().expect("a dead child");
        assert_eq!(patched(&run), 3, "somebody healed");
        let healed = duress(["heal".as_ref(), run.as_os_str()]);
        assert_eq!(healed.status.code(), Some(0), "{}", both(&healed));
        assert_eq!(on_engine(&run), Vec::<String>::new());
        before.wait_until_back(&bench, Duration::from_secs(10));
    }
}
