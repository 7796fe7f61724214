//! Healing without memory: for `duress heal`, when the agent that did the breaking is dead.

use std::io;

use rustix::process::Signal;

use super::firewall::{Backend, within};
use super::network::open_netns;
use super::processes::signal;
use super::procfs;
use super::protocol::{Identity, Mark, Process};

/// Refuses what is the host's: a node that shares a namespace with the one who heals has none of its own there.
fn check_apart(node: &Identity, which: &str, inode: u64) -> io::Result<()> {
    if procfs::namespace(std::process::id(), which)? == inode {
        return Err(io::Error::other(format!(
            "{} is written down with this machine's own {which} namespace, where `duress heal` changes nothing",
            node.place.name
        )));
    }
    Ok(())
}

/// Removes every chain of a run from a node's network namespace. Returns the packets that they had dropped, `None` if
/// there were none of them.
pub fn remove_chains(node: &Identity, mark: &Mark) -> io::Result<Option<u64>> {
    check_apart(node, "net", node.net)?;
    let (inode, file) = open_netns(&node.place)?;
    if inode != node.net {
        return Ok(None);
    }
    within(&file, || Backend::find(mark.clone())?.remove(None))
}

/// Wakes the stopped processes of a node but for those that were stopped before the fault, and any of `known` that is
/// still in the node. Returns how many.
pub fn wake(node: &Identity, known: &[Process]) -> io::Result<usize> {
    check_apart(node, "pid", node.processes)?;
    let in_node = |pid: u32| procfs::namespace(pid, "pid").is_ok_and(|inode| inode == node.processes);
    if !in_node(node.place.pid) {
        return Ok(0);
    }
    let was_stopped = |process: &Process| {
        node.stopped
            .iter()
            .any(|other| (other.pid, other.started) == (process.pid, process.started))
    };
    let mut all = procfs::members(&node.place).unwrap_or_default();
    all.extend(known.iter().filter_map(procfs::current));
    all.sort_unstable();
    all.dedup_by_key(|process| (process.pid, process.started));
    let mut woken = 0;
    for process in all
        .iter()
        .filter(|process| procfs::stopped(process.state) && in_node(process.pid) && !was_stopped(process))
    {
        woken += usize::from(signal(process, Signal::CONT)?);
    }
    Ok(woken)
}
