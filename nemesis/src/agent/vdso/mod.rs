//! Clocks that are wrong for one process: its vDSO is patched.
//!
//! The kernel maps a small library into every process, the vDSO, by which programs read clocks without a system call. Code
//! goes into what is left free of its last page ([`layout`]), and the functions that read clocks begin with a jump there
//! ([`patch`]). That code asks the kernel and changes the answer ([`skew`], [`arch`]). The page becomes the process' own, as the
//! kernel copies it on write: nobody else sees anything of it.
//!
//! ```text
//! clock_gettime: jmp ─┐         gettimeofday: jmp ─┐         time: jmp ─┐
//!                     ▼                            ▼                    ▼
//! page's free end: [magic, mark of the run, fault, mask, offset, rate, period, anchors] [code of the three]
//! ```
//!
//! Nothing is remembered that healing needs: what the kernel made is in every other process, this one included, and the patch
//! carries the run and the fault that it belongs to ([`patch::Tag`]). Bytes that differ in any other way are not ours, and stay.
//!
//! While bytes change, all threads of the process are stopped, and none is in the middle of them: see [`stop`]. What a clock
//! shows is measured by letting one of those threads ask it: see [`measure`].
//!
//! Not fooled are programs that ask the kernel by a system call of their own ([`fit`]), timers of the kernel, timestamps of
//! files, and what a program does between its start and the moment when it is found.
//!
//! The technique is that of Chaos Mesh's `TimeChaos` (pkg/time, 2020), without a call or a mapping in the process that it is
//! done to.

mod arch;
pub mod fit;
mod layout;
pub mod measure;
pub mod patch;
mod ptrace;
pub mod skew;
mod stop;
#[cfg(test)]
mod stress;

pub use layout::check as check_machine;
