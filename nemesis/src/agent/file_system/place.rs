//! Where disks are mounted: over a data directory, in our mount namespace and in those of sandboxes.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use super::image;
use crate::agent::elsewhere::in_namespace_of;
use crate::agent::procfs::namespace;
use crate::layer::mounts::{is_layer, is_mounted_in, sources, uppermost};

const OURS: &str = "/proc/thread-self/mountinfo";

/// The loop device that is mounted at a place, the uppermost there, in the namespace of this thread, if it is a disk of this directory.
pub fn device(at: &Path, directory: &Path) -> io::Result<Option<String>> {
    Ok(uppermost(Path::new(OURS), at)?.filter(|source| is_disk_of(source, directory)))
}

/// Whether this is a loop device of a disk of this directory.
fn is_disk_of(source: &str, directory: &Path) -> bool {
    let name = source
        .strip_prefix("/dev/")
        .filter(|name| name.starts_with("loop"));
    let Some(name) = name else { return false };
    let file = fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")).unwrap_or_default();
    let file = file.trim_end();
    let file = PathBuf::from(file.strip_suffix(" (deleted)").unwrap_or(file));
    file.parent() == directory.parent() && image::number(directory, &file).is_some()
}

/// Whether a process has it mounted, wherever.
pub fn has_mounted(pid: u32, device: &str) -> io::Result<bool> {
    is_mounted_in(Path::new(&format!("/proc/{pid}/mountinfo")), device)
}

/// What a process must have mounted to reach a disk of this directory: the disk, or the layer on it. `None`: it is not there, or
/// something else lies on it.
pub fn uppermost_on_disk(directory: &Path) -> io::Result<Option<String>> {
    let mut sources = sources(Path::new(OURS), directory)?;
    let reached = sources.last().cloned();
    while sources.pop_if(|source| is_layer(source)).is_some() {}
    let is_disk = sources.last().is_some_and(|source| is_disk_of(source, directory));
    Ok(reached.filter(|_| is_disk))
}

/// Whether the file system of this folder takes nothing any more.
pub fn is_cut(folder: &OwnedFd) -> io::Result<bool> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    match openat(folder, ".", flags, Mode::RUSR) {
        Ok(_) => Ok(false),
        Err(Errno::IO | Errno::ROFS) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// A mount of this folder that is nowhere yet.
pub fn copy_of_mount(folder: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    Ok(open_tree(CWD, folder, flags)?)
}

/// Mounts it over a directory, in the namespace of this thread.
pub fn lay(mount: &OwnedFd, directory: &Path) -> io::Result<()> {
    move_mount(mount, "", CWD, directory, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    Ok(())
}

/// Unmounts a disk of a directory from a place, in the namespace of this thread. False: there is none.
pub fn take_away(at: &Path, directory: &Path) -> io::Result<bool> {
    if device(at, directory)?.is_none() {
        return Ok(false);
    }
    match unmount(at) {
        // An agent that ends did it first.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput && device(at, directory)?.is_none() => {
            Ok(false)
        }
        unmounted => unmounted.map(|()| true),
    }
}

fn unmount(at: &Path) -> io::Result<()> {
    Ok(umount2(at, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)?)
}

/// Mounts these two over a directory in the place of a disk of ours, the first in our namespace, the second in that of a process.
pub fn replace(ours: &OwnedFd, other: OwnedFd, directory: &Path, pid: Option<u32>) -> io::Result<()> {
    // The sandbox first: as long as ours is cut off, this can be repeated.
    lay_in(other, directory, pid)?;
    while take_away(directory, directory)? {}
    lay(ours, directory)
}

/// Mounts it over a directory in the namespace of a process, if that is another one than that of this thread. A disk of ours that it covers
/// goes, and so does the layer on that.
pub fn lay_in(mount: OwnedFd, directory: &Path, pid: Option<u32>) -> io::Result<()> {
    let own = fs::metadata("/proc/thread-self/ns/mnt")?.ino();
    let Some(pid) = pid.filter(|pid| namespace(*pid, "mnt").is_ok_and(|theirs| theirs != own)) else {
        return Ok(());
    };
    // Asked from here: a sandbox does not see us in its /proc. Under a new layer is the disk that it is on.
    let old = sources(Path::new(&format!("/proc/{pid}/mountinfo")), directory)?;
    let is_layer_itself = is_layer(&uppermost(Path::new(OURS), directory)?.unwrap_or_default());
    let ours = |source: &&String| !is_layer_itself && (is_layer(source) || is_disk_of(source, directory));
    let covered = old.iter().rev().take_while(ours).count();
    in_namespace_of(pid, || {
        for _ in 0..covered {
            unmount(directory)?;
        }
        lay(&mount, directory)
    })
}
