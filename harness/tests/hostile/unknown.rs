//! A system that Duress never saw: a folder with a `system.toml` that has no status and no leader, and a register of which two
//! nodes forward everything to the third.

use std::path::Path;

use serde_json::Value;

use crate::Test;
use crate::bench::run;
use crate::container::{Image, image};

pub fn tests() -> Vec<Test> {
    vec![
        (
            "a_system_without_status_and_leader_runs_to_a_verdict",
            a_system_without_status_and_leader_runs_to_a_verdict,
        ),
        (
            "what_a_system_cannot_give_is_refused_at_its_line",
            what_a_system_cannot_give_is_refused_at_its_line,
        ),
    ]
}

const SYSTEM: &str = r#"name = "forwarder"
description = "a register in memory on one node, and two that forward to it"
client = "specimen"
port = 8080
durability = "memory"
readiness.http = {path = "/kv/ready", port = 8080}
"#;

/// A folder with the system, and its compose file in it.
fn folder(dir: &Path, image: &str) {
    let mut file = "services:\n".to_owned();
    for number in 1..=3 {
        file += &format!(
            "  n{number}:\n    image: {image}\n    networks: [cluster]\n    command: [\"/hostile\", \"specimen\", \"--name\", \
             \"n{number}\", \"--listen\", \"0.0.0.0:8080\", \"--modes\", \"honest,forward,forward\", \"--target\", \"n1:8080\"]\n"
        );
    }
    file += "networks:\n  cluster:\n    internal: true\n";
    std::fs::create_dir_all(dir).expect("a folder");
    std::fs::write(dir.join("compose.yaml"), file).expect("a compose file");
    std::fs::write(dir.join("system.toml"), SYSTEM).expect("a system");
}

fn spec(folder: &Path, rest: &str) -> String {
    let (system, file) = (folder, folder.join("compose.yaml"));
    format!(
        r#"name = "forwarder"
properties = ["linearizable", "recovers"]
[cluster.compose]
system = {system:?}
file = {file:?}
nodes = ["n1", "n2", "n3"]
[workload.register]
[client]
tokens = false
routing = "any"
timeout = "800ms"
[evidence]
ok = 200
ok-of-each = 20
[time]
warm-up = "1s"
faults = "14s"
recovery = "20s"
{rest}"#
    )
}

const FAULTS: &str = r#"
[[faults.at]]
at = "500ms"
length = "3s"
kind = "partition"
shape = "one"
targets = ["n3"]
[[faults.at]]
at = "6s"
length = "1s"
kind = "kill"
targets = ["n2"]
[[faults.at]]
at = "10s"
length = "1s"
kind = "pause"
targets = ["n1"]
"#;

fn a_system_without_status_and_leader_runs_to_a_verdict() {
    let Some(Image(name)) = &image() else { return };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mine = dir.path().join("mine");
    folder(&mine, name);
    let ended = run(&spec(&mine, FAULTS), "", |_, _| {});
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let verdict = ended.verdict();
    assert_eq!(verdict["overall"], "held", "{verdict}");
    assert_eq!(verdict["evidence"]["faults_verified"], 3, "{verdict}");
    let recovers = &verdict["properties"][1];
    assert_eq!(recovers["property"], "recovers");
    let detail = recovers["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("every node answers"), "{recovers}");
}

fn what_a_system_cannot_give_is_refused_at_its_line() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mine = dir.path().join("mine");
    folder(&mine, "none");
    let plain = spec(&mine, "");
    let kill = "[[faults.mix]]\nkind = \"kill\"\ntargets = \"leader\"\n";
    let shape = "[[faults.mix]]\nkind = \"partition\"\nshape = \"leader\"\n";
    let invariant = plain.replace("\"recovers\"", "\"applied-never-goes-back\"");
    for (spec, line, says) in [
        (spec(&mine, kill), 21, "doesn't tell who leads"),
        (spec(&mine, shape), 21, "doesn't tell who leads"),
        (invariant, 2, "doesn't tell its applied index"),
        (plain.replace("register", "set"), 7, "knows no add"),
        (
            plain.replace("nodes =", "version = \"1\"\nnodes ="),
            6,
            "how its version is chosen",
        ),
    ] {
        refused(&spec, "spec.toml", line, says);
    }
    let definition = mine.join("system.toml");
    for (from, to, line, says) in [
        ("\"specimen\"", "\"oracle\"", 3, "there are specimen, etcd"),
        ("port = 8080\n", "port = 0\n", 4, "use 1 to 65535"),
        ("durability", "durable", 5, "`durability`"),
    ] {
        std::fs::write(&definition, SYSTEM.replacen(from, to, 1)).expect("a system");
        refused(&plain, "system.toml", line, says);
    }
}

fn refused(spec: &str, file: &str, line: usize, says: &str) {
    let ended = run(spec, "sleep 0.1", |_, _| {});
    assert_eq!(ended.code, Some(64), "{}", ended.said);
    for what in [file, &format!("line {line}, "), says, "^"] {
        assert!(ended.said.contains(what), "no {what:?} in:\n{}", ended.said);
    }
}

impl crate::bench::Run {
    /// What `verdict.json` says.
    fn verdict(&self) -> Value {
        let text = std::fs::read_to_string(self.latest().join("verdict.json")).expect("a verdict");
        serde_json::from_str(&text).expect("JSON")
    }
}
