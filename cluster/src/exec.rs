//! Runs a command in a node, as its own programs see the world: its network, mounts, processes and hostname.

use std::fs::File;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns, unshare};
use tokio::sync::oneshot;

use crate::{ClusterError, Place};

/// How often a running command is looked at.
const POLL: Duration = Duration::from_millis(5);
/// Of what a command writes, as much is kept.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024;
/// A command that writes more than that is ended: what it writes is in memory.
const WRITTEN_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How a command in a node ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Whether it exited with status 0.
    pub success: bool,
    /// E.g. `exit status: 1`.
    pub how: String,
    /// The beginning of what it wrote to its standard output and error.
    pub output: String,
}

/// Runs the command in the namespaces of the place and waits for its end; kills it after `limit`.
///
/// The caller needs power over these namespaces: it is root, or they were made in its user namespace.
pub async fn run_in(place: &Place, argv: &[String], limit: Duration) -> Result<Ended, ClusterError> {
    let (answer, ended) = oneshot::channel();
    let (pid, argv, what) = (
        place.pid,
        argv.to_vec(),
        format!("run {argv:?} on {}", place.name),
    );
    let failed = {
        let what = what.clone();
        move |source| ClusterError::Io { what, source }
    };
    // A thread of its own: it can't leave the namespaces that it enters.
    thread::Builder::new()
        .name("duress-exec".into())
        .spawn(move || drop(answer.send(enter(pid).and_then(|()| run(&argv, limit)))))
        .map_err(failed.clone())?;
    match ended.await {
        Ok(Ok(Some(ended))) => Ok(ended),
        Ok(Ok(None)) => Err(ClusterError::Timeout {
            what,
            limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
            detail: String::new(),
        }),
        Ok(Err(source)) => Err(failed(source)),
        Err(_) => Err(failed(std::io::Error::other("its thread ended"))),
    }
}

fn enter(pid: u32) -> std::io::Result<()> {
    let open = |kind: &str| File::open(format!("/proc/{pid}/ns/{kind}"));
    // All are opened first: with the node's mounts comes its /proc, where the number means something else.
    let namespaces = [open("net")?, open("uts")?, open("pid")?, open("mnt")?];
    // Threads share their working directory and root; one that doesn't may change its mounts.
    unshare(CloneFlags::CLONE_FS)?;
    for namespace in namespaces {
        setns(namespace, CloneFlags::empty())?;
    }
    Ok(())
}

/// `None` if it had to be killed.
fn run(argv: &[String], limit: Duration) -> std::io::Result<Option<Ended>> {
    let (program, arguments) = argv
        .split_first()
        .ok_or_else(|| std::io::Error::other("the command is empty"))?;
    // A file has room for whatever the command writes; a pipe that nobody reads would stop it.
    let mut output = unnamed_file()?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .spawn()?;
    let Some(status) = wait(&mut child, &output, Instant::now() + limit)? else {
        child.kill()?;
        child.wait()?;
        return Ok(None);
    };
    let mut bytes = Vec::new();
    std::io::Seek::rewind(&mut output)?;
    output.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes)?;
    let output = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Some(Ended {
        success: status.success(),
        how: status.to_string(),
        output,
    }))
}

fn unnamed_file() -> std::io::Result<File> {
    let file = nix::sys::memfd::memfd_create("duress-exec", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
    Ok(File::from(file))
}

fn wait(
    child: &mut Child,
    output: &File,
    deadline: Instant,
) -> std::io::Result<Option<std::process::ExitStatus>> {
    loop {
        let status = child.try_wait()?;
        if status.is_none() && output.metadata()?.len() > WRITTEN_BYTES_MAX {
            child.kill()?;
            child.wait()?;
            return Err(std::io::Error::other(format!(
                "it wrote more than {} MiB and was ended",
                WRITTEN_BYTES_MAX >> 20
            )));
        }
        if status.is_some() || Instant::now() >= deadline {
            return Ok(status);
        }
        thread::sleep(POLL);
    }
}
