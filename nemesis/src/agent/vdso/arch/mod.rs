//! What depends on the instruction set: the code that goes into a vDSO, the jump to it, and how a thread calls a function.
//! Another one is a file beside `x86_64.rs` with the same items, and a line here.

#[cfg(not(target_arch = "x86_64"))]
mod other;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(not(target_arch = "x86_64"))]
pub use other::{
    ENTRY_BYTES, MACHINE, Registers, call, code, entry, functions, interrupted, is_after_system_call,
};
#[cfg(target_arch = "x86_64")]
pub use x86_64::{
    ENTRY_BYTES, MACHINE, Registers, call, code, entry, functions, interrupted, is_after_system_call,
};

/// A function of the vDSO that is replaced.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its symbol.
    pub name: &'static str,
    /// Where its replacement begins, from the start of the payload.
    pub offset: usize,
}

/// A thread that a signal interrupted, as the kernel wrote it down for when the handler ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted {
    /// The signals that it blocked, a bit each; the lowest is signal 1.
    pub mask: u64,
    /// The signal.
    pub signal: u64,
}

impl Interrupted {
    /// Whether the handler may still run in a thread that blocks these signals now: it blocks what it blocked before, and the signal
    /// itself, unless whoever installed it said otherwise (SA_NODEFER).
    pub fn may_go_on(self, blocked: u64) -> bool {
        let bit = (1..=64).contains(&self.signal).then(|| 1 << (self.signal - 1));
        bit.is_some_and(|bit: u64| (self.mask | bit) & !blocked == 0)
    }
}

/// Bytes of [`super::patch`]'s data, with which the payload begins; the code reads them where they are.
pub const DATA_BYTES: usize = 160;
