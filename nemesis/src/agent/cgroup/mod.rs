//! Control groups: where they are on this machine, which one a process is in, and what stands in their files.
//!
//! Version 1 has a hierarchy for each controller, version 2 one for all of them; a machine may have both:
//!
//! ```text
//! /sys/fs/cgroup/memory/docker/4f1a…/memory.limit_in_bytes     4:memory:/docker/4f1a…    in /proc/PID/cgroup
//! /sys/fs/cgroup/docker/4f1a…/memory.max                       0::/docker/4f1a…
//! ```
//!
//! An agent in a helper container sees only its own group, and that read-only: the whole is where the process that started it is,
//! the engine's shim (see [`super::outside`]).

pub(crate) mod hold;

use std::fs;
use std::io::{self, Write};
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};

/// Which version of control groups has a controller here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A hierarchy for each.
    One,
    /// One for all.
    Two,
}

impl Version {
    /// As people call it.
    pub fn number(self) -> u8 {
        match self {
            Version::One => 1,
            Version::Two => 2,
        }
    }
}

/// The hierarchy that has a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Which files there are.
    pub version: Version,
    controller: String,
    root: PathBuf,
}

/// One group, whether it exists or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    folder: PathBuf,
}

impl Hierarchy {
    /// The one that has this controller, e.g. `memory`.
    pub fn of(controller: &str) -> io::Result<Hierarchy> {
        let parent = parent_id();
        let views = [
            (PathBuf::from("/proc/self/mountinfo"), PathBuf::new()),
            (
                PathBuf::from(format!("/proc/{parent}/mountinfo")),
                PathBuf::from(format!("/proc/{parent}/root")),
            ),
        ];
        for (mounts, root) in views {
            let Ok(mounts) = fs::read_to_string(mounts) else {
                continue;
            };
            let has = |folder: &Path| {
                let controllers = fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
                controllers
                    .split_ascii_whitespace()
                    .any(|name| name == controller)
            };
            if let Some((version, folder)) = find(&mounts, &root, controller, has) {
                return Ok(Hierarchy {
                    version,
                    controller: controller.to_owned(),
                    root: folder,
                });
            }
        }
        Err(io::Error::other(format!(
            "no hierarchy of control groups has the controller {controller}, whole and writable"
        )))
    }

    /// Which group a process is in, as a path in the hierarchy: `/docker/4f1a…`.
    pub fn group_of(&self, pid: u32) -> io::Result<String> {
        let path = format!("/proc/{pid}/cgroup");
        let text = fs::read_to_string(&path)?;
        let group = group_in(&text, self.version, &self.controller);
        group.ok_or_else(|| {
            io::Error::other(format!(
                "{path} tells no group of the controller {}",
                self.controller
            ))
        })
    }

    /// The group with this path.
    pub fn group(&self, path: &str) -> Group {
        Group {
            folder: self.root.join(path.trim_start_matches('/')),
        }
    }
}

/// Finds the hierarchy among mounts. `root` leads to where their paths begin, `has` says whether a hierarchy of version 2 has it.
fn find(
    mounts: &str,
    root: &Path,
    controller: &str,
    has: impl Fn(&Path) -> bool,
) -> Option<(Version, PathBuf)> {
    mounts.lines().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mount: Vec<&str> = mount.split(' ').collect();
        let [kind, _, options] = filesystem.splitn(3, ' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        let is_whole = *mount.get(3)? == "/" && mount.get(5)?.split(',').any(|option| option == "rw");
        let folder = root.join(
            mount
                .get(4)?
                .trim_start_matches(|letter| letter == '/' && !root.as_os_str().is_empty()),
        );
        match kind {
            "cgroup" if is_whole && options.split(',').any(|option| option == controller) => {
                Some((Version::One, folder))
            }
            "cgroup2" if is_whole && has(&folder) => Some((Version::Two, folder)),
            _ => None,
        }
    })
}

/// The group that `/proc/PID/cgroup` tells.
fn group_in(text: &str, version: Version, controller: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let fits = match version {
            Version::One => controllers.split(',').any(|name| name == controller),
            Version::Two => controllers.is_empty(),
        };
        fits.then(|| path.to_owned())
    })
}

