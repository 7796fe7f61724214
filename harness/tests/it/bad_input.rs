//! Bad input gets a clear error and code 64.

use crate::host::{Bench, duress};

const GOOD: &str = r#"
name = "t"
[cluster.local]
system = "specimen"
nodes = 3
[workload.register]
[[faults.mix]]
kind = "kill"
targets = "leader"
"#;

/// Runs a spec that must be refused, and gives what was said.
fn refused(spec: &str) -> String {
    let bench = Bench::new(spec);
    let output = bench.run_command(1).output().expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(
        !bench.spec().with_file_name("runs").exists(),
        "a refused spec leaves no run"
    );
    said
}

#[test]
fn specs_are_refused_with_line_and_choices() {
    let key = refused(&GOOD.replace("nodes", "nods"));
    assert!(
        key.contains("line 5") && key.contains("nods") && key.contains("`nodes`"),
        "{key}"
    );
    let system = refused(&GOOD.replace("\"specimen\"", "\"speciman\""));
    assert!(
        system.contains("speciman") && system.contains("specimen"),
        "{system}"
    );
    let fault = refused(&GOOD.replace("\"kill\"", "\"explode\""));
    assert!(
        fault.contains("explode") && fault.contains("partition"),
        "{fault}"
    );
    let targets = refused(&GOOD.replace("\"leader\"", "[\"n9\"]"));
    assert!(targets.contains("n9") && targets.contains("n3"), "{targets}");
    assert!(refused(&GOOD.replace("nodes = 3", "nodes = 0")).contains("use 1 to"));
    assert!(refused(&GOOD.replace("nodes = 3", "nodes = 3\ndefects = [\"none\"]")).contains("stale-read"));
    assert!(refused("name = [").contains("line 1"));
    assert!(refused("").contains("name"));
}

#[test]
fn histories_are_refused_with_the_line() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("history.jsonl");
    let good = r#"{"index":0,"time":0,"process":0,"type":"invoke","f":"write","value":1}"#;
    std::fs::write(&path, format!("{good}\nthis is no JSON\n")).expect("a history");
    let args = |model: &str| {
        duress([
            "check".as_ref(),
            path.as_os_str(),
            "--model".as_ref(),
            std::ffi::OsStr::new(model),
        ])
    };
    let output = args("register");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("line 2"), "{said}");

    std::fs::write(&path, format!("{good}\n")).expect("a history");
    let said = args("regster");
    assert_eq!(said.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&said.stderr).contains("cas-register"));
}

#[test]
fn the_command_line_is_refused_with_help() {
    for args in [
        &["rum"][..],
        &["run"],
        &["run", "no-such-file.toml"],
        &["check", "x"],
        &["report", "/nowhere"],
    ] {
        let output = duress(args);
        assert_eq!(output.status.code(), Some(64), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
    for args in [
        &["--help"][..],
        &["run", "--help"],
        &["check", "--help"],
        &["--version"],
    ] {
        assert_eq!(duress(args).status.code(), Some(0), "{args:?}");
    }
    let help = duress(["run", "--help"]);
    assert!(String::from_utf8_lossy(&help.stdout).contains("Example:"));
}
