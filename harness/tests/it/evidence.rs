//! No green without evidence.

use crate::host::Bench;

const QUIET: &str = r#"
name = "thin"
[cluster.local]
system = "specimen"
nodes = 3
[workload.register]
[load.open]
rate = 50
[time]
warm-up = "200ms"
faults = "2s"
[faults]
length = "500ms"
pause = "200ms"
[[faults.mix]]
kind = "partition"
shape = "one"
"#;

#[test]
fn too_few_operations_are_inconclusive() {
    let verdict = Bench::new(QUIET).run(1, 2);
    let summary = verdict["summary"].as_str().expect("a summary");
    assert!(summary.contains("ok operations: needed 1000"), "{summary}");
}

#[test]
fn a_fault_that_cannot_be_injected_is_inconclusive() {
    let spec = QUIET.replace("[time]", "[evidence]\nok = 10\nok-of-each = 1\n[time]");
    let bench = Bench::new(&spec);
    // Everything that the cluster needs, and no iptables.
    let tools = tempfile::tempdir().expect("a temporary directory");
    let ip = (["/usr/sbin", "/sbin", "/usr/bin", "/bin"].iter())
        .map(|dir| std::path::Path::new(dir).join("ip"))
        .find(|path| path.exists())
        .expect("iproute2 is installed");
    std::os::unix::fs::symlink(ip, tools.path().join("ip")).expect("a link");
    let output = bench
        .run_command(1)
        .env("PATH", tools.path())
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let verdict = bench.verdict();
    assert_eq!(verdict["evidence"]["faults_verified"], 0);
    assert!(
        verdict["summary"]
            .as_str()
            .expect("a summary")
            .contains("partition"),
        "{verdict}"
    );
}

#[test]
fn no_answer_at_all_is_a_harness_failure() {
    let spec = QUIET.replace(
        "nodes = 3",
        "nodes = 3\nready = \"1500ms\"\nargs = [\"--no-such-flag\"]",
    );
    let verdict = Bench::new(&spec).run(1, 3);
    let failure = verdict["harness_failure"].as_str().expect("a reason");
    assert!(
        failure.contains("no-such-flag"),
        "the node's last words are missing: {failure}"
    );
}
