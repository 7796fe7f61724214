//! Healing without memory: for `duress heal`, when the agent that did the breaking is dead.

use std::io;

use duress_cluster::Place;
use rustix::process::Signal;

use super::firewall::{Backend, within};
use super::network::open_netns;
use super::processes::signal;
use super::procfs;
use super::protocol::Process;

/// Removes every chain of Duress from a node's network namespace. Returns the packets that they had dropped, `None` if
/// there were none of them.
pub fn remove_chains(place: &Place, netns: u64) -> io::Result<Option<u64>> {
    let (inode, file) = open_netns(place)?;
    if inode != netns {
        return Ok(None);
    }
    within(&file, || Backend::find()?.remove(None))
}

/// Wakes the stopped processes of a node but for those that were stopped before the fault, and any of `known` that
/// moved elsewhere. Returns how many.
pub fn wake(place: &Place, known: &[Process], stopped_before: &[Process]) -> io::Result<usize> {
    let was_stopped = |process: &Process| {
        stopped_before
            .iter()
            .any(|other| (other.pid, other.started) == (process.pid, process.started))
    };
    let mut all = procfs::members(place).unwrap_or_default();
    all.extend(known.iter().filter_map(procfs::current));
    all.sort_unstable();
    all.dedup_by_key(|process| (process.pid, process.started));
    let mut woken = 0;
    for process in all
        .iter()
        .filter(|process| procfs::stopped(process.state) && !was_stopped(process))
    {
        woken += usize::from(signal(process, Signal::CONT)?);
    }
    Ok(woken)
}
