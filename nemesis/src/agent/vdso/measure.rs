//! What a clock shows inside a process: one of its own threads asks it, as the program would.
//!
//! All threads are stopped. One is given a call of `clock_gettime` on a piece of its stack that is put back afterwards, as are its
//! registers, and is taken through it an instruction at a time. Where a system call is made on the way, what the kernel answered
//! is seen, too: so the measured error is exact, however long all of this takes.

use std::io;
use std::os::unix::fs::FileExt;

use nix::libc::pid_t;
use serde::{Deserialize, Serialize};

use super::arch;
use super::layout::{layout, mapping};
use super::ptrace;
use super::skew::{Clock, SECOND, now_ns};
use super::stop::{Stopped, step_until, with_stopped};
use crate::agent::protocol::Process;

/// Below the stack pointer is what a function without calls keeps there (System V ABI, red zone).
const RED_ZONE: u64 = 128;
/// What the functions need, and more.
const STACK: u64 = 512;
/// Of that, from the bottom: where the answer goes.
const TIMESPEC: u64 = 480;

/// What one clock shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Which.
    pub clock: Clock,
    /// What the program is shown.
    pub shown_ns: i64,
    /// What the kernel answered, where it was asked on the way.
    pub truth_ns: Option<i64>,
    /// What the kernel says right before and right after.
    pub between_ns: (i64, i64),
}

/// Reads clocks inside a process. `None`: it is gone.
pub fn measure(process: &Process, clocks: &[Clock]) -> io::Result<Option<Vec<Reading>>> {
    let function = layout()?.clock_gettime() as u64;
    with_stopped(process, |stopped| {
        let range = mapping(process.pid)?.ok_or_else(|| io::Error::other("it has no vDSO"))?;
        let mut failed = io::Error::other("it has no thread that could be asked");
        for tid in stopped.threads() {
            let read = |clock: &Clock| read(stopped, *tid, range.start, range.start + function, *clock);
            match clocks.iter().map(read).collect() {
                Ok(readings) => return Ok(readings),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    })
}

fn read(stopped: &Stopped, tid: pid_t, back: u64, function: u64, clock: Clock) -> io::Result<Reading> {
    let before = ptrace::registers(tid)?;
    let top = before.rsp.wrapping_sub(RED_ZONE) & !15;
    let bottom = top.wrapping_sub(STACK);
    let mut kept = [0; STACK as usize];
    stopped.memory.read_exact_at(&mut kept, bottom)?;
    let timespec = bottom + TIMESPEC;
    let stack = bottom + TIMESPEC - 32;
    ptrace::write(tid, stack - 8, &back.to_ne_bytes())?;
    ptrace::set_registers(tid, &arch::call(&before, function, clock.id(), timespec, stack))?;
    let time = || -> io::Result<i64> {
        let mut bytes = [0; 16];
        stopped.memory.read_exact_at(&mut bytes, timespec)?;
        let number = |half: &[u8]| i64::from_ne_bytes(half.try_into().unwrap_or_default());
        // Nobody has written a time there if the process was killed on the way.
        let nanos = number(&bytes[..8]).checked_mul(SECOND);
        let time = nanos.and_then(|nanos| nanos.checked_add(number(&bytes[8..])));
        time.ok_or_else(|| io::Error::other("what it read is no time"))
    };
    let mut truth_ns = None;
    let from = now_ns(clock.id())?;
    let stepped = step_until(tid, |registers| {
        let mut before = [0; 2];
        if truth_ns.is_none()
            && stopped
                .memory
                .read_exact_at(&mut before, registers.rip.wrapping_sub(2))
                .is_ok()
        {
            truth_ns = arch::is_after_system_call(before).then(&time).transpose()?;
        }
        Ok(registers.rip == back)
    });
    let to = now_ns(clock.id());
    let shown_ns = time();
    ptrace::write(tid, bottom, &kept)?;
    ptrace::set_registers(tid, &before)?;
    stepped?;
    Ok(Reading {
        clock,
        shown_ns: shown_ns?,
        truth_ns,
        between_ns: (from, to?),
    })
}
