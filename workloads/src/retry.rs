//! The client: picks nodes, retries within a policy, and turns what attempts prove into the outcome of an operation.
//!
//! - An operation ends `ok` or `fail` only on an answer that proves it.
//! - As soon as one attempt of an operation is unknown, later refusals prove nothing about that one: unless a later
//!   attempt, under the same token, is answered, the operation ends `info`.
//! - After an unknown attempt the next one is made only if it is harmless: the operation is idempotent, or the system
//!   honours the token.
//! - Retries are limited four ways: attempts an operation, back-off between them, a deadline of the whole operation, and
//!   a budget that bounds the share of retries in all requests, so that clients don't turn a hiccup into an overload.
//! - A system that asks to be left alone is, but no longer than until the operation's deadline. When the load is stopped
//!   waits end at once and attempts soon: the operation ends with what is known by then.
//! - What this machine could not ask says nothing of the system. Such an operation ends `info`, and whoever runs the load
//!   is told by [`Completion::local`].

mod attempt;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use duress_checker::history::{Attempt, EventType};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::endpoint::Endpoints;
use crate::op::Op;
use crate::service::{Answer, Service, Token};

use attempt::Asked;

/// When and how often an operation is tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Time limit of one attempt.
    pub timeout: Duration,
    /// Time limit of one operation, with all its attempts and the waits between them.
    pub deadline: Duration,
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
    /// After which answers there is another attempt at all.
    pub retry_on: RetryOn,
    /// How long a node may take to answer before another one is asked as well; `None`: as long as it likes.
    pub hedge: Option<Duration>,
}

/// After which answers an operation is tried again, if the rest of the policy allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryOn {
    /// After one that proves that nothing happened, for a reason that may pass.
    pub refused: bool,
    /// After none, or one that proves nothing.
    pub unknown: bool,
}

impl RetryOn {
    /// After both.
    pub const ALL: RetryOn = RetryOn {
        refused: true,
        unknown: true,
    };
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
    /// Whether that is because this machine could not ask: the system is not to blame, and the load can't go on.
    pub local: bool,
    /// In order.
    pub attempts: Vec<Attempt>,
    /// What all attempts carried, where the system executes it once.
    pub token: Option<Token>,
    /// For how long what came of it is lent, in milliseconds: of a dequeue, as its workload says.
    pub lease_ms: Option<u64>,
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

/// One process' way to the system. Remembers which node answered last.
pub struct Session<'a> {
    /// The system's client.
    pub service: &'a dyn Service,
    /// Where nodes take requests, asked for each attempt.
    pub endpoints: &'a dyn Endpoints,
    /// When and how often to retry.
    pub policy: &'a RetryPolicy,
    /// Shared by all processes.
    pub budget: &'a RetryBudget,
    /// Shared by all processes.
    pub clock: &'a dyn Clock,
    /// Leader or any node.
    pub routing: Routing,
    /// Number of the node to ask next, as `endpoints` counts them; `None`: any.
    pub preferred: Option<usize>,
    /// Who asks.
    pub process: u64,
    /// Turns true, or loses its sender, when the load is stopped.
    pub stop: watch::Receiver<bool>,
    /// How long after the beginning of the next operation the client crashes; then nobody waits for its answer any more.
    pub crashes_after: Option<Duration>,
}

/// What an attempt may take once the load is stopped.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// As good as no deadline.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

