//! The agent: the process that does the breaking, on the machine where nodes live.
//!
//! It runs as `duress agent`, takes commands as JSON lines on stdin, answers on stdout (see [`protocol`]), and remembers
//! what is in force. **End of input means: heal everything, then exit**; so does SIGTERM. Signals from a terminal are for
//! the controller, which ends in order and closes the agent's input; the agent ignores them.
//!
//! It knows nodes as [`duress_cluster::Place`]s, so the same code serves a sandbox, a container and a host. How things are
//! broken is the business of the kinds of fault, each of which has a [`part`] here; what to break, when, and whether it bit is the
//! controller's.

pub(crate) mod apart;
pub(crate) mod beside;
pub(crate) mod cgroup;
pub(crate) mod chains;
pub(crate) mod client;
pub(crate) mod damage;
pub(crate) mod elsewhere;
pub(crate) mod ends;
pub(crate) mod file_system;
pub(crate) mod firewall;
pub mod fleet;
mod line;
pub mod member;
pub(crate) mod neighbour;
pub(crate) mod nfqueue;
pub(crate) mod outside;
pub mod part;
pub(crate) mod probe;
pub(crate) mod processes;
pub(crate) mod procfs;
pub(crate) mod prompt;
pub mod protocol;
pub(crate) mod rules;
mod silence;
mod split;
pub mod spread;
pub(crate) mod storage;
pub(crate) mod tcp;
pub(crate) mod vdso;
pub(crate) mod watch;

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use duress_cluster::Place;
use duress_cluster::clock_offset::monotonic_ns;
use nix::sys::signal::{SigSet, Signal};
use serde_json::{Value, json};

use crate::heal::{HealedNode, heal};
use crate::in_force::InForce;
use crate::kinds::{self, Healer};
use part::AgentPart;
use protocol::{Command, CommandResult, Hello, Mark, PROTOCOL_VERSION, Reply, Request};
use silence::Silence;

/// The parts of the kinds of fault that do something here, and the run that they do it for.
struct Parts {
    mark: Mark,
    of_kind: BTreeMap<&'static str, Mutex<Box<dyn AgentPart>>>,
}

impl Parts {
    fn new(mark: Mark) -> Parts {
        let part = |kind: &&dyn kinds::Kind| Some((kind.name(), Mutex::new(kind.agent(&mark)?)));
        let of_kind = kinds::TABLE.iter().filter_map(part).collect();
        Parts { mark, of_kind }
    }
}

/// How often an agent that ends tries to heal everything, and how long it waits in between.
const HEAL_TRIES: u32 = 20;
const HEAL_AGAIN: Duration = Duration::from_millis(500);

/// Everything that is in force, and the way to change it.
#[derive(Default)]
struct Agent {
    /// Made when a controller says hello.
    parts: OnceLock<Parts>,
    /// What is, or may be, in force, by the number of the fault. Taken after the lock of a part, never before.
    in_force: Mutex<BTreeMap<u64, InForce>>,
    /// Held for reading by each command; taken for writing, and set, before everything is healed for good.
    closed: RwLock<bool>,
}

/// What is different for an agent on a host.
#[derive(Clone, Debug, Default)]
pub struct OnHost {
    /// It heals and ends when it has heard nothing for so long: the end of a controller may not be seen.
    pub silence_max: Option<Duration>,
    /// Ports of TCP that no rule touches: those of sshd.
    pub spared_ports: Vec<u16>,
}

