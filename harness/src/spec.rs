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
//! A spec is parsed once, here, into types that can't be wrong: an unknown key or value is an error that names the
//! line and the choices.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use duress_nemesis::FaultsSpec;
use duress_workloads::append::AppendSpec;
use duress_workloads::lock::LockSpec;
use duress_workloads::register::RegisterSpec;
use duress_workloads::retry::{RetryPolicy, Routing};
use duress_workloads::set::SetSpec;
use duress_workloads::specimen::ReadMode;
use serde::{Deserialize, Serialize};

use crate::client;
use crate::duration::Span;
use crate::load::Pace;

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
    #[serde(default = "default_properties")]
    pub properties: Vec<Property>,
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

/// A named claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Property {
    /// Safety: every operation takes effect at one point between its invocation and its completion.
    Linearizable,
    /// Safety: once everything is healed and nobody writes, members that have applied the same hold the same.
    Converged,
    /// Safety, of sets: what was acknowledged can be read from then on, and nothing else.
    NothingLost,
    /// Safety, of locks: no two hold one at once.
    MutualExclusion,
    /// Safety, by what members say of themselves: no two lead in one term.
    OneLeaderPerTerm,
    /// Safety, by what members say of themselves: a running member's term never goes back.
    TermsNeverGoBack,
    /// Safety, by what members say of themselves: a running member never takes back what it has applied.
    AppliedNeverGoesBack,
    /// Liveness: once every fault is proven to be healed, all nodes agree on a leader and answer within
    /// `time.recovery`.
    Recovers,
}

impl Property {
    /// As in a spec and in a verdict.
    pub fn name(self) -> &'static str {
        match self {
            Property::Linearizable => "linearizable",
            Property::Converged => "converged",
            Property::MutualExclusion => "mutual-exclusion",
            Property::NothingLost => "nothing-lost",
            Property::OneLeaderPerTerm => "one-leader-per-term",
            Property::TermsNeverGoBack => "terms-never-go-back",
            Property::AppliedNeverGoesBack => "applied-never-goes-back",
            Property::Recovers => "recovers",
        }
    }
}

fn default_properties() -> Vec<Property> {
    vec![Property::Linearizable, Property::Recovers]
}

/// What is deployed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterSpec {
    /// Sandboxes made of Linux namespaces, on this machine.
    Local(LocalSpec),
    /// Services of a compose file, on a container engine.
    Compose(ComposeSpec),
}

/// A cluster from a compose file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ComposeSpec {
    /// Name of a built-in system: says which client to use, and when a node is ready.
    pub system: String,
    /// The compose file; a relative path starts from the spec.
    pub file: PathBuf,
    /// Services that are nodes, in order.
    pub nodes: Vec<String>,
    /// Version of the system, where its compose file takes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Variables for the `${…}` of the compose file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// The network to address nodes by, where they share several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Whether data directories shall be folders of the run's directory, as disk faults need.
    #[serde(default)]
    pub own_data: bool,
    /// Where the agent runs.
    #[serde(default)]
    pub agent: AgentHome,
    /// How long the nodes may take to become ready.
    #[serde(default = "default_compose_ready")]
    pub ready: Span,
}

/// Where the agent of a compose cluster runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentHome {
    /// As a child where the controller is root and sees the nodes' processes, else in a container.
    #[default]
    Auto,
    /// As a child of the controller.
    Child,
    /// In a helper container beside the nodes.
    Container,
}

fn default_compose_ready() -> Span {
    Span::seconds(60)
}

/// A cluster of local sandboxes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LocalSpec {
    /// Name of a built-in system; `duress systems` lists them.
    pub system: String,
    /// Number of nodes.
    #[serde(default = "default_nodes")]
    pub nodes: usize,
    /// Defects of the specimen to switch on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defects: Vec<String>,
    /// Arguments added to the system's command line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// How long the nodes may take to become ready.
    #[serde(default = "default_ready")]
    pub ready: Span,
}

