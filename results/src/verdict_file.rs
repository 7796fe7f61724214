//! `verdict.json`: what a run found, for machines, and the source of every page.

use std::collections::BTreeMap;

use duress_checker::evidence::Evidence;
pub use duress_checker::history::Phase;
pub use duress_checker::property::overall::Overall;
use duress_checker::verdict::PropertyVerdict;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of `verdict.json`.
pub const VERDICT_FORMAT: u32 = 1;

/// The whole of `verdict.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VerdictFile {
    /// [`VERDICT_FORMAT`].
    pub format: u32,
    /// Version of Duress that wrote it.
    pub duress: String,
    /// Name of the spec.
    pub name: String,
    /// Seed of the run.
    pub seed: u64,
    /// When the run began, RFC 3339, UTC.
    pub started: String,
    /// How long the run took from the first event of its history to the last, in milliseconds.
    pub duration_ms: u64,
    /// `held`, `violated`, `inconclusive` or `harness-failure`.
    pub overall: Overall,
    /// The exit code that goes with it.
    pub exit_code: u8,
    /// One sentence for a person.
    pub summary: String,
    /// Safety first, in the order of the spec.
    pub properties: Vec<PropertyVerdict>,
    /// What the verdicts rest on.
    pub evidence: Evidence,
    /// Why the run could not be done or trusted. Analysis goes on with what there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harness_failure: Option<String>,
    /// Whether the run was cut short, by Ctrl-C or a crash.
    #[serde(default)]
    pub cut_short: bool,
    /// When the parts of the run began, in nanoseconds since it did.
    pub phases: Vec<Phase>,
    /// What was deployed: `local, 5 nodes, specimen`, defects included.
    pub cluster: String,
    /// By defect that was switched on, how often it made a difference at any node, as far as nodes were asked in time: 0 is a
    /// defect that was never triggered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub diverged: BTreeMap<String, u64>,
    /// How its clients behaved, in sentences: what they tried again, and what counted as proof.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    /// The command that does it again.
    pub reproduce: String,
}

/// The JSON schema of `verdict.json` (draft 2020-12), generated from [`VerdictFile`]; `docs/verdict.schema.json` is it.
pub fn schema() -> String {
    let schema = schemars::schema_for!(VerdictFile);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is plain data");
    text.push('\n');
    text
}

/// One line of `nodes/<node>/probes.jsonl`: what a node said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Nanoseconds since the run began.
    pub time: u64,
    /// Whether it answered.
    pub up: bool,
    /// `leader`, `follower`, `candidate`, `learner`…
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Raft term, or what the system has for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<u64>,
    /// The node that it takes for the leader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// Highest log index known to be committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<u64>,
    /// Highest log index applied to the state machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<u64>,
}
