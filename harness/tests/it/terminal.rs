//! What others wrote never commands the terminal.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::compose;
use crate::host::{Bench, DURESS, duress, start_until, wait_for};

/// Clears the screen, sets the title, and turns the direction of writing.
const EVIL: &str = "\x1b[2J\x1b]0;x\x07\u{9b}31m\u{202e}\r";

const GOOD: &str = "name = \"t\"\n[cluster.local]\nsystem = \"specimen\"\nnodes = 1\n[workload.register]\n";

/// No character that a terminal obeys but newline and tab; gives what was said.
fn harmless(output: &Output) -> String {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let said = String::from_utf8(said).expect("UTF-8");
    assert_harmless(&said);
    said
}

fn assert_harmless(said: &str) {
    let evil = |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}';
    assert!(!said.contains(evil), "it says {said:?}");
}

#[test]
fn names_of_files_and_arguments() {
    let missing = format!("/nowhere/{EVIL}.toml");
    // Arguments that the command line doesn't take are shown without their escapes, names of files with them spelled out.
    for (args, shown) in [
        (&["run", &missing][..], true),
        (&["check", &missing, "--model", "register"], true),
        (&["report", &missing], true),
        (&["heal", &missing], true),
        (&["calibrate", &missing], true),
        (&["check", "/dev/null", "--model", EVIL], false),
        (&[EVIL], false),
        (&["run", &missing, &format!("--{EVIL}")], false),
        (&["run", &missing, "--time", EVIL], false),
    ] {
        let output = duress(args);
        assert_ne!(output.status.code(), Some(0), "{args:?}");
        let said = harmless(&output);
        assert!(!shown || said.contains("\\u{1b}[2J"), "{args:?} says {said:?}");
    }
}

#[test]
fn what_a_spec_says() {
    for (spec, line) in [
        (GOOD.replace("\"t\"", "\"\\u001b[2J\""), "line 1"),
        (GOOD.replace("\"specimen\"", "\"\\u001b[2J\""), "line 3"),
        (
            GOOD.replace("nodes = 1", &format!("nodes = \"{EVIL}\"")),
            "line 4",
        ),
        (
            GOOD.replace("nodes = 1", "nodes = 1\ndefects = [\"\\u001b[2J\"]"),
            "line 5",
        ),
    ] {
        let bench = Bench::new(&spec);
        let output = bench.run_command(1).output().expect("the binary starts");
        assert_eq!(output.status.code(), Some(64));
        let said = harmless(&output);
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn what_a_history_says() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("history.jsonl");
    let event = |index: u64, kind: &str, f: &str, value: &str| {
        format!(
            "{{\"index\":{index},\"time\":{index},\"process\":0,\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":\"\\u001b[2J\\u009b1m\",\
             \"value\":{value},\"error\":\"\\u001b]0;x\\u0007\",\"node\":\"\\u001b[31m\"}}\n"
        )
    };
    let history = [
        event(0, "invoke", "write", "1"),
        event(1, "ok", "write", "1"),
        event(2, "invoke", "read", "null"),
        event(3, "ok", "read", "\"\\u001b[2J\""),
    ]
    .concat();
    std::fs::write(&path, &history).expect("a history");
    let check = |more: &[&str]| {
        let mut args = vec![
            "check".as_ref(),
            path.as_os_str(),
            OsStr::new("--model"),
            OsStr::new("register"),
        ];
        args.extend(more.iter().map(OsStr::new));
        duress(args)
    };
    for more in [&[][..], &["--json"], &["--stream"], &["--stream", "--json"]] {
        let output = check(more);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let said = harmless(&output);
        if more.contains(&"--json") {
            serde_json::from_str::<serde_json::Value>(&said).expect("still JSON");
        }
    }
    std::fs::write(
        &path,
        history.replace("\"type\":\"ok\"", "\"type\":\"\\u001b[2J\""),
    )
    .expect("a history");
    let output = check(&[]);
    assert_eq!(output.status.code(), Some(64));
    harmless(&output);
    std::fs::write(&path, "{:process 0, :type :\x1b[2J, :f :read}").expect("a history");
    let output = check(&[]);
    assert_eq!(output.status.code(), Some(64));
    harmless(&output);
}

/// A node that never becomes ready, and dies with this in its log.
#[test]
fn what_a_node_logs_before_it_dies() {
    let alone = "nodes = 1\nready = \"5m\"\nargs = [\"--peer\", \"n8=10.77.0.98:8080\", \"--peer\", \"n9=10.77.0.99:8080\"]";
    let bench = Bench::new(&GOOD.replace("nodes = 1", alone));
    let child = start_until(&bench, 1, "\"deploy\"");
    let node = wait_for("program of the node", Duration::from_secs(30), || {
        bench.processes_of("specimen").first().copied()
    });
    let log = bench.latest().join("nodes/n1/log");
    let mut file = std::fs::File::options().append(true).open(log).expect("a log");
    file.write_all(format!("\nfirst {EVIL}\nlast\n").as_bytes())
        .expect("room");
    kill(
        Pid::from_raw(i32::try_from(node).expect("a pid")),
        Signal::SIGKILL,
    )
    .expect("SIGKILL");
    let output = child.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(3));
    let said = harmless(&output);
    assert!(
        said.contains("first \\u{1b}[2J\\u{1b}]0;x\\u{7}\\u{9b}31m\\u{202e}\nlast\n"),
        "{said}"
    );
    let log = std::fs::read_to_string(bench.latest().join("duress.log")).expect("a log");
    assert_harmless(&log);
    assert!(
        log.contains("\n          last\n"),
        "lines that go on are set in: {log}"
    );
}

#[test]
fn a_folder_of_runs() {
    let bench = Bench::new(&format!(
        "{GOOD}[time]\nwarm-up = \"100ms\"\nfaults = \"500ms\"\n[evidence]\nok = 1\nok-of-each = 1\n"
    ));
    let folder = bench.spec().with_file_name("\x1b[2J");
    let output = Command::new(DURESS)
        .arg("run")
        .arg(bench.spec())
        .args(["--seed", "1", "--out"])
        .arg(&folder)
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said = harmless(&output);
    assert!(said.contains("\\u{1b}[2J"), "{said}");
    let report = Command::new(DURESS)
        .arg("report")
        .arg(folder.join("runs/latest"))
        .output()
        .expect("the binary starts");
    assert_eq!(report.status.code(), Some(0));
    harmless(&report);
}

/// A service that says what clears a screen, and never answers.
const LOUD: &str = "services:\n  n1:\n    image: duress/etcd:3.5.1\n    entrypoint: [\"sh\", \"-c\", \"printf 'first \\\\033[2J\\\\nlast\\\\n'; sleep 600\"]\n";

#[test]
fn what_a_container_logs() {
    if !compose::engine_or_skip() {
        return;
    }
    let cluster =
        "[cluster.compose]\nsystem = \"etcd\"\nfile = \"loud.yaml\"\nnodes = [\"n1\"]\nready = \"2s\"\n";
    let bench = Bench::new(&format!("name = \"loud\"\n{cluster}[workload.register]\n"));
    std::fs::write(bench.spec().with_file_name("loud.yaml"), LOUD).expect("a compose file");
    let output = bench.run_command(1).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(3));
    let said = harmless(&output);
    assert!(said.contains("first \\u{1b}[2J\nlast"), "{said}");
    assert_harmless(&std::fs::read_to_string(bench.latest().join("duress.log")).expect("a log"));
    assert_eq!(compose::on_engine(&bench.latest()), Vec::<String>::new());
}
