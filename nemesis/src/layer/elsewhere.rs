//! Out of a helper container: to where the nodes' data directories are, and where the end of the container is not the end of all.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use nix::sched::{CloneFlags, setns};

use super::mounts::groups;

/// Moves this process, which has a single thread, into the mount namespace of that one, and out of all control groups: an engine
/// that ends a container ends all that are in its groups.
pub fn leave_for(process: &OsStr) -> io::Result<()> {
    let path = Path::new("/proc").join(process).join("ns/mnt");
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let namespace = File::open(&path).map_err(named)?;
    setns(namespace, CloneFlags::CLONE_NEWNS).map_err(|errno| named(errno.into()))?;
    let own = std::process::id().to_string();
    for group in groups(Path::new("/proc/self/mountinfo"))? {
        let list = group.join("cgroup.procs");
        fs::write(&list, &own).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!(
                    "leave the control group of a container by {}: {error}",
                    list.display()
                ),
            )
        })?;
    }
    Ok(())
}
