//! Stops all threads of a process, and leads them out of bytes that are about to change.
//!
//! A thread is inside if its program counter is, or if it will come back there: where a signal interrupted it, the kernel has
//! saved the place on the stack of the handler. Threads of the first kind are stepped on with their signals blocked; for the
//! second everything is let go again, and tried anew a moment later.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};
use std::thread;

use duress_cluster::procfs::living;
use nix::libc::{self, pid_t};

use super::arch::{self, Registers};
use super::ptrace::{self, Stop};
use crate::agent::protocol::Process;

/// Instructions of one reading of a clock; the kernel's own code tries again while the clock is being set.
const STEPS_MAX: u32 = 100_000;
/// How far up the stack of a handler the interrupted place may be: the frame that the kernel writes has some KiB of registers.
const STACK_BYTES: usize = 64 << 10;
/// Of a process that makes threads faster than they can be stopped.
const ROUNDS_MAX: u32 = 100;

/// Traces nothing else meanwhile: a process has one tracer.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A process all of whose threads are stopped, until this is dropped.
pub struct Stopped {
    pid: u32,
    threads: Vec<pid_t>,
    /// Its memory.
    pub memory: File,
}

/// Runs `act` on a process that is stopped meanwhile. `None`: the process is gone. On a thread of its own, which is the tracer:
/// when that ends, however it does, the kernel lets all go on.
pub fn with_stopped<T: Send>(
    process: &Process,
    act: impl FnOnce(&Stopped) -> io::Result<T> + Send,
) -> io::Result<Option<T>> {
    let _only = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let traced = || {
        let Some(stopped) = Stopped::new(process)? else {
            return Ok(None);
        };
        act(&stopped).map(Some)
    };
    let outcome = thread::scope(|scope| scope.spawn(traced).join());
    let outcome = outcome.unwrap_or_else(|_| Err(io::Error::other("the thread that traces panicked")));
    match outcome {
        // It may end at any moment; while it does, it has no memory any more and still seems to live.
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(_) if living(process.pid).is_none_or(|stat| stat.started != process.started) => Ok(None),
        Err(_) if has_no_memory(process.pid) => Ok(None),
        outcome => {
            outcome.map_err(|error| io::Error::new(error.kind(), format!("process {}: {error}", process.pid)))
        }
    }
}

