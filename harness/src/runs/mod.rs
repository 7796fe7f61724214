//! Runs, as a library: the commands only parse arguments, call this, and print.
//!
//! ```text
//! Plan ──▶ one::run ──▶ a run directory ──▶ judged::judge, judged::write ──▶ verdict.json, report.html
//! plan.rs  one.rs, drive.rs                 judged.rs
//! ```
//!
//! [`child`] does one run in a process of its own; [`store`] finds the runs that there are; [`trial`] asks a system by hand.

pub mod child;
pub mod deploy;
mod drive;
pub mod engines;
pub mod failure;
mod host_clock;
pub mod hosts;
pub mod judged;
pub mod one;
pub mod plan;
mod ready;
mod regain;
mod sandboxes;
pub mod store;
pub mod trial;
