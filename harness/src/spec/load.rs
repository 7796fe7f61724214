//! How hard clients push, how they ask, and for how long.

use std::num::NonZeroU32;
use std::time::Duration;

use duress_workloads::clients::ReadMode;
use duress_workloads::retry::{RetryOn, RetryPolicy, Routing};
use serde::{Deserialize, Serialize};

use crate::duration::SpecDuration;
use crate::load::Pace;

/// How hard clients push.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadSpec {
    /// Each process asks as soon as it has its answer.
    Closed(ClosedSpec),
    /// A fixed number of operations per second, answered or not.
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

/// One mebibyte, in KiB.
const BODY_KIB: NonZeroU32 = NonZeroU32::new(1024).expect("it is not zero");

/// What became of an attempt that another one may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryReason {
    /// It provably did nothing, for a reason that may pass.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// How clients ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientSpec {
    /// Time limit of one attempt.
    pub timeout: SpecDuration,
    /// Time limit of one operation, with all its attempts and the waits between them. By default as long as all attempts
    /// may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<SpecDuration>,
    /// Attempts an operation, the first included.
    pub attempts: u32,
    /// Mean wait before the second attempt; doubles with each further one.
    pub backoff: SpecDuration,
    /// The longest mean wait.
    pub backoff_max: SpecDuration,
    /// Retries allowed for each first attempt.
    pub retry_budget: f64,
    /// Whether to send idempotency tokens, and so to retry attempts whose outcome is unknown.
    pub tokens: bool,
    /// After which attempts there is another one at all.
    pub retry_on: Vec<RetryReason>,
    /// How long a node may take to answer before another one is asked as well, where it is harmless to ask twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hedge: Option<SpecDuration>,
    /// How the specimen is asked to read.
    pub read: ReadMode,
    /// Whether clients follow the leader or ask any node.
    pub routing: Routing,
    /// etcd: whether each write of a register is a transaction that looks at all keys first, which takes etcd long.
    pub long_writes: bool,
    /// The longest body of an answer, in KiB. One that is longer is not read to its end, and proves nothing.
    pub body_kib: NonZeroU32,
}

impl Default for ClientSpec {
    fn default() -> Self {
        ClientSpec {
            timeout: SpecDuration::milliseconds(500),
            deadline: None,
            attempts: 5,
            backoff: SpecDuration::milliseconds(20),
            backoff_max: SpecDuration::milliseconds(500),
            retry_budget: 2.0,
            tokens: true,
            retry_on: vec![RetryReason::Refused, RetryReason::Unknown],
            hedge: None,
            read: ReadMode::Linearizable,
            routing: Routing::Leader,
            long_writes: false,
            body_kib: BODY_KIB,
        }
    }
}

impl ClientSpec {
    /// For the clients.
    pub fn policy(&self) -> RetryPolicy {
        RetryPolicy {
            timeout: self.timeout.0,
            deadline: self.deadline(),
            attempts_max: self.attempts,
            backoff: self.backoff.0,
            backoff_max: self.backoff_max.0,
            budget_ratio: self.retry_budget,
            tokens: self.tokens,
            retry_on: RetryOn {
                refused: self.retry_on.contains(&RetryReason::Refused),
                unknown: self.retry_on.contains(&RetryReason::Unknown),
            },
            hedge: self.hedge.map(|hedge| hedge.0),
        }
    }

    /// Each attempt as long as it may be, and the longest back-off before each.
    fn deadline(&self) -> Duration {
        let each = self
            .backoff_max
            .0
            .saturating_mul(2)
            .saturating_add(self.timeout.0);
        self.deadline
            .map_or_else(|| each.saturating_mul(self.attempts), |deadline| deadline.0)
    }

    /// The longest body of an answer, in bytes.
    pub fn body_max(&self) -> usize {
        (self.body_kib.get() as usize).saturating_mul(1024)
    }
}

/// How long each part of a run takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TimeSpec {
    /// Load without faults.
    pub warm_up: SpecDuration,
    /// Load under faults.
    pub faults: SpecDuration,
    /// How long the cluster may take to recover once all is healed.
    pub recovery: SpecDuration,
}

impl Default for TimeSpec {
    fn default() -> Self {
        TimeSpec {
            warm_up: SpecDuration::seconds(2),
            faults: SpecDuration::seconds(30),
            recovery: SpecDuration::seconds(20),
        }
    }
}
