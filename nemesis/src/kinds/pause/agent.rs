//! The agent's half of a pause: which processes are stopped, and on behalf of which faults.

use std::collections::BTreeMap;
use std::io;
use std::thread;
use std::time::Instant;

use duress_cluster::Place;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::apart::check_apart;
use crate::agent::part::{AgentPart, Healed, read, write};
use crate::agent::processes::{CHASE_MAX, LOOK_AGAIN, same, signal};
use crate::agent::procfs::{self, stopped};
use crate::agent::protocol::{Identity, Process, Processes};

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

/// All that pauses stopped.
#[derive(Default)]
pub struct Stopped {
    faults: BTreeMap<u64, Vec<Held>>,
}

impl Stopped {
    /// Stops every process of the nodes, until none is left that runs. When it fails, some may be stopped: resume.
    fn pause(&mut self, fault: u64, places: &[Place]) -> io::Result<Vec<Held>> {
        let held_before: Vec<Process> = self
            .faults
            .values()
            .flatten()
            .flat_map(|node| node.processes.iter().copied())
            .collect();
        for place in places {
            let mut held = Held {
                node: place.name.clone(),
                processes: Vec::new(),
                newly: 0,
            };
            let result = stop_all(place, &held_before, &mut held);
            // Remembered whatever came of it: what was stopped before the error must be woken.
            self.faults.entry(fault).or_default().push(held);
            result?;
        }
        Ok(self.faults.get(&fault).cloned().unwrap_or_default())
    }

    /// Lets the processes of a fault go on, but for those that another fault holds.
    fn resume(&mut self, fault: u64) -> io::Result<Vec<Processes>> {
        let Some(held) = self.faults.get(&fault) else {
            return Ok(Vec::new());
        };
        let held_by_others = |process: &Process| {
            self.faults
                .iter()
                .filter(|(other, _)| **other != fault)
                .any(|(_, nodes)| {
                    nodes
                        .iter()
                        .flat_map(|node| &node.processes)
                        .any(|other| same(other, process))
                })
        };
        let mut resumed = Vec::new();
        for node in held {
            let mut processes = Vec::new();
            for process in node.processes.iter().filter(|process| !held_by_others(process)) {
                if signal(process, Signal::CONT)? {
                    processes.push(*process);
                }
            }
            resumed.push(Processes {
                node: node.node.clone(),
                processes,
            });
        }
        self.faults.remove(&fault);
        Ok(resumed)
    }
}

impl AgentPart for Stopped {
    fn can(&mut self, _place: &Place) -> io::Result<()> {
        Ok(())
    }

    fn inject(&mut self, fault: u64, order: Value) -> io::Result<Value> {
        let places: Vec<Place> = read(order)?;
        write(&self.pause(fault, &places)?)
    }

    /// The processes that it holds, as they are now.
    fn look(&mut self, fault: u64) -> io::Result<Value> {
        let held = self.faults.get(&fault).into_iter().flatten();
        let now = held.map(|node| Processes {
            node: node.node.clone(),
            processes: node.processes.iter().filter_map(procfs::current).collect(),
        });
        write(&now.collect::<Vec<_>>())
    }

    fn heal(&mut self, fault: u64) -> io::Result<Healed> {
        let nodes = self.resume(fault)?;
        let count: usize = nodes.iter().map(|node| node.processes.len()).sum();
        Ok(Healed {
            said: format!("woke {count} processes of fault {fault}"),
            answer: write(&nodes)?,
        })
    }

    fn in_force(&self) -> Vec<u64> {
        self.faults.keys().copied().collect()
    }
}

/// Stops what runs and notes it in `held`, with what earlier pauses stopped there (`held_before`). Processes that were
/// stopped before, and not by a pause, stay as they are and are not noted, so that healing leaves them alone.
fn stop_all(place: &Place, held_before: &[Process], held: &mut Held) -> io::Result<()> {
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
