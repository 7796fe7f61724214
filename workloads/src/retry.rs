//! The client: picks nodes, retries within a policy, and turns what attempts prove into the outcome of an operation.
//!
//! - An operation ends `ok` or `fail` only on an answer that proves it.
//! - As soon as one attempt of an operation is unknown, later refusals prove nothing about that one: unless a later
//!   attempt, under the same token, is answered, the operation ends `info`.
//! - After an unknown attempt the next one is made only if it is harmless: the operation is idempotent, or the system
//!   honours the token.
//! - Retries are limited three ways: attempts an operation, back-off between them, and a budget that bounds the share
//!   of retries in all requests, so that clients don't turn a hiccup into an overload.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use duress_checker::history::{Attempt, EventType};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Op;
use crate::service::{Answer, Endpoint, Service, Token};

/// When and how often an operation is tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Time limit of one attempt.
    pub timeout: Duration,
    /// Attempts an operation, the first included. At least 1.
    pub attempts_max: u32,
    /// Mean wait before the second attempt; doubles with each further one.
    pub backoff: Duration,
    /// The longest mean wait.
    pub backoff_max: Duration,
    /// Retries allowed for each first attempt, e.g. 0.5: at most a third of all requests are retries.
    pub budget_ratio: f64,
    /// Whether to send idempotency tokens, and so to retry unknown attempts at systems that honour them.
    pub tokens: bool,
}

/// The share of retries, over all processes. Counts in thousandths of a retry.
#[derive(Debug)]
pub struct RetryBudget {
    balance_milli: AtomicI64,
    ratio_milli: i64,
}

/// Retries that may be made at once before the ratio bites; also the most that can be saved up.
const BURST: i64 = 100;

impl RetryBudget {
    /// A full budget for `ratio` retries per first attempt.
    pub fn new(ratio: f64) -> Self {
        RetryBudget {
            balance_milli: AtomicI64::new(BURST * 1000),
            ratio_milli: (ratio * 1000.0) as i64,
        }
    }

    fn earn(&self) {
        // A lost race over the cap lets a few more retries through; the bound on their share stands.
        if self.balance_milli.load(Ordering::Relaxed) < BURST * 1000 {
            self.balance_milli.fetch_add(self.ratio_milli, Ordering::Relaxed);
        }
    }

    fn spend(&self) -> bool {
        self.balance_milli
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |balance| {
                (balance >= 1000).then(|| balance - 1000)
            })
            .is_ok()
    }
}

/// How an operation ended, with every attempt that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// `ok`, `fail` or `info`.
    pub outcome: EventType,
    /// The result when it is `ok`; the argument otherwise.
    pub value: Value,
    /// The node that gave the deciding answer.
    pub node: Option<String>,
    /// Why it is not `ok`.
    pub error: Option<String>,
    /// In order.
    pub attempts: Vec<Attempt>,
}

/// A monotonic clock: nanoseconds since the run began.
pub trait Clock: Send + Sync {
    /// Nanoseconds since the run began.
    fn now(&self) -> u64;
}

/// Which nodes a client sends its requests to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Routing {
    /// Any node; after a refusal that names the leader, the leader, until it refuses or is silent.
    #[default]
    Leader,
    /// Any node each time, as for reads that every node answers.
    Any,
}

/// One process' way to the system. Remembers who answered last.
pub struct Session<'a> {
    /// The system's client.
    pub service: &'a dyn Service,
    /// Where nodes take requests.
    pub endpoints: &'a [Endpoint],
    /// When and how often to retry.
    pub policy: &'a RetryPolicy,
    /// Shared by all processes.
    pub budget: &'a RetryBudget,
    /// Shared by all processes.
    pub clock: &'a dyn Clock,
    /// Leader or any node.
    pub routing: Routing,
    /// Index in `endpoints` of the node to ask next; `None`: any.
    pub preferred: Option<usize>,
}