impl Session<'_> {
    /// Does one operation, with as many attempts as the policy allows.
    pub async fn perform<R: Rng + Send>(
        &mut self,
        op: &Op,
        token: Option<&Token>,
        rng: &mut R,
    ) -> Completion {
        self.budget.earn();
        let crash = self.crashes_after.take().map(after);
        let deadline = after(self.policy.deadline);
        let deadline = crash.map_or(deadline, |crash| crash.min(deadline));
        let token = token.filter(|_| self.policy.tokens);
        let executed_once = token.is_some() && self.service.honours_tokens();
        let repeatable = op.idempotent || executed_once;
        let mut attempts: Vec<Attempt> = Vec::with_capacity(1);
        let mut unknown: Option<String> = None;
        let mut last_target = None;
        loop {
            let target = self.pick(rng, last_target);
            last_target = Some(target);
            let asked = Asked {
                op,
                token,
                deadline,
                crash,
                may_hedge: repeatable && attempts.len() as u32 + 1 < self.policy.attempts_max,
            };
            let tried = self.attempt(asked, target, rng, &mut attempts).await;
            let target = tried.target;
            let number = attempts.len() as u32;
            let node = || Some(tried.endpoint.node.clone());

            let led = (self.routing == Routing::Leader).then_some(target);
            let ended = |outcome, error, attempts| Completion {
                outcome,
                value: op.value.clone(),
                node: None,
                error,
                local: false,
                attempts,
                token: token.filter(|_| executed_once).cloned(),
                lease_ms: None,
            };
            let (error, wait, allowed) = match tried.answer {
                Answer::Ok(value) => {
                    self.preferred = led;
                    return Completion {
                        value,
                        node: node(),
                        ..ended(EventType::Ok, None, attempts)
                    };
                }
                Answer::Failed { error } => {
                    self.preferred = led;
                    // Without a token the answer speaks of this attempt only, and an earlier one may have happened.
                    let certain = unknown.is_none() || executed_once;
                    let outcome = if certain { EventType::Fail } else { EventType::Info };
                    return Completion {
                        node: node(),
                        ..ended(outcome, Some(error), attempts)
                    };
                }
                Answer::Fenced { error } => {
                    self.preferred = led;
                    let outcome = unknown.map_or(EventType::Fail, |_| EventType::Info);
                    return Completion {
                        node: node(),
                        ..ended(outcome, Some(error), attempts)
                    };
                }
                Answer::Local { error } => {
                    return Completion {
                        local: true,
                        ..ended(EventType::Info, Some(error), attempts)
                    };
                }
                Answer::Refused {
                    error,
                    leader,
                    retry_after,
                } => {
                    // Whom the system names is only asked if it is one of the cluster's own.
                    self.preferred = leader.and_then(|name| self.number_of(&name));
                    (error, retry_after, self.policy.retry_on.refused)
                }
                Answer::Unknown { error } => {
                    self.preferred = None;
                    unknown = Some(error.clone());
                    (error, None, self.policy.retry_on.unknown)
                }
            };

            let harmless = unknown.is_none() || repeatable;
            let may_retry = allowed && harmless && number < self.policy.attempts_max;
            let goes_on = may_retry && self.budget.spend() && {
                let redirected = self.preferred.is_some() && wait.is_none();
                let pause = match redirected {
                    true => Duration::ZERO,
                    false => wait.unwrap_or_default().max(self.backoff(number - 1, rng)),
                };
                self.pause(pause, deadline).await
            };
            if !goes_on {
                return match unknown {
                    Some(error) => ended(EventType::Info, Some(error), attempts),
                    None => ended(EventType::Fail, Some(error), attempts),
                };
            }
        }
    }

    /// Waits before the next attempt. False: there is no time for one, or the load was stopped.
    async fn pause(&mut self, pause: Duration, deadline: Instant) -> bool {
        let until = after(pause);
        if !pause.is_zero() {
            tokio::select! {
                () = tokio::time::sleep_until(until.min(deadline)) => {}
                _ = self.stop.wait_for(|stop| *stop) => return false,
            }
        }
        until < deadline && !*self.stop.borrow() && self.stop.has_changed().is_ok()
    }

    /// The preferred node, else any but the one that was asked last.
    fn pick<R: Rng>(&self, rng: &mut R, last: Option<usize>) -> usize {
        if let Some(preferred) = self.preferred {
            return preferred;
        }
        let count = self.endpoints.count();
        let any = rng.random_range(0..count);
        if count > 1 && last == Some(any) {
            (any + 1) % count
        } else {
            any
        }
    }

    /// The number of the node of this name or IP address, if it is one of the cluster's.
    fn number_of(&self, name: &str) -> Option<usize> {
        (0..self.endpoints.count()).find(|number| self.endpoints.endpoint(*number).is_called(name))
    }

    /// Exponential, with full jitter: uniform in zero to twice the mean, so that clients spread out.
    fn backoff<R: Rng>(&self, number: u32, rng: &mut R) -> Duration {
        let mean = self
            .policy
            .backoff
            .saturating_mul(1 << number.min(16))
            .min(self.policy.backoff_max);
        Duration::try_from_secs_f64(mean.as_secs_f64() * rng.random_range(0.0..2.0)).unwrap_or(Duration::MAX)
    }
}

/// The moment this long after now, or one that never comes.
fn after(duration: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(duration).unwrap_or_else(|| now + FAR)
}

#[cfg(test)]
mod tests;
