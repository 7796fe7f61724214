//! Systems that are asked by a program of the user's: the examples of the docs, and programs that misbehave.

use std::path::{Path, PathBuf};

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::Value;

use crate::compose::both;
use crate::host::{Bench, HostState};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples");

fn example(name: &str) -> PathBuf {
    Path::new(EXAMPLES).join(name).canonicalize().expect("an example")
}

fn spec(system: &Path, attempts: u32) -> String {
    format!(
        "name = \"t\"\nproperties = [\"linearizable\"]\n[workload.register]\nkeys = 5\n[load.closed]\nprocesses = 4\n\
         [client]\nattempts = {attempts}\ntimeout = \"3s\"\n[evidence]\nok = 20\nok-of-each = 2\n[time]\nwarm-up = \"1s\"\nfaults = \"6s\"\n[cluster.local]\nnodes = 3\nsystem = {system:?}\n\
         [[faults.at]]\nat = \"500ms\"\nlength = \"4s\"\nkind = \"partition\"\nshape = \"leader\"\n"
    )
}

#[test]
fn the_examples_run_under_faults_to_a_verdict() {
    let before = HostState::now();
    for name in ["exec-python", "exec-shell"] {
        let bench = Bench::new(&spec(&example(name), 5));
        let output = bench.run_command(3).output().expect("the binary starts");
        let said = both(&output);
        assert_eq!(output.status.code(), Some(0), "{name}: {said}");
        assert!(said.contains("1 proven to bite"), "{name}: {said}");
        before.wait_until_back(&bench, std::time::Duration::from_secs(10));
    }
}

/// The Python example with something in front of its loop.
fn misbehaving(bench: &Bench, how: &str) -> PathBuf {
    let folder = bench.spec().with_file_name("misbehaving");
    std::fs::create_dir_all(&folder).expect("a folder");
    let python = example("exec-python");
    let kit = Path::new(EXAMPLES).join("../../workloads/kits/duress_client.py");
    std::fs::copy(kit, folder.join("duress_client.py")).expect("the kit");
    std::fs::copy(python.join("system.toml"), folder.join("system.toml")).expect("the example");
    let client = std::fs::read_to_string(python.join("client.py")).expect("the example");
    std::fs::write(folder.join("client.py"), format!("{how}\n{client}")).expect("a folder");
    folder
}

/// Whatever a program does, what it did not say is not known: the run goes on, and its history is right.
#[test]
fn programs_that_misbehave_make_a_run_poorer_and_not_wrong() {
    let often = "import os, random, sys, threading, time\n";
    for (name, how, said_of_it) in [
        (
            "dies every second",
            "threading.Timer(1, lambda: os._exit(7)).start()",
            "ended with exit status: 7",
        ),
        (
            "is silent now and then",
            "write = os.write\n\
             import duress_client\nanswer = duress_client.answer\n\
             def slow(client, ask):\n    if random.random() < 0.05: time.sleep(600)\n    return answer(client, ask)\n\
             duress_client.answer = slow",
            "timeout",
        ),
        (
            "writes twenty megabytes now and then",
            "import duress_client\nanswer = duress_client.answer\n\
             def flood(client, ask):\n    reply = answer(client, ask)\n    \
             if random.random() < 0.02: reply['padding'] = 'x' * 20_000_000\n    return reply\n\
             duress_client.answer = flood",
            "without an end of line",
        ),
        (
            "answers another question now and then",
            "import duress_client\nanswer = duress_client.answer\n\
             class Off(dict):\n    def __setitem__(self, name, value):\n        \
             super().__setitem__(name, value + 1 if name == 'id' and random.random() < 0.05 else value)\n\
             duress_client.answer = lambda client, ask: Off(answer(client, ask))",
            "when it is asked",
        ),
    ] {
        let bench = Bench::new("");
        let folder = misbehaving(&bench, &format!("{often}{how}"));
        std::fs::write(bench.spec(), spec(&folder, 5)).expect("a spec");
        let output = bench.run_command(3).output().expect("the binary starts");
        let said = both(&output);
        // Nothing is violated: what the program kept to itself is unknown, and no failure.
        assert!(matches!(output.status.code(), Some(0 | 2)), "{name}: {said}");
        assert!(!said.contains("violated"), "{name}: {said}");
        let history = bench.history();
        let events: Vec<Value> = history
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let ok = events.iter().filter(|event| event["type"] == "ok").count();
        assert!(ok > 20, "{name}: {ok} ok");
        assert!(
            history.contains(said_of_it),
            "{name}: nobody saw that it {said_of_it}"
        );
    }
    // Of all processes that were waited for, the controller and the programs among them, the largest, in KiB.
    let largest = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage").max_rss();
    assert!(largest < 200 << 10, "{largest} KiB");
}

/// Who leads is told by a program, as by HTTP: a fault finds the leader by it.
#[test]
fn a_program_tells_the_status_of_nodes() {
    let bench = Bench::new("");
    let folder = misbehaving(&bench, "");
    let system = folder.join("system.toml");
    let text = std::fs::read_to_string(&system).expect("the example");
    std::fs::write(
        &system,
        text.replace(
            "path = \"/status\"\n\n[status.answer]",
            "exec = true\n\n[status.answer]",
        ),
    )
    .expect("a folder");
    let claims =
        "properties = [\"linearizable\", \"one-leader-per-term\", \"applied-never-goes-back\", \"recovers\"]";
    let text = spec(&folder, 5).replace("properties = [\"linearizable\"]", claims);
    std::fs::write(bench.spec(), text).expect("a spec");
    let verdict = bench.run(3, 0);
    assert_eq!(verdict["evidence"]["faults_verified"], 1, "{verdict}");
    let probes = std::fs::read_to_string(bench.latest().join("nodes/n1/probes.jsonl")).expect("probes");
    for fact in [
        "\"role\":",
        "\"term\":",
        "\"leader\":\"n",
        "\"commit\":",
        "\"applied\":",
    ] {
        assert!(probes.contains(fact), "no {fact} in {probes}");
    }
    let system_text = std::fs::read_to_string(&system).expect("the example");
    assert!(system_text.contains("exec = true"), "{system_text}");
    let other = system_text.replace("client = \"exec\"", "client = \"specimen\"");
    std::fs::write(&system, other).expect("a folder");
    let output = bench.run_command(3).output().expect("the binary starts");
    let said = both(&output);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(
        said.contains("goes with client = \"exec\"") && said.contains("^^^^"),
        "{said}"
    );
}

/// Only a cluster from a compose file has services.
#[test]
fn a_service_for_the_programs_of_a_local_cluster_is_refused_with_its_place() {
    let bench = Bench::new("");
    let folder = misbehaving(&bench, "");
    let system = folder.join("system.toml");
    let text = std::fs::read_to_string(&system).expect("the example");
    let text = text.replace("[exec]\n", "[exec]\nservice = \"drivers\"\n");
    std::fs::write(&system, &text).expect("a folder");
    std::fs::write(bench.spec(), spec(&folder, 5)).expect("a spec");
    let line = text
        .lines()
        .position(|line| line.starts_with("service"))
        .expect("the line")
        + 1;
    for mut command in [bench.run_command(3), bench.command("try")] {
        if command.get_args().next() == Some("try".as_ref()) {
            command.arg(&folder);
        }
        let output = command.output().expect("the binary starts");
        let said = both(&output);
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains(&format!("line {line}, column 11")), "{said}");
        assert!(
            said.contains("^^^^^^^^^") && said.contains("a local cluster has no services"),
            "{said}"
        );
    }
}
