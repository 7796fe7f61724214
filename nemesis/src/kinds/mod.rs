//! The kinds of faults: a folder and a line of [`TABLE`] each. A kind keeps to the contract in [`kind`].
//!
//! A fault, as a spec and a schedule have it, names its kind and has the parameters of that kind:
//!
//! ```json
//! {"kind":"partition","shape":"majority-minority"}
//! {"kind":"pause","targets":"leader"}
//! {"kind":"kill","targets":["n1","n3"]}
//! ```
//!
//! From the table come the choices of a spec, `duress faults` and what `duress doctor` says of faults. So do the refusal of what
//! the machine can't do, and what `duress heal` does with what is left of a fault.

mod aim;
mod as_text;
mod at_nodes;
pub mod bit_rot;
pub mod client_crash;
pub mod client_late_retry;
pub mod client_replay;
pub mod clients;
pub mod clock;
pub mod clock_drift;
pub mod clock_freeze;
pub mod clock_jump;
pub mod clock_strobe;
pub mod connections;
pub mod cpu_squeeze;
pub mod crash_loop;
mod damage;
pub mod disk;
pub mod disk_error;
pub mod disk_full;
pub mod disk_slow;
mod family;
mod fault;
pub mod file_descriptors;
pub mod half_open;
pub mod kill;
pub mod kind;
pub mod lose_unsynced;
pub mod memory_squeeze;
pub mod noisy_neighbour;
pub mod packets;
pub mod partition;
pub mod pause;
pub mod resources;
pub mod restart;
mod size;
pub mod snapshot_rollback;
mod table;
pub mod tcp_reset;
pub mod torn_write;

pub use fault::Fault;
pub use kind::{About, Healer, InForceAt, Kind, KindRef, Parameter, ParameterError, Parameters, Undone};
pub use table::{CatalogueEntry, TABLE, catalogue};
