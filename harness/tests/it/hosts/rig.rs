//! Hosts with a real sshd, made by `scripts/ssh-hosts`, and commands that are run among them.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::compose::both;
use crate::host::{DURESS, STATE};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/ssh-hosts");

/// Hosts that vanish when this is dropped.
pub struct Rig {
    script: Child,
    dir: tempfile::TempDir,
    /// A process among them.
    inside: String,
}

impl Rig {
    /// So many hosts, with so much room in home directories. `None`: it takes root and sshd, which are not here.
    pub fn new(count: usize, room: &str) -> Option<Rig> {
        Rig::with(count, "ROOM", room)
    }

    /// The same, where the clock of the last host is so much ahead.
    pub fn ahead(count: usize, ms: u32) -> Option<Rig> {
        Rig::with(count, "AHEAD_MS", &ms.to_string())
    }

    #[allow(clippy::print_stderr)] // what was not tested must be said
    fn with(count: usize, name: &str, value: &str) -> Option<Rig> {
        if !nix::unistd::geteuid().is_root() || !Path::new("/usr/sbin/sshd").exists() {
            assert!(
                std::env::var_os("CI").is_none(),
                "the tests of hosts need root and the Debian package openssh-server"
            );
            eprintln!("skipped: it needs root and the Debian package openssh-server");
            return None;
        }
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut script = Command::new(SCRIPT)
            .arg(count.to_string())
            .arg(dir.path())
            // Its number as seen from here is the last of the line.
            .args(["sh", "-c", "echo; exec sleep 100000"])
            .env(name, value)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the script starts");
        let mut line = String::new();
        let said = script.stdout.take().expect("its output");
        BufReader::new(said).read_line(&mut line).expect("a line");
        let children = format!("/proc/{0}/task/{0}/children", script.id());
        let inside = std::fs::read_to_string(children).expect("its child");
        let inside = inside.trim().to_owned();
        assert!(
            !line.is_empty() && !inside.is_empty(),
            "the hosts did not come up"
        );
        // What is brought to each host is as small as can be.
        let small = dir.path().join("duress");
        let stripped = Command::new("strip").arg("-o").arg(small).arg(DURESS).status();
        assert!(stripped.expect("strip, of binutils").success());
        Some(Rig { script, dir, inside })
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The directory of the newest run.
    pub fn latest(&self) -> std::path::PathBuf {
        self.dir().join("out/runs/latest").canonicalize().expect("a run")
    }

    /// `duress` among the hosts, not started yet.
    pub fn duress(&self, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.inside))
            .arg(self.dir().join("duress"))
            .args(args)
            .current_dir(self.dir())
            .stdin(Stdio::null())
            .env("DURESS_STATE", STATE)
            .env("HOME", self.dir())
            .env_remove("SSH_AUTH_SOCK");
        command
    }

    /// `duress run` of this spec, not started yet.
    pub fn run(&self, spec: &str) -> Command {
        std::fs::write(self.dir().join("spec.toml"), spec).expect("a spec");
        self.duress(&["run", "spec.toml", "--seed", "1", "--out", "out"])
    }

    /// What a shell says among the hosts, or on one of them (from 1).
    pub fn sh(&self, host: Option<usize>, script: &str) -> String {
        let mut command = Command::new("nsenter");
        let inside = match host {
            None => self.inside.clone(),
            Some(host) => self.host(host),
        };
        command.args(["--target", &inside, "--net", "--mount", "--pid", "--uts"]);
        let output = command.args(["sh", "-c", script]).output().expect("nsenter");
        both(&output)
    }

    /// A process of a host: its sshd.
    fn host(&self, host: usize) -> String {
        let config = format!("{}/sshd-{host}.conf", self.dir().display());
        let listens = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains(&config) && line.contains("sshd")
        };
        let pids = std::fs::read_dir("/proc").expect("/proc").flatten();
        let mut pids = pids.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
        pids.find(listens).expect("an sshd").to_string()
    }

    /// What Duress has on a host now: chains, processes, folders of runs.
    pub fn left(&self, host: usize) -> String {
        let script = "iptables-save | grep DURESS; ip6tables-save | grep DURESS; ps ax | grep -v grep | grep -E 'duress|specimen'; \
                      ls /root/.duress/runs 2>/dev/null | grep .";
        self.sh(Some(host), script)
    }

    /// Waits until a host has nothing of Duress' but its folder, which a controller that is dead can't remove.
    pub fn wait_until_healed(&self, host: usize, limit: Duration) -> Duration {
        let began = Instant::now();
        loop {
            let left = self.left(host);
            let left: Vec<&str> = left.lines().filter(|line| line.contains(' ')).collect();
            if left.is_empty() {
                return began.elapsed();
            }
            assert!(began.elapsed() < limit, "left on host {host}: {left:#?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

/// A spec of the specimen on so many hosts, with these lines about how to log in and these faults.
pub fn spec(hosts: usize, login: &str, faults: &str) -> String {
    let hosts: Vec<String> = (1..=hosts)
        .map(|host| format!("\"root@10.78.0.1{host}\""))
        .collect();
    format!(
        "name = \"hosts\"\n[cluster.ssh]\nsystem = \"specimen\"\nhosts = [{}]\n{login}\n[workload.register]\n[load.open]\nrate = 50\n\
         [time]\nwarm-up = \"1s\"\nfaults = \"20s\"\n[evidence]\nok = 100\nok-of-each = 5\n[faults]\nlength = \"1500ms..2500ms\"\n\
         pause = \"500ms..1s\"\n{faults}",
        hosts.join(", ")
    )
}

/// The key that the script made, and the hosts' own.
pub const LOGIN: &str = "identity = \"id\"\nknown-hosts = \"known_hosts\"";
