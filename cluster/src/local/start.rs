//! Starts a node's program in its sandbox.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::protocol::StartOrder;
use crate::limits;

/// Whether the process was killed, but can't be reaped yet: it may have many threads to end. A start that follows a kill
/// must not take it for running.
pub(super) fn is_dying(pid: Pid) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
        return true;
    };
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map_or("", str::trim)
    };
    let kill_pending = |name: &str| {
        let pending = u64::from_str_radix(field(name), 16).unwrap_or(0);
        pending & (1 << (Signal::SIGKILL as i32 - 1)) != 0
    };
    field("State:").starts_with(['Z', 'X']) || kill_pending("SigPnd:") || kill_pending("ShdPnd:")
}

pub(super) fn spawn(order: &StartOrder) -> io::Result<Pid> {
    let (program, arguments) = order
        .argv
        .split_first()
        .ok_or_else(|| io::Error::other("the program's command line is empty"))?;
    if let Some(soft) = order.open_files {
        // The init's own: it needs a dozen, and what it starts inherits it.
        limits::set_open_files(soft)?;
    }
    let log = OpenOptions::new().create(true).append(true).open(&order.log)?;
    let child = Command::new(program)
        .args(arguments)
        .envs(&order.env)
        .current_dir(&order.directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()?;
    Ok(Pid::from_raw(child.id().cast_signed()))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_process_that_ended_but_was_not_reaped_is_dying() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        assert!(!is_dying(pid));
        child.kill().unwrap();
        // From the kill to the end it either has the signal before it or is a zombie, but for a few instructions.
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_dying(pid) {
            assert!(Instant::now() < deadline);
        }
        child.wait().unwrap();
        assert!(is_dying(pid), "there is none any more");
    }
}
