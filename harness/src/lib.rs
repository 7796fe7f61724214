//! The controller: spec, plan, run loop and the command line. The only part that knows all the others, and the only
//! one that prints.
//!
//! ```text
//! Spec ──▶ Schedule ──▶ Run ──▶ history.jsonl ──▶ VerdictFile ──▶ report.html
//! spec/    (nemesis)    runs/   recorder.rs       judge.rs        (results)
//! ```

mod ad_hoc;
mod address_book;
pub mod cli;
mod client;
mod client_hosts;
pub mod commands;
mod contents;
mod diverged;
mod duration;
pub mod exit;
pub mod extension;
mod init;
mod interrupt;
mod judge;
mod key;
pub mod load;
mod machine;
mod missteps;
mod observer;
mod output;
mod pacer;
mod programs;
mod progress;
pub mod recorder;
mod runs;
pub mod spec;
mod status;
mod watchdog;

/// The listings of `docs/extending.md` that stand for a user's own code.
#[cfg(doctest)]
#[doc = include_str!("../../docs/extending.md")]
struct Extending;
