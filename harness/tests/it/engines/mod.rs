//! Clusters on container engines elsewhere: one that is reached by TLS or SSH, two that have the nodes together, and a Swarm.

mod rig;

use std::path::Path;
use std::time::Duration;

use rig::Rig;

use crate::compose::both;
use crate::host::wait_for;

const FAULTS: &str = r#"
[[faults.mix]]
kind = "partition"
shape = "majority-minority"
[[faults.mix]]
kind = "kill"
targets = "leader"
[[faults.mix]]
kind = "pause"
targets = "minority"
"#;

/// A spec of so many nodes from this file of the specimen's, with these lines about engines.
fn spec(file: &str, nodes: usize, engines: &str, faults: &str) -> String {
    let systems = concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster/systems");
    let nodes: Vec<String> = (1..=nodes).map(|node| format!("\"n{node}\"")).collect();
    format!(
        "name = \"engines\"\nproperties = [\"linearizable\", \"recovers\"]\n[cluster.compose]\nsystem = \"specimen\"\n\
         file = \"{systems}/specimen/engines/{file}\"\nnodes = [{}]\n{engines}\n[workload.register]\n[load.open]\nrate = 50\n\
         [time]\nwarm-up = \"1s\"\nfaults = \"15s\"\n[evidence]\nok = 100\nok-of-each = 5\n[faults]\nlength = \"1500ms..2500ms\"\n\
         pause = \"500ms..1s\"\n{faults}",
        nodes.join(", ")
    )
}

const BY_TLS: &str = "engine = \"tcp://10.79.0.12:2376\"\ncertificates = \"certificates\"";

const BOTH: &str = "reach = \"addresses\"\n[[cluster.compose.engines]]\nengine = \"tcp://10.79.0.11:2376\"\ncertificates = \"certificates\"\n\
                    nodes = [\"n1\", \"n2\"]\n[[cluster.compose.engines]]\nengine = \"tcp://10.79.0.12:2376\"\ncertificates = \"certificates\"\n\
                    nodes = [\"n3\", \"n4\", \"n5\"]";

/// Held, with each kind of fault proven, and nothing left anywhere.
fn assert_held(rig: &Rig, spec: &str) {
    let output = rig.run(spec).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    let history = std::fs::read_to_string(rig.latest().join("history.jsonl")).expect("a history");
    for kind in ["partition", "kill", "pause"] {
        assert!(
            history.contains(&format!("\"f\":\"{kind}\"")),
            "no {kind} in the history"
        );
    }
    for engine in ["old", "new"] {
        assert_eq!(rig.left(engine), "", "on the engine {engine}");
    }
    let log = std::fs::read_to_string(rig.latest().join("nodes/n1/log")).expect("a log");
    assert!(log.contains("duress-specimen"), "{log}");
}

#[test]
fn nodes_on_an_engine_elsewhere_are_reached_at_the_ports_that_they_publish() {
    let Some(rig) = Rig::new() else { return };
    assert_held(&rig, &spec("published.yaml", 3, BY_TLS, FAULTS));
}

#[test]
fn nodes_of_two_engines_are_one_cluster_with_an_agent_on_each() {
    let Some(rig) = Rig::new() else { return };
    assert_held(&rig, &spec("spread.yaml", 5, BOTH, FAULTS));
}

#[test]
fn a_planted_defect_is_found_on_two_engines() {
    let Some(rig) = Rig::new() else { return };
    let lines = format!("variables = {{ SPECIMEN_ARGS = \"--defect stale-read\" }}\n{BOTH}");
    let faults = "[[faults.mix]]\nkind = \"partition\"\nshape = \"leader\"\n";
    let spec =
        spec("spread.yaml", 5, &lines, faults).replace("[time]", "[client]\nrouting = \"any\"\n[time]");
    let output = rig.run(&spec).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
}