fn default_nodes() -> usize {
    5
}

fn default_ready() -> Span {
    Span::seconds(20)
}

/// What clients ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadSpec {
    /// Reads, writes and compare-and-set over many keys.
    Register(RegisterSpec),
    /// Unique elements are added, and now and then all are read.
    Set(SetSpec),
    /// Unique elements are appended to lists.
    Append(AppendSpec),
    /// A lock with a lease and without fencing.
    Lock(LockSpec),
}

/// How hard clients push.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadSpec {
    /// Each process asks as soon as it has its answer.
    Closed(ClosedSpec),
    /// So many operations a second, answered or not.
    Open(OpenSpec),
}

/// Closed-loop load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClosedSpec {
    /// Operations outstanding at a time.
    pub processes: usize,
}

/// Open-loop load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OpenSpec {
    /// Operations a second.
    pub rate: f64,
    /// Operations outstanding at a time, at most.
    #[serde(default = "default_open_processes")]
    pub processes: usize,
}

fn default_open_processes() -> usize {
    200
}

impl Default for LoadSpec {
    fn default() -> Self {
        LoadSpec::Closed(ClosedSpec { processes: 10 })
    }
}

impl LoadSpec {
    /// For the clients.
    pub fn pace(&self) -> Pace {
        match self {
            LoadSpec::Closed(closed) => Pace::Closed {
                processes: closed.processes,
            },
            LoadSpec::Open(open) => Pace::Open {
                rate: open.rate,
                processes: open.processes,
            },
        }
    }
}

/// How clients ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientSpec {
    /// Time limit of one attempt.
    pub timeout: Span,
    /// Attempts an operation, the first included.
    pub attempts: u32,
    /// Mean wait before the second attempt; doubles with each further one.
    pub backoff: Span,
    /// The longest mean wait.
    pub backoff_max: Span,
    /// Retries allowed for each first attempt.
    pub retry_budget: f64,
    /// Whether to send idempotency tokens, and so to retry attempts whose outcome is unknown.
    pub tokens: bool,
    /// How the specimen is asked to read.
    pub read: ReadMode,
    /// Whether clients follow the leader or ask any node.
    pub routing: Routing,
    /// etcd: whether each write of a register is a transaction that looks at all keys first, which takes etcd long.
    pub long_writes: bool,
}

impl Default for ClientSpec {
    fn default() -> Self {
        ClientSpec {
            timeout: Span::milliseconds(500),
            attempts: 5,
            backoff: Span::milliseconds(20),
            backoff_max: Span::milliseconds(500),
            retry_budget: 2.0,
            tokens: true,
            read: ReadMode::Linearizable,
            routing: Routing::Leader,
            long_writes: false,
        }
    }
}

impl ClientSpec {
    /// For the clients.
    pub fn policy(&self) -> RetryPolicy {
        RetryPolicy {
            timeout: self.timeout.0,
            attempts_max: self.attempts,
            backoff: self.backoff.0,
            backoff_max: self.backoff_max.0,
            budget_ratio: self.retry_budget,
            tokens: self.tokens,
        }
    }
}

/// How long each part of a run takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TimeSpec {
    /// Load without faults.
    pub warm_up: Span,
    /// Load under faults.
    pub faults: Span,
    /// How long the cluster may take to recover once all is healed.
    pub recovery: Span,
}

impl Default for TimeSpec {
    fn default() -> Self {
        TimeSpec {
            warm_up: Span::seconds(2),
            faults: Span::seconds(30),
            recovery: Span::seconds(20),
        }
    }
}

/// How much evidence a run needs; one that falls short is inconclusive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct EvidenceSpec {
    /// Operations that ended `ok`.
    pub ok: u64,
    /// Operations of each kind that ended `ok`.
    pub ok_of_each: u64,
    /// Whether each fault has to be proven to have bitten and to have been healed.
    pub faults_verified: bool,
}