/// Runs the agent until its input ends.
pub fn main(on_host: OnHost) -> ExitCode {
    if let Some(noise) = neighbour::role() {
        return neighbour::main(&noise);
    }
    firewall::spare(on_host.spared_ports);
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
    let silence = Silence::watch(on_host.silence_max, &agent);
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        silence.ends();
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
                    outcome: CommandResult::Error(format!("read a command: {error}")),
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
    fn answer(&self, command: Command) -> Option<CommandResult> {
        let closed = self.closed.read().unwrap_or_else(PoisonError::into_inner);
        if *closed {
            return None;
        }
        Some(match self.run(command) {
            Ok(value) => CommandResult::Ok(value),
            Err(error) => CommandResult::Error(error.to_string()),
        })
    }

    fn run(&self, command: Command) -> io::Result<Value> {
        Ok(match command {
            Command::Hello { version, .. } if version != PROTOCOL_VERSION => {
                return Err(io::Error::other(format!(
                    "the controller speaks version {version} and this agent {PROTOCOL_VERSION}; use the same build of duress"
                )));
            }
            Command::Hello { mark, .. } => {
                self.greeted(mark)?;
                json!(Hello {
                    version: PROTOCOL_VERSION,
                    pid: std::process::id(),
                    boot: procfs::boot_id()?
                })
            }
            Command::Ping => Value::Null,
            Command::Clock => json!(monotonic_ns()),
            Command::Identify { places } => {
                let named = |place| {
                    procfs::identify(place)
                        .map_err(|error| io::Error::other(format!("find {}: {error}", place.name)))
                };
                json!(places.iter().map(named).collect::<io::Result<Vec<_>>>()?)
            }
            Command::Can { kind, place } => {
                self.part(&kind)?.can(&place)?;
                Value::Null
            }
            Command::Inject {
                kind,
                fault,
                nodes,
                order,
                held,
            } => {
                let in_force = InForce::new(kind, nodes).with(held);
                self.inject(fault, in_force, order)?
            }
            Command::Look { kind, fault } => self.part(&kind)?.look(fault)?,
            Command::Ask { kind, question } => self.part(&kind)?.ask(question)?,
            Command::Heal { kind, fault } => {
                let mut part = self.part(&kind)?;
                json!(self.heal(fault, &mut part)?.1)
            }
            Command::Follow { place } => json!(self.follow(&place)?),
            Command::Processes { places } => json!(processes::list(&places)?),
            Command::Signal { signal, places } => json!(processes::end(signal, &places)?),
            Command::Alive { processes } => {
                json!(processes.iter().filter_map(procfs::current).collect::<Vec<_>>())
            }
            Command::Listen { session, points } => json!(spread::listen(session, &points)),
            Command::Spread {
                session,
                targets,
                rounds,
            } => json!(spread::send(session, &targets, rounds)?),
            Command::Adopt {
                kind,
                fault,
                nodes,
                held,
            } => {
                kinds::KindRef::named(&kind).map_err(io::Error::other)?;
                // A kind that does nothing here leaves nothing here, either.
                if self.part(&kind).is_ok() {
                    lock(&self.in_force).insert(fault, InForce::new(kind, nodes).with(held));
                }
                Value::Null
            }
            Command::Put { storage } => {
                storage::put(&self.parts()?.mark, &storage)?;
                Value::Null
            }
            Command::HealAll { spared } => json!(self.heal_all(&spared)?),
        })
    }

    /// Learns for which run it works. It is never another: what is in force for the first one would be forgotten.
    fn greeted(&self, mark: Mark) -> io::Result<()> {
        let parts = self.parts.get_or_init(|| Parts::new(mark.clone()));
        if parts.mark == mark {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "this agent works for the run with mark {} and not {}",
            parts.mark.as_str(),
            mark.as_str()
        )))
    }

    fn parts(&self) -> io::Result<&Parts> {
        let parts = self.parts.get();
        parts.ok_or_else(|| io::Error::other("no controller has said hello yet"))
    }

    fn part(&self, kind: &str) -> io::Result<MutexGuard<'_, Box<dyn AgentPart>>> {
        let part = self.parts()?.of_kind.get(kind);
        part.map(lock)
            .ok_or_else(|| io::Error::other(format!("the kind of fault {kind:?} does nothing here")))
    }

    fn inject(&self, fault: u64, in_force: InForce, order: Value) -> io::Result<Value> {
        let mut part = self.part(&in_force.kind)?;
        let kept = self.held_by_others(&in_force.kind, fault);
        // Remembered first: whatever comes of it, part of it may be in force.
        lock(&self.in_force).insert(fault, in_force);
        let injected = part.inject(fault, order, &kept)?;
        if let Some(in_force) = lock(&self.in_force).get_mut(&fault)
            && !injected.held.is_null()
        {
            in_force.held = Some(injected.held);
        }
        Ok(injected.answer)
    }

    /// What other faults of the kind than this one hold.
    fn held_by_others(&self, kind: &str, fault: u64) -> Vec<Value> {
        let in_force = lock(&self.in_force);
        let others = in_force
            .iter()
            .filter(|(other, of)| **other != fault && of.kind == kind);
        others.filter_map(|(_, other)| other.held.clone()).collect()
    }

    /// Heals a fault at all its nodes. Where that fails it is still remembered. Returns what it did, in sentences, and what
    /// the kind answers for each node.
    fn heal(&self, fault: u64, part: &mut Box<dyn AgentPart>) -> io::Result<(Vec<String>, Vec<Value>)> {
        let Some(mut in_force) = lock(&self.in_force).get(&fault).cloned() else {
            return Ok((Vec::new(), Vec::new()));
        };
        part.cease(fault);
        let kept = self.held_by_others(&in_force.kind, fault);
        let healer = Healer {
            mark: &self.parts()?.mark,
            kept: &kept,
            own_namespaces: true,
        };
        let (mut said, mut answers, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for HealedNode { node, result } in heal(&mut in_force, fault, healer) {
            let what = format!("fault {fault} ({}) at {node}", in_force.kind);
            match result {
                Ok(healed) => {
                    part.forget(fault, &node);
                    said.push(format!("{what}: {}", healed.said));
                    answers.extend(Some(healed.answer).filter(|answer| !answer.is_null()));
                }
                Err(error) => failed.push(format!("heal {what}: {error}")),
            }
        }
        if failed.is_empty() {
            lock(&self.in_force).remove(&fault);
            return Ok((said, answers));
        }
        lock(&self.in_force).insert(fault, in_force);
        Err(io::Error::other(failed.join("; ")))
    }

    /// Puts what was in force at a node in force where it is now. Returns the faults of which there was something.
    fn follow(&self, place: &Place) -> io::Result<Vec<u64>> {
        let mut put_back = Vec::new();
        for part in self.parts()?.of_kind.values() {
            let mut part = lock(part);
            let followed = part.follow(place)?;
            if followed.is_empty() {
                continue;
            }
            let node = procfs::identify(place)?;
            let mut in_force = lock(&self.in_force);
            for fault in &followed {
                if let Some(in_force) = in_force.get_mut(fault) {
                    in_force.nodes.push(node.clone());
                }
            }
            put_back.extend(followed);
        }
        Ok(put_back)
    }

    /// Says what it did; goes on past what fails, and fails at the end.
    fn heal_all(&self, spared: &[u64]) -> io::Result<Vec<String>> {
        let faults: Vec<(u64, String)> = (lock(&self.in_force).iter())
            .filter(|(fault, _)| !spared.contains(fault))
            .map(|(fault, in_force)| (*fault, in_force.kind.clone()))
            .collect();
        let mut done = Vec::new();
        let mut failed = Vec::new();
        for (fault, kind) in faults {
            let healed = (self.part(&kind)).and_then(|mut part| self.heal(fault, &mut part));
            match healed {
                Ok((said, _)) => done.extend(said),
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
        // Nobody comes after this agent. What stands in the way may pass: a thread in the kernel, a program that begins.
        let healed = |_: &u32| {
            (self.heal_all(&[]).is_ok() && storage::remove().is_ok()) || {
                thread::sleep(HEAL_AGAIN);
                false
            }
        };
        (0..HEAL_TRIES).find(healed).is_some()
    }
}
