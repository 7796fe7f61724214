//! Every kind of fault on hosts.

use super::rig::Rig;
use crate::compose::both;

/// For hosts that the script beside it made in `/tmp/hosts`.
const SPEC: &str = include_str!("../../../../scripts/ssh-hosts.toml");

#[test]
fn every_kind_is_done_proven_and_healed() {
    let Some(rig) = Rig::new(5, "") else { return };
    let spec = SPEC.replace("/tmp/hosts/", "");
    let output = rig.run(&spec).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    let history = std::fs::read_to_string(rig.latest().join("history.jsonl")).expect("a history");
    let kinds = spec.lines().filter_map(|line| line.strip_prefix("kind = "));
    for kind in kinds {
        let verified = |line: &str| line.contains(&format!("\"f\":{kind}")) && line.contains("\"verify\"");
        assert!(history.lines().any(verified), "no {kind} in the history");
    }
    for host in 1..=5 {
        assert_eq!(rig.left(host), "", "on host {host}");
    }
}
