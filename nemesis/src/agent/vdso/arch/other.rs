//! Instruction sets for which nobody wrote the code yet: there is none, and so nothing is ever patched.

use super::{Function, Interrupted};

/// Of no machine.
pub const MACHINE: u16 = 0;
/// Bytes of the jump that functions would begin with.
pub const ENTRY_BYTES: usize = 4;

/// Registers of a stopped thread, of which nothing is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Registers {
    pub rip: u64,
    pub rsp: u64,
}

/// None.
pub fn code() -> &'static [u8] {
    &[]
}

/// None.
pub fn functions() -> Vec<Function> {
    Vec::new()
}

/// Never used, as there are no functions.
pub fn entry(_from: usize, _to: usize) -> [u8; ENTRY_BYTES] {
    [0; ENTRY_BYTES]
}

/// Never used, as there are no functions.
pub fn call(before: &Registers, _function: u64, _clock: usize, _timespec: u64, _stack: u64) -> Registers {
    *before
}

/// Not known.
pub fn is_after_system_call(_before: [u8; 2]) -> bool {
    false
}

/// Not known.
pub fn interrupted(_words: &[u64]) -> Option<Interrupted> {
    None
}
