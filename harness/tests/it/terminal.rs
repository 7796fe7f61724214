//! What others wrote never commands the terminal.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use crate::host::{Bench, DURESS, duress};

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
    for args in [
        &["run", &missing][..],
        &["check", &missing, "--model", "register"],
        &["check", "/dev/null", "--model", EVIL],
        &["report", &missing],
        &["heal", &missing],
        &["calibrate", &missing],
        &[EVIL],
        &["run", &missing, &format!("--{EVIL}")],
        &["run", &missing, "--time", EVIL],
    ] {
        let output = duress(args);
        assert_ne!(output.status.code(), Some(0), "{args:?}");
        let said = harmless(&output);
        assert!(said.contains("\\u{1b}[2J"), "{args:?} says {said:?}");
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
    std::fs::write(&path, format!("{{:process 0, :type :\x1b[2J, :f :read}}")).expect("a history");
    let output = check(&[]);
    assert_eq!(output.status.code(), Some(64));
    harmless(&output);
}

/// The specimen repeats the argument that it doesn't know, and that is the last thing in its log.
#[test]
fn what_a_node_logs_before_it_dies() {
    let args = "nodes = 1\nargs = [\"--\\u001b[2J\\u009b1m\"]";
    let bench = Bench::new(&GOOD.replace("nodes = 1", args));
    let output = bench.run_command(1).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(3));
    let node = std::fs::read_to_string(bench.latest().join("nodes/n1/log")).expect("a log");
    assert!(
        node.contains('\x1b'),
        "the node has to log it, or nothing is tested: {node:?}"
    );
    let said = harmless(&output);
    assert!(said.contains("\\u{1b}[2J"), "{said}");
    assert!(
        said.lines().count() > 3,
        "a log of several lines stays one: {said}"
    );
    assert_harmless(&std::fs::read_to_string(bench.latest().join("duress.log")).expect("a log"));
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
