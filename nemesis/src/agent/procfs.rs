//! What `/proc` says of the processes of a node: which there are, and which of them are stopped.
//!
//! The processes of a node are all that live in the PID namespace of its place, but for the keeper. Where a node has
//! no PID namespace of its own (a host), they are the program and its descendants, or those in its control group, where it has one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use duress_cluster::Place;
use duress_cluster::procfs::{Stat, living};

use super::protocol::{Identity, Process};
use crate::layer::name::COMMAND;

/// The boot that process numbers and start times belong to.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// Inode of a namespace of a process; `which` as in `/proc/PID/ns`.
pub fn namespace(pid: u32, which: &str) -> io::Result<u64> {
    Ok(fs::metadata(format!("/proc/{pid}/ns/{which}"))?.ino())
}

/// What tells a place from a later one with the same process id.
pub fn identify(place: &Place) -> io::Result<Identity> {
    let started = living(place.pid)
        .ok_or(io::Error::from(io::ErrorKind::NotFound))?
        .started;
    Ok(Identity {
        place: place.clone(),
        started,
        net: namespace(place.pid, "net")?,
        processes: namespace(place.pid, "pid")?,
        stopped: members(place)?
            .into_iter()
            .filter(|process| stopped(process.state))
            .collect(),
    })
}

/// True for the state that SIGSTOP leads to.
pub fn stopped(state: char) -> bool {
    matches!(state, 'T' | 't')
}

/// The process as it is now, if it is still the same and alive.
pub fn current(process: &Process) -> Option<Process> {
    let stat = living(process.pid)?;
    (stat.started == process.started).then_some(Process {
        state: stat.state,
        ..*process
    })
}

/// Every living process of this machine, as far as it can be seen.
fn everyone() -> io::Result<BTreeMap<u32, Stat>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        if let Some(stat) = living(pid) {
            all.insert(pid, stat);
        }
    }
    Ok(all)
}

/// Every living process that can have inherited something from the node's: all of its PID namespace, be that the host's, and all
/// that descend from its place.
pub fn kin(place: &Place) -> io::Result<Vec<Process>> {
    let home = namespace(place.pid, "pid")?;
    let all = everyone()?;
    let kin = |pid: u32| match &place.group {
        Some(group) => is_in(pid, group),
        None => descends(&all, pid, place.pid) || namespace(pid, "pid").is_ok_and(|ns| ns == home),
    };
    Ok(all
        .iter()
        .filter(|(pid, _)| kin(**pid))
        .map(|(pid, stat)| Process {
            pid: *pid,
            started: stat.started,
            state: stat.state,
            entered: false,
            machine: place.machine,
        })
        .collect())
}

/// Every living process of the node but its keeper.
pub fn members(place: &Place) -> io::Result<Vec<Process>> {
    let home = namespace(place.pid, "pid")?;
    let all = everyone()?;
    let own = namespace(std::process::id(), "pid")?;
    let is_member = |pid: u32| match &place.group {
        Some(group) => is_in(pid, group),
        None if home == own => descends(&all, pid, place.pid),
        None => namespace(pid, "pid").is_ok_and(|ns| ns == home),
    };
    Ok(all
        .iter()
        .filter(|(pid, _)| !(place.keeper && **pid == place.pid) && is_member(**pid))
        .map(|(pid, stat)| Process {
            pid: *pid,
            started: stat.started,
            state: stat.state,
            // A control group does not say who started whom; all that is in it is the node's own.
            entered: place.group.is_none() && !descends(&all, *pid, place.pid),
            machine: place.machine,
        })
        .collect())
}

/// Whether a process is in this control group, or in one below it.
fn is_in(pid: u32, group: &str) -> bool {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    lies_in(&groups, group)
}

/// The same of what `/proc/PID/cgroup` says: a line for each hierarchy, its path after the second colon.
fn lies_in(groups: &str, group: &str) -> bool {
    let below = |path: &str| {
        let rest = path.strip_prefix(group);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mut paths = groups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    paths.any(below)
}

/// The inodes of the sockets that these processes have open. One that has ended has none.
pub fn sockets(processes: &[Process]) -> BTreeSet<u64> {
    let inode = |target: PathBuf| {
        let inside = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        inside.parse().ok()
    };
    let of_process = |process: &Process| {
        let open = fs::read_dir(format!("/proc/{}/fd", process.pid));
        let open = open.into_iter().flatten().flatten();
        open.filter_map(|entry| inode(fs::read_link(entry.path()).ok()?))
            .collect::<Vec<u64>>()
    };
    processes.iter().flat_map(of_process).collect()
}

fn descends(all: &BTreeMap<u32, Stat>, mut pid: u32, ancestor: u32) -> bool {
    // A process table read while it changes could hold a loop; no tree is deeper than it has members.
    for _ in 0..=all.len() {
        if pid == ancestor {
            return true;
        }
        match all.get(&pid) {
            Some(stat) => pid = stat.parent,
            None => return false,
        }
    }
    false
}

/// Processes that are the layer of this name, of this user.
pub fn layers(source: &str) -> io::Result<Vec<Process>> {
    let user = rustix::process::geteuid().as_raw();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(line) = fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        let mut words = line.split(|byte| *byte == 0).skip(1);
        let is_it = words.next() == Some(COMMAND.as_bytes()) && words.next() == Some(source.as_bytes());
        let ours = entry.metadata().is_ok_and(|found| found.uid() == user);
        if let Some(stat) = living(pid).filter(|_| is_it && ours) {
            found.push(Process {
                pid,
                started: stat.started,
                state: stat.state,
                entered: false,
                machine: 0,
            });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_group_has_those_below_it_and_none_beside_it() {
        let group = "/system.slice/db.service";
        assert!(lies_in("0::/system.slice/db.service\n", group));
        assert!(lies_in(
            "1:name=systemd:/system.slice/db.service/worker\n0::/\n",
            group
        ));
        for other in ["0::/system.slice/db.service2", "0::/system.slice", "0::/", ""] {
            assert!(!lies_in(other, group), "{other}");
        }
    }

    #[test]
    fn a_pid_of_another_start_time_is_another_process() {
        let pid = std::process::id();
        let started = living(pid).unwrap().started;
        assert!(
            current(&Process {
                pid,
                started,
                state: 'S',
                entered: false,
                machine: 0,
            })
            .is_some()
        );
        assert_eq!(
            current(&Process {
                pid,
                started: started + 1,
                state: 'S',
                entered: false,
                machine: 0,
            }),
            None
        );
    }

    #[test]
    fn sockets_that_are_open_are_found_and_no_longer_when_they_are_closed() {
        let process = Process {
            pid: std::process::id(),
            started: 0,
            state: 'R',
            entered: false,
            machine: 0,
        };
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let inode = rustix::fs::fstat(&socket).unwrap().st_ino;
        assert!(sockets(&[process]).contains(&inode));
        drop(socket);
        assert!(!sockets(&[process]).contains(&inode));
    }
}
