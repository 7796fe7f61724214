//! ptrace(2), as far as it is needed: each call by the thread that traces, on a thread that is stopped.
//!
//! `PTRACE_SEIZE` is used throughout: it sends no signal, a thread that is stopped by SIGSTOP stays so, and when the tracer dies
//! the kernel lets all of its tracees go on.

use std::io;
use std::ptr;
use std::thread;
use std::time::{Duration, Instant};

use nix::libc::{self, c_int, c_long, c_uint, c_void, pid_t};

use super::arch::Registers;

/// A thread stops in microseconds, unless it sits in the kernel and can't be woken.
const STOP_WAIT_MAX: Duration = Duration::from_secs(1);
/// Looks without a pause before there are pauses. On a busy machine the one that stops needs the processor.
const LOOKS_AT_ONCE: u32 = 20;
const PAUSE: Duration = Duration::from_micros(20);

/// Why a thread is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// As it was asked to, or with its whole process.
    Asked,
    /// It is about to get this signal.
    Signal(c_int),
    /// It has ended.
    Gone,
}

fn request(request: c_uint, tid: pid_t, address: usize, data: usize) -> io::Result<c_long> {
    nix::errno::Errno::clear();
    // SAFETY: callers pass requests whose address and data are numbers, or pointers to what the kernel reads or writes there.
    let answer = unsafe { libc::ptrace(request, tid, address as *mut c_void, data as *mut c_void) };
    if answer == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(answer)
}

/// Begins to trace a thread, and asks it to stop.
pub fn seize(tid: pid_t) -> io::Result<()> {
    request(libc::PTRACE_SEIZE, tid, 0, 0)?;
    request(libc::PTRACE_INTERRUPT, tid, 0, 0).map(drop)
}

/// Lets a thread go on, and it is traced no more.
pub fn detach(tid: pid_t) -> io::Result<()> {
    request(libc::PTRACE_DETACH, tid, 0, 0).map(drop)
}

/// Gives a thread the signal that it was about to get, and lets it go on.
pub fn deliver(tid: pid_t, signal: c_int) -> io::Result<()> {
    request(libc::PTRACE_CONT, tid, 0, signal as usize).map(drop)
}

/// Lets a thread take one instruction.
pub fn step(tid: pid_t) -> io::Result<()> {
    request(libc::PTRACE_SINGLESTEP, tid, 0, 0).map(drop)
}

/// Returns when the thread has taken its step, which it does as soon as it gets the processor.
///
/// Waits for any thread that is traced. When a process is killed, the kernel does not tell of the end of its first thread before
/// those of all others have been waited for, so to wait for the first alone would be for ever (ptrace(2), "Death under ptrace").
pub fn wait_for_step(tid: pid_t) -> io::Result<Stop> {
    let mut status = 0;
    loop {
        // SAFETY: waitpid(2) writes one int, to which the pointer is valid.
        let found = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
        match io::Error::last_os_error() {
            _ if found == tid => return Ok(stop(status)),
            // The others are stopped: nothing but the end of them all moves them.
            _ if found > 0 && !libc::WIFSTOPPED(status) => return Ok(Stop::Gone),
            _ if found > 0 => {}
            error if error.kind() == io::ErrorKind::Interrupted => {}
            error if error.raw_os_error() == Some(libc::ECHILD) => return Ok(Stop::Gone),
            error => return Err(error),
        }
    }
}

/// Returns when the thread has stopped, or with an error when it does not.
pub fn wait(tid: pid_t) -> io::Result<Stop> {
    let deadline = Instant::now() + STOP_WAIT_MAX;
    for look in 0_u32.. {
        let mut status = 0;
        // SAFETY: waitpid(2) writes one int, to which the pointer is valid.
        let found = unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL | libc::WNOHANG) };
        if found == -1 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::ECHILD) => Ok(Stop::Gone),
                _ => Err(error),
            };
        }
        if found == tid {
            return Ok(stop(status));
        }
        if Instant::now() > deadline {
            break;
        }
        if look >= LOOKS_AT_ONCE {
            thread::sleep(PAUSE);
        }
    }
    Err(io::Error::other(format!(
        "thread {tid} does not stop within {STOP_WAIT_MAX:?}"
    )))
}

fn stop(status: c_int) -> Stop {
    if !libc::WIFSTOPPED(status) {
        return Stop::Gone;
    }
    match (libc::WSTOPSIG(status), status >> 16) {
        // After a step; nobody else sends it while all other signals are blocked.
        (libc::SIGTRAP, _) | (_, libc::PTRACE_EVENT_STOP) => Stop::Asked,
        (signal, _) => Stop::Signal(signal),
    }
}

/// A stopped thread's registers.
#[cfg(target_arch = "x86_64")]
pub fn registers(tid: pid_t) -> io::Result<Registers> {
    // SAFETY: integers all through, of which zeros are a value.
    let mut registers: Registers = unsafe { std::mem::zeroed() };
    request(libc::PTRACE_GETREGS, tid, 0, (&raw mut registers) as usize)?;
    Ok(registers)
}

/// Changes a stopped thread's registers.
#[cfg(target_arch = "x86_64")]
pub fn set_registers(tid: pid_t, registers: &Registers) -> io::Result<()> {
    request(libc::PTRACE_SETREGS, tid, 0, ptr::from_ref(registers) as usize).map(drop)
}

#[cfg(not(target_arch = "x86_64"))]
pub fn registers(_tid: pid_t) -> io::Result<Registers> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_arch = "x86_64"))]
pub fn set_registers(_tid: pid_t, _registers: &Registers) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The signals that a stopped thread blocks, a bit each.
pub fn blocked(tid: pid_t) -> io::Result<u64> {
    let mut mask = 0_u64;
    request(
        libc::PTRACE_GETSIGMASK as c_uint,
        tid,
        size_of::<u64>(),
        (&raw mut mask) as usize,
    )?;
    Ok(mask)
}

/// Changes which signals a stopped thread blocks.
pub fn block(tid: pid_t, mask: u64) -> io::Result<()> {
    let mask = ptr::from_ref(&mask) as usize;
    request(libc::PTRACE_SETSIGMASK as c_uint, tid, size_of::<u64>(), mask).map(drop)
}

/// Sends a thread a signal, which it gets when it goes on.
pub fn send(tid: pid_t, signal: c_int) {
    // SAFETY: tkill(2) takes numbers only. The thread is ours as long as it is traced; one that has ended gets nothing.
    unsafe { libc::syscall(libc::SYS_tkill, tid, signal) };
}

/// Writes into the process of a stopped thread, whatever the protection of the page: the kernel gives the process a copy of it.
/// Address and length are multiples of a word.
pub fn write(tid: pid_t, address: u64, bytes: &[u8]) -> io::Result<()> {
    for (word, at) in bytes.chunks_exact(8).zip((address..).step_by(8)) {
        let word = usize::from_ne_bytes(word.try_into().unwrap_or_default());
        request(libc::PTRACE_POKEDATA, tid, at as usize, word)?;
    }
    Ok(())
}
