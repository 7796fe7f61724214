//! The agent's half of a pause: how processes are stopped, and woken.

use std::io;
use std::thread;
use std::time::Instant;

use duress_cluster::Place;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::part::{AgentPart, Injected, read, write};
use crate::agent::processes::{CHASE_MAX, LOOK_AGAIN, same, signal};
use crate::agent::procfs::{self, stopped};
use crate::agent::protocol::Process;
use crate::kinds::kind::InForceAt;

/// The processes that a pause holds at a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The node.
    pub node: String,
    /// All that stay stopped until this pause ends, those that an earlier pause had stopped included.
    pub processes: Vec<Process>,
    /// How many of them ran until this pause stopped them.
    pub newly: usize,
}

/// Stops processes. What it stopped, others remember.
pub struct Stopper;

impl AgentPart for Stopper {
    /// Stops every process of the nodes, until none is left that runs.
    fn inject(&mut self, _fault: u64, order: Value, kept: &[Value]) -> io::Result<Injected> {
        let kept = processes(kept)?;
        let places: Vec<Place> = read(order)?;
        let mut all = Vec::new();
        for place in places {
            let mut held = Held {
                node: place.name.clone(),
                processes: Vec::new(),
                newly: 0,
            };
            stop_all(&place, &kept, &mut held)?;
            all.push(held);
        }
        Ok(Injected {
            answer: write(&all)?,
            held: write(
                &(all
                    .into_iter()
                    .flat_map(|held| held.processes)
                    .collect::<Vec<_>>()),
            )?,
        })
    }
}

/// What pauses hold, each a list of processes.
fn processes(held: &[Value]) -> io::Result<Vec<Process>> {
    let lists = held.iter().map(|held| read::<Vec<Process>>(held.clone()));
    Ok(lists.collect::<io::Result<Vec<_>>>()?.concat())
}

/// Stops what runs and notes it in `held`, with what earlier pauses stopped there (`held_before`). Processes that were
/// stopped before, and not by a pause, stay as they are and are not noted, so that healing leaves them alone.
pub fn stop_all(place: &Place, held_before: &[Process], held: &mut Held) -> io::Result<()> {
    let deadline = Instant::now() + CHASE_MAX;
    let mut first_look = true;
    loop {
        let members = procfs::members(place)?;
        if first_look && members.is_empty() {
            return Err(io::Error::other(format!(
                "pause {}: no process runs there",
                place.name
            )));
        }
        if first_look {
            held.processes.extend(
                members
                    .iter()
                    .filter(|process| held_before.iter().any(|other| same(other, process))),
            );
        }
        first_look = false;
        let running: Vec<&Process> = members.iter().filter(|process| !stopped(process.state)).collect();
        if running.is_empty() {
            for process in held.processes.iter_mut() {
                *process = procfs::current(process).unwrap_or(*process);
            }
            return Ok(());
        }
        for process in &running {
            if !held.processes.iter().any(|other| same(other, process)) {
                // Noted first: a process that was signalled but isn't noted would never be woken.
                held.processes.push(**process);
                held.newly += 1;
            }
            signal(process, Signal::STOP)?;
        }
        if Instant::now() > deadline {
            return Err(io::Error::other(format!(
                "pause {}: {} of its processes still run after {CHASE_MAX:?}",
                place.name,
                running.len()
            )));
        }
        thread::sleep(LOOK_AGAIN);
    }
}

/// Wakes the processes of a node that a pause stopped, but for those that others hold. Where the pause was cut off before it
/// could say which it stopped, these are all that are stopped and were not before. Returns those that it woke.
pub fn wake(at: &InForceAt<'_>) -> io::Result<Vec<Process>> {
    let node = at.node;
    at.check_apart("pid", node.processes)?;
    let in_node = |pid: u32| procfs::namespace(pid, "pid").is_ok_and(|inode| inode == node.processes);
    if !in_node(node.place.pid) {
        return Ok(Vec::new());
    }
    let stopped_by_it = match at.held {
        Some(held) => {
            let held = processes(std::slice::from_ref(held))?;
            held.iter().filter_map(procfs::current).collect()
        }
        None => {
            let mut members = procfs::members(&node.place)?;
            members.retain(|process| !node.stopped.iter().any(|other| same(other, process)));
            members
        }
    };
    let kept = processes(at.healer.kept)?;
    let mut woken = Vec::new();
    for process in stopped_by_it {
        let kept = kept.iter().any(|other| same(other, &process));
        if stopped(process.state) && !kept && in_node(process.pid) && signal(&process, Signal::CONT)? {
            woken.push(process);
        }
    }
    Ok(woken)
}
