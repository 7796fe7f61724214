//! Runs the binary, and looks at what it leaves on the host.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The binary under test.
pub const DURESS: &str = env!("CARGO_BIN_EXE_duress");

/// Where the tests' runs keep their key, and nothing of this machine's user.
pub const STATE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/state");

/// Runs `duress` with these arguments to its end.
pub fn duress<I: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = I>) -> Output {
    Command::new(DURESS)
        .args(args)
        .stdin(Stdio::null())
        .env("DURESS_STATE", STATE)
        .output()
        .expect("the binary starts")
}

/// In the environment of every process of a bench, by which they are found.
const MARK: &str = "DURESS_TEST_BENCH";

/// A folder with a spec in it, and room for its runs.
pub struct Bench {
    dir: tempfile::TempDir,
    /// Those that its processes were seen in and this process is not. They are held open: the number of one that is gone
    /// is soon another one's, of whatever else goes on on this machine.
    namespaces: RefCell<BTreeMap<String, File>>,
}

impl Bench {
    /// With this spec.
    pub fn new(spec: &str) -> Bench {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join("spec.toml"), spec).expect("a spec");
        Bench {
            dir,
            namespaces: RefCell::default(),
        }
    }

    pub fn spec(&self) -> PathBuf {
        self.dir.path().join("spec.toml")
    }

    /// Another command of `duress` that deploys something, not started yet.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(DURESS);
        command.args([name, "--out"]).arg(self.dir.path());
        command
            .stdin(Stdio::null())
            .env(MARK, self.dir.path())
            .env("DURESS_STATE", STATE);
        command
    }

    /// `duress run` on the spec, not started yet.
    pub fn run_command(&self, seed: u64) -> Command {
        let mut command = Command::new(DURESS);
        command
            .arg("run")
            .arg(self.spec())
            .args(["--seed", &seed.to_string(), "--out"])
            .arg(self.dir.path());
        command
            .stdin(Stdio::null())
            .env(MARK, self.dir.path())
            .env("DURESS_STATE", STATE);
        command
    }

    /// Processes that descend from a run on this bench and are not dead.
    pub fn processes(&self) -> Vec<u32> {
        let mark = format!("{MARK}={}", self.dir.path().display());
        let marked = |pid: &u32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == mark.as_bytes())
        };
        pids().filter(marked).collect()
    }

    /// Mounts that are not below the bench of another test, which may be at work beside this one.
    fn mounts_of<'a>(&self, host: &'a HostState) -> Vec<&'a str> {
        let (any, own) = ("/.tmp", self.dir.path().display().to_string());
        let mounts = host.mounts.iter().map(String::as_str);
        mounts
            .filter(|mount| !mount.contains(any) || mount.contains(&own))
            .collect()
    }

    /// Those of them that run this command of `duress`, e.g. `specimen` for the programs of nodes.
    pub fn processes_of(&self, command: &str) -> Vec<u32> {
        let runs = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(command.as_bytes())
        };
        self.processes().into_iter().filter(runs).collect()
    }

    /// Remembers which namespaces the bench's processes are in, and says how many processes there are.
    pub fn look_at_namespaces(&self) -> usize {
        let processes = self.processes();
        let own: BTreeSet<String> = namespaces_of(std::process::id()).collect();
        let open = |path: PathBuf| {
            let file = File::open(path).ok()?;
            let name = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
            Some((name.display().to_string(), file))
        };
        let seen = (processes.iter().flat_map(|pid| namespace_files(*pid)))
            .filter_map(open)
            .filter(|(name, _)| !own.contains(name));
        self.namespaces.borrow_mut().extend(seen);
        processes.len()
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

    /// Process of the newest run's agent, as its journal has it.
    pub fn agent(&self) -> nix::unistd::Pid {
        let journal =
            std::fs::read_to_string(self.latest().join("nemesis-journal.jsonl")).expect("a journal");
        let first: Value = serde_json::from_str(journal.lines().next().expect("a line")).expect("JSON");
        let pid = first["agent"].as_i64().and_then(|pid| i32::try_from(pid).ok());
        nix::unistd::Pid::from_raw(pid.expect("a process"))
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

/// Names of what an engine of containers, at work beside the tests, adds and removes; and tests of faults without a run, and of hosts.
const FOREIGN: [&str; 7] = [
    "docker",
    "DOCKER",
    "containerd",
    "br-",
    "veth",
    "duress-lab-",
    "duress-test-h",
];

/// What exists on the host that a run could leave behind. Taken before a run starts.
#[derive(Debug)]
pub struct HostState {
    mounts: Vec<String>,
    links: Vec<String>,
    rules: Vec<String>,
    cgroups: BTreeSet<PathBuf>,
}

impl HostState {
    pub fn now() -> HostState {
        let mut cgroups = BTreeSet::new();
        for controller in std::fs::read_dir("/sys/fs/cgroup")
            .into_iter()
            .flatten()
            .flatten()
        {
            for group in std::fs::read_dir(controller.path())
                .into_iter()
                .flatten()
                .flatten()
            {
                let foreign = FOREIGN
                    .iter()
                    .any(|name| group.file_name().to_string_lossy().contains(name));
                if group.path().is_dir() && !foreign {
                    cgroups.insert(group.path());
                }
            }
        }
        HostState {
            mounts: own_lines(&std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo")),
            links: said("ip", &["-brief", "link"]),
            rules: [said("iptables-save", &[]), said("ip6tables-save", &[])].concat(),
            cgroups,
        }
    }

    /// Waits until the host is as it was and no process of `bench` is left, nor any namespace that one was in.
    pub fn wait_until_back(&self, bench: &Bench, limit: Duration) {
        let seen: BTreeSet<String> = bench.namespaces.borrow().keys().cloned().collect();
        let deadline = Instant::now() + limit;
        loop {
            let (alive, held) = (bench.processes(), namespaces_in_use());
            let held: Vec<&String> = seen.intersection(&held).collect();
            let now = HostState::now();
            let same = bench.mounts_of(&now) == bench.mounts_of(self)
                && now.links == self.links
                && now.rules == self.rules;
            let cgroups: Vec<&PathBuf> = now.cgroups.difference(&self.cgroups).collect();
            if alive.is_empty() && held.is_empty() && same && cgroups.is_empty() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "left behind: processes {alive:?}, namespaces {held:?}, cgroups {cgroups:?}; before {self:?}, now {now:?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Every namespace that some process is in.
fn namespaces_in_use() -> BTreeSet<String> {
    pids().flat_map(namespaces_of).collect()
}

fn namespaces_of(pid: u32) -> impl Iterator<Item = String> {
    namespace_files(pid)
        .filter_map(|path| std::fs::read_link(path).ok())
        .map(|link| link.display().to_string())
}

fn namespace_files(pid: u32) -> impl Iterator<Item = PathBuf> {
    let kinds = ["net", "mnt", "pid", "uts", "user"].iter();
    kinds.map(move |kind| format!("/proc/{pid}/ns/{kind}").into())
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
}

/// What a program prints, without what is foreign.
fn said(program: &str, args: &[&str]) -> Vec<String> {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program} is needed to look at the host: {error}"));
    own_lines(&String::from_utf8_lossy(&output.stdout))
}

/// Lines that are neither foreign, nor comments with a time, nor counters.
fn own_lines(text: &str) -> Vec<String> {
    let own = |line: &&str| !line.starts_with(['#', ':']) && !FOREIGN.iter().any(|name| line.contains(name));
    text.lines().filter(own).map(str::to_owned).collect()
}
