//! `duress heal` heals what dead runs left, and nothing else: not what living runs have in force, nor on a stranger's word.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::compose::both;
use crate::host::{Bench, HostState, duress, start_until, wait_for};

const PARTITION: &str = "kind = \"partition\"\nshape = \"halves\"";

/// One fault, long enough to be healed in the middle of it.
fn spec(fault: &str) -> String {
    format!(
        r#"
name = "living"
properties = ["linearizable"]
[cluster.local]
system = "specimen"
nodes = 3
[workload.register]
[load.open]
rate = 50
[evidence]
ok = 50
ok-of-each = 1
[time]
warm-up = "300ms"
faults = "7s"
[[faults.at]]
at = "200ms"
length = "5s"
{fault}
"#
    )
}

/// Entries of the newest run's journal that have this `op`.
fn journal(bench: &Bench, op: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(bench.latest().join("nemesis-journal.jsonl")).expect("a journal");
    let entries = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    entries.filter(|entry| entry["op"] == op).collect()
}

/// The rules of Duress in the network namespace of a process.
fn rules(pid: u64) -> String {
    let output = Command::new("nsenter")
        .args(["--target", &pid.to_string(), "--net", "iptables-save"])
        .output()
        .expect("nsenter");
    let saved = String::from_utf8_lossy(&output.stdout).into_owned();
    let ours = saved.lines().filter(|line| line.contains("DURESS"));
    ours.map(|line| format!("{line}\n")).collect()
}

fn state(pid: u64) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let (_, rest) = stat.rsplit_once(") ").unwrap_or_default();
    rest.chars().next().unwrap_or('X')
}

/// `duress heal`, of all runs of a bench and of its newest by name: it says whose run it leaves alone.
fn assert_left_alone(bench: &Bench, child: &Child) {
    let root = bench.spec().parent().expect("a folder").to_owned();
    let all = duress(["heal".as_ref(), "--out".as_ref(), root.as_os_str()]);
    let why = format!("left alone: its controller is alive, process {}", child.id());
    assert!(both(&all).contains(&why), "{}", both(&all));
    assert_eq!(all.status.code(), Some(0), "{}", both(&all));
    let named = duress(["heal".as_ref(), bench.latest().as_os_str()]);
    assert!(both(&named).contains(&why), "{}", both(&named));
    assert_eq!(named.status.code(), Some(3), "what was asked for was not done");
}

#[test]
fn a_partition_of_a_living_run_is_left_alone() {
    let bench = Bench::new(&spec(PARTITION));
    let mut child = start_until(&bench, 1, "\"verify\"");
    let node = journal(&bench, "open")[0]["nodes"][0]["place"]["pid"]
        .as_u64()
        .expect("a process");
    let before = rules(node);
    assert!(before.contains("DROP"), "{before}");
    assert_left_alone(&bench, &child);
    let chains = |saved: &str| saved.lines().filter(|line| line.starts_with(':')).count();
    assert_eq!(chains(&rules(node)), chains(&before), "the rules are in force");
    assert_eq!(child.wait().expect("an end").code(), Some(0));
    let verdict = bench.verdict();
    assert_eq!(verdict["overall"], "held", "{verdict}");
    assert_eq!(verdict["evidence"]["faults_healed"], 1, "{verdict}");
}

#[test]
fn a_pause_of_a_living_run_is_left_alone() {
    let bench = Bench::new(&spec("kind = \"pause\""));
    let mut child = start_until(&bench, 1, "\"verify\"");
    let held = journal(&bench, "held");
    let pid = held[0]["data"][0]["pid"].as_u64().expect("a process");
    assert_eq!(state(pid), 'T');
    assert_left_alone(&bench, &child);
    assert_eq!(state(pid), 'T');
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}