/// Whoever logs in to the machine of the engine `old` is known there, and knows it.
fn knows_by_ssh(rig: &Rig) {
    let home = rig.dir().join(".ssh");
    std::fs::create_dir(&home).expect("a folder");
    for (from, to) in [("known_hosts", "known_hosts"), ("id", "id_ed25519")] {
        std::fs::copy(rig.dir().join(from), home.join(to)).expect("a copy");
    }
}

#[test]
fn an_engine_by_ssh_takes_as_many_connections_as_are_asked_for() {
    let Some(rig) = Rig::new() else { return };
    knows_by_ssh(&rig);
    assert_held(
        &rig,
        &spec("published.yaml", 3, "engine = \"ssh://root@10.79.0.11\"", FAULTS),
    );
    let sshd = std::fs::read_to_string(rig.dir().join("sshd.log")).expect("a log");
    let logins = sshd.matches("Accepted publickey").count();
    assert!(logins > 1, "one connection would not have been enough: {sshd}");
}

#[test]
fn the_doctor_looks_at_an_engine() {
    let Some(rig) = Rig::new() else { return };
    knows_by_ssh(&rig);
    let tls = ["tcp://10.79.0.12:2376", "--certificates", "certificates"];
    for (address, version) in [(&tls[..], "26.1"), (&["ssh://root@10.79.0.11"], "20.10")] {
        let args = [&["doctor", "--json", "--engine"][..], address].concat();
        let output = rig.duress(&args).output().expect("the binary starts");
        assert_eq!(output.status.code(), Some(0), "{}", both(&output));
        let report: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("JSON");
        let detail = |name: &str| {
            let entry = report.iter().find(|entry| entry["name"] == name);
            entry.unwrap_or_else(|| panic!("no {name}: {report:?}"))["detail"].to_string()
        };
        assert!(detail("engine").contains(version), "{report:?}");
        assert!(detail("agent").contains("started in a container"), "{report:?}");
        let faults = detail("faults");
        let (done, not) = faults.split_once("not done").expect("both");
        assert!(
            done.contains("partition") && not.contains("disk-full"),
            "{faults}"
        );
    }
    let nowhere = ["doctor", "--engine", "tcp://10.79.0.12:9"];
    let output = rig.duress(&nowhere).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(2), "{}", both(&output));
    assert!(both(&output).contains("can't be reached"), "{}", both(&output));
    for engine in ["old", "new"] {
        assert_eq!(rig.left(engine), "", "on the engine {engine}");
    }
}

#[test]
fn an_engine_whose_machine_has_an_unknown_key_is_not_logged_in_to() {
    let Some(rig) = Rig::new() else { return };
    let spec = spec("published.yaml", 3, "engine = \"ssh://root@10.79.0.11\"", FAULTS);
    let refused = rig.run(&spec).output().expect("the binary starts");
    assert_eq!(refused.status.code(), Some(3), "{}", both(&refused));
    assert!(
        both(&refused).contains("its host key is not known"),
        "{}",
        both(&refused)
    );
}

#[test]
fn the_engine_of_the_environment_may_be_elsewhere_too() {
    let Some(rig) = Rig::new() else { return };
    let spec = spec("published.yaml", 3, "", "[[faults.mix]]\nkind = \"kill\"\n");
    let mut run = rig.run(&spec);
    run.env("DOCKER_HOST", "tcp://10.79.0.12:2376")
        .env("DOCKER_TLS_VERIFY", "1")
        .env("DOCKER_CERT_PATH", rig.dir().join("certificates"));
    let output = run.output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    let mut run = rig.run(&spec);
    let output = run
        .env("DOCKER_CONTEXT", "none")
        .output()
        .expect("the binary starts");
    assert!(
        both(&output).contains("there is no docker context \"none\""),
        "{}",
        both(&output)
    );
}

