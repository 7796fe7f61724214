//! The connection is cut in the middle of a fault: the host heals itself within the time that is said, and nothing is left.

use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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

#[test]
fn sshd_is_killed() {
    let Some(rig) = Rig::new(3, "") else { return };
    let mut child = broken(&rig);
    // Those that carry sessions; the one that listens is process 1 of the host.
    rig.sh(
        Some(1),
        "for p in $(pgrep sshd); do [ $p = 1 ] || kill -9 $p; done",
    );
    rig.wait_until_healed(1, MARGIN);
    let status = wait_for("the end of the run", Duration::from_secs(120), || {
        child.try_wait().ok().flatten()
    });
    assert_eq!(
        status.code(),
        Some(3),
        "a harness failure, and no verdict on the system"
    );
}
