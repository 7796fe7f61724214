//! The specimen: a replicated key-value store that ships with Duress, to be broken.
//!
//! Correct by default: linearizable, and exactly once for requests that carry a token, through partitions,
//! kills, pauses and restarts, and damage to what a minority has on disk. [`Defect`]s can be switched on one by one, to see whether a test finds them.
//! Consensus is by openraft; every byte on disk has a checksum; clients and peers speak HTTP with JSON on one port. `docs/specimen.md` tells people how to run it.
//!
//! # What a client sees
//!
//! ```text
//! GET    /kv/x?read=linearizable|lease|local         200 {"value":7,"index":123}   absent: {"value":null,…}
//! PUT    /kv/x       {"value":7,"client":"c3","seq":17}          200 {"index":124}
//! DELETE /kv/x       {"client":"c3","seq":18}                    200 {"index":125}
//! POST   /kv/x/cas   {"old":7,"new":8,"client":"c3","seq":19}    200 {"swapped":true,"index":126}
//! POST   /locks/l/acquire   {"owner":3,"ttl_ms":2000}            200 {"done":true,"index":127}
//! POST   /locks/l/release   {"owner":3}                          200 {"done":true,"index":128}
//! POST   /queues/q/enqueue  {"value":7,"client":"c3","seq":20}  200 {"index":129}
//! POST   /queues/q/dequeue  {"lease_ms":500}                     200 {"value":7,"receipt":31,"lent":1,"index":130}
//! POST   /queues/q/ack      {"receipt":31}                       200 {"done":true,"index":131}
//! POST   /queues/q/nack     {"receipt":31}                       200 {"done":false,"index":132}
//! POST   /streams/s/send    {"value":7}                          200 {"offset":31,"index":133}
//! POST   /streams/poll      {"from":{"s":30},"max":10}           200 {"messages":{"s":[[30,6],[31,7]]},"next":{"s":32}}
//! POST   /members    {"voters":["n1","n2"],"learners":[],"addresses":{"n2":"10.77.0.12:8080"}}
//! GET    /status     {"name":"n1","role":"leader","term":3,"commit":120,"applied":120,"ready":true,…}
//! ```
//!
//! `client` and `seq` are optional, and belong together: a retry carries the same `seq` and gets the first
//! answer; a `seq` below the last one is refused. A refusal says whether the request was executed:
//! `{"error":"not-leader","executed":"no",…}` (see [`refusal`]). Answers to writes of one batch share an index.
//!
//! # Where things are
//!
//! ```text
//! http ─▶ service ─▶ propose ─▶ openraft ─▶ log_store ─▶ log_file ─▶ wal (batches; synced before acknowledged), ledger (votes)
//!            │   └─▶ read    ─▶    │   └──▶ machine ───▶ shelf (state, snapshots)
//!            └─────▶ lease ◀── network ◀──▶ peers
//! ```
//!
//! It leaves to others: bringing nodes up and taking them down, faults, and judging what clients saw.

pub mod args;
mod console;
mod deadlines;
pub mod defect;
mod error;
mod http;
pub mod lease;
pub mod ledger;
mod loans;
mod locks;
pub mod log_file;
pub mod log_store;
pub mod machine;
mod members;
mod memory;
pub mod network;
mod node;
mod overdue;
mod propose;
pub mod queues;
mod read;
mod recent;
pub mod refusal;
mod service;
mod sessions;
pub mod shelf;
mod signer;
pub mod state;
#[cfg(test)]
mod storage_tests;
pub mod streams;
pub mod types;
pub mod wal;

pub use args::Args;
pub use defect::{Defect, UnknownDefect};
pub use error::SpecimenError;
pub use node::run;
