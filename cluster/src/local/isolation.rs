//! Moves the controller into namespaces of its own, so that bridges and mounts made for a cluster are nobody else's and
//! vanish with it.
//!
//! As root: a network and a mount namespace. As an ordinary user: a user namespace around them, in which that user is
//! root. The move is per thread: threads and processes started afterwards inherit it, ones that exist don't. So the
//! program calls [`isolate`] first of all, before it starts a runtime.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};

use crate::{ClusterError, tools};

/// Proof that this thread, and those it starts, live in namespaces of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isolation {
    /// A user namespace was needed, because the caller isn't root or lacks its powers.
    pub user_namespace: bool,
    network: u64,
}

/// Moves the calling thread into new namespaces, with `lo` up and every mount private.
///
/// Where a user namespace is needed the process must have a single thread.
pub fn isolate() -> Result<Isolation, ClusterError> {
    let namespaces = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS;
    // Root in a container may lack CAP_SYS_ADMIN; then it is an ordinary user here.
    let as_root = if getuid().is_root() {
        unshare(namespaces)
    } else {
        Err(Errno::EPERM)
    };
    let user_namespace = match as_root {
        Ok(()) => false,
        Err(Errno::EPERM) => {
            become_root_of_own_namespace(namespaces)?;
            true
        }
        Err(errno) => return Err(refused(errno)),
    };
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .map_err(|errno| ClusterError::Io {
        what: "make mounts private".into(),
        source: errno.into(),
    })?;
    tools::ip_batch("link set lo up\n", false)?;
    Ok(Isolation {
        user_namespace,
        network: network_of_this_thread()?,
    })
}

impl Isolation {
    /// Refuses to go on where the calling thread doesn't live in the namespaces that this is the proof of: the bridge
    /// would be made in the host's network.
    pub(crate) fn check_this_thread(&self) -> Result<(), ClusterError> {
        if network_of_this_thread()? == self.network {
            return Ok(());
        }
        Err(ClusterError::Invalid {
            what: "work on a local cluster".into(),
            why: "this thread isn't in the isolated network namespace; isolate before starting threads"
                .into(),
        })
    }
}

fn become_root_of_own_namespace(namespaces: CloneFlags) -> Result<(), ClusterError> {
    let (user, group) = (getuid(), getgid());
    unshare(namespaces | CloneFlags::CLONE_NEWUSER).map_err(refused)?;
    // The kernel wants `setgroups` given up before an ordinary user may map a group.
    for (file, text) in [
        ("setgroups", "deny".into()),
        ("uid_map", format!("0 {user} 1")),
        ("gid_map", format!("0 {group} 1")),
    ] {
        let path = format!("/proc/self/{file}");
        fs::write(&path, text).map_err(|source| match source.raw_os_error() {
            Some(libc_errno) if libc_errno == Errno::EPERM as i32 || libc_errno == Errno::EACCES as i32 => {
                refused(Errno::EPERM)
            }
            _ => ClusterError::Io {
                what: format!("write {path}"),
                source,
            },
        })?;
    }
    Ok(())
}

fn network_of_this_thread() -> Result<u64, ClusterError> {
    let path = "/proc/thread-self/ns/net";
    fs::metadata(path)
        .map(|metadata| metadata.ino())
        .map_err(|source| ClusterError::Io {
            what: format!("look at {path}"),
            source,
        })
}

fn refused(errno: Errno) -> ClusterError {
    ClusterError::Unsupported {
        what: "create namespaces".into(),
        why: why_refused(errno),
    }
}

/// What stands in the way and what to do, in a sentence.
pub(crate) fn why_refused(errno: Errno) -> String {
    let setting = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let advice = if errno == Errno::EINVAL {
        "a user namespace can only be made before the program starts threads; isolate first, or run as root"
    } else if setting("/proc/sys/kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        "ordinary users may not: run as root, or `sysctl -w kernel.unprivileged_userns_clone=1`"
    } else if setting("/proc/sys/user/max_user_namespaces").as_deref() == Some("0") {
        "user namespaces are switched off: run as root, or `sysctl -w user.max_user_namespaces=10000`"
    } else if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
        "AppArmor keeps ordinary users from it: run as root, or \
         `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`"
    } else {
        "run as root; in a container, give it CAP_SYS_ADMIN and CAP_NET_ADMIN and a seccomp profile that allows unshare"
    };
    format!("the kernel says {:?}; {advice}", errno.desc())
}