/// A process that is ended with the test.
struct Stranger(Child);

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A journal with the right boot, a living process, its start time and its network: all that anybody can know.
#[test]
fn a_forged_journal_wakes_nobody_and_removes_no_chain() {
    let stranger = Command::new("unshare")
        .args(["--net", "sleep", "1000"])
        .stdin(Stdio::null())
        .spawn()
        .expect("unshare, of util-linux");
    let stranger = Stranger(stranger);
    let pid = u64::from(stranger.0.id());
    let name = format!("/proc/{pid}/comm");
    wait_for("the stranger", Duration::from_secs(10), || {
        (std::fs::read_to_string(&name).ok()?.trim() == "sleep").then_some(())
    });
    let chain = "iptables -N DURESS; iptables -N DURESS-1; iptables -A DURESS -j DURESS-1; iptables -A INPUT -j DURESS";
    let made = Command::new("nsenter")
        .args(["--target", &pid.to_string(), "--net", "sh", "-ec", chain])
        .status()
        .expect("nsenter");
    assert!(made.success());
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(stranger.0.id().cast_signed()),
        nix::sys::signal::Signal::SIGSTOP,
    )
    .expect("SIGSTOP");
    wait_for("the stop", Duration::from_secs(10), || {
        (state(pid) == 'T').then_some(())
    });
    let before = rules(pid);
    assert!(before.contains("DURESS-1"), "{before}");

    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let started: u64 = (stat.rsplit_once(") ").expect("a name").1)
        .split(' ')
        .nth(19)
        .and_then(|ticks| ticks.parse().ok())
        .expect("a start time");
    let inode = |kind: &str| {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(format!("/proc/{pid}/ns/{kind}"))
            .expect("a namespace")
            .ino()
    };
    let node = json!({"place": {"name": "n1", "pid": pid, "keeper": false, "addresses": [], "data": null},
        "started": started, "net": inode("net"), "processes": inode("pid"), "stopped": []});
    let process = json!({"pid": pid, "started": started, "state": "T"});
    for format in [1, 2] {
        let bench = Bench::new("");
        let run = bench.spec().with_file_name("run");
        std::fs::create_dir(&run).expect("a folder");
        std::fs::write(run.join("spec.toml"), "").expect("a spec");
        let seal = "0".repeat(64);
        let lines = [
            json!({"op": "run", "format": format, "boot": boot.trim(), "agent": 1, "id": "0", "controller": "1/1/1/b",
                "directory": run, "mark": "00000000", "seal": seal}),
            json!({"op": "open", "fault": 1, "kind": "partition", "nodes": [node], "seal": seal}),
            json!({"op": "open", "fault": 2, "kind": "pause", "nodes": [node], "seal": seal}),
            json!({"op": "held", "fault": 2, "processes": [process], "seal": seal}),
        ];
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(run.join("nemesis-journal.jsonl"), text).expect("a journal");
        let healed = duress(["heal".as_ref(), run.as_os_str()]);
        let said = both(&healed);
        assert_eq!(state(pid), 'T', "{said}");
        assert_eq!(rules(pid), before, "{said}");
        assert!(said.contains("does not prove") && said.contains("1, 2"), "{said}");
        assert_eq!(healed.status.code(), Some(3), "{said}");
    }
}

/// A controller whose key can't be kept goes on, and says what that means.
#[test]
fn without_a_place_for_the_key_a_run_goes_on_and_says_so() {
    let bench = Bench::new(&spec(PARTITION).replace("5s", "500ms").replace("7s", "1500ms"));
    let mut command = bench.run_command(1);
    let output = command
        .env("DURESS_STATE", "/proc/no/such/folder")
        .output()
        .expect("the binary starts");
    let said = both(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("`duress heal` will not be able to clean up after this run"),
        "{said}"
    );
    let run = bench.latest();
    let healed = duress(["heal".as_ref(), run.as_os_str()]);
    assert_eq!(
        healed.status.code(),
        Some(0),
        "everything is closed: {}",
        both(&healed)
    );
}

/// Writes links to `target` at every name that `duress report` might use before it renames, for the processes to come.
fn plant_links(folder: &Path, file: &str, target: &Path) {
    let next = std::process::id();
    let next = next.saturating_sub(200)..next.saturating_add(4000);
    for process in next {
        for number in 0..2 {
            let name = format!(".{file}.{process}.{number}");
            std::os::unix::fs::symlink(target, folder.join(name)).expect("a link");
        }
    }
}

/// A run whose controller died under a fault: enough for a report with plots.
fn cut_off() -> Bench {
    let before = HostState::now();
    let bench = Bench::new(&spec(PARTITION));
    let mut child = start_until(&bench, 1, "\"verify\"");
    bench.look_at_namespaces();
    child.kill().expect("SIGKILL");
    child.wait().expect("a dead child");
    before.wait_until_back(&bench, Duration::from_secs(10));
    bench
}

#[test]
fn a_report_on_a_hostile_directory_writes_nothing_outside_of_it() {
    let bench = cut_off();
    let run = bench.latest();
    let outside = tempfile::tempdir().expect("a folder");
    let target = outside.path().join("precious");
    std::fs::write(&target, "precious").expect("a file");
    plant_links(&run, "verdict.json", &target);
    for name in ["verdict.json", "report.html", "junit.xml"] {
        std::os::unix::fs::symlink(&target, run.join(name)).expect("a link");
    }
    let report = || duress(["report".as_ref(), run.as_os_str()]);
    let said = report();
    assert_eq!(said.status.code(), Some(2), "{}", both(&said));
    assert_eq!(std::fs::read_to_string(&target).expect("a file"), "precious");
    assert!(!run.join("report.html").is_symlink() && run.join("report.html").is_file());

    std::fs::remove_dir_all(run.join("plots")).expect("plots");
    std::os::unix::fs::symlink(outside.path(), run.join("plots")).expect("a link");
    let said = report();
    assert!(
        both(&said).contains("plots is a symbolic link"),
        "{}",
        both(&said)
    );
    assert_eq!(said.status.code(), Some(3), "{}", both(&said));
    assert_eq!(std::fs::read_dir(outside.path()).expect("a folder").count(), 1);
}

#[test]
fn what_a_killed_report_left_is_gone_after_the_next() {
    let bench = cut_off();
    let run = bench.latest();
    for left in [
        ".report.html.4711.0",
        &format!(".report.html.{}", "0a".repeat(16)),
    ] {
        std::fs::write(run.join(left), "half a pa").expect("a file");
    }
    let said = duress(["report".as_ref(), run.as_os_str()]);
    assert_eq!(said.status.code(), Some(2), "{}", both(&said));
    let left = std::fs::read_dir(&run).expect("a folder").flatten();
    let left: Vec<_> = left
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert_eq!(left, [""; 0]);
}