impl Default for EvidenceSpec {
    fn default() -> Self {
        EvidenceSpec {
            ok: 1000,
            ok_of_each: 50,
            faults_verified: true,
        }
    }
}

/// What the checkers may spend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CheckSpec {
    /// Wall time.
    pub time: Span,
    /// Memory, in MiB.
    pub memory_mib: usize,
}

impl Default for CheckSpec {
    fn default() -> Self {
        CheckSpec {
            time: Span::seconds(60),
            memory_mib: 2048,
        }
    }
}

/// Why a spec can't be used. The command line exits with code 64.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// It can't be read.
    #[error("read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no TOML, or has an unknown or missing key or a value of the wrong kind.
    #[error("{path}: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, excerpt and choices.
        source: Box<toml::de::Error>,
    },
    /// The values don't make sense.
    #[error("{path}: {what}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Which, and what would.
        what: String,
    },
}

impl Spec {
    /// Reads and checks a spec.
    pub fn read(path: &Path) -> Result<Self, SpecError> {
        let text = std::fs::read_to_string(path).map_err(|source| SpecError::Read {
            path: path.to_owned(),
            source,
        })?;
        Spec::parse(&text, path)
    }

    /// Parses and checks a spec; `path` is for error messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, SpecError> {
        let spec: Spec = toml::from_str(text).map_err(|source| SpecError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        let mut spec = spec;
        if let ClusterSpec::Compose(compose) = &mut spec.cluster {
            compose.file = from_spec(path, &compose.file);
        }
        match spec.problem() {
            Some(what) => Err(SpecError::Invalid {
                path: path.to_owned(),
                what,
            }),
            None => Ok(spec),
        }
    }

    /// Names of the nodes, in order.
    pub fn node_names(&self) -> Vec<String> {
        match &self.cluster {
            ClusterSpec::Local(local) => (1..=local.nodes).map(|number| format!("n{number}")).collect(),
            ClusterSpec::Compose(compose) => compose.nodes.clone(),
        }
    }

    /// How long the nodes may take to become ready.
    pub fn ready_limit(&self) -> std::time::Duration {
        match &self.cluster {
            ClusterSpec::Local(local) => local.ready.0,
            ClusterSpec::Compose(compose) => compose.ready.0,
        }
    }

    /// Name of the system.
    pub fn system(&self) -> &str {
        match &self.cluster {
            ClusterSpec::Local(local) => &local.system,
            ClusterSpec::Compose(compose) => &compose.system,
        }
    }

    /// Defects that are switched on.
    pub fn defects(&self) -> &[String] {
        match &self.cluster {
            ClusterSpec::Local(local) => &local.defects,
            ClusterSpec::Compose(_) => &[],
        }
    }

    /// What is added to the command line of every node.
    pub fn node_args(&self) -> Vec<String> {
        let ClusterSpec::Local(local) = &self.cluster else {
            return Vec::new();
        };
        let defects = local
            .defects
            .iter()
            .flat_map(|defect| ["--defect".to_owned(), defect.clone()]);
        defects.chain(local.args.iter().cloned()).collect()
    }

