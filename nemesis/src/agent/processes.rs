//! Processes of nodes: which there are, and signals to them.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use duress_cluster::Place;
use duress_cluster::procfs::living;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::procfs;
use super::protocol::{Ending, Process, Processes};

/// How long to chase processes that fork faster than they can be signalled, or that sit in the kernel.
pub const CHASE_MAX: Duration = Duration::from_secs(2);
/// Between two looks at the process table.
pub const LOOK_AGAIN: Duration = Duration::from_millis(2);

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

/// Whether it is one process, whatever state it is in.
pub fn same(one: &Process, other: &Process) -> bool {
    (one.machine, one.pid, one.started) == (other.machine, other.pid, other.started)
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
                group: None,
                machine: 0,
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
