//! The time on processors that processes of a node, and its neighbours, used, by what each of them says: no group is asked.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use duress_cluster::Place;
use serde::{Deserialize, Serialize};

use crate::agent::procfs;
use crate::agent::vdso::skew::{Clock, now_ns};

/// The kernel tells it in hundredths of a second, whatever its own ticks are (`USER_HZ`).
const TICK_NS: u64 = 10_000_000;

/// What the processes of a node have used so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Usage {
    /// When it was looked at, on a monotonic clock.
    at_ns: u64,
    /// Of each process, by number and start time.
    used_ns: BTreeMap<String, u64>,
}

/// `None`: no process runs there.
pub fn of(place: &Place) -> io::Result<Option<Usage>> {
    if duress_cluster::procfs::living(place.pid).is_none() {
        return Ok(None);
    }
    let mut used_ns = BTreeMap::new();
    for process in procfs::members(place)? {
        if let Some(used) = self::used_ns(process.pid) {
            let name = format!("{}/{}", process.pid, process.started);
            used_ns.insert(name, used);
        }
    }
    if used_ns.is_empty() {
        return Ok(None);
    }
    let at_ns = now_ns(Clock::Monotonic.id())?.unsigned_abs();
    Ok(Some(Usage { at_ns, used_ns }))
}

/// What a process has used in user mode and in the kernel's, all threads together, those that have ended included.
pub fn used_ns(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut number = || fields.next()?.parse::<u64>().ok();
    Some((number()? + number()?) * TICK_NS)
}

impl Usage {
    /// What was used between two looks, and how long that was. A process that was not there at the first has used all of it since; what
    /// one used that is gone by the second is not known.
    pub fn since(&self, first: &Usage) -> (u64, u64) {
        let used = self.used_ns.iter().map(|(process, used)| {
            let before = first.used_ns.get(process).copied().unwrap_or_default();
            used.saturating_sub(before)
        });
        (used.sum(), self.at_ns.saturating_sub(first.at_ns))
    }

    /// By how much the sum may be too high: two ticks a process.
    pub fn error_ns(&self) -> u64 {
        self.used_ns.len() as u64 * 2 * TICK_NS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_began_since_counts_whole_and_one_that_ended_does_not() {
        let usage = |at_ns: u64, used: &[(&str, u64)]| Usage {
            at_ns,
            used_ns: used
                .iter()
                .map(|(name, used)| ((*name).to_owned(), *used))
                .collect(),
        };
        let first = usage(100, &[("1/5", 40), ("2/5", 7)]);
        let now = usage(300, &[("1/5", 50), ("3/9", 2)]);
        assert_eq!(now.since(&first), (12, 200));
    }
}
