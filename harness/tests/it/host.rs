//! Runs the binary, and looks at what it leaves on the host.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The binary under test.
pub const DURESS: &str = env!("CARGO_BIN_EXE_duress");

/// Runs `duress` with these arguments to its end.
pub fn duress<I: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = I>) -> Output {
    Command::new(DURESS)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts")
}

/// A folder with a spec in it, and room for its runs.
pub struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    /// With this spec.
    pub fn new(spec: &str) -> Bench {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join("spec.toml"), spec).expect("a spec");
        Bench { dir }
    }

    pub fn spec(&self) -> PathBuf {
        self.dir.path().join("spec.toml")
    }

    /// `duress run` on the spec, not started yet.
    pub fn run_command(&self, seed: u64) -> Command {
        let mut command = Command::new(DURESS);
        command
            .arg("run")
            .arg(self.spec())
            .args(["--seed", &seed.to_string(), "--out"])
            .arg(self.dir.path());
        command.stdin(Stdio::null());
        command
    }

    /// `duress run` on the spec to its end; panics with all that was said unless the exit code is as expected.
    pub fn run(&self, seed: u64, code: i32) -> Value {
        let output = self.run_command(seed).output().expect("the binary starts");
        let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(output.status.code(), Some(code), "{said}");
        self.verdict()
    }

    /// Directory of the newest run.
    pub fn latest(&self) -> PathBuf {
        self.dir.path().join("runs/latest").canonicalize().expect("a run")
    }

    pub fn verdict(&self) -> Value {
        let path = self.latest().join("verdict.json");
        serde_json::from_slice(&std::fs::read(&path).expect("a verdict")).expect("JSON")
    }

    pub fn history(&self) -> String {
        std::fs::read_to_string(self.latest().join("history.jsonl")).unwrap_or_default()
    }
}

/// Waits until `what` is there.
pub fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "after {limit:?} still no {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Starts a run and waits until its history holds `needle`.
pub fn start_until(bench: &Bench, seed: u64, needle: &str) -> Child {
    let mut child = bench
        .run_command(seed)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let runs = bench.spec().with_file_name("runs");
    wait_for(needle, Duration::from_secs(60), || {
        if let Some(status) = child.try_wait().expect("a child") {
            panic!("the run ended with {status} before {needle}");
        }
        (runs.join("latest").exists() && bench.history().contains(needle)).then_some(())
    });
    child
}

/// What exists on the host that a run could leave behind.
#[derive(Debug, PartialEq, Eq)]
pub struct HostState {
    namespaces: BTreeSet<String>,
    processes: BTreeSet<String>,
    mounts: String,
    links: String,
    rules: String,
    cgroups: BTreeSet<PathBuf>,
}

impl HostState {
    pub fn now() -> HostState {
        let mut namespaces = BTreeSet::new();
        let mut processes = BTreeSet::new();
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
                continue;
            };
            for kind in ["net", "mnt", "pid", "uts", "user"] {
                if let Ok(link) = std::fs::read_link(format!("/proc/{pid}/ns/{kind}")) {
                    namespaces.insert(link.display().to_string());
                }
            }
            if std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == Path::new(DURESS)) {
                processes.insert(format!("{pid}"));
            }
        }
        let cgroup = Path::new("/sys/fs/cgroup");
        let mut cgroups = BTreeSet::new();
        for controller in std::fs::read_dir(cgroup).into_iter().flatten().flatten() {
            for group in std::fs::read_dir(controller.path())
                .into_iter()
                .flatten()
                .flatten()
            {
                if group.path().is_dir() {
                    cgroups.insert(group.path());
                }
            }
        }
        HostState {
            namespaces,
            processes,
            mounts: std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo"),
            links: said("ip", &["-brief", "link"]),
            rules: said("iptables-save", &[]) + &said("ip6tables-save", &[]),
            cgroups,
        }
    }

    /// Waits until the host is as it was, or says what differs.
    pub fn wait_until_back(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        loop {
            let now = HostState::now();
            let left: Vec<&String> = now.namespaces.difference(&self.namespaces).collect();
            let alive: Vec<&String> = now.processes.difference(&self.processes).collect();
            let same = (&now.mounts, &now.links, &now.rules) == (&self.mounts, &self.links, &self.rules);
            let cgroups: Vec<&PathBuf> = now.cgroups.difference(&self.cgroups).collect();
            if left.is_empty() && alive.is_empty() && same && cgroups.is_empty() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "left behind: namespaces {left:?}, processes {alive:?}, cgroups {cgroups:?}, mounts, links and rules \
                 unchanged: {same}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What a program prints, without the lines that hold a time or a counter.
fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program} is needed to look at the host: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.starts_with(':'))
        .collect::<Vec<_>>()
        .join("\n")
}
