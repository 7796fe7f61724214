//! One attempt at an operation, and the hedge that may go along with it.
//!
//! A *hedged request* is sent to another node when the first one has not answered for a while, and whichever proves something first
//! decides (Dean and Barroso 2013, *The tail at scale*, CACM 56(2)). Only what may be sent twice is hedged.

use std::pin::pin;
use std::sync::Arc;

use duress_checker::history::Attempt;
use rand::{Rng, RngExt};
use tokio::time::Instant;

use super::{STOP_GRACE, Session, after};
use crate::endpoint::Endpoint;
use crate::op::Op;
use crate::service::{Answer, Answered, Asker, Token};
use crate::workload::HOLD;

/// What is asked, whichever node is.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub op: &'a Op,
    pub token: Option<&'a Token>,
    /// By when the operation is over.
    pub deadline: Instant,
    /// When the client crashes, if it does.
    pub crash: Option<Instant>,
    /// Whether it may be sent to another node while one has it.
    pub may_hedge: bool,
}

/// What came of it.
pub(super) struct Tried {
    /// Number of the node whose answer decides.
    pub target: usize,
    /// The node.
    pub endpoint: Arc<Endpoint>,
    pub answer: Answer,
}

/// What one node answered, and when.
struct Heard {
    target: usize,
    endpoint: Arc<Endpoint>,
    answer: Answer,
    attempt: Attempt,
}

impl Heard {
    /// Whether nothing that another node says can add to it.
    fn decides(&self) -> bool {
        matches!(
            self.answer,
            Answer::Ok(_) | Answer::Failed { .. } | Answer::Local { .. }
        )
    }

    fn alone(self, attempts: &mut Vec<Attempt>) -> Tried {
        attempts.push(self.attempt);
        Tried {
            target: self.target,
            endpoint: self.endpoint,
            answer: self.answer,
        }
    }

    /// The same, with that of the other node, in the order in which they were begun.
    fn with(self, other: Attempt, is_first: bool, attempts: &mut Vec<Attempt>) -> Tried {
        let place = attempts.len() + usize::from(is_first);
        let tried = self.alone(attempts);
        attempts.insert(place, other);
        tried
    }
}

impl Session<'_> {
    /// Asks a node, and another one too if that takes long and the policy says so. Adds what was tried to `attempts`.
    pub(super) async fn attempt<R: Rng + Send>(
        &self,
        asked: Asked<'_>,
        target: usize,
        rng: &mut R,
        attempts: &mut Vec<Attempt>,
    ) -> Tried {
        let count = self.endpoints.count();
        let hedge = self.policy.hedge.filter(|_| asked.may_hedge && count > 1);
        let mut first = pin!(self.ask(asked, target));
        let Some(hedge) = hedge else {
            return first.await.alone(attempts);
        };
        if let Ok(answered) = tokio::time::timeout(hedge, &mut first).await {
            return answered.alone(attempts);
        }
        if !self.budget.spend() {
            return first.await.alone(attempts);
        }
        let other = (target + rng.random_range(1..count)) % count;
        let begun = self.clock.now();
        let mut second = pin!(self.ask(asked, other));
        let (sooner, is_first) = tokio::select! {
            answered = &mut first => (answered, true),
            answered = &mut second => (answered, false),
        };
        if sooner.decides() {
            let left = Attempt {
                start: if is_first { begun } else { sooner.attempt.start },
                end: self.clock.now(),
                clock: None,
                node: self
                    .endpoints
                    .endpoint(if is_first { other } else { target })
                    .node
                    .clone(),
                error: Some("another node answered first".to_owned()),
                refused: false,
            };
            return sooner.with(left, is_first, attempts);
        }
        let later = if is_first { second.await } else { first.await };
        let settled =
            later.decides() || matches!(sooner.answer, Answer::Refused { .. } | Answer::Fenced { .. });
        let (decides, other) = if settled { (later, sooner) } else { (sooner, later) };
        decides.with(other.attempt, is_first != settled, attempts)
    }

    /// One request to one node, within its own time limit and that of the operation, and not long after the load was stopped.
    async fn ask(&self, asked: Asked<'_>, target: usize) -> Heard {
        let endpoint = self.endpoints.endpoint(target);
        let start = self.clock.now();
        // Who only holds something asks nobody, so no answer is late.
        let limit = match asked.op.f {
            HOLD => asked.deadline,
            _ => after(self.policy.timeout).min(asked.deadline),
        };
        let mut stop = self.stop.clone();
        let stopped = async {
            // Fails when the sender is gone, which means stop as well.
            let _ = stop.wait_for(|stop| *stop).await;
            tokio::time::sleep(STOP_GRACE).await;
        };
        let asker = Asker {
            process: self.process,
            token: asked.token,
        };
        let answered = self.service.attempt_seen(&endpoint, asked.op, asker);
        let Answered { answer, seen } = tokio::select! {
            biased;
            answered = tokio::time::timeout_at(limit, answered) => {
                answered.unwrap_or_else(|_| Answer::unknown(match asked.crash {
                    Some(crash) if crash <= limit => "the client crashed",
                    _ => "timeout",
                }).into())
            }
            () = stopped => Answer::unknown("no answer when the load was stopped").into(),
        };
        let answer = answer.with_short_error();
        if !answer.is_from_the_node() {
            self.endpoints.doubt(target);
        }
        let end = self.clock.now();
        let (start, end, clock) = match seen {
            Some(seen) => (seen.start, seen.end, Some(seen.clock)),
            None => (start, end, None),
        };
        let attempt = Attempt {
            start,
            end,
            clock,
            node: endpoint.node.clone(),
            error: answer.error().map(str::to_owned),
            refused: matches!(
                answer,
                Answer::Refused { .. } | Answer::Failed { .. } | Answer::Fenced { .. }
            ),
        };
        Heard {
            target,
            endpoint,
            answer,
            attempt,
        }
    }
}
