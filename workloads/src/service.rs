//! Clients of real systems: one attempt at one operation at one node.
//!
//! What an attempt proves decides between `ok`, `fail` and `info`, so an implementation must be honest about it:
//! only an answer that *proves* that nothing happened, and that nothing will, may be [`Answer::Refused`] or
//! [`Answer::Failed`].

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use duress_checker::history::Content;
use duress_checker::history::OtherClock;
pub use duress_checker::history::Token;
use duress_http::RequestError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::endpoint::Endpoint;
use crate::op::Op;

/// What one attempt proves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It happened, with this result. For writes: the value written.
    Ok(Value),
    /// It did not happen and never will, for a reason that lies in the operation itself, e.g. the value to be
    /// compared differed. Asking again is pointless.
    Failed {
        /// e.g. `mismatch`.
        error: String,
    },
    /// This attempt did not happen, and asking again is pointless: the session, transaction or membership that it belongs to is
    /// over. Says nothing of an earlier attempt, which may have come before that end.
    Fenced {
        /// e.g. `fenced`, `rebalanced`.
        error: String,
    },
    /// It did not happen and never will, for a reason that may pass: not the leader, overloaded.
    Refused {
        /// e.g. `not-leader`, `overloaded`.
        error: String,
        /// The node to ask instead, where the answer names one: by its name, or its IP address.
        leader: Option<String>,
        /// Time to leave the system alone, where the answer names one.
        retry_after: Option<Duration>,
    },
    /// Nobody knows: time-out, broken connection, an answer that can't be understood.
    Unknown {
        /// e.g. `timeout`, `connection reset`.
        error: String,
    },
    /// This machine could not ask: it has no descriptor, memory or port left. Says nothing of the system, and ends the
    /// load.
    Local {
        /// What there is none of, and what to do.
        error: String,
    },
}

impl Answer {
    /// It did not happen and never will, for a reason that may pass.
    pub fn refused(error: impl Into<String>) -> Answer {
        Answer::Refused {
            error: error.into(),
            leader: None,
            retry_after: None,
        }
    }

    /// Whether the node itself must have given it: it tells what only a node of the system knows. A refusal may also be that
    /// of a machine at whose address there is no node any more.
    pub(crate) fn is_from_the_node(&self) -> bool {
        match self {
            Answer::Ok(_) | Answer::Failed { .. } | Answer::Fenced { .. } => true,
            Answer::Refused { leader, .. } => leader.is_some(),
            Answer::Unknown { .. } | Answer::Local { .. } => false,
        }
    }

    /// Why it is not `ok`.
    pub(crate) fn error(&self) -> Option<&str> {
        match self {
            Answer::Ok(_) => None,
            Answer::Failed { error }
            | Answer::Fenced { error }
            | Answer::Refused { error, .. }
            | Answer::Unknown { error }
            | Answer::Local { error } => Some(error),
        }
    }

    /// The same with an error that is short enough to be kept for each operation.
    pub(crate) fn with_short_error(mut self) -> Answer {
        match &mut self {
            Answer::Ok(_) => {}
            Answer::Failed { error }
            | Answer::Fenced { error }
            | Answer::Refused { error, .. }
            | Answer::Unknown { error }
            | Answer::Local { error } => *error = duress_http::cut(std::mem::take(error)),
        }
        self
    }

    /// Nobody knows.
    pub fn unknown(error: impl Into<String>) -> Answer {
        Answer::Unknown { error: error.into() }
    }
}

impl From<RequestError> for Answer {
    /// For a request that may have an effect: only what was never sent can't have had any.
    fn from(error: RequestError) -> Answer {
        match error {
            RequestError::NotSent(error) => Answer::refused(error),
            RequestError::Local(error) => Answer::Local { error },
            error => Answer::unknown(error.to_string()),
        }
    }
}

/// An answer, and when it was had, if another clock tells that.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// What the attempt proves.
    pub answer: Answer,
    /// When it was made; `None`: between being asked for and being answered.
    pub seen: Option<Seen>,
}

impl From<Answer> for Answered {
    fn from(answer: Answer) -> Answered {
        Answered { answer, seen: None }
    }
}

/// When an attempt was made, by a clock elsewhere, in nanoseconds since the run began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// It began.
    pub start: u64,
    /// It ended.
    pub end: u64,
    /// Whose clock told, and how well it is known.
    pub clock: OtherClock,
}

/// Holds a lock for as long as the operation says. Nobody is asked.
pub(crate) async fn hold(op: &Op) -> Answer {
    let ms = op.value.get("ms").and_then(Value::as_u64).unwrap_or_default();
    tokio::time::sleep(Duration::from_millis(ms)).await;
    Answer::Ok(op.value.clone())
}

/// Idle connections kept for each node: enough for every process of a closed loop.
const IDLE_CONNECTIONS_MAX: usize = 256;

/// How the processes of a load ask: each limits the time of its attempts itself.
pub(crate) fn for_processes(local: Option<IpAddr>, body_max: usize) -> duress_http::Options {
    duress_http::Options {
        local,
        time: None,
        body_max,
        idle_max: IDLE_CONNECTIONS_MAX,
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The number of the process.
    pub process: u64,
    /// What the system is to execute once, where tokens are sent: the same in every attempt at one operation.
    pub token: Option<&'a Token>,
}

/// A client of one system. Shared by all processes.
#[async_trait]
pub trait Service: Send + Sync {
    /// Makes one attempt at `op` at `endpoint` for `asker`. The caller limits its time, so it need not; when it is dropped, the
    /// attempt counts as [`Answer::Unknown`].
    async fn attempt(&self, endpoint: &Endpoint, op: &Op, asker: Asker<'_>) -> Answer;

    /// The same, with when it was made, where that is known better than whoever waits for it can know.
    async fn attempt_seen(&self, endpoint: &Endpoint, op: &Op, asker: Asker<'_>) -> Answered {
        self.attempt(endpoint, op, asker).await.into()
    }

    /// Everything that one member has stored, by its own words, with the index of the log up to which it has applied it.
    /// The caller limits the time. Systems that don't tell are no good for the property `converged`.
    async fn content(&self, _endpoint: &Endpoint) -> Result<Content, RequestError> {
        let why = "this system does not tell what a single member holds";
        Err(RequestError::Broken(why.to_owned()))
    }

    /// What one member says of itself: an object with whatever its system has. The caller limits the time.
    async fn status(&self, _endpoint: &Endpoint) -> Result<Value, RequestError> {
        let why = "this client does not ask what a single member says of itself";
        Err(RequestError::Broken(why.to_owned()))
    }

    /// Whether the system executes a [`Token`] at most once, so that unknown attempts may be retried.
    fn honours_tokens(&self) -> bool {
        false
    }
}
