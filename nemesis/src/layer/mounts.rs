//! Puts a layer over a directory, and takes it away again.
//!
//! The server keeps a mount of its own of what lies below, in no namespace. It leaves every other mount: those of others would be
//! held by it, and its own would never end. So the kernel ends the layer by itself when nobody has it mounted any more, as when
//! the namespaces of all nodes are gone.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use rustix::fs::{CWD, Mode, OFlags, fstat, openat};
use rustix::mount::{OpenTreeFlags, open_tree};

/// What `/proc/mounts` begins the name of a layer with.
const SOURCE: &str = "duress-disk-";

/// The name of the layer of a node, by which its mount is told from all others.
pub fn source(mark: &str, node: &str) -> String {
    format!("{SOURCE}{mark}-{node}")
}

/// A layer that is mounted.
pub struct Mounted {
    /// The kernel's end of it.
    pub device: OwnedFd,
    /// What lies below.
    pub root: OwnedFd,
    /// `/proc/self/fd`.
    pub handles: OwnedFd,
    /// To take it away.
    pub place: Place,
}

/// Where a layer is mounted.
pub struct Place {
    source: String,
    directory: PathBuf,
    /// The mount namespace.
    namespace: File,
}

fn failed<E: Into<io::Error>>(what: &str) -> impl Fn(E) -> io::Error + '_ {
    move |error| {
        let error = error.into();
        io::Error::new(error.kind(), format!("{what}: {error}"))
    }
}

/// Mounts a layer over a directory, in the mount namespace of this thread, and then leaves that. The process must have a single
/// thread.
pub fn put(source: &str, directory: &Path) -> io::Result<Mounted> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handles =
        openat(CWD, "/proc/self/fd", folder, Mode::empty()).map_err(failed("open /proc/self/fd"))?;
    let namespace = File::open("/proc/self/ns/mnt").map_err(failed("open the mount namespace"))?;
    let tree = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let below = open_tree(CWD, directory, tree).map_err(failed("take hold of the data directory"))?;
    // What `open_tree` gives is good for naming only.
    let root = openat(&below, ".", folder, Mode::empty()).map_err(failed("open the data directory"))?;
    let device = openat(CWD, "/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(failed("open /dev/fuse"))?;
    let mode = fstat(&root)?.st_mode;
    let options = format!(
        "fd={},rootmode={mode:o},user_id=0,group_id=0,default_permissions,allow_other",
        device.as_fd().as_raw_fd()
    );
    mount(
        Some(source),
        directory,
        Some("fuse"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .map_err(failed("mount it"))?;
    let place = Place {
        source: source.to_owned(),
        directory: directory.to_owned(),
        namespace,
    };
    if let Err(error) = leave(directory) {
        let _ = place.take_away();
        return Err(error);
    }
    Ok(Mounted {
        device,
        root,
        handles,
        place,
    })
}

/// Into a mount namespace of our own, with as little in it as can be.
fn leave(directory: &Path) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(failed("leave the mount namespace"))?;
    // Before anything is unmounted here: it must stay mounted elsewhere.
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .map_err(failed("make mounts private"))?;
    umount2(directory, MntFlags::MNT_DETACH).map_err(failed("unmount the layer in its own namespace"))?;
    // Not everywhere: what an ordinary user's namespace has from root's is locked there.
    let _ = umount2("/", MntFlags::MNT_DETACH);
    Ok(())
}

impl Place {
    /// Unmounts it, if it is the uppermost there. Those who have it mounted elsewhere, or files in it open, keep it.
    pub fn take_away(&self) -> io::Result<()> {
        let namespace = self.namespace.try_clone()?;
        let (source, directory) = (self.source.clone(), self.directory.clone());
        // A thread, since namespaces are left by threads one by one.
        let taken = thread::spawn(move || {
            unshare(CloneFlags::CLONE_FS)?;
            setns(namespace, CloneFlags::CLONE_NEWNS)?;
            take_away_here(&source, &directory).map(drop)
        });
        let taken = taken.join();
        taken.unwrap_or_else(|_| Err(io::Error::other("the thread that unmounts panicked")))
    }
}

/// Unmounts the layer of this name in the mount namespace of this thread, where it is the uppermost at its directory. True if it was.
pub fn take_away_here(source: &str, directory: &Path) -> io::Result<bool> {
    if uppermost(Path::new("/proc/thread-self/mountinfo"), directory)?.as_deref() != Some(source) {
        return Ok(false);
    }
    umount2(directory, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
        .map_err(failed("unmount the layer"))?;
    Ok(true)
}

/// The source of what is mounted there, the uppermost, by a `mountinfo`.
pub fn uppermost(mountinfo: &Path, directory: &Path) -> io::Result<Option<String>> {
    Ok(sources(mountinfo, directory)?.pop())
}

/// The sources of all that is mounted there, the uppermost last.
pub fn sources(mountinfo: &Path, directory: &Path) -> io::Result<Vec<String>> {
    let wanted = directory.to_string_lossy();
    let text = fs::read_to_string(mountinfo)?;
    let there = text.lines().filter_map(parse).filter(|(at, _)| *at == wanted);
    Ok(there.map(|(_, source)| source).collect())
}

/// Whether this is the source of a layer of ours.
pub fn is_layer(source: &str) -> bool {
    source.starts_with(SOURCE)
}

/// Whether the namespace of a process has it mounted, wherever.
pub fn is_mounted_in(mountinfo: &Path, source: &str) -> io::Result<bool> {
    let text = fs::read_to_string(mountinfo)?;
    Ok(text
        .lines()
        .filter_map(parse)
        .any(|(_, mounted)| mounted == source))
}

/// Where the roots of control groups are mounted.
pub fn groups(mountinfo: &Path) -> io::Result<Vec<PathBuf>> {
    let text = fs::read_to_string(mountinfo)?;
    let kind = |line: &&str| {
        let kind = line
            .split_once(" - ")
            .and_then(|(_, last)| last.split(' ').next());
        matches!(kind, Some("cgroup" | "cgroup2"))
    };
    let mut all: Vec<PathBuf> = text
        .lines()
        .filter(kind)
        .filter_map(parse)
        .map(|(at, _)| at.into())
        .collect();
    all.dedup();
    Ok(all)
}

/// Where, and what, from a line of `mountinfo`: `36 35 98:0 /root /mnt rw - ext4 /dev/root rw`.
fn parse(line: &str) -> Option<(String, String)> {
    let (first, last) = line.split_once(" - ")?;
    let at = first.split(' ').nth(4)?;
    let source = last.split(' ').nth(1)?;
    Some((unescape(at), unescape(source)))
}

/// Spaces, tabs, newlines and backslashes are octal there.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &after[3..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uppermost_mount_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mountinfo");
        let text = "36 35 8:0 / /a\\040b rw shared:1 - ext4 /dev/a rw\n37 36 0:9 / /a\\040b rw - fuse duress-disk-x-n1 rw\n\
                    38 35 8:0 / /c rw - ext4 /dev/c rw\n";
        fs::write(&file, text).unwrap();
        let seen = |at: &str| uppermost(&file, Path::new(at)).unwrap();
        assert_eq!(seen("/a b").as_deref(), Some("duress-disk-x-n1"));
        assert_eq!(seen("/c").as_deref(), Some("/dev/c"));
        assert_eq!(seen("/a"), None);
        assert!(is_mounted_in(&file, "duress-disk-x-n1").unwrap());
    }
}
