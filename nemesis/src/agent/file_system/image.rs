//! Disks that are files: how one is made, copied, and mounted where nobody sees it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use duress_cluster::doctor::Found;
use nix::mount::{MntFlags, umount2};
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::agent::beside::beside;
use crate::agent::elsewhere::elsewhere;
use crate::layer::mounts::groups;

/// What a node may write in a run. It is a file with holes: only what is written takes room.
const DISK_BYTES: u64 = 2 << 30;

/// `nodes/n1/data.disk.0.ext4`.
fn numbered(directory: &Path, number: u64) -> PathBuf {
    beside(directory, &format!("disk.{number}.ext4"))
}

/// Where a disk of this directory is mounted for a moment.
pub fn mount_point(directory: &Path) -> PathBuf {
    beside(directory, "disk")
}

/// The first disk.
pub fn first(directory: &Path) -> PathBuf {
    numbered(directory, 0)
}

/// Whether a file is a disk of this directory; its number.
pub fn number(directory: &Path, file: &Path) -> Option<u64> {
    let name = file.file_name()?.to_str()?;
    let rest = name.strip_prefix(directory.file_name()?.to_str()?)?;
    rest.strip_prefix(".disk.")?.strip_suffix(".ext4")?.parse().ok()
}

/// All disks of this directory, the newest last.
pub fn all(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = directory.parent().unwrap_or(Path::new("/"));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        found.extend(number(directory, &path).map(|number| (number, path)));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Out of the control groups of a container, in which loop devices are forbidden.
const LEAVE: &str =
    r#"while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit; shift; done; shift; exec "$@""#;

/// Runs a program of the system to its end.
pub fn run(program: &str, options: &[&str], paths: &[&Path]) -> io::Result<()> {
    let words = options
        .iter()
        .map(OsStr::new)
        .chain(paths.iter().map(|path| path.as_os_str()));
    let mut command = Command::new(program);
    if elsewhere().is_some() {
        let groups = groups(Path::new("/proc/thread-self/mountinfo"))?;
        command = Command::new("sh");
        command
            .args(["-c", LEAVE, "sh"])
            .args(groups)
            .args(["--", program]);
    }
    let output = command.args(words).stdin(Stdio::null()).output();
    let output = output.map_err(|error| io::Error::new(error.kind(), format!("run {program}: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("{program}: {}: {said}", output.status)))
}

/// Makes a disk with an empty file system on it.
pub fn make(image: &Path) -> io::Result<()> {
    File::create_new(image)?.set_len(DISK_BYTES)?;
    let lazy = "lazy_itable_init=1,lazy_journal_init=1,nodiscard";
    run("mkfs.ext4", &["-q", "-F", "-m", "0", "-E", lazy], &[image])
}

/// Copies the newest disk of a directory to one that is newer still. Holes stay holes.
pub fn copy(directory: &Path) -> io::Result<PathBuf> {
    let newest = all(directory)?.pop();
    let newest = newest.ok_or_else(|| io::Error::other(format!("{} has no disk", directory.display())))?;
    let copy = numbered(directory, number(directory, &newest).unwrap_or(0) + 1);
    run("cp", &["--sparse=always", "--"], &[&newest, &copy])?;
    Ok(copy)
}

/// Mounts a disk on a loop device, which goes with the mount, and hides it. Returns its root: as long as that is open, or it is mounted
/// elsewhere, it is there. `first` is done while it can be reached by a path.
pub fn attach<T>(
    image: &Path,
    directory: &Path,
    first: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<(OwnedFd, T)> {
    let point = mount_point(directory);
    match fs::create_dir(&point) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let options = ["-n", "-t", "ext4", "-o", "loop,noatime", "--"];
    run("mount", &options, &[image, &point])?;
    let done = first(&point).and_then(|done| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok((openat(CWD, &point, flags, Mode::empty())?, done))
    });
    umount2(&point, MntFlags::MNT_DETACH)?;
    let _ = fs::remove_dir(&point);
    done
}

/// Makes a disk, mounts it, cuts it off, and takes it away.
pub fn probe_machine() -> Found {
    let failed = |error: io::Error| error.to_string();
    let folder = std::env::temp_dir().join(format!("duress-probe-{}", std::process::id()));
    fs::create_dir(&folder).map_err(failed)?;
    let tried = (|| {
        let directory = folder.join("data");
        let image = first(&directory);
        make(&image)?;
        attach(&image, &directory, super::touch).map(drop)
    })();
    let _ = fs::remove_dir_all(&folder);
    tried.map_err(failed)?;
    Ok("made an ext4 in a file, and mounted it on a loop device".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_told_by_their_names() {
        let directory = Path::new("/runs/n1/data");
        assert_eq!(first(directory), Path::new("/runs/n1/data.disk.0.ext4"));
        assert_eq!(number(directory, Path::new("/x/data.disk.12.ext4")), Some(12));
        for other in [
            "data.disk.ext4",
            "data.disk.x.ext4",
            "other.disk.0.ext4",
            "data.disk.0.ext4.bak",
        ] {
            assert_eq!(number(directory, Path::new(other)), None, "{other}");
        }
    }
}
