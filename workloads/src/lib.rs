//! What clients ask: generators of operations, clients of real systems, retries.
//!
//! Three parts meet here and know little of each other:
//!
//! - a [`Workload`] says which operations come next, e.g. `{f: "cas", key: "k3", value: [7, 8]}`; its catalogue entry
//!   names the model and the properties that judge them;
//! - a [`Service`] makes one attempt at one operation at one node of one system, and says what it proves;
//! - [`retry::Session`] is the client proper: it picks nodes, retries within a policy, records every attempt, and
//!   turns what the attempts prove into the outcome of the operation.
//!
//! Recording histories, pacing and threads are left to the harness; judging is left to `duress-checker`.

pub mod append;
mod bounds;
pub mod clients;
pub mod etcd;
pub mod lock;
pub mod register;
pub mod retry;
pub mod service;
pub mod set;
pub mod specimen;

use rand_chacha::ChaCha12Rng;
use serde_json::Value;

pub use bounds::{Bound, SpecError};
pub use duress_http::Trouble;
pub use service::{Answer, Endpoint, Service, Token};

/// One logical request, before anybody was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    /// `read`, `write`, `cas`…
    pub f: &'static str,
    /// The object it is about; `None` where the workload has only one.
    pub key: Option<Value>,
    /// Arguments; null for a read. A cas is `[old, new]`.
    pub value: Value,
    /// Whether asking twice is harmless even without a [`Token`], as for a read.
    pub idempotent: bool,
}

/// A generator of operations.
pub trait Workload: Send {
    /// The next operation of this process. Infinite.
    fn next(&mut self, process: u64, rng: &mut ChaCha12Rng) -> Op;

    /// Told of every operation that ended `ok`, with its result, so that a cas can guess what is there.
    fn observe(&mut self, op: &Op, result: &Value);

    /// What is asked once after all faults are healed, so that nothing lost goes unseen.
    fn final_ops(&mut self) -> Vec<Op>;
}

/// What a client may be asked: a function, of one key or of none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Operation {
    /// As in [`Op::f`].
    pub f: &'static str,
    /// Whether it names a key.
    pub keyed: bool,
}

impl Operation {
    /// An operation on one key.
    pub const fn on_key(f: &'static str) -> Self {
        Operation { f, keyed: true }
    }

    /// An operation on the only object that there is.
    pub const fn on_all(f: &'static str) -> Self {
        Operation { f, keyed: false }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let object = if self.keyed { "a key" } else { "everything" };
        write!(formatter, "{} of {object}", self.f)
    }
}

/// One entry of `duress workloads`.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct CatalogueEntry {
    /// As in a spec: `[workload.<name>]`.
    pub name: &'static str,
    /// What is asked.
    pub description: &'static str,
    /// Name of the model in `duress-checker` that knows its operations; none where only other checkers do.
    pub model: Option<&'static str>,
    /// The properties in `duress-checker` that its operations can show, the usual one first.
    pub properties: &'static [&'static str],
    /// What it asks of a client.
    pub operations: &'static [Operation],
    /// Keys of a spec, and what they mean.
    pub parameters: &'static [(&'static str, &'static str)],
}

/// What the numbers of every workload may be: its name, and the rows of a Markdown table.
pub fn bounds() -> Vec<(&'static str, Vec<String>)> {
    vec![
        (register::CATALOGUE_ENTRY.name, register::bounds()),
        (set::CATALOGUE_ENTRY.name, set::bounds()),
        (append::CATALOGUE_ENTRY.name, append::bounds()),
        (lock::CATALOGUE_ENTRY.name, lock::bounds()),
    ]
}

/// Every workload.
pub fn catalogue() -> Vec<CatalogueEntry> {
    vec![
        register::CATALOGUE_ENTRY,
        set::CATALOGUE_ENTRY,
        append::CATALOGUE_ENTRY,
        lock::CATALOGUE_ENTRY,
    ]
}
