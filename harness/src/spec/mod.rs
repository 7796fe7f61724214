//! Specs: what is deployed, asked, broken and claimed.
//!
//! ```toml
//! name = "register"
//! properties = ["linearizable", "recovers"]
//!
//! [cluster.local]
//! system = "specimen"
//! nodes = 5
//!
//! [workload.register]
//! keys = 10
//!
//! [load.open]
//! rate = 300
//!
//! [time]
//! faults = "30s"
//!
//! [[faults.mix]]
//! kind = "partition"
//! shape = "halves"
//! ```
//!
//! A spec is parsed once, by [`Source::parse`], into types that can't be wrong: an unknown key or value is an error that
//! names the line and the choices. What stands in `faults` is the nemesis' to say.

mod check;
mod cluster;
mod complaint;
mod engines;
mod fill_in;
mod fit;
mod hosts;
mod judging;
mod load;
mod read;
mod system;

use duress_nemesis::FaultsSpec;
use duress_workloads::WorkloadSpec;
use serde::{Deserialize, Serialize};

pub use check::{about_faults, check_memory, check_time, check_variable, faults_time};
pub use cluster::{AgentHome, ClusterSpec, ComposeSpec, LocalSpec};
pub use complaint::{Complaint, KeyPath, Marked};
pub use engines::{EngineSpec, ReachSpec};
pub use fill_in::FILL_IN;
pub use fit::{deployable, service_problem};
pub use hosts::{SshSpec, folder};
pub use judging::{CheckSpec, Claim, EvidenceSpec};
pub use load::{ClientSpec, ClosedSpec, LoadSpec, OpenSpec, TimeSpec};
pub use read::{Source, SpecError};
pub use system::{Definition, SystemRef};

/// A spec, with every default filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Spec {
    /// Names the run's directory: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// For the report: what this is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What everything random is drawn from; drawn itself where neither spec nor command line says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// What is claimed, safety first.
    #[serde(default = "judging::default_properties")]
    pub properties: Vec<Claim>,
    /// What is deployed.
    pub cluster: ClusterSpec,
    /// What clients ask.
    pub workload: WorkloadSpec,
    /// How hard they push.
    #[serde(default)]
    pub load: LoadSpec,
    /// How they ask.
    #[serde(default)]
    pub client: ClientSpec,
    /// How long each part takes.
    #[serde(default)]
    pub time: TimeSpec,
    /// What breaks.
    #[serde(default)]
    pub faults: FaultsSpec,
    /// How much evidence the run needs.
    #[serde(default)]
    pub evidence: EvidenceSpec,
    /// What the checkers may spend.
    #[serde(default)]
    pub check: CheckSpec,
}
