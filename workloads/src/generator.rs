//! What each workload has: a description, parameters in a spec, and a generator of operations.

use std::fmt::Debug;
use std::time::Duration;

use duress_checker::history::EventType;
use rand_chacha::ChaCha12Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::bounds::SpecError;
use crate::op::{Op, Operation};

/// A generator of operations.
pub trait Workload: Send {
    /// The next operation of this process. Infinite.
    fn next(&mut self, process: u64, rng: &mut ChaCha12Rng) -> Op;

    /// Told of every operation that ended `ok`, with who asked and its result, so that a cas can guess what is there.
    fn observe(&mut self, _process: u64, _op: &Op, _result: &Value) {}

    /// Told of every operation that ended `fail` or `info`. After `info` the process is no more, and another one takes its place.
    fn unanswered(&mut self, _process: u64, _op: &Op, _outcome: EventType) {}

    /// What is asked once after all faults are healed, so that nothing lost goes unseen.
    fn final_ops(&mut self) -> Vec<Op>;

    /// What this process is asked next after that, where how much there is to ask is not known before: a queue is emptied so. Several
    /// processes ask at once, until there is nothing more. An operation that does not end `ok` counts as asked.
    fn closing(&mut self, _process: u64) -> Option<Op> {
        None
    }
}

/// The parameters of one workload: the table `[workload.<name>]` of a spec, every key of which has a default.
pub trait WorkloadParameters: Clone + Debug + PartialEq + Default + Serialize + DeserializeOwned {
    /// What there is to know of the workload.
    const ABOUT: CatalogueEntry;

    /// The rows of a Markdown table that says what each number may be; see [`Bound::row`](crate::Bound::row).
    fn bounds() -> Vec<String> {
        Vec::new()
    }

    /// A generator from the beginning. The error names the key of the table that makes no sense.
    fn generator(&self) -> Result<Box<dyn Workload>, SpecError>;

    /// What it asks of a client with these parameters.
    fn operations(&self) -> Vec<Operation> {
        Self::ABOUT.operations.to_vec()
    }

    /// For how long its locks, or what it dequeues, are lent. `None`: nothing is.
    fn lease(&self) -> Option<Duration> {
        None
    }
}

/// One entry of `duress workloads`.
#[derive(Clone, Copy, Debug, Serialize)]
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