impl Group {
    /// The errors name the file.
    fn at<T>(&self, what: &str, file: &str, result: io::Result<T>) -> io::Result<T> {
        let named = |error: io::Error| {
            let path = self.folder.join(file);
            io::Error::new(error.kind(), format!("{what} {}: {error}", path.display()))
        };
        result.map_err(named)
    }

    pub fn exists(&self) -> bool {
        self.folder.is_dir()
    }

    /// What stands in one of its files.
    pub fn read(&self, file: &str) -> io::Result<String> {
        self.at("read", file, fs::read_to_string(self.folder.join(file)))
    }

    /// A number in a file that has a line for each: `nr_throttled 12`.
    pub fn number(&self, file: &str, name: &str) -> io::Result<u64> {
        let text = self.read(file)?;
        let number = text.lines().find_map(|line| {
            let (key, number) = line.split_once(' ')?;
            (key == name).then(|| number.trim().parse().ok())?
        });
        number.ok_or_else(|| io::Error::other(format!("no {name} in {}", self.folder.join(file).display())))
    }

    /// Writes into one of its files, in one write.
    pub fn write(&self, file: &str, text: &str) -> io::Result<()> {
        let path = self.folder.join(file);
        let written = fs::OpenOptions::new().write(true).open(path);
        let written = written.and_then(|mut file| file.write_all(text.as_bytes()));
        self.at(&format!("write {:?} to", text.trim_end()), file, written)
    }

    /// Fails where processes can't be moved into it, or groups made in it.
    pub fn check_writable(&self) -> io::Result<()> {
        let file = "cgroup.procs";
        let opened = fs::OpenOptions::new().write(true).open(self.folder.join(file));
        self.at("open", file, opened.map(drop))
    }

    /// Makes it, if it is not there.
    pub fn make(&self) -> io::Result<()> {
        match fs::create_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => self.at("make", "", made),
        }
    }

    /// The processes in it.
    pub fn processes(&self) -> io::Result<Vec<u32>> {
        let text = self.read("cgroup.procs")?;
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Moves a process into it, with all its threads. False if it is gone.
    pub fn take_in(&self, pid: u32) -> io::Result<bool> {
        match self.write("cgroup.procs", &pid.to_string()) {
            Ok(()) => Ok(true),
            Err(_) if duress_cluster::procfs::living(pid).is_none() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes it. It has to be empty.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => self.at("remove", "", removed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
        35 31 0:32 /docker/4f /sys/fs/cgroup/memory ro,relatime - cgroup cgroup rw,memory\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn the_hierarchy_of_a_controller_is_found_among_mounts() {
        let found = |root: &str, controller: &str, has: bool| {
            find(BOTH, Path::new(root), controller, |_| has)
                .map(|(version, folder)| (version, folder.display().to_string()))
        };
        let one = (Version::One, "/sys/fs/cgroup/cpu,cpuacct".to_owned());
        assert_eq!(found("", "cpu", true), Some(one));
        let elsewhere = (Version::One, "/proc/7/root/sys/fs/cgroup/cpu,cpuacct".to_owned());
        assert_eq!(found("/proc/7/root", "cpuacct", false), Some(elsewhere));
        // A part of it, and that read-only, as containers see it.
        assert_eq!(found("", "memory", false), None);
        let two = (Version::Two, "/sys/fs/cgroup/unified".to_owned());
        assert_eq!(found("", "memory", true), Some(two));
    }

    #[test]
    fn the_group_of_a_process_is_that_of_the_controller() {
        let text = "4:memory:/docker/4f\n1:cpu,cpuacct:/a:b\n0::/user.slice\n";
        assert_eq!(group_in(text, Version::One, "cpuacct").as_deref(), Some("/a:b"));
        assert_eq!(group_in(text, Version::One, "blkio"), None);
        assert_eq!(
            group_in(text, Version::Two, "memory").as_deref(),
            Some("/user.slice")
        );
    }
}
