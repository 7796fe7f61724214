//! The nemesis against real namespaces, real packets and real processes.
//!
//! Needs root, `unshare`, `ip` and `iptables`. A machine without them fails these tests: nothing here is skipped, as a
//! nemesis that was never seen to break anything proves nothing.

mod clients;
mod clock_reader;
mod clocks;
mod connections;
mod disks;
mod docs;
mod faults;
mod groups;
mod journal;
mod lab;
mod lab_cluster;
mod layer;
mod layer_calls;
mod loops;
mod network;
mod packets;
mod power;
mod processes;
mod resources;
mod rollback;
mod sabotage;
mod sabotage_clients;
mod sabotage_clocks;
mod sabotage_connections;
mod sabotage_disks;
mod sabotage_packets;
mod sabotage_resources;
mod sabotage_rollback;
mod sabotage_rows;
mod stage;
mod talk;
