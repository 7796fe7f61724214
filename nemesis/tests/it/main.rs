//! The nemesis against real namespaces, real packets and real processes.
//!
//! Needs root, `unshare`, `ip` and `iptables`. A machine without them fails these tests: nothing here is skipped, as a
//! nemesis that was never seen to break anything proves nothing.

mod faults;
mod journal;
mod lab;
mod network;
mod processes;
mod sabotage;
mod stage;
mod talk;
