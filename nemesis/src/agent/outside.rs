//! What the agent needs and does not have where it runs, in a helper container: the engine's own programs and network.
//!
//! The container's image holds nothing but this program, and its network namespace nothing but a loopback. But whatever
//! machine runs containers has an iptables, since the engine itself needs it, and the gateways of the nodes' networks,
//! which clients' requests come from. Both are in the namespaces of the process that started us, the engine's shim: seen
//! from in here because the container shares the PID namespace of the host. It is the shim's rather than those of process
//! 1 because an engine may itself live in a container or a snap, and its iptables there with it.
//!
//! An agent that is a child of the controller shares all this with its parent and finds nothing outside.

use std::fs::File;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, parent_id};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sched::{CloneFlags, setns};

/// The mount namespace to look for a program in: `None` where it is here, or nowhere else that it could be.
pub fn mounts_with(program: &str) -> io::Result<Option<File>> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(program).exists()) {
        return Ok(None);
    }
    of_parent("mnt").map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("{program} is not here; look for it on the engine's machine: {error}"),
        )
    })
}

/// Makes the command's program be looked for, and run, in that mount namespace. Its other namespaces stay those of the
/// thread that starts it.
pub fn enter_mounts(command: &mut Command, mounts: &File) {
    let mounts = mounts.try_clone();
    // The image's libraries are not there.
    command.env_remove("LD_LIBRARY_PATH");
    // SAFETY: between fork and exec only setns(2) is called, which is async-signal-safe, on a descriptor that the
    // closure owns. The child is a process of its own, so that the agent stays where it is.
    unsafe {
        command.pre_exec(move || match &mounts {
            Ok(mounts) => setns(mounts, CloneFlags::CLONE_NEWNS).map_err(io::Error::from),
            Err(error) => Err(error.kind().into()),
        });
    }
}

/// Where a path of the engine's machine is from here.
pub fn path(path: &Path) -> PathBuf {
    let outside = Path::new("/proc").join(parent_id().to_string()).join("root");
    let outside = outside.join(path.strip_prefix("/").unwrap_or(path));
    if !path.exists() && outside.exists() {
        return outside;
    }
    path.to_owned()
}

/// The network namespace that has one of these addresses: `None` where it is the agent's own, or none is known.
pub fn network_with(addresses: &[IpAddr]) -> io::Result<Option<File>> {
    let here = addresses
        .iter()
        .any(|address| UdpSocket::bind((*address, 0)).is_ok());
    if here { Ok(None) } else { of_parent("net") }
}

/// A namespace of our parent, if it is another than ours.
fn of_parent(which: &str) -> io::Result<Option<File>> {
    let path = format!("/proc/{}/ns/{which}", parent_id());
    let named = |error: io::Error| io::Error::new(error.kind(), format!("open {path}: {error}"));
    let theirs = File::open(Path::new(&path)).map_err(named)?;
    let ours = std::fs::metadata(format!("/proc/self/ns/{which}"))?;
    Ok((theirs.metadata()?.ino() != ours.ino()).then_some(theirs))
}
