//! `duress check` on what is no history, an odd one, or too much of one: exit codes, and what is said.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::host::{DURESS, duress};

/// A folder for histories.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a temporary directory"))
    }

    pub fn file(&self, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join("history");
        std::fs::write(&path, text).expect("a history");
        path
    }
}

/// What `duress check` printed on both ways, and its exit code.
fn check(path: &Path, model: &str, options: &[&str]) -> (i32, String) {
    let args = [
        "check".as_ref(),
        path.as_os_str(),
        "--model".as_ref(),
        model.as_ref(),
    ];
    let output = duress(args.into_iter().chain(options.iter().map(std::ffi::OsStr::new)));
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    (output.status.code().expect("an exit code"), said)
}

/// The same for text on standard input.
fn check_input(text: &[u8], options: &[&str]) -> (i32, String) {
    let mut child = Command::new(DURESS)
        .args(["check", "-", "--model", "register"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // It may have seen enough before the end.
    let _ = child.stdin.take().expect("a pipe").write_all(text);
    let output = child.wait_with_output().expect("the binary ends");
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let code = output.status.code().expect("an exit code");
    (code, String::from_utf8_lossy(&said).into_owned())
}

/// Process 0 writes 1, and is done.
const WRITE: &str = concat!(
    r#"{"index":0,"time":0,"process":0,"type":"invoke","f":"write","value":1}"#,
    "\n",
    r#"{"index":1,"time":1,"process":0,"type":"ok","f":"write","value":1}"#,
    "\n",
);

/// Process 1 reads 2, which nobody wrote.
pub const BROKEN: &str = concat!(
    r#"{"index":2,"time":2,"process":1,"type":"invoke","f":"read"}"#,
    "\n",
    r#"{"index":3,"time":3,"process":1,"type":"ok","f":"read","value":2}"#,
    "\n",
);

#[test]
fn what_is_no_history_is_never_held() {
    let folder = Folder::new();
    for options in [&[][..], &["--stream"], &["--json"], &["--quiet"]] {
        let (code, said) = check(&folder.file(""), "register", options);
        assert_eq!(code, 2, "{options:?}: {said}");
        assert_eq!(
            said.contains("no operation of a client"),
            options != ["--quiet"],
            "{said}"
        );
        let (code, said) = check(Path::new("/dev/null"), "register", options);
        assert_eq!(code, 2, "{options:?}: {said}");
        let (code, said) = check(&folder.file("Error: could not connect\n"), "register", options);
        assert_eq!(code, 64, "{options:?}: {said}");
    }
    let (code, said) = check(&folder.file("Error: could not connect\n"), "register", &[]);
    assert_eq!(code, 64);
    assert!(said.contains("none of its lines is an operation"), "{said}");
    let (code, said) = check(
        &folder.file("[{\"process\":\"me\",\"type\":\"ok\",\"f\":\"read\"}]"),
        "register",
        &[],
    );
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("line 1") && said.contains("\"me\""), "{said}");
}

#[test]
fn operations_of_a_process_in_quotes_are_judged() {
    let folder = Folder::new();
    let quoted = BROKEN
        .replace("\"time\"", "\"when\"")
        .replace("\"process\":1", "\"process\":\"1\"");
    let (code, said) = check(&folder.file(quoted), "register", &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("stands in quotes"), "{said}");
}

#[test]
fn what_is_passed_over_is_counted() {
    let folder = Folder::new();
    let log = "INFO  jepsen.core - up\nINFO  jepsen.util - 0\t:invoke\t:write\t1\nINFO  jepsen.util - 0\t:ok\t:write\t1\n";
    let (code, said) = check(&folder.file(log), "register", &["--json"]);
    assert_eq!(code, 0, "{said}");
    let verdict: Value = serde_json::from_str(&said).expect("JSON");
    let detail = verdict["detail"].as_str().expect("a detail");
    assert!(
        detail.ends_with("1 other line of the log is passed over"),
        "{detail}"
    );
    let nemesis = r#"{"index":2,"time":2,"process":"nemesis","type":"info","f":"kill"}"#;
    for options in [&[][..], &["--stream"]] {
        let (code, said) = check(&folder.file(format!("{WRITE}{nemesis}\n")), "register", options);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("1 event of the nemesis is not judged"), "{said}");
    }
}

