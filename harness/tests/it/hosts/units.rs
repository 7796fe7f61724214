//! Nodes that are units of systemd: what starts, kills and stops them, and how they are left. There is no systemd among the hosts of these tests;
//! `systemctl` beside this file does what systemd's manual says of it, as far as Duress asks for it.

use serde_json::Value;

use super::rig::{LOGIN, Rig, spec};
use crate::compose::both;

const SYSTEMCTL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/hosts/systemctl");

const FAULTS: &str = r#"
[[faults.at]]
kind = "kill"
targets = ["n1"]
at = "0s"
length = "2s"
[[faults.at]]
kind = "pause"
targets = ["n2"]
at = "4s"
length = "2s"
[[faults.at]]
kind = "restart"
targets = ["n3"]
at = "8s"
length = "2s"
[[faults.at]]
kind = "partition"
shape = "halves"
at = "12s"
length = "3s"
"#;

const KILL: &str = "[[faults.mix]]\nkind = \"kill\"\ntargets = \"one\"\n";

const UNIT: &str = "unit = \"store\"";

/// Hosts on each of which a unit `store` is installed: a node of the specimen. Those of the first one ran before.
fn installed(rig: &Rig, count: usize) {
    let peers: Vec<String> = (1..=count)
        .map(|node| format!("--peer n{node}=10.78.0.1{node}:8080"))
        .collect();
    for host in 1..=count {
        let line = format!(
            "{}/duress specimen --name n{host} --listen 10.78.0.1{host}:8080 --data /root/store {}",
            rig.dir().display(),
            peers.join(" ")
        );
        let script = format!(
            "mkdir -p /root/systemd /root/store && echo '{line}' > /root/systemd/store.service && mount --bind {SYSTEMCTL} $(command -v systemctl)"
        );
        assert_eq!(rig.sh(Some(host), &script), "", "on host {host}");
    }
    assert_eq!(rig.sh(Some(1), "systemctl start store.service"), "");
}

fn active(rig: &Rig, host: usize) -> String {
    let said = rig.sh(Some(host), "systemctl show --property=ActiveState store.service");
    said.trim().to_owned()
}

#[test]
fn units_are_broken_by_their_processes_and_left_as_they_were() {
    let Some(rig) = Rig::new(3, "") else { return };
    installed(&rig, 3);
    let login = format!("{LOGIN}\n{UNIT}");
    let output = rig
        .run(&spec(3, &login, FAULTS))
        .output()
        .expect("the binary starts");
    let said = both(&output);
    let history = std::fs::read_to_string(rig.latest().join("history.jsonl")).unwrap_or_default();
    assert_eq!(output.status.code(), Some(0), "{said}");
    for kind in ["kill", "pause", "restart", "partition"] {
        let verified = |line: &str| {
            let event: Value = serde_json::from_str(line).expect("an event");
            event["f"] == kind
                && event["value"]["step"] == "verify"
                && event["value"]["result"] == "installed"
        };
        assert!(history.lines().any(verified), "no {kind} that was verified");
    }
    // The one that ran before runs, the others don't; and nothing else of Duress is there.
    let states: Vec<String> = (1..=3).map(|host| active(&rig, host)).collect();
    assert_eq!(
        states,
        [
            "ActiveState=active",
            "ActiveState=inactive",
            "ActiveState=inactive"
        ]
    );
    rig.sh(Some(1), "systemctl stop store.service");
    for host in 1..=3 {
        assert_eq!(rig.left(host), "", "on host {host}");
    }
}

#[test]
fn what_systemd_would_start_again_is_refused() {
    let Some(rig) = Rig::new(1, "") else { return };
    installed(&rig, 1);
    let login = format!("{LOGIN}\n{UNIT}");
    let refused = |unit: &str, says: &str| {
        let spec = spec(1, &login.replace("\"store\"", unit), KILL);
        let output = rig.run(&spec).output().expect("the binary starts");
        assert_eq!(output.status.code(), Some(3), "{}", both(&output));
        assert!(both(&output).contains(says), "not {says:?}: {}", both(&output));
    };
    refused("\"missing\"", "systemd has no such unit");
    rig.sh(Some(1), "echo Restart=always > /root/systemd/store.service.d");
    refused("\"store\"", "printf '[Service]");
    assert_eq!(active(&rig, 1), "ActiveState=active", "it was left alone");
    rig.sh(Some(1), "systemctl stop store.service");
}
