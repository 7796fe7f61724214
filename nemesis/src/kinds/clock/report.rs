//! What the agent's half says of clocks.

use serde::{Deserialize, Serialize};

use crate::agent::protocol::Process;
use crate::agent::vdso::measure::Reading;
use crate::agent::vdso::skew::Skew;

/// What was done at all nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injected {
    /// With what the kernel's clocks said when it began.
    pub skew: Skew,
    /// By node, the processes whose clocks are wrong now.
    pub nodes: Vec<(String, Vec<Process>)>,
}

/// The clocks of a node's processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeClocks {
    /// The node.
    pub node: String,
    /// All that are not just starting another program.
    pub processes: Vec<Seen>,
}

/// The clocks of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Which.
    pub process: Process,
    /// What its vDSO says.
    pub state: State,
    /// What they show, where that was measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<Reading>,
    /// Why that could not be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmeasured: Option<String>,
}

/// What the vDSO of a process says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// This fault is in force in it, whole.
    Wrong,
    /// Part of this fault is.
    Half,
    /// Another fault is.
    Another,
    /// It is as the kernel made it.
    True,
    /// It can't be made wrong, or somebody else changed it; and why.
    Unfit(String),
}
