//! Processes that are stopped, and processes that are ended.

use std::collections::BTreeMap;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use duress_cluster::Place;
use duress_cluster::procfs::living;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::procfs::{self, stopped};
use super::protocol::{Ending, Held, Process, Processes};

/// How long to chase processes that fork faster than they can be signalled, or that sit in the kernel.
const CHASE_MAX: Duration = Duration::from_secs(2);
/// Between two looks at the process table.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Sends the signal if the process is still the one that is meant. False if it is gone.
pub fn signal(process: &Process, signal: Signal) -> io::Result<bool> {
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
        return Ok(false);
    };
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(rustix::io::Errno::SRCH) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    // The descriptor holds on to one process; only now can its start time be trusted to be that process'.
    if procfs::current(process).is_none() {
        return Ok(false);
    }
    match pidfd_send_signal(pidfd, signal) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(error) => Err(io::Error::other(format!(
            "signal process {}: {error}",
            process.pid
        ))),
    }
}

/// All that the agent stopped.
#[derive(Default)]
pub struct Stopped {
    faults: BTreeMap<u64, Vec<Held>>,
}

impl Stopped {
    /// Stops every process of the nodes, until none is left that runs. When it fails, some may be stopped: resume.
    pub fn pause(&mut self, fault: u64, places: &[Place]) -> io::Result<Vec<Held>> {
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
    pub fn resume(&mut self, fault: u64) -> io::Result<Vec<Processes>> {
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

    /// The faults that hold processes.
    pub fn faults(&self) -> Vec<u64> {
        self.faults.keys().copied().collect()
    }
}

fn same(one: &Process, other: &Process) -> bool {
    (one.pid, one.started) == (other.pid, other.started)
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

/// The living processes of nodes.
pub fn list(places: &[Place]) -> io::Result<Vec<Processes>> {
    places
        .iter()
        .map(|place| {
            let processes = match procfs::members(place) {
                // A container whose program ended has no namespaces left to look into. It may end at any moment, so it
                // is asked only now.
                Err(_) if living(place.pid).is_none() => Vec::new(),
                members => members?,
            };
            Ok(Processes {
                node: place.name.clone(),
                processes,
            })
        })
        .collect()
}

/// Ends the processes of nodes; with SIGKILL until none is left, otherwise asks each once.
pub fn end(ending: Ending, places: &[Place]) -> io::Result<Vec<Processes>> {
    let signal_number = match ending {
        Ending::Term => Signal::TERM,
        Ending::Kill => Signal::KILL,
    };
    let deadline = Instant::now() + CHASE_MAX;
    let mut ended: Vec<Processes> = list(places)?;
    let mut left = ended.clone();
    loop {
        for (node, now) in ended.iter_mut().zip(&left) {
            for process in &now.processes {
                signal(process, signal_number)?;
                if !node.processes.iter().any(|other| same(other, process)) {
                    node.processes.push(*process);
                }
            }
        }
        if ending == Ending::Term {
            return Ok(ended);
        }
        left = list(places)?;
        if left.iter().all(|node| node.processes.is_empty()) {
            return Ok(ended);
        }
        if Instant::now() > deadline {
            let names: Vec<&str> = left
                .iter()
                .filter(|node| !node.processes.is_empty())
                .map(|node| node.node.as_str())
                .collect();
            return Err(io::Error::other(format!(
                "processes of {} survive SIGKILL",
                names.join(", ")
            )));
        }
        thread::sleep(LOOK_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kill comes at every point of the look, some microseconds further each time.
    #[test]
    fn a_program_that_ends_while_it_is_looked_at_is_just_gone() {
        for round in 0..400 {
            let mut program = std::process::Command::new("sleep")
                .arg("1000")
                .spawn()
                .expect("sleep");
            let place = Place {
                name: "n1".to_owned(),
                pid: program.id(),
                keeper: false,
                addresses: vec![],
                data: None,
            };
            thread::scope(|scope| {
                scope.spawn(|| {
                    thread::sleep(Duration::from_micros(round));
                    program.kill().expect("a living program");
                    program.wait().expect("a dead program");
                });
                while !list(std::slice::from_ref(&place)).expect("a list")[0]
                    .processes
                    .is_empty()
                {}
            });
        }
    }
}
