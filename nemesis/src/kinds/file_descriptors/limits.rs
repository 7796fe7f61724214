//! How many descriptors a process may have, and which numbers are in use.

use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde::{Deserialize, Serialize};

use crate::agent::procfs;
use crate::agent::protocol::Process;

/// Of a process. `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// What holds.
    pub soft: Option<u64>,
    /// Up to where the process itself may raise that.
    pub hard: Option<u64>,
}

/// For a person.
pub fn shown(limit: Option<u64>) -> String {
    limit.map_or("any number of".to_owned(), |limit| limit.to_string())
}

/// Whether one limit is lower.
pub fn less(one: Option<u64>, other: Option<u64>) -> bool {
    one.unwrap_or(u64::MAX) < other.unwrap_or(u64::MAX)
}

/// Calls prlimit(2) on the very process that is meant; `None` if it is gone. It has the number all through: nothing else gets it before its
/// parent has asked how it ended.
fn call(process: &Process, new: impl Fn(Limits) -> Option<Limits>) -> io::Result<Option<Limits>> {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
        return Ok(None);
    };
    if procfs::current(process).is_none() {
        return Ok(None);
    }
    let text = match fs::read_to_string(format!("/proc/{}/limits", process.pid)) {
        Ok(text) => text,
        Err(_) if procfs::current(process).is_none() => return Ok(None),
        Err(error) => return Err(error),
    };
    // The kernel tells nothing of one that is about to end.
    if text.is_empty() {
        return Ok(None);
    }
    let Some(now) = parse(&text) else {
        return Err(io::Error::other(format!(
            "process {}: its limits make no sense",
            process.pid
        )));
    };
    let Some(new) = new(now) else { return Ok(Some(now)) };
    let limit = Rlimit {
        current: new.soft,
        maximum: new.hard,
    };
    match prlimit(Some(pid), Resource::Nofile, limit) {
        Ok(_) => Ok(Some(now)),
        Err(Errno::SRCH) => Ok(None),
        Err(error) => Err(io::Error::other(format!(
            "set the limit of process {}: {error}",
            process.pid
        ))),
    }
}

fn parse(text: &str) -> Option<Limits> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let mut fields = line.split_ascii_whitespace();
    let mut limit = || match fields.next()? {
        "unlimited" => Some(None),
        number => Some(Some(number.parse().ok()?)),
    };
    Some(Limits {
        soft: limit()?,
        hard: limit()?,
    })
}

/// As the kernel says in `/proc`. `None`: it is gone.
pub fn of(process: &Process) -> io::Result<Option<Limits>> {
    call(process, |_| None)
}

/// Lets a process have no more than this; false if it is gone. With `hard` it can't raise that by itself.
pub fn lower(process: &Process, limit: u64, hard: bool) -> io::Result<bool> {
    let new = |now: Limits| {
        Some(Limits {
            soft: Some(limit),
            hard: if hard { Some(limit) } else { now.hard },
        })
    };
    Ok(call(process, new)?.is_some())
}

/// Gives a process its limits back, where it has less. False: there was nothing to do.
pub fn restore(process: &Process, was: Limits, hard: bool) -> io::Result<bool> {
    let new = |now: Limits| {
        let lower = less(now.soft, was.soft) || less(now.hard, was.hard);
        lower.then_some(Limits {
            // Somebody else may have lowered what only a machine's root can raise.
            soft: if !hard && less(now.hard, was.soft) {
                now.hard
            } else {
                was.soft
            },
            hard: if hard { was.hard } else { now.hard },
        })
    };
    let before = call(process, new)?;
    Ok(before.is_some_and(|before| new(before).is_some()))
}

/// The numbers that are in use, in order.
pub fn used(pid: u32) -> io::Result<Vec<u64>> {
    let mut used = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        used.extend(
            entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<u64>().ok()),
        );
    }
    used.sort_unstable();
    Ok(used)
}

/// The lowest number that is free after so many other free ones.
pub fn nth_free(used: &[u64], nth: u64) -> u64 {
    // What lies below the used number at this place and is free.
    let mut candidate = nth;
    for (taken, number) in used.iter().enumerate() {
        if *number > nth + taken as u64 {
            break;
        }
        candidate = nth + taken as u64 + 1;
    }
    candidate
}

/// Whether a hard limit that was lowered can be raised again: by root of the machine, and not of a user namespace.
pub fn can_raise_hard() -> bool {
    const CAP_SYS_RESOURCE: u32 = 24;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let capabilities = capabilities
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let is_whole = map.split_ascii_whitespace().eq(["0", "0", "4294967295"]);
    is_whole && capabilities >> CAP_SYS_RESOURCE & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_free_numbers_are_counted_from_below() {
        assert_eq!(nth_free(&[], 0), 0);
        assert_eq!(nth_free(&[0, 1, 2], 0), 3);
        assert_eq!(nth_free(&[0, 1, 2, 5], 0), 3);
        assert_eq!(nth_free(&[0, 1, 2, 5], 1), 4);
        assert_eq!(nth_free(&[0, 1, 2, 5], 2), 6);
        assert_eq!(nth_free(&[0, 1, 2, 3, 9], 2), 6);
        assert_eq!(nth_free(&[7], 0), 0);
    }

    #[test]
    fn limits_are_read_as_the_kernel_writes_them() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max open files            1024                 unlimited            files     \n";
        let limits = Limits {
            soft: Some(1024),
            hard: None,
        };
        assert_eq!(parse(text), Some(limits));
        assert!(less(Some(5), None) && !less(None, Some(5)));
    }
}
