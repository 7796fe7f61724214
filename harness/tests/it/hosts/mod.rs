//! Clusters on hosts with a real sshd.

mod all_kinds;
mod clients;
mod cut;
mod refused;
pub mod rig;
mod units;

use crate::compose::both;
use rig::{LOGIN, Rig, spec};

const FAULTS: &str = r#"
[[faults.mix]]
kind = "partition"
shape = "halves"
[[faults.mix]]
kind = "kill"
targets = "minority"
[[faults.mix]]
kind = "pause"
targets = "leader"
[[faults.mix]]
kind = "restart"
targets = "one"
"#;

#[test]
fn five_hosts_are_broken_judged_and_left_as_they_were() {
    let Some(rig) = Rig::new(5, "") else { return };
    let output = rig
        .run(&spec(5, LOGIN, FAULTS))
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    for host in 1..=5 {
        assert_eq!(rig.left(host), "", "on host {host}");
        let log = rig.latest().join(format!("nodes/n{host}/log"));
        let log = std::fs::read_to_string(log).expect("a log");
        assert!(log.contains("duress-specimen"), "{log}");
    }
    let history = std::fs::read_to_string(rig.latest().join("history.jsonl")).expect("a history");
    for kind in ["partition", "kill", "pause", "restart"] {
        assert!(
            history.contains(&format!("\"f\":\"{kind}\"")),
            "no {kind} in the history"
        );
    }
}

#[test]
fn a_planted_defect_is_found() {
    let Some(rig) = Rig::new(3, "") else { return };
    let login = format!("{LOGIN}\ndefects = [\"stale-read\"]");
    let faults = "[[faults.mix]]\nkind = \"partition\"\nshape = \"leader\"\n";
    let spec = spec(3, &login, faults).replace("[time]", "[client]\nrouting = \"any\"\n[time]");
    let output = rig.run(&spec).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
}

#[test]
fn the_doctor_looks_at_a_host() {
    let Some(rig) = Rig::new(1, "") else { return };
    let login = ["--identity", "id", "--known-hosts", "known_hosts"];
    let args = [&["doctor", "--json", "--on", "root@10.78.0.11"][..], &login].concat();
    let output = rig.duress(&args).output().expect("the binary starts");
    let report: Vec<serde_json::Value> =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", both(&output)));
    assert!(
        report.iter().any(|entry| entry["name"] == "iptables"),
        "{report:?}"
    );
}