#[test]
fn what_cannot_be_reached_is_refused_before_anything_is_made() {
    let Some(rig) = Rig::new() else { return };
    let certificates =
        |folder: &str, address: &str| format!("engine = \"tcp://{address}\"\ncertificates = \"{folder}\"");
    let refused = |file: &str, engines: &str, nodes: usize, why: &str| {
        let output = rig
            .run(&spec(file, nodes, engines, FAULTS))
            .output()
            .expect("the binary starts");
        assert_eq!(output.status.code(), Some(3), "{}", both(&output));
        assert!(both(&output).contains(why), "not {why:?}: {}", both(&output));
    };
    let at = |address: &str| certificates("certificates", address);
    refused(
        "published.yaml",
        &at("10.79.0.12:9"),
        3,
        "it can't be reached (Connection refused",
    );
    refused("published.yaml", &at("10.79.0.11:22"), 3, "speaks no TLS");
    refused(
        "published.yaml",
        "engine = \"tcp://10.79.0.12:2376\"",
        3,
        "by TLS only",
    );
    refused(
        "published.yaml",
        "engine = \"tcp://10.79.0.11:22\"",
        3,
        "talk to the container engine at tcp://10.79.0.11:22",
    );
    refused(
        "published.yaml",
        &certificates("strange", "10.79.0.12:2376"),
        3,
        "signed by nobody in",
    );
    // Somebody else's certificate, for the right engine.
    std::fs::copy(
        rig.dir().join("certificates/ca.pem"),
        rig.dir().join("strange/ca.pem"),
    )
    .expect("a copy");
    refused(
        "published.yaml",
        &certificates("strange", "10.79.0.12:2376"),
        3,
        "does not take the certificate",
    );
    refused(
        "published.yaml",
        &certificates("nowhere", "10.79.0.12:2376"),
        3,
        "has ca.pem, cert.pem and key.pem",
    );
    refused("spread.yaml", BY_TLS, 5, "publishes no port 8080");
    refused(
        "published.yaml",
        &BOTH.replace("\"n3\", \"n4\", \"n5\"", "\"n3\""),
        3,
        "is a bridge",
    );
    refused(
        "spread.yaml",
        &BOTH.replace("10.79.0.12", "10.79.0.11"),
        5,
        "one and the same",
    );
    for engine in ["old", "new"] {
        assert_eq!(rig.left(engine), "", "on the engine {engine}");
    }
}

#[test]
fn what_a_dead_controller_left_on_engines_is_removed() {
    let Some(rig) = Rig::new() else { return };
    let mut run = rig
        .run(&spec("spread.yaml", 5, BOTH, FAULTS))
        .spawn()
        .expect("the binary starts");
    let journal = |dir: &Path| std::fs::read_to_string(dir.join("nemesis-journal.jsonl")).unwrap_or_default();
    wait_for("fault in force", Duration::from_secs(90), || {
        let begun = rig.dir().join("out/runs/latest").exists();
        (begun && journal(&rig.latest()).contains("\"fault\"")).then_some(())
    });
    rig::kill_inside(&mut run);
    assert_ne!(rig.left("old"), "");
    let certificates = ["--certificates", "certificates", "--out", "out"];
    let engines = ["heal", "--engine", "tcp://10.79.0.11:2376,tcp://10.79.0.12:2376"];
    let output = rig
        .duress(&[&engines[..], &certificates].concat())
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    for engine in ["old", "new"] {
        assert_eq!(rig.left(engine), "", "on the engine {engine}");
    }
}

#[test]
fn tasks_of_a_stack_that_are_killed_come_back_as_other_containers() {
    let Some(rig) = Rig::new() else { return };
    let stack = spec("stack.yaml", 3, &format!("{BY_TLS}\nstack = true"), FAULTS);
    let refused = rig.run(&stack).output().expect("the binary starts");
    assert_eq!(refused.status.code(), Some(3), "{}", both(&refused));
    assert!(both(&refused).contains("docker swarm init"), "{}", both(&refused));
    rig.docker("new", &["swarm", "init", "--advertise-addr", "10.79.0.12"]);
    assert_held(&rig, &stack);
    assert_eq!(rig.docker("new", &["service", "ls", "--quiet"]), "");
}
