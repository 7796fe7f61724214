//! Systems that are spoken to by templates: tried by hand, run to a verdict, refused where their templates make no sense.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::compose::{ETCD, both, engine_or_skip, on_engine};
use crate::host::{Bench, HostState, duress, wait_for};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

fn fixture(name: &str) -> PathBuf {
    Path::new(FIXTURES).join(name)
}

/// A copy of a fixture in which something is different.
fn changed(bench: &Bench, name: &str, from: &str, to: &str) -> PathBuf {
    let text = std::fs::read_to_string(fixture(name).join("system.toml")).expect("a fixture");
    assert!(text.contains(from), "{from}");
    let folder = bench.spec().with_file_name("changed");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("system.toml"), text.replacen(from, to, 1)).expect("a system");
    folder
}

fn try_system(bench: &Bench, system: &Path, more: &[&str]) -> Output {
    bench
        .command("try")
        .arg(system)
        .args(more)
        .output()
        .expect("the binary starts")
}

fn local(system: &Path, more: &str) -> String {
    format!(
        "name = \"t\"\nproperties = [\"linearizable\"]\n[workload.register]\nkeys = 5\ndelete = 1.0\n[evidence]\nok = 200\n\
         ok-of-each = 10\n[time]\nwarm-up = \"1s\"\nfaults = \"6s\"\n[cluster.local]\nnodes = 3\nsystem = {system:?}\n{more}"
    )
}

const CUT: &str =
    "[[faults.at]]\nat = \"500ms\"\nlength = \"4s\"\nkind = \"partition\"\nshape = \"leader\"\n";

#[test]
fn a_trial_shows_each_operation_and_leaves_nothing() {
    let before = HostState::now();
    let bench = Bench::new("");
    let output = try_system(&bench, &fixture("specimen-http"), &[]);
    let said = both(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for shown in [
        "by the client http, which carries register",
        "cas of \"try\": [1,2]",
        ": PUT http://10.",
        "{\"client\":\"p0\",\"seq\":",
        "  < 200",
        "= ok: [1,2]",
        "= fail: it did not happen, mismatch",
        "operations ended as they must",
    ] {
        assert!(said.contains(shown), "no {shown:?} in:\n{said}");
    }
    // Whoever asks first asks a node that does not lead, or leads; in any case the leader is found.
    let rust = try_system(&bench, Path::new("specimen"), &["--nodes", "3"]);
    assert_eq!(rust.status.code(), Some(0), "{}", both(&rust));
    before.wait_until_back(&bench, Duration::from_secs(10));
}

#[test]
fn what_only_the_running_system_shows_is_shown_by_a_trial() {
    let bench = Bench::new("");
    let typo = changed(&bench, "specimen-http", "ok = \"/value\"", "ok = \"/valeu\"");
    let output = try_system(&bench, &typo, &[]);
    let said = both(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the answer has nothing at \"/valeu\""), "{said}");
    assert!(said.contains("  ! it must end ok: null"), "{said}");
}

#[test]
fn templates_that_make_no_sense_are_refused_before_anything_is_made() {
    let bench = Bench::new("");
    for (from, to, marked, says) in [
        (
            "/kv/{key}?",
            "/kv/{kee}?",
            "path = \"/kv/{kee}?",
            "http.read.path: read has no place {kee}",
        ),
        (
            "\"{value}\"",
            "\"{value|jsn}\"",
            "body = { value = \"{value|jsn}\"",
            "no filter \"jsn\"",
        ),
        (
            "ok = \"/value\"",
            "ok = \"value\"",
            "ok = \"value\"",
            "write a JSON pointer as \"/value\"",
        ),
        (
            "[http.read]",
            "[http.raed]",
            "[http.raed]",
            "no workload asks \"raed\"",
        ),
        (
            "status = 421",
            "status = 42",
            "status = 42",
            "a status from 100 to 599",
        ),
        (
            "client = \"http\"",
            "client = \"specimen\"",
            "[http]",
            "templates are for client = \"http\"",
        ),
    ] {
        let system = changed(&bench, "specimen-http", from, to);
        std::fs::write(bench.spec(), local(&system, "")).expect("a spec");
        let run = bench.run_command(1).output().expect("the binary starts");
        for output in [try_system(&bench, &system, &[]), run] {
            let said = both(&output);
            assert_eq!(output.status.code(), Some(64), "{said}");
            for what in ["system.toml: TOML parse error at line ", "| ^", marked, says] {
                let found = match what {
                    "| ^" => said
                        .lines()
                        .any(|line| line.trim_start().starts_with('|') && line.contains('^')),
                    what => said.contains(what),
                };
                assert!(found, "no {what:?} in:\n{said}");
            }
        }
        assert!(!bench.spec().with_file_name("runs").exists(), "a run was begun");
    }
}

