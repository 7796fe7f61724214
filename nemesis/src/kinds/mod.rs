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
mod at_nodes;
mod fault;
pub mod kill;
pub mod kind;
pub mod partition;
pub mod pause;
pub mod restart;
mod table;

pub use fault::Fault;
pub use kind::{About, Healer, InForceAt, Kind, KindRef, Parameter, ParameterError, Parameters, Undone};
pub use table::{CatalogueEntry, TABLE, catalogue};
