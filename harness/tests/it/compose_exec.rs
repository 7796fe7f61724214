//! Programs that ask from a service of the compose file: docs/examples/exec-service, as it is and misbehaving.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::compose::{both, docker, on_engine};
use crate::compose_systems::image_or_skip;
use crate::host::{Bench, HostState, start_until, wait_for};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples");
const KIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../workloads/kits/duress_client.py");

/// It has a Python, whatever else it is for.
const IMAGE: &str = "duress/sqlite:3.40";

fn images_or_skip() -> bool {
    image_or_skip(IMAGE) && image_or_skip(concat!("duress/specimen:", env!("CARGO_PKG_VERSION")))
}

/// The example in a folder of its own, with something in front of its program; `change` is made in its compose file.
fn example(bench: &Bench, how: &str, change: (&str, &str)) -> PathBuf {
    let folder = bench.spec().with_file_name("example");
    std::fs::create_dir_all(&folder).expect("a folder");
    let read = |path: &Path| std::fs::read_to_string(path).expect("the example");
    let from = Path::new(EXAMPLES).join("exec-service");
    let compose = read(&from.join("compose.yaml"))
        .replace("../../../workloads/kits/", "./")
        .replace("../exec-python/", "./")
        .replace(change.0, change.1);
    let client = read(&Path::new(EXAMPLES).join("exec-python/client.py"));
    for (name, text) in [
        ("compose.yaml", compose),
        ("system.toml", read(&from.join("system.toml"))),
        ("duress_client.py", read(Path::new(KIT))),
        ("client.py", format!("{how}\n{client}")),
    ] {
        std::fs::write(folder.join(name), text).expect("a folder");
    }
    folder
}

/// The example's spec for the system in this folder; `change` is made in it.
fn spec(folder: &Path, change: impl FnOnce(&mut toml::Table)) -> String {
    let text =
        std::fs::read_to_string(Path::new(EXAMPLES).join("exec-service/spec.toml")).expect("the example");
    let mut spec: toml::Table = text.parse().expect("TOML");
    let folder = folder.canonicalize().expect("a folder");
    let cluster = &mut spec["cluster"]["compose"];
    let table = cluster.as_table_mut().expect("a table");
    table.insert("system".into(), folder.to_str().expect("UTF-8").into());
    table.insert(
        "file".into(),
        folder.join("compose.yaml").to_str().expect("UTF-8").into(),
    );
    let variables = toml::Table::from_iter([("DRIVERS_IMAGE".to_owned(), IMAGE.into())]);
    table.insert("variables".into(), variables.into());
    change(&mut spec);
    spec.to_string()
}

#[test]
fn the_example_runs_under_faults_to_a_verdict_and_nothing_is_left() {
    if !images_or_skip() {
        return;
    }
    let before = HostState::now();
    let bench = Bench::new(&spec(&Path::new(EXAMPLES).join("exec-service"), |_| {}));
    let verdict = bench.run(3, 0);
    assert_eq!(verdict["overall"], "held", "{verdict}");
    assert_eq!(verdict["evidence"]["faults_verified"], 2, "{verdict}");
    let run = bench.latest();
    assert_eq!(on_engine(&run), Vec::<String>::new());
    // The program told who leads, and all else that a status has.
    let probes = std::fs::read_to_string(run.join("nodes/n1/probes.jsonl")).expect("probes");
    assert!(
        probes.contains("\"role\":\"leader\"") || probes.contains("\"role\":\"follower\""),
        "{probes}"
    );
    assert!(probes.contains("\"applied\":"), "{probes}");
    before.wait_until_back(&bench, Duration::from_secs(10));
}