#[test]
fn what_a_client_lacks_is_refused_with_the_list() {
    let system = fixture("specimen-http");
    for (from, to, says) in [
        (
            "[workload.register]\nkeys = 5\ndelete = 1.0",
            "[workload.set]",
            "it knows no add of everything, no read of everything; it carries register",
        ),
        (
            "[workload.register]\nkeys = 5\ndelete = 1.0",
            "[workload.append]",
            "it knows no append of a key; it carries register",
        ),
        (
            "[cluster.local]",
            "[client]\ntokens = false\n[cluster.local]",
            "client.tokens: the requests of this system have tokens",
        ),
    ] {
        let bench = Bench::new(&local(&system, "").replacen(from, to, 1));
        let output = bench.run_command(1).output().expect("the binary starts");
        let said = both(&output);
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains(says), "no {says:?} in:\n{said}");
    }
    let said = both(&duress(["workloads"]));
    assert!(
        said.contains("asks a client for append of a key, read of a key"),
        "{said}"
    );
}

#[test]
fn a_system_by_templates_is_broken_and_judged_as_any_other() {
    let system = fixture("specimen-http");
    let verdict = Bench::new(&local(&system, CUT)).run(3, 0);
    assert_eq!(verdict["overall"], "held", "{verdict}");
    assert_eq!(verdict["evidence"]["faults_verified"], 1, "{verdict}");
    let stale = format!("args = [\"--defect\", \"stale-read\"]\n[client]\nrouting = \"any\"\n{CUT}");
    let verdict = Bench::new(&local(&system, &stale)).run(3, 1);
    assert_eq!(verdict["overall"], "violated", "{verdict}");
}

#[test]
fn ctrl_c_ends_a_trial_in_order() {
    let before = HostState::now();
    let bench = Bench::new("");
    // No operation ever gets what it waits for, so the trial goes on and on.
    let system = changed(&bench, "specimen-http", "ok = \"/value\"", "ok = \"/valeu\"");
    let mut command = bench.command("try");
    let said = bench.spec().with_file_name("said");
    let file = std::fs::File::create(&said).expect("a file");
    let mut child = command
        .arg(&system)
        .stdout(file)
        .spawn()
        .expect("the binary starts");
    wait_for("an answer", Duration::from_secs(60), || {
        std::fs::read_to_string(&said)
            .ok()
            .filter(|said| said.contains("  = refused"))
    });
    assert!(bench.look_at_namespaces() > 3, "nothing runs that could be left");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("SIGINT");
    assert_eq!(child.wait().expect("an end").code(), Some(3));
    let said = std::fs::read_to_string(&said).expect("what it said");
    assert!(said.contains("interrupted: the cluster is down again"), "{said}");
    before.wait_until_back(&bench, Duration::from_secs(10));
}

/// Registers on three members of etcd by templates; `rest` says how clients read and what breaks.
fn etcd(rest: &str) -> String {
    let file = Path::new(ETCD).canonicalize().expect("the compose file");
    let system = fixture("etcd-http");
    format!(
        "name = \"etcd-http\"\nproperties = [\"linearizable\"]\n[cluster.compose]\nsystem = {system:?}\nfile = {file:?}\n\
         nodes = [\"n1\", \"n2\", \"n3\"]\n[workload.register]\nkeys = 5\ndelete = 0.5\n[time]\nwarm-up = \"1s\"\nfaults = \"12s\"\n\
         recovery = \"30s\"\n[evidence]\nok = 200\nok-of-each = 20\n[client]\nrouting = \"any\"\ntimeout = \"1s\"\n{rest}"
    )
}

const ETCD_FAULTS: &str = "[[faults.at]]\nat = \"500ms\"\nlength = \"5s\"\nkind = \"partition\"\nshape = \"leader\"\n\
                           [[faults.at]]\nat = \"8s\"\nlength = \"1s\"\nkind = \"kill\"\ntargets = \"leader\"\n";

#[test]
fn etcd_by_templates_holds_what_it_promises_and_not_what_it_does_not() {
    if !engine_or_skip() {
        return;
    }
    let before = HostState::now();
    let bench = Bench::new(&etcd(ETCD_FAULTS));
    let verdict = bench.run(3, 0);
    assert_eq!(verdict["evidence"]["faults_verified"], 2, "{verdict}");
    let serializable = Bench::new(&etcd(&format!("read = \"serializable\"\n{ETCD_FAULTS}")));
    let verdict = serializable.run(3, 1);
    assert_eq!(verdict["overall"], "violated", "{verdict}");
    assert_eq!(on_engine(&bench.latest()), Vec::<String>::new());
    before.wait_until_back(&bench, Duration::from_secs(10));
}

#[test]
fn a_trial_of_etcd_asks_everything_that_its_templates_carry() {
    if !engine_or_skip() {
        return;
    }
    let bench = Bench::new("");
    let output = try_system(&bench, &fixture("etcd-http"), &["--file", ETCD]);
    let said = both(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for shown in [
        "carries register, set, append, lock",
        "/v3/lease/grant",
        "= ok: [1,2]",
        "= fail: it did not happen, taken",
    ] {
        assert!(said.contains(shown), "no {shown:?} in:\n{said}");
    }
}
