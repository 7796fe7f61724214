//! The agent: the process that does the breaking, on the machine where nodes live.
//!
//! It runs as `duress agent`, takes commands as JSON lines on stdin, answers on stdout (see [`protocol`]), and remembers
//! what is in force. **End of input means: heal everything, then exit**; so does SIGTERM. Signals from a terminal are for
//! the controller, which ends in order and closes the agent's input; the agent ignores them.
//!
//! It knows nodes as [`duress_cluster::Place`]s, so the same code serves a sandbox, a container and a host. What to
//! break, when, and whether it bit is not its business: see [`crate::fault`].

mod firewall;
mod network;
mod outside;
mod probe;
pub(crate) mod processes;
pub(crate) mod procfs;
pub mod protocol;
mod rules;

mod client;

pub use client::{AgentClient, AgentEnd, AgentError};
pub(crate) use healing::{remove_chains, wake};

mod healing;

use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::Instant;

use nix::sys::signal::{SigSet, Signal};
use serde_json::{Value, json};

use network::Network;
use processes::Stopped;
use protocol::{Command, Hello, Outcome, PROTOCOL_VERSION, Reply, Request, Took};

/// Everything that is in force, and the way to change it.
#[derive(Default)]
struct Agent {
    network: Mutex<Network>,
    stopped: Mutex<Stopped>,
    /// Held for reading by each command; taken for writing, and set, before everything is healed for good.
    closed: RwLock<bool>,
}

/// Runs the agent until its input ends.
pub fn main() -> ExitCode {
    let agent = Arc::new(Agent::default());
    // Blocked before any thread exists, so that all inherit it and only the one below ever sees these signals.
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        signals.add(signal);
    }
    if signals.thread_block().is_err() {
        return ExitCode::FAILURE;
    }
    let for_signals = Arc::clone(&agent);
    thread::spawn(move || {
        loop {
            if let Ok(Signal::SIGTERM) = signals.wait() {
                std::process::exit(i32::from(!for_signals.close()));
            }
        }
    });
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str::<Request>(&line) {
            Ok(request) => {
                let agent = Arc::clone(&agent);
                thread::spawn(move || {
                    if let Some(outcome) = agent.answer(request.command) {
                        say(&Reply {
                            id: request.id,
                            outcome,
                        });
                    }
                });
            }
            Err(error) => {
                let id = serde_json::from_str::<Value>(&line)
                    .ok()
                    .and_then(|value| value["id"].as_u64());
                say(&Reply {
                    id: id.unwrap_or(0),
                    outcome: Outcome::Error(format!("read a command: {error}")),
                });
            }
        }
    }
    if agent.close() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Writes one line. Nobody reading any more is no reason to stop: healing goes on.
fn say(reply: &Reply) {
    if let Ok(mut line) = serde_json::to_vec(reply) {
        line.push(b'\n');
        let mut out = io::stdout().lock();
        let _ = out.write_all(&line).and_then(|()| out.flush());
    }
}

/// A panic of another command must not keep this one from healing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Agent {
    /// `None` once the agent is closed: nothing may be broken any more.
    fn answer(&self, command: Command) -> Option<Outcome> {
        let closed = self.closed.read().unwrap_or_else(PoisonError::into_inner);
        if *closed {
            return None;
        }
        Some(match self.run(command) {
            Ok(value) => Outcome::Ok(value),
            Err(error) => Outcome::Error(error.to_string()),
        })
    }

    fn run(&self, command: Command) -> io::Result<Value> {
        let began = Instant::now();
        Ok(match command {
            Command::Hello { version, .. } if version != PROTOCOL_VERSION => {
                return Err(io::Error::other(format!(
                    "the controller speaks version {version} and this agent {PROTOCOL_VERSION}; use the same build of duress"
                )));
            }
            Command::Hello { mark, .. } => {
                lock(&self.network).greeted(mark)?;
                json!(Hello {
                    version: PROTOCOL_VERSION,
                    pid: std::process::id(),
                    boot: procfs::boot_id()?
                })
            }
            Command::Ping => Value::Null,
            Command::Identify { places } => {
                let named = |place| {
                    procfs::identify(place)
                        .map_err(|error| io::Error::other(format!("find {}: {error}", place.name)))
                };
                json!(places.iter().map(named).collect::<io::Result<Vec<_>>>()?)
            }
            Command::CanCut { place } => json!(lock(&self.network).can_cut(&place)?),
            Command::Cut { fault, rules } => {
                lock(&self.network).cut(fault, &rules)?;
                json!(Took {
                    micros: began.elapsed().as_micros() as u64
                })
            }
            Command::Mend { fault } => json!(lock(&self.network).mend(fault)?),
            Command::LookAtRules { fault } => json!(lock(&self.network).look(fault)?),
            Command::Follow { place } => json!(lock(&self.network).follow(&place)?),
            Command::Probe { points } => json!(lock(&self.network).probe(&points)?),
            Command::Processes { places } => json!(processes::list(&places)?),
            Command::Pause { fault, places } => json!(lock(&self.stopped).pause(fault, &places)?),
            Command::Resume { fault } => json!(lock(&self.stopped).resume(fault)?),
            Command::Signal { signal, places } => json!(processes::end(signal, &places)?),
            Command::Alive { processes } => {
                json!(processes.iter().filter_map(procfs::current).collect::<Vec<_>>())
            }
            Command::HealAll => json!(self.heal_all()?),
        })
    }

    /// Says what it did; goes on past what fails, and fails at the end.
    fn heal_all(&self) -> io::Result<Vec<String>> {
        let mut done = Vec::new();
        let mut failed = Vec::new();
        let mut network = lock(&self.network);
        for fault in network.faults() {
            match network.mend(fault) {
                Ok(dropped) => done.push(format!(
                    "removed the rules of fault {fault} from {} nodes",
                    dropped.len()
                )),
                Err(error) => failed.push(error.to_string()),
            }
        }
        let mut stopped = lock(&self.stopped);
        for fault in stopped.faults() {
            match stopped.resume(fault) {
                Ok(nodes) => {
                    let count: usize = nodes.iter().map(|node| node.processes.len()).sum();
                    done.push(format!("woke {count} processes of fault {fault}"));
                }
                Err(error) => failed.push(error.to_string()),
            }
        }
        if failed.is_empty() {
            Ok(done)
        } else {
            Err(io::Error::other(failed.join("; ")))
        }
    }

    /// Waits for the commands under way, heals everything, and lets no other in. False if something stays broken.
    fn close(&self) -> bool {
        let mut closed = self.closed.write().unwrap_or_else(PoisonError::into_inner);
        *closed = true;
        self.heal_all().is_ok()
    }
}
