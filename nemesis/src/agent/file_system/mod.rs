//! A file system of its own under a data directory, that can be cut off from its disk: ext4 in a file of the run, on a loop device.
//!
//! ```text
//! nodes/n1/data               what the node sees: the folder `data` of the file system
//! nodes/n1/data.disk.0.ext4   the disk
//! ```
//!
//! All of it is done in the mount namespace where that directory is: see [`super::elsewhere`].
//!
//! A power failure is what the kernel itself makes of `FS_IOC_SHUTDOWN`: from then on nothing gets to the disk, neither what the page
//! cache holds nor what the journal has not written. When power is back, a copy of the disk as it was left is mounted in its place, and
//! the kernel replays the journal. It is a copy, because the old file system lives until the last namespace has let go of it, and what
//! it may still write back must meet nobody.

mod image;
mod place;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::libc;
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use serde::{Deserialize, Serialize};

pub use image::probe_machine;

/// Of `linux/fs.h` and `fs/ext4/ext4.h`: the file system takes no more calls; what is in the log is not written.
const FS_IOC_SHUTDOWN: libc::c_ulong = 0x8004_587d;
const NO_LOG_FLUSH: u32 = 2;

/// In the file system, beside each other: what the node sees, and what the node does not.
const DATA: &str = "data";
const PROBES: &str = "probes";

/// A disk that this agent has put under a data directory.
struct Disk {
    directory: PathBuf,
    /// Of the whole file system.
    root: OwnedFd,
}

static DISKS: Mutex<BTreeMap<String, Disk>> = Mutex::new(BTreeMap::new());

fn disks() -> MutexGuard<'static, BTreeMap<String, Disk>> {
    DISKS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn on<T>(node: &str, what: impl FnOnce(&Disk) -> io::Result<T>) -> io::Result<T> {
    let disks = disks();
    let disk = disks.get(node);
    let none = || io::Error::other("no file system was put under its data directory");
    what(disk.ok_or_else(none)?).map_err(|error| io::Error::other(format!("{node}: {error}")))
}

/// Puts a new file system under a data directory, with what was there in it.
pub fn put(node: &str, directory: &Path) -> io::Result<()> {
    let image = image::first(directory);
    image::make(&image)?;
    let (root, mount) = image::attach(&image, directory, |mounted| {
        let data = mounted.join(DATA);
        // With its owner, its mode and its files.
        image::run("cp", &["-a", "--"], &[directory, &data])?;
        place::copy_of_mount(&data)
    })?;
    mkdirat(&root, PROBES, Mode::RWXU)?;
    place::lay(&mount, directory)?;
    let directory = directory.to_owned();
    disks().insert(node.to_owned(), Disk { directory, root });
    Ok(())
}

/// Takes all of them away from where they were put, and removes their files. What nodes use they keep as long as they use it.
pub fn remove() -> io::Result<()> {
    let mut failed = Vec::new();
    disks().retain(|node, disk| match remove_at(&disk.directory) {
        Ok(_) => false,
        Err(error) => {
            failed.push(format!("{node}: {error}"));
            true
        }
    });
    match failed.is_empty() {
        true => Ok(()),
        false => Err(io::Error::other(failed.join("; "))),
    }
}

/// The same for one, from nothing but the place where it was put. Says what it did, if it did anything.
pub fn remove_at(directory: &Path) -> io::Result<Option<String>> {
    let mut done = Vec::new();
    while place::take_away(directory, directory)? {
        done.push("unmounted its file system".to_owned());
    }
    // Of one that was just about to be put there.
    while place::take_away(&image::mount_point(directory), directory)? {}
    for image in image::all(directory)? {
        match fs::remove_file(&image) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        done.push(format!("removed {}", image.display()));
    }
    let _ = fs::remove_dir(image::mount_point(directory));
    Ok((!done.is_empty()).then(|| done.join(", ")))
}

/// The directory of a node's disk. Fails where its process would go another way to it.
pub fn directory(node: &str, pid: u32) -> io::Result<PathBuf> {
    on(node, |disk| {
        let reached = place::uppermost_on_disk(&disk.directory)?;
        match reached
            .map(|source| place::has_mounted(pid, &source))
            .transpose()?
        {
            Some(true) => Ok(disk.directory.clone()),
            _ => Err(io::Error::other(
                "its data directory is not on the file system that was put under it",
            )),
        }
    })
}

fn probe_name(fault: u64, is_synced: bool) -> String {
    let kind = if is_synced { "synced" } else { "unsynced" };
    format!("{PROBES}/{fault}-{kind}")
}

/// What stands in a probe. Of some kilobytes, so that it is no part of an inode.
fn probe_text(fault: u64) -> Vec<u8> {
    format!("a probe of fault {fault}\n").repeat(200).into_bytes()
}

