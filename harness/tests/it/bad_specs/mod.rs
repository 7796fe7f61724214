//! Specs that can't be run: each is refused with code 64, the line and what would be right, before anything is made.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::host::{Bench, DURESS};

mod rows;

use rows::places::{engines, on_hosts};
use rows::{LOCAL, Row, names, numbers};

const COMPOSE_FILE: &str =
    "services:\n  n1: {image: db}\n  n2: {image: db}\n  odd: {image: db, network_mode: host}\n";

/// Refusing takes milliseconds; a loaded machine gets some more.
const LIMIT: Duration = Duration::from_secs(20);

/// What `duress run` says and exits with; an error when it is still at it after [`LIMIT`].
fn run(bench: &Bench) -> Result<(Option<i32>, String), String> {
    let mut child = bench
        .run_command(1)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let stderr = child.stderr.take().expect("a pipe");
    let reader = std::thread::spawn(move || std::io::read_to_string(stderr).unwrap_or_default());
    let deadline = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if Instant::now() >= deadline {
            child.kill().expect("SIGKILL");
            child.wait().expect("an end");
            return Err(format!("still running after {LIMIT:?}"));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Ok((status.code(), reader.join().expect("what was said")))
}

/// What a row was answered, and what is wrong with that.
fn answered(row: &Row) -> (String, Vec<String>) {
    let bench = Bench::new(&row.spec);
    let beside = |name: &str, text: &str| {
        std::fs::write(bench.spec().with_file_name(name), text).expect("a file");
    };
    beside("compose.yaml", COMPOSE_FILE);
    beside("bad.yaml", "services: [");
    let (code, said) = match run(&bench) {
        Ok(ended) => ended,
        Err(what) => return (String::new(), vec![what]),
    };
    let line = format!("line {}, column ", row.line);
    let mut faults = Vec::new();
    if code != Some(64) {
        faults.push(format!("exit code {code:?}"));
    }
    if bench.spec().with_file_name("runs").exists() {
        faults.push("a run was made".to_owned());
    }
    if !said.contains(&line) {
        faults.push(format!("no {line:?}"));
    }
    if !said.contains(row.says) {
        faults.push(format!("no {:?}", row.says));
    }
    if !said.contains("spec.toml") || !said.contains('^') {
        faults.push("no file, or no mark".to_owned());
    }
    // The same in every run.
    let folder = bench.spec().parent().expect("a folder").display().to_string();
    let said = said.replace(&format!("{folder}/"), "").replace(&folder, "FOLDER");
    (said, faults)
}

/// All that is said of some rows, as a person reads it.
fn assert_refused(rows: &[Row]) -> String {
    let mut complaints = String::new();
    let mut failed = Vec::new();
    for row in rows {
        let (said, faults) = answered(row);
        if !faults.is_empty() {
            let line = row.spec.lines().nth(row.line.saturating_sub(1)).unwrap_or("");
            failed.push(format!("--- {line}\n{}; it said: {said}", faults.join(", ")));
        }
        complaints += &format!("{}\n\n", said.trim_end());
    }
    assert!(
        failed.is_empty(),
        "{} of {} rows:\n{}",
        failed.len(),
        rows.len(),
        failed.join("\n")
    );
    complaints
}

#[test]
fn numbers_out_of_proportion_are_refused_at_their_line() {
    let rows = numbers();
    assert!(rows.len() >= 50);
    insta::assert_snapshot!("complaints_about_numbers", assert_refused(&rows));
}

#[test]
fn names_and_lists_that_make_no_sense_are_refused_at_their_line() {
    let rows = names();
    assert!(rows.len() >= 40);
    insta::assert_snapshot!("complaints_about_names", assert_refused(&rows));
}

#[test]
fn hosts_that_make_no_sense_are_refused_at_their_line() {
    let rows = on_hosts();
    assert!(rows.len() >= 20);
    insta::assert_snapshot!("complaints_about_hosts", assert_refused(&rows));
}

#[test]
fn engines_that_make_no_sense_are_refused_at_their_line() {
    let rows = engines();
    assert!(rows.len() >= 15);
    insta::assert_snapshot!("complaints_about_engines", assert_refused(&rows));
}

#[test]
fn what_is_no_spec_is_refused_and_never_waited_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("large.toml"), vec![b'#'; 2 << 20]).expect("a file");
    std::fs::write(at("latin.toml"), b"name = \"t\"\n# caf\xe9\n").expect("a file");
    let pipe = CString::new(at("pipe").as_os_str().as_bytes()).expect("a path");
    nix::unistd::mkfifo(pipe.as_c_str(), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    for (path, says) in [
        (at("missing.toml"), "No such file"),
        (dir.path().to_owned(), "it is a folder"),
        (at("pipe"), "not a regular file"),
        (Path::new("/dev/zero").to_owned(), "not a regular file"),
        (at("large.toml"), "larger than 1048576 bytes"),
        (at("latin.toml"), "line 2 is not UTF-8"),
    ] {
        let mut child = Command::new(DURESS)
            .arg("run")
            .arg(&path)
            .arg("--out")
            .arg(dir.path())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let deadline = Instant::now() + LIMIT;
        while child.try_wait().expect("a child").is_none() {
            if Instant::now() >= deadline {
                child.kill().expect("SIGKILL");
                panic!("{} is still read after {LIMIT:?}", path.display());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let output = child.wait_with_output().expect("an end");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains(says), "{said}");
        assert!(!at("runs").exists());
    }
}

#[test]
fn numbers_on_the_command_line_are_refused_by_their_name() {
    let bench = Bench::new(LOCAL);
    let spec = bench.spec().display().to_string();
    for (args, names, says) in [
        (&["run", &spec, "--time", "0s"][..], "--time", "use 1ms to 30days"),
        (
            &["run", &spec, "--time", "1000000h"],
            "--time",
            "use 1ms to 30days",
        ),
        (&["run", &spec, "--time", "soon"], "--time", "30s"),
        (&["run", &spec, "--seed=-1"], "--seed", "-1"),
        (
            &["run", &spec, "--seed", "18446744073709551616"],
            "--seed",
            "18446744073709551616",
        ),
        (
            &[
                "check",
                "x",
                "--model",
                "register",
                "--memory-mib",
                "17592186044416",
            ],
            "--memory-mib",
            "use 1 to 1048576",
        ),
        (
            &["check", "x", "--model", "register", "--time", "1000000000s"],
            "--time",
            "use 1ms to 7days",
        ),
        (
            &["calibrate", "x", "--jobs", "1000000000"],
            "--jobs",
            "use 1 to 256",
        ),
        (
            &["calibrate", "x", "--seeds", "18446744073709551615"],
            "--seeds",
            "1000000",
        ),
        (
            &["calibrate", "x", "--first-seed", "18446744073709551615"],
            "--first-seed",
            "18446744073709551615",
        ),
    ] {
        let output = Command::new(DURESS)
            .args(args)
            .output()
            .expect("the binary starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {said}");
        assert!(said.contains(names) && said.contains(says), "{args:?}: {said}");
    }
    assert!(!bench.spec().with_file_name("runs").exists());
}