/// As on this machine: what a program did not say is not known, and another takes its place.
#[test]
fn programs_in_a_service_that_misbehave_make_a_run_poorer_and_not_wrong() {
    if !images_or_skip() {
        return;
    }
    let often =
        "import os, random, sys, threading, time\nimport duress_client\nanswer = duress_client.answer\n";
    for (name, how, said_of_it) in [
        (
            "dies every second",
            "threading.Timer(1, lambda: os._exit(7)).start()",
            "ended with exit status: 7",
        ),
        (
            "is silent now and then",
            "def slow(client, ask):\n    if random.random() < 0.03: time.sleep(600)\n    return answer(client, ask)\n\
             duress_client.answer = slow",
            "timeout",
        ),
        (
            "floods now and then",
            "def flood(client, ask):\n    reply = answer(client, ask)\n    \
             if random.random() < 0.02: reply['padding'] = 'x' * 20_000_000\n    return reply\n\
             duress_client.answer = flood",
            "without an end of line",
        ),
    ] {
        let bench = Bench::new("");
        let folder = example(&bench, &format!("{often}{how}"), ("", ""));
        let text = spec(&folder, |spec| {
            // Leaders are told by programs that misbehave: nothing is claimed of that.
            spec["properties"] = vec!["linearizable"].into();
            spec["time"]["faults"] = "6s".into();
            spec["faults"]["at"].as_array_mut().expect("faults").truncate(1);
            spec["client"]["timeout"] = "1s".into();
        });
        std::fs::write(bench.spec(), text).expect("a spec");
        let output = bench.run_command(3).output().expect("the binary starts");
        let said = both(&output);
        assert!(matches!(output.status.code(), Some(0 | 2)), "{name}: {said}");
        assert!(!said.contains("violated"), "{name}: {said}");
        let history = bench.history();
        let ok = history.matches("\"type\":\"ok\"").count();
        assert!(ok > 20, "{name}: {ok} ok");
        assert!(
            history.contains(said_of_it),
            "{name}: nobody saw that it {said_of_it}"
        );
        assert_eq!(on_engine(&bench.latest()), Vec::<String>::new(), "{name}");
    }
}

/// The container of the service, in the newest run on this bench.
fn drivers(bench: &Bench) -> String {
    let filter = format!("label=duress.directory={}", bench.latest().display());
    let service = "label=com.docker.compose.service=drivers";
    docker(&["ps", "--quiet", "--filter", &filter, "--filter", service])
}

/// Processes in this container that are the client's. (`docker top` runs a `ps` of the engine's machine, which may have none.)
fn programs(container: &str) -> Vec<String> {
    assert!(!container.is_empty(), "no container");
    let read = |process: &Path, file: &str| std::fs::read_to_string(process.join(file)).unwrap_or_default();
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    let processes = processes.map(|entry| entry.path());
    let here = processes.filter(|process| read(process, "cgroup").contains(container));
    here.map(|process| read(&process, "cmdline").replace('\0', " "))
        .filter(|command| command.contains("client.py"))
        .collect()
}

#[test]
fn programs_in_a_service_end_with_the_controller() {
    if !images_or_skip() {
        return;
    }
    let bench = Bench::new("");
    // It stays when its input ends.
    let how = "import atexit, time\natexit.register(lambda: time.sleep(600))";
    let folder = example(&bench, how, ("", ""));
    std::fs::write(bench.spec(), spec(&folder, |_| {})).expect("a spec");
    let mut child = start_until(&bench, 3, "\"verify\"");
    let container = drivers(&bench);
    assert!(!programs(&container).is_empty(), "nothing runs that could end");
    child.kill().expect("SIGKILL");
    child.wait().expect("a dead child");
    wait_for("end of the programs", Duration::from_secs(20), || {
        programs(&container).is_empty().then_some(())
    });
    let healed = crate::host::duress(["heal".as_ref(), bench.latest().as_os_str()]);
    assert_eq!(healed.status.code(), Some(0), "{}", both(&healed));
    assert_eq!(on_engine(&bench.latest()), Vec::<String>::new());
}