    /// Name of the model that judges the history.
    pub fn model(&self) -> &'static str {
        match self.workload {
            WorkloadSpec::Register(_) => duress_workloads::register::MODEL,
            WorkloadSpec::Set(_) => duress_workloads::set::MODEL,
            WorkloadSpec::Append(_) => duress_workloads::append::MODEL,
            WorkloadSpec::Lock(_) => duress_workloads::lock::MODEL,
        }
    }

    fn problem(&self) -> Option<String> {
        let name_ok = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || self.name.starts_with('.') || !self.name.chars().all(name_ok) {
            return Some(format!(
                "name {:?}: use letters, digits, \"-\", \"_\" and \".\"",
                self.name
            ));
        }
        if self.properties.is_empty() {
            return Some("properties is empty: name at least one, e.g. [\"linearizable\"]".to_owned());
        }
        match &self.cluster {
            ClusterSpec::Local(local) => {
                if !(1..=NODES_MAX).contains(&local.nodes) {
                    return Some(format!(
                        "cluster.local.nodes is {}: use 1 to {NODES_MAX}",
                        local.nodes
                    ));
                }
            }
            ClusterSpec::Compose(compose) => {
                if compose.nodes.is_empty() {
                    return Some("cluster.compose.nodes is empty: name services of the file".to_owned());
                }
            }
        }
        if let Some(problem) = client::problem(self) {
            return Some(problem);
        }
        match self.load.pace() {
            Pace::Closed { processes: 0 } | Pace::Open { processes: 0, .. } => {
                return Some("load: processes is 0: use at least 1".to_owned());
            }
            Pace::Open { rate, .. } if !(rate.is_finite() && rate > 0.0) => {
                return Some(format!(
                    "load.open.rate is {rate}: use operations a second, above 0"
                ));
            }
            _ => {}
        }
        if self.client.attempts == 0 {
            return Some("client.attempts is 0: use at least 1".to_owned());
        }
        if self.client.timeout.0.is_zero() {
            return Some("client.timeout is 0: use e.g. \"500ms\"".to_owned());
        }
        if !(self.client.retry_budget.is_finite() && self.client.retry_budget >= 0.0) {
            return Some(format!(
                "client.retry-budget is {}: use 0 or more",
                self.client.retry_budget
            ));
        }
        None
    }
}

/// A path in a spec starts from the spec's own folder; the resolved spec, which is kept elsewhere, has it in full.
fn from_spec(spec: &Path, file: &Path) -> PathBuf {
    let joined = spec.parent().unwrap_or(Path::new("")).join(file);
    std::path::absolute(&joined).unwrap_or(joined)
}

/// The addresses of a local cluster end here.
const NODES_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "name = \"t\"\n[cluster.local]\nsystem = \"specimen\"\n[workload.register]\n";

    fn error(text: &str) -> String {
        Spec::parse(text, Path::new("t.toml"))
            .expect_err("a bad spec")
            .to_string()
    }

    #[test]
    fn a_resolved_spec_reads_back_as_itself() {
        let spec = Spec::parse(MINIMAL, Path::new("t.toml")).expect("a good spec");
        let resolved = toml::to_string(&spec).expect("TOML");
        assert_eq!(
            Spec::parse(&resolved, Path::new("t.toml")).expect(&resolved),
            spec
        );
    }

    #[test]
    fn unknown_keys_and_values_name_line_and_choices() {
        let key = error(&MINIMAL.replace("system", "sistem"));
        assert!(key.contains("line 3") && key.contains("`system`"), "{key}");
        let workload = error(&MINIMAL.replace("workload.register", "workload.registre"));
        assert!(
            workload.contains("line 4") && workload.contains("`register`"),
            "{workload}"
        );
        let property = error(&format!("properties = [\"fast\"]\n{MINIMAL}"));
        assert!(
            property.contains("line 1") && property.contains("`linearizable`"),
            "{property}"
        );
        let duration = error(&format!("{MINIMAL}[time]\nfaults = \"soon\"\n"));
        assert!(
            duration.contains("line 6") && duration.contains("\"30s\""),
            "{duration}"
        );
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        assert!(error(&MINIMAL.replace("\"t\"", "\"../t\"")).contains("use letters"));
        assert!(error(&MINIMAL.replace("\"specimen\"\n", "\"specimen\"\nnodes = 0\n")).contains("use 1 to"));
        assert!(error(&format!("{MINIMAL}[load.open]\nrate = 0.0\n")).contains("above 0"));
        assert!(error(&format!("{MINIMAL}[load.closed]\nprocesses = 0\n")).contains("at least 1"));
    }
}
