//! The connection is cut in the middle of a fault: the host heals itself within the time that is said, and nothing is left. Where it can be made
//! again, the run goes on to a verdict.

use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use serde_json::Value;

use super::rig::{LOGIN, Rig, spec};
use crate::host::wait_for;

/// What docs/hosts.md says, and what a busy machine may need beside it.
const SILENCE_MAX: Duration = Duration::from_secs(15);
const MARGIN: Duration = Duration::from_secs(30);

const LONG: &str = "[[faults.at]]\nkind = \"partition\"\nshape = \"halves\"\nat = \"0s\"\nlength = \"18s\"\n\
                    [[faults.at]]\nkind = \"pause\"\ntargets = [\"n1\"]\nat = \"0s\"\nlength = \"18s\"\n";

/// A run whose partition and pause are in force.
fn broken(rig: &Rig) -> Child {
    let mut run = rig.run(&spec(3, LOGIN, LONG));
    let child = run
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    wait_for("faults in force", Duration::from_secs(180), || {
        let history = std::fs::read_to_string(rig.dir().join("out/runs/latest/history.jsonl")).ok()?;
        let of = |kind: &str| {
            let verified =
                |line: &&str| line.contains(&format!("\"f\":\"{kind}\"")) && line.contains("\"verify\"");
            history.lines().any(|line| verified(&line))
        };
        (of("partition") && of("pause")).then_some(())
    });
    let chains = (1..=3).filter(|host| rig.left(*host).contains("DURESS-")).count();
    assert!(chains > 0, "a partition has chains");
    child
}

/// The controller of a run that `nsenter` became.
fn kill_9(child: &mut Child) {
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL).expect("SIGKILL");
    child.wait().expect("a dead child");
}

#[test]
fn the_controller_is_killed() {
    let Some(rig) = Rig::new(3, "") else { return };
    let mut child = broken(&rig);
    kill_9(&mut child);
    for host in 1..=3 {
        rig.wait_until_healed(host, MARGIN);
    }
}

#[test]
fn packets_of_the_connection_are_dropped() {
    let Some(rig) = Rig::new(3, "") else { return };
    let mut child = broken(&rig);
    rig.sh(None, "ip link set h1 down");
    rig.wait_until_healed(1, SILENCE_MAX + MARGIN);
    kill_9(&mut child);
}

/// Those that carry sessions; the one that listens is process 1 of the host.
const KILL_SESSIONS: &str = "for p in $(pgrep sshd); do [ $p = 1 ] || kill -9 $p; done";

fn exit_code(child: &mut Child) -> Option<i32> {
    let status = wait_for("the end of the run", Duration::from_secs(180), || {
        child.try_wait().ok().flatten()
    });
    status.code()
}

fn history(rig: &Rig) -> Vec<Value> {
    let text = std::fs::read_to_string(rig.latest().join("history.jsonl")).expect("a history");
    let event = |line: &str| serde_json::from_str(line).expect("an event");
    text.lines().map(event).collect()
}

#[test]
fn sessions_are_killed_and_the_run_goes_on() {
    let Some(rig) = Rig::new(3, "") else { return };
    let mut child = broken(&rig);
    rig.sh(Some(1), KILL_SESSIONS);
    // Faults that were in force there are proven no more, so there is less evidence than was asked for.
    assert_eq!(exit_code(&mut child), Some(2), "a verdict");
    let history = history(&rig);
    let is = |event: &Value, f: &str| event["f"] == f;
    let connections: Vec<&Value> = history.iter().filter(|event| is(event, "connection")).collect();
    let [broke, again] = connections[..] else {
        panic!("{connections:?}")
    };
    let host = "root@10.78.0.11:22";
    assert_eq!(
        (&broke["value"]["host"], &broke["value"]["stands"]),
        (&host.into(), &false.into())
    );
    assert_eq!(
        (&again["value"]["host"], &again["value"]["stands"]),
        (&host.into(), &true.into())
    );
    for kind in ["partition", "pause"] {
        let step = |step: &str| {
            let of_step = |event: &&Value| is(event, kind) && event["value"]["step"] == step;
            history
                .iter()
                .find(of_step)
                .unwrap_or_else(|| panic!("no {step} of {kind}"))
        };
        let looked = step("recheck");
        assert_eq!(looked["value"]["result"], "indeterminate", "{looked}");
        assert!(
            looked["value"]["detail"].to_string().contains("broke"),
            "{looked}"
        );
        assert!(looked["time"].as_u64() >= broke["time"].as_u64(), "{looked}");
        assert_eq!(step("verify-healed")["value"]["result"], "installed", "{kind}");
    }
    // The node was broken by what was asked for, and by nothing else.
    assert!(!history.iter().any(|event| is(event, "harness-failure")));
    let log = std::fs::read_to_string(rig.latest().join("nodes/n1/log")).expect("a log");
    assert_eq!(
        log.matches("duress-specimen").count(),
        1,
        "it was started once: {log}"
    );
    let verdict = std::fs::read_to_string(rig.latest().join("verdict.json")).expect("a verdict");
    let verdict: Value = serde_json::from_str(&verdict).expect("JSON");
    let told = &verdict["evidence"]["breaks"][0];
    assert_eq!(
        (&told["host"], &told["broke"], &told["made_again"]),
        (&host.into(), &broke["time"], &again["time"])
    );
    for host in 1..=3 {
        assert_eq!(rig.left(host), "", "on host {host}");
    }
}

#[test]
fn sessions_are_killed_and_nobody_is_let_in_again() {
    let Some(rig) = Rig::new(3, "") else { return };
    let mut child = broken(&rig);
    rig.sh(
        Some(1),
        "iptables -I INPUT -p tcp --dport 22 -j REJECT --reject-with tcp-reset",
    );
    rig.sh(Some(1), KILL_SESSIONS);
    rig.wait_until_healed(1, SILENCE_MAX + MARGIN);
    assert_eq!(
        exit_code(&mut child),
        Some(3),
        "a harness failure, and no verdict on the system"
    );
    for host in 2..=3 {
        assert_eq!(rig.left(host), "", "on host {host}");
    }
}