#[test]
fn a_node_that_is_down_is_known_by_its_name() {
    if !images_or_skip() {
        return;
    }
    let bench = Bench::new(&spec(&Path::new(EXAMPLES).join("exec-service"), |spec| {
        let faults = spec["faults"]["at"].as_array_mut().expect("faults");
        faults.remove(0);
        faults[0]["length"] = "6s".into();
        faults[0]["at"] = "500ms".into();
    }));
    let child = start_until(&bench, 3, "\"verify\"");
    let filter = format!("label=duress.directory={}", bench.latest().display());
    let deadline = Instant::now() + Duration::from_secs(5);
    // All but one, the service among them.
    while docker(&["ps", "--quiet", "--filter", &filter]).lines().count() != 3 {
        assert!(Instant::now() < deadline, "no node is down");
        std::thread::sleep(Duration::from_millis(50));
    }
    let known = docker(&["exec", &drivers(&bench), "getent", "ahostsv4", "n1", "n2", "n3"]);
    for node in ["n1", "n2", "n3"] {
        assert!(
            known.lines().any(|line| line.ends_with(node)),
            "{node} is not in\n{known}"
        );
    }
    let output = child.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_service_that_ends_is_no_fault_of_the_system() {
    if !images_or_skip() {
        return;
    }
    let bench = Bench::new(&spec(&Path::new(EXAMPLES).join("exec-service"), |_| {}));
    let child = start_until(&bench, 3, "\"verify\"");
    docker(&["kill", &drivers(&bench)]);
    let output = child.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(3));
    let history = bench.history();
    assert!(history.contains("harness-failure"), "it goes on");
    assert!(
        history.contains("in the service drivers: its container does not run (signal 9)"),
        "nobody knows why"
    );
    assert_eq!(on_engine(&bench.latest()), Vec::<String>::new());
}

#[test]
fn a_service_that_does_not_stay_is_a_harness_failure_that_says_so() {
    if !images_or_skip() {
        return;
    }
    let bench = Bench::new("");
    let folder = example(
        &bench,
        "",
        ("[\"sleep\", \"infinity\"]", "[\"echo\", \"nothing to do\"]"),
    );
    std::fs::write(bench.spec(), spec(&folder, |_| {})).expect("a spec");
    let output = bench.run_command(3).output().expect("the binary starts");
    let said = both(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(
        said.contains("does not run (exit status 0)") && said.contains("nothing to do"),
        "{said}"
    );
}

#[test]
fn try_shows_the_lines_that_were_said_and_what_a_program_complained_of() {
    if !images_or_skip() {
        return;
    }
    let bench = Bench::new("");
    let how = "import sys\nimport duress_client\nanswer = duress_client.answer\n\
               def loud(client, ask):\n    print('asked for', ask.f, file=sys.stderr, flush=True)\n    \
               if ask.f == 'contents': return {'type': 'ok', 'value': {'applied': 3, 'keys': {}}}\n    \
               return answer(client, ask)\nduress_client.answer = loud";
    let folder = example(&bench, how, ("${DRIVERS_IMAGE:-python:3-slim}", "${PYTHON:?}"));
    let system = folder.join("system.toml");
    let text = std::fs::read_to_string(&system).expect("the example");
    let text = text.replace("operations =", "contents = true\noperations =");
    std::fs::write(&system, text).expect("a folder");
    let output = bench
        .command("try")
        .arg(&folder)
        .args(["--variable", &format!("PYTHON={IMAGE}"), "--network", "cluster"])
        .output()
        .expect("the binary starts");
    let said = both(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in [
        "\"f\":\"write\",\"key\":\"try\",\"value\":1,",
        ":8080\",\"read\":\"linearizable\",\"token\":",
        "\"address\":\"n1:8080\"",
        "    stderr: asked for write\n",
        "\"type\": \"fail\"",
        "= fail: it did not happen, mismatch",
        "operations ended as they must",
        "status of n2\n  > n2: {\"id\":",
        "    stderr: asked for status\n",
        "contents of n3\n  > n3: {\"id\":",
        "  = {\"applied\":3,\"keys\":{}}\n",
    ] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
}