/// Whether a process is about to be gone: what it ran is taken away before its number is.
fn has_no_memory(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

impl Stopped {
    fn new(process: &Process) -> io::Result<Option<Stopped>> {
        let same = || living(process.pid).is_some_and(|stat| stat.started == process.started);
        if !same() {
            return Ok(None);
        }
        let mut stopped = Stopped {
            pid: process.pid,
            threads: Vec::new(),
            memory: File::open(format!("/proc/{}/mem", process.pid))?,
        };
        for _ in 0..ROUNDS_MAX {
            if !stopped.stop_more()? {
                // Opened anew: an exec on the way left the old memory behind. Asked again: so did a number that came round.
                stopped.memory = File::open(format!("/proc/{}/mem", process.pid))?;
                return Ok((same() && !stopped.threads.is_empty()).then_some(stopped));
            }
        }
        Err(io::Error::other(
            "it makes threads faster than they can be stopped",
        ))
    }

    /// Stops the threads that run. False if there were none.
    fn stop_more(&mut self) -> io::Result<bool> {
        let mut more = false;
        for entry in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let name = entry?.file_name();
            let Some(tid) = name.to_str().and_then(|name| name.parse::<pid_t>().ok()) else {
                continue;
            };
            if self.threads.contains(&tid) || living(tid as u32).is_none() {
                continue;
            }
            match ptrace::seize(tid) {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => continue,
                Err(_) if living(tid as u32).is_none() => continue,
                Err(error) => {
                    let why = "trace it (one that a debugger traces can't be)";
                    return Err(io::Error::new(error.kind(), format!("{why}: {error}")));
                }
            }
            more = true;
            if wait_stopped(tid)? {
                self.threads.push(tid);
            }
        }
        Ok(more)
    }

    /// Leads every thread out of these addresses. False if one will come back to them: it has to go on first. What only looks as
    /// if one would is told apart by the signals that it blocks, which takes for granted that handlers block their own.
    pub fn clear_of(&self, ranges: &[Range<u64>], by_blocked: bool) -> io::Result<bool> {
        let inside = |pc: u64| ranges.iter().any(|range| range.contains(&pc));
        for tid in &self.threads {
            let Some(registers) = alive(ptrace::registers(*tid))? else {
                continue;
            };
            if inside(registers.rip) {
                step_until(*tid, |registers| Ok(!inside(registers.rip)))?;
            }
            let Some(registers) = alive(ptrace::registers(*tid))? else {
                continue;
            };
            let blocked = match by_blocked {
                true => alive(ptrace::blocked(*tid))?,
                false => None,
            };
            if self.comes_back(registers.rsp, inside, blocked) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a signal interrupted the thread with this stack inside, as far as the stack tells, and what lies above it: stacks of
    /// Go are small, and beside them may be those of handlers that have long ended. `blocked` tells these apart.
    fn comes_back(&self, stack: u64, inside: impl Fn(u64) -> bool, blocked: Option<u64>) -> bool {
        let start = stack.next_multiple_of(8);
        let mut bytes = vec![0; STACK_BYTES];
        // Up to where its mapping ends.
        let mut read = 0;
        while read < STACK_BYTES {
            match self.memory.read_at(&mut bytes[read..], start + read as u64) {
                Ok(0) | Err(_) => break,
                Ok(more) => read += more,
            }
        }
        let word = |chunk: &[u8]| u64::from_ne_bytes(chunk.try_into().unwrap_or_default());
        let words: Vec<u64> = bytes[..read].chunks_exact(8).map(word).collect();
        let goes_on = |at: usize| {
            let interrupted = arch::interrupted(&words[at..]);
            interrupted.is_some_and(|it| blocked.is_none_or(|blocked| it.may_go_on(blocked)))
        };
        (0..words.len()).any(|at| inside(words[at]) && goes_on(at))
    }

    /// Writes; address and length are multiples of a word.
    pub fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        ptrace::write(self.threads[0], address, bytes)
    }

    /// Its threads.
    pub fn threads(&self) -> &[pid_t] {
        &self.threads
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        for tid in &self.threads {
            // One that has ended needs no more.
            let _ = ptrace::detach(*tid);
        }
    }
}

/// Nothing, if the thread is gone.
fn alive<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits for a thread that was asked to stop. Signals that are on their way are given to it first. False if it is gone.
fn wait_stopped(tid: pid_t) -> io::Result<bool> {
    loop {
        match ptrace::wait(tid)? {
            Stop::Asked => return Ok(true),
            Stop::Gone => return Ok(false),
            Stop::Signal(signal) => drop(alive(ptrace::deliver(tid, signal))?),
        }
    }
}

/// Takes a thread on, an instruction at a time and undisturbed by signals, until `done` likes its registers.
pub fn step_until(tid: pid_t, mut done: impl FnMut(&Registers) -> io::Result<bool>) -> io::Result<()> {
    let blocked = ptrace::blocked(tid)?;
    ptrace::block(tid, u64::MAX)?;
    let stepped = (0..STEPS_MAX).try_for_each(|_| {
        ptrace::step(tid).map_err(Some)?;
        match ptrace::wait_for_step(tid).map_err(Some)? {
            Stop::Gone => return Err(Some(io::Error::other("a thread ended"))),
            // A step of one that is stopped with its process only wakes it; it is stepped again.
            Stop::Asked => {}
            // One that can't be blocked. It comes again when the thread goes on.
            Stop::Signal(signal) => ptrace::send(tid, signal),
        }
        match done(&ptrace::registers(tid).map_err(Some)?) {
            Ok(true) => Err(None),
            Ok(false) => Ok(()),
            Err(error) => Err(Some(error)),
        }
    });
    let unblocked = ptrace::block(tid, blocked);
    match stepped {
        Err(None) => unblocked,
        Err(Some(error)) => Err(error),
        Ok(()) => Err(io::Error::other(format!(
            "a thread is still there after {STEPS_MAX} instructions"
        ))),
    }
}