#[test]
fn both_ways_of_reading_pass_over_empty_lines_and_what_was_cut_off_and_nothing_else() {
    let folder = Folder::new();
    for options in [&[][..], &["--stream"]] {
        let blank = WRITE.replace('\n', "\n\n  \n");
        let (code, said) = check(&folder.file(&blank), "register", options);
        assert_eq!(code, 0, "{options:?}: {said}");
        let cut = format!("{blank}{}", &BROKEN[..40]);
        let (code, said) = check(&folder.file(&cut), "register", options);
        assert_eq!(code, 0, "{options:?}: {said}");
        assert!(said.contains("the last line is cut off"), "{said}");
        // A newline says that the line was meant so.
        let (code, said) = check(&folder.file(format!("{cut}\n")), "register", options);
        assert_eq!(code, 64, "{options:?}: {said}");
        assert!(said.contains("line 7"), "{said}");
        let (code, said) = check(&folder.file(format!("{WRITE}nonsense")), "register", options);
        assert_eq!(code, 64, "{options:?}: {said}");
        assert!(said.contains("line 3"), "{said}");
        let open = format!("{WRITE}{}", BROKEN.lines().next().expect("a line"));
        let (code, said) = check(&folder.file(open), "register", options);
        assert_eq!(code, 0, "{options:?}: {said}");
        assert!(said.contains("1 operation has no completion"), "{said}");
        let (code, said) = check(&folder.file([WRITE, BROKEN].concat()), "register", options);
        assert_eq!(code, 1, "{options:?}: {said}");
    }
}

#[test]
fn contradictions_name_their_line_both_ways() {
    let folder = Folder::new();
    for (from, to, wanted) in [
        (
            "\"index\":1",
            "\"index\":0",
            "line 2: event 0 stands after event 0",
        ),
        (
            "\"ok\",\"f\":\"write\",\"value\":1",
            "\"ok\",\"f\":\"write\",\"value\":3",
            "line 2: event 1: process 0 completes write 3",
        ),
        (
            "\"ok\",\"f\":\"write\"",
            "\"ok\",\"f\":\"read\"",
            "line 2: event 1: process 0 completes read 1",
        ),
        (
            "\"value\":1",
            "\"value\":18446744073709551616",
            "line 1: the number 18446744073709551616",
        ),
    ] {
        for options in [&[][..], &["--stream"]] {
            let (code, said) = check(&folder.file(WRITE.replace(from, to)), "register", options);
            assert_eq!(code, 64, "{options:?}: {said}");
            assert!(said.contains(wanted), "{options:?}: {said}");
        }
    }
}

#[test]
fn a_stack_is_no_place_for_an_input() {
    let folder = Folder::new();
    for text in ["#_", "#a ", "[", "{:a ", "#{", "#_["] {
        let path = folder.file(format!("{{:process 0 :value {}", text.repeat(50_000)));
        let (code, said) = check(&path, "register", &[]);
        assert_eq!(code, 64, "{text}: {said}");
        assert!(said.contains("line 1"), "{text}: {said}");
    }
}

#[test]
fn memory_is_what_was_asked_for() {
    let folder = Folder::new();
    let path = folder.file(WRITE.as_bytes());
    for mib in ["17592186044416", "18446744073709551615", "0"] {
        let (code, said) = check(&path, "register", &["--memory-mib", mib]);
        assert_eq!(code, 64, "{mib}: {said}");
        assert!(
            said.contains("memory-mib") && said.contains("use 1 to 1048576"),
            "{said}"
        );
    }
    assert_eq!(check(&path, "register", &["--memory-mib", "1048576"]).0, 0);
    // A file of which only the length is looked at: it takes no room on the disk either.
    std::fs::File::options()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_len(1 << 40))
        .expect("a long file");
    let (code, said) = check(&path, "register", &[]);
    assert_eq!(code, 64, "{said}");
    assert!(
        said.contains("more than 2048 MiB") && said.contains("--stream"),
        "{said}"
    );
    let (code, said) = check_input(&b"{}\n".repeat(1 << 19), &["--memory-mib", "1"]);
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("more than 1 MiB"), "{said}");
}

#[test]
fn what_has_no_end_takes_little_memory() {
    for options in [&[][..], &["--stream"]] {
        let mut command = Command::new("sh");
        // A limit on the address space: beyond it the allocator fails, and the program with it.
        let script = format!(
            "ulimit -v 1048576; exec '{DURESS}' check /dev/zero --model register {}",
            options.join(" ")
        );
        let output = command.arg("-c").arg(script).output().expect("a shell");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{options:?}: {said}");
        // Not because there was no more memory.
        assert!(!said.contains("out of memory"), "{options:?}: {said}");
        assert!(
            said.contains("begins with") || said.contains("more than 16 MiB"),
            "{options:?}: {said}"
        );
    }
}