/// Writes a file that the node does not see, and syncs it, or not.
pub fn write_probe(node: &str, fault: u64, is_synced: bool) -> io::Result<()> {
    on(node, |disk| {
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC;
        let name = probe_name(fault, is_synced);
        let file = File::from(openat(&disk.root, &*name, flags, Mode::RUSR | Mode::WUSR)?);
        file.write_all_at(&probe_text(fault), 0)?;
        if is_synced {
            file.sync_all()?;
            File::from(openat(
                &disk.root,
                PROBES,
                OFlags::RDONLY | OFlags::CLOEXEC,
                Mode::empty(),
            )?)
            .sync_all()?;
        }
        Ok(())
    })
}

/// What is there of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// All that was written.
    Whole,
    /// Some of it, or other bytes.
    Part,
    /// A file with nothing in it.
    Empty,
    /// No file.
    Gone,
}

fn read_probe(root: &OwnedFd, fault: u64, is_synced: bool) -> io::Result<Probe> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = match openat(root, &*probe_name(fault, is_synced), flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => return Ok(Probe::Gone),
        file => File::from(file?),
    };
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut &file, &mut bytes)?;
    Ok(match bytes {
        bytes if bytes == probe_text(fault) => Probe::Whole,
        bytes if bytes.is_empty() => Probe::Empty,
        _ => Probe::Part,
    })
}

/// The probes of a fault, the synced one first.
pub type Probes = (Probe, Probe);

fn probes(root: &OwnedFd, fault: u64) -> io::Result<Probes> {
    Ok((read_probe(root, fault, true)?, read_probe(root, fault, false)?))
}

/// Those on the disk that the node has now.
pub fn probes_now(node: &str, fault: u64) -> io::Result<Probes> {
    on(node, |disk| probes(&disk.root, fault))
}

/// Those that are on the disk as the cut has left it: on a copy, which nobody else sees.
pub fn probes_left(node: &str, fault: u64) -> io::Result<Probes> {
    on(node, |disk| {
        let copy = image::copy(&disk.directory)?;
        let seen =
            image::attach(&copy, &disk.directory, |_| Ok(())).and_then(|(root, ())| probes(&root, fault));
        fs::remove_file(&copy)?;
        seen
    })
}

/// Cuts a disk off: nothing gets to it any more.
pub fn cut(node: &str) -> io::Result<()> {
    let how = NO_LOG_FLUSH;
    on(node, |disk| {
        // SAFETY: the call reads the four bytes that the pointer leads to, which live until it returns.
        let result = unsafe { libc::ioctl(disk.root.as_raw_fd(), FS_IOC_SHUTDOWN, &raw const how) };
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    })
}

/// Whether the disk takes nothing any more.
pub fn is_cut(node: &str) -> io::Result<bool> {
    on(node, |disk| place::is_cut(&disk.root))
}

/// Mounts what the cut has left of a disk, in this namespace and in that of the process, where there is a disk that was cut off. Says what
/// it did. Safe to repeat.
pub fn restore(node: &str, directory: &Path, pid: Option<u32>) -> io::Result<String> {
    if place::device(directory, directory)?.is_none() {
        return Ok("its file system is not there any more".to_owned());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if !place::is_cut(&openat(CWD, directory, flags, Mode::empty())?)? {
        return Ok("its disk works".to_owned());
    }
    let old = image::all(directory)?;
    let copy = image::copy(directory)?;
    let (root, (ours, other)) = image::attach(&copy, directory, |mounted| {
        let data = mounted.join(DATA);
        Ok((place::copy_of_mount(&data)?, place::copy_of_mount(&data)?))
    })?;
    place::replace(&ours, other, directory, pid)?;
    for image in old {
        fs::remove_file(image)?;
    }
    if let Some(disk) = disks().get_mut(node) {
        disk.root = root;
    }
    Ok("mounted its disk as the cut had left it".to_owned())
}

/// Lays what is the uppermost at a directory here over the same in the namespace of the process, where that is another one.
pub fn lay_uppermost(directory: &Path, pid: Option<u32>) -> io::Result<()> {
    place::lay_in(place::copy_of_mount(directory)?, directory, pid)
}

/// Removes the probes of a fault.
pub fn remove_probes(node: &str, fault: u64) -> io::Result<()> {
    on(node, |disk| {
        for is_synced in [true, false] {
            let flags = rustix::fs::AtFlags::empty();
            let _ = rustix::fs::unlinkat(&disk.root, &*probe_name(fault, is_synced), flags);
        }
        Ok(())
    })
}

/// Flushes what is asked for; only for a probe of the machine.
fn touch(folder: &Path) -> io::Result<()> {
    let mut file = File::create(folder.join("probe"))?;
    file.write_all(b"probe")
}
