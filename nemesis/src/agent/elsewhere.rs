//! Where data directories are, for an agent in a helper container: in the mount namespace of its parent, the engine's shim.

use std::fs::File;
use std::io;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use super::procfs::namespace;

/// The process in whose mount namespace data directories are: our parent, where that has another one than we do.
pub fn elsewhere() -> Option<u32> {
    let parent = parent_id();
    let (theirs, ours) = (
        namespace(parent, "mnt").ok()?,
        namespace(std::process::id(), "mnt").ok()?,
    );
    (theirs != ours).then_some(parent)
}

/// A path there, as reached from here.
pub fn from_here(path: &Path) -> PathBuf {
    match elsewhere() {
        Some(process) => {
            let below = path.strip_prefix("/").unwrap_or(path);
            Path::new("/proc")
                .join(process.to_string())
                .join("root")
                .join(below)
        }
        None => path.to_owned(),
    }
}

/// Does something there: paths, mounts and programs are those of that namespace.
pub fn there<T: Send>(what: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    match elsewhere() {
        Some(process) => in_namespace_of(process, what),
        None => what(),
    }
}

/// Does something in the mount namespace of a process, by a thread: namespaces are left by threads one by one.
pub fn in_namespace_of<T: Send>(process: u32, what: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let namespace = File::open(format!("/proc/{process}/ns/mnt"))?;
    thread::scope(|scope| {
        let worker = scope.spawn(move || {
            unshare(CloneFlags::CLONE_FS)?;
            setns(namespace, CloneFlags::CLONE_NEWNS)?;
            what()
        });
        let panicked = |_| Err(io::Error::other("the thread in another mount namespace panicked"));
        worker.join().unwrap_or_else(panicked)
    })
}