impl Session<'_> {
    /// Does one operation, with as many attempts as the policy allows.
    pub async fn perform<R: Rng + Send>(
        &mut self,
        op: &Op,
        token: Option<&Token>,
        rng: &mut R,
    ) -> Completion {
        self.budget.earn();
        let token = token.filter(|_| self.policy.tokens);
        let repeatable = op.idempotent || (token.is_some() && self.service.honours_tokens());
        let mut attempts: Vec<Attempt> = Vec::with_capacity(1);
        let mut unknown: Option<String> = None;
        loop {
            let number = attempts.len() as u32;
            let target = self.pick(
                rng,
                attempts.last().map(|attempt: &Attempt| attempt.node.as_str()),
            );
            let endpoint = &self.endpoints[target];
            let start = self.clock.now();
            let answer = tokio::time::timeout(self.policy.timeout, self.service.attempt(endpoint, op, token))
                .await
                .unwrap_or_else(|_| Answer::Unknown {
                    error: "timeout".to_owned(),
                });
            let mut attempt = Attempt {
                start,
                end: self.clock.now(),
                node: endpoint.node.clone(),
                error: None,
            };

            let (last_error, wait) = match answer {
                Answer::Ok(value) => {
                    self.preferred = (self.routing == Routing::Leader).then_some(target);
                    attempts.push(attempt);
                    let node = Some(endpoint.node.clone());
                    return Completion {
                        outcome: EventType::Ok,
                        value,
                        node,
                        error: None,
                        attempts,
                    };
                }
                Answer::Failed { error } => {
                    self.preferred = (self.routing == Routing::Leader).then_some(target);
                    attempt.error = Some(error.clone());
                    attempts.push(attempt);
                    let node = Some(endpoint.node.clone());
                    // Without a token the answer speaks of this attempt only, and an earlier one may have happened.
                    let certain = unknown.is_none() || (token.is_some() && self.service.honours_tokens());
                    let outcome = if certain { EventType::Fail } else { EventType::Info };
                    return Completion {
                        outcome,
                        value: op.value.clone(),
                        node,
                        error: Some(error),
                        attempts,
                    };
                }
                Answer::Refused {
                    error,
                    leader,
                    retry_after,
                } => {
                    self.preferred =
                        leader.and_then(|name| self.endpoints.iter().position(|e| e.node == name));
                    (error, retry_after)
                }
                Answer::Unknown { error } => {
                    self.preferred = None;
                    unknown = Some(error.clone());
                    (error, None)
                }
            };
            attempt.error = Some(last_error.clone());
            attempts.push(attempt);

            let may_retry = number + 1 < self.policy.attempts_max && (unknown.is_none() || repeatable);
            if !may_retry || !self.budget.spend() {
                let (outcome, error) = match unknown {
                    Some(error) => (EventType::Info, error),
                    None => (EventType::Fail, last_error),
                };
                let value = op.value.clone();
                return Completion {
                    outcome,
                    value,
                    node: None,
                    error: Some(error),
                    attempts,
                };
            }
            let redirected = self.preferred.is_some() && wait.is_none();
            if !redirected {
                tokio::time::sleep(wait.unwrap_or_default().max(self.backoff(number, rng))).await;
            }
        }
    }

    /// The preferred node, else any but the one that was asked last.
    fn pick<R: Rng>(&self, rng: &mut R, last: Option<&str>) -> usize {
        if let Some(preferred) = self.preferred {
            return preferred;
        }
        let count = self.endpoints.len();
        let any = rng.random_range(0..count);
        if count > 1 && last == Some(self.endpoints[any].node.as_str()) {
            (any + 1) % count
        } else {
            any
        }
    }

    /// Exponential, with full jitter: uniform in zero to twice the mean, so that clients spread out.
    fn backoff<R: Rng>(&self, number: u32, rng: &mut R) -> Duration {
        let mean = self
            .policy
            .backoff
            .saturating_mul(1 << number.min(16))
            .min(self.policy.backoff_max);
        mean.mul_f64(rng.random_range(0.0..2.0))
    }
}
