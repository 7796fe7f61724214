//! Fault events: what the nemesis did, step by step, and whether it is proven.
//!
//! A fault event is an `info` event of process `nemesis` whose `f` is the kind of the fault and whose value is a
//! [`FaultEvent`]:
//!
//! ```json
//! {"id":3,"step":"verify","targets":["n1","n4"],"result":"installed","detail":"6 of 6 directed links are cut","evidence":{}}
//! ```

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The six steps of a fault, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultStep {
    /// Targets are resolved, what is needed is looked for, the fault is written to the journal.
    Prepare,
    /// The thing is broken.
    Inject,
    /// It is proven, by looking at the nodes and not at the tool's answer, that it is broken.
    Verify,
    /// The thing is mended.
    Heal,
    /// It is proven that it is mended.
    VerifyHealed,
    /// Whatever is left is removed, and the journal entry closed.
    CleanUp,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepResult {
    /// It is done, and where the step is a verification, proven.
    Installed,
    /// It was not done; the detail says why.
    Skipped,
    /// It was tried and nobody can say whether it is in force; the detail says why.
    Indeterminate,
}

/// One step of one fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultEvent {
    /// Number of the fault in the schedule of this run.
    pub id: u64,
    /// Which step.
    pub step: FaultStep,
    /// The nodes that it is about.
    pub targets: Vec<String>,
    /// How the step ended.
    pub result: StepResult,
    /// For a person: what was done or seen, or why not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// For a machine: parameters, reachability matrix, process states, packet counters, milliseconds.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub evidence: Value,
}
