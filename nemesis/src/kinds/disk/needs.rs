//! What faults of disks need of a machine: that a file system of ours can be mounted there.

use std::io;
use std::os::fd::AsRawFd;

use duress_cluster::doctor::{Found, Requirement};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::fs::{CWD, Mode, OFlags, openat};

/// Of each of the kinds.
pub static NEEDS: [&Requirement; 1] = [&FUSE];

static FUSE: Requirement = Requirement {
    name: "FUSE",
    probe,
    fix: "load the kernel module fuse, and let Duress open /dev/fuse; in a container: docker run --device /dev/fuse --cap-add \
          SYS_ADMIN",
};

/// Mounts one over a folder, which nobody else sees, and takes it away again.
fn probe() -> Found {
    let failed = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let device = openat(CWD, "/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| failed("open /dev/fuse")(errno.into()))?;
    let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
    mount(
        Some("duress-doctor"),
        "/tmp",
        Some("fuse"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .map_err(|errno| failed("mount")(errno.into()))?;
    umount2("/tmp", MntFlags::MNT_DETACH).map_err(|errno| failed("unmount")(errno.into()))?;
    Ok("mounted a file system of its own, and took it away".to_owned())
}
