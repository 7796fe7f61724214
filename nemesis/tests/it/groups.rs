//! Control groups and the time of processes, as the system itself shows them: nothing of the agent's.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::lab::{Lab, wait_until};

/// The folder of the group that a process is in.
pub fn group_of(pid: u32, controller: &str) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("a process");
    let path = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let folder = match controllers.split(',').any(|name| name == controller) {
            true => format!("/sys/fs/cgroup/{controllers}{path}"),
            false if controllers.is_empty() => format!("/sys/fs/cgroup{path}"),
            false => return None,
        };
        Some(PathBuf::from(folder))
    };
    text.lines().find_map(path).expect("a group")
}

/// Whether a process is in a group that Duress made.
pub fn is_held(pid: u32, controller: &str) -> bool {
    group_of(pid, controller)
        .display()
        .to_string()
        .contains("/duress-")
}

/// A program in the namespaces of a node, ended with this.
pub struct Guest(pub Child);

impl Guest {
    pub fn start(lab: &Lab, node: usize, program: &[&str]) -> Guest {
        let pid = lab.place(node).pid.to_string();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "nsenter", "-t", &pid, "-n", "-p"])
            .args(["setpriv", "--pdeathsig", "KILL"])
            .args(program)
            .stdin(Stdio::null())
            .spawn()
            .expect("nsenter, of util-linux");
        Guest(child)
    }

    /// Uses a processor as far as it gets one.
    pub fn busy(lab: &Lab, node: usize) -> (Guest, u32) {
        let before = lab.pids(node);
        let guest = Guest::start(lab, node, &["bash", "-c", "while :; do :; done"]);
        let is_busy = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            !before.contains(pid) && line.starts_with(b"bash\0-c\0while :; do :")
        };
        let pid = wait_until("a busy process", || lab.pids(node).into_iter().find(is_busy));
        (guest, pid)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn used(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let (_, rest) = stat.rsplit_once(')').expect("a name");
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// The share of one processor that a process gets in the next second.
pub fn share(pid: u32) -> f64 {
    let (before, began) = (used(pid), Instant::now());
    std::thread::sleep(Duration::from_secs(1));
    (used(pid) - before).as_secs_f64() / began.elapsed().as_secs_f64()
}