#[test]
fn a_semaphore_without_permits_is_no_model() {
    let folder = Folder::new();
    for model in ["semaphore:0", "semaphore:-1"] {
        let (code, said) = check(&folder.file(WRITE), model, &[]);
        assert_eq!(code, 64, "{said}");
        assert!(said.contains("semaphore:N has N permits"), "{said}");
    }
}

#[test]
fn a_property_that_the_workload_cannot_show_is_refused_before_anything_starts() {
    for (workload, property, fitting) in [
        ("register", "nothing-lost", "\"linearizable\""),
        ("register", "mutual-exclusion", "\"linearizable\""),
        ("register", "converged", "\"linearizable\""),
    ] {
        let bench = crate::host::Bench::new(&format!(
            "name = \"t\"\nproperties = [\"{property}\"]\n[cluster.local]\nsystem = \"specimen\"\nnodes = 3\n\
             [workload.{workload}]\n"
        ));
        let output = bench.run_command(1).output().expect("the binary starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains(property) && said.contains(fitting), "{said}");
        assert!(!bench.spec().with_file_name("runs").exists());
    }
}

#[test]
fn any_property_judges_a_bare_history() {
    let folder = Folder::new();
    let set = "{\"index\":0,\"time\":0,\"process\":0,\"type\":\"invoke\",\"f\":\"add\",\"value\":1}\n\
               {\"index\":1,\"time\":1,\"process\":0,\"type\":\"ok\",\"f\":\"add\",\"value\":1}\n\
               {\"index\":2,\"time\":2,\"process\":0,\"type\":\"invoke\",\"f\":\"read\",\"value\":null}\n\
               {\"index\":3,\"time\":3,\"process\":0,\"type\":\"ok\",\"f\":\"read\",\"value\":[1]}\n";
    let lost = set.replace("[1]", "[]");
    let check = |text: &str, args: &[&str]| {
        let path = folder.file(text);
        let args = ["check".as_ref(), path.as_os_str()]
            .into_iter()
            .chain(args.iter().map(std::ffi::OsStr::new));
        let output = duress(args);
        let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    for (text, args, code, wanted) in [
        (set, &["--property", "nothing-lost"][..], 0, "nothing-lost"),
        (&lost, &["--property", "nothing-lost"], 1, "misses 1"),
        (&lost, &["--model", "set"], 1, "linearizable"),
        (
            set,
            &["--property", "linearizable", "--model", "set"],
            0,
            "linearizable",
        ),
        (
            set,
            &["--property", "recovers"],
            2,
            "before the cluster was seen to recover",
        ),
        (set, &[], 64, "--model"),
        (set, &["--property", "fast"], 64, "`nothing-lost`"),
    ] {
        let (found, said) = check(text, args);
        assert_eq!(found, Some(code), "{args:?}: {said}");
        assert!(said.contains(wanted), "{args:?}: {said}");
    }
}

/// Rounds of eight writers at a time that write one of three values to one key: not judged within a millisecond.
fn contended(rounds: usize) -> String {
    let events = (0..rounds).flat_map(|round| {
        let of_all = move |kind: &'static str| (0..8).map(move |process| (round, process, kind));
        of_all("invoke").chain(of_all("ok"))
    });
    let line = |(index, (round, process, kind)): (usize, (usize, usize, &str))| {
        let value = (round + process) % 3;
        format!(
            "{{\"index\":{index},\"time\":{index},\"process\":{process},\"type\":\"{kind}\",\"f\":\"write\",\"key\":\"k0\",\
             \"value\":{value}}}\n"
        )
    };
    events.enumerate().map(line).collect()
}

#[test]
fn a_run_is_judged_within_the_limits_of_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let spec = "name = \"t\"\nproperties = [\"linearizable\"]\n[cluster.local]\nsystem = \"specimen\"\n[workload.register]\n";
    std::fs::write(folder.path().join("spec.toml"), spec).expect("a spec");
    std::fs::write(folder.path().join("history.jsonl"), contended(5_000)).expect("a history");
    let verdict = |options: &[&str]| {
        let mut args = vec!["check".as_ref(), folder.path().as_os_str(), "--json".as_ref()];
        args.extend(options.iter().map(std::ffi::OsStr::new));
        let output = duress(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let file: Value = serde_json::from_slice(&output.stdout).expect(&said);
        file["properties"][0].to_string()
    };
    for (options, says) in [
        (&[][..], "\"verdict\":\"held\""),
        (&["--time", "1ms"], "takes longer than 0.001 s"),
        (&["--memory-mib", "1"], "1 MiB"),
    ] {
        let verdict = verdict(options);
        assert!(verdict.contains(says), "{options:?}: {verdict}");
    }
}
