//! What can be asked of the clients of a run: to do, on purpose, what clients do that crash, or whose network repeats what they sent.

use std::time::Duration;

use serde::Serialize;

use crate::duration_range::DurationRange;

/// What clients do wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClientFault {
    /// Share of the operations that it may happen to, from 0 to 1.
    pub share: f64,
    /// What happens to them.
    pub how: Misstep,
}

/// What happens to one operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Misstep {
    /// Its client crashes while it waits, after this time at most, and comes back.
    Crash {
        /// How long the client lives on at most.
        within: Duration,
        /// Whether it is the same client to the system when it comes back.
        same_identity: bool,
    },
    /// It has been answered, and its request is sent again, with the token that it had.
    Replay {
        /// How long after the answer.
        after: DurationRange,
    },
    /// Its outcome is not known, and its request is sent again, with the token that it had.
    LateRetry {
        /// How long after the client gave up.
        after: DurationRange,
    },
}

/// What has come of it so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClientsSeen {
    /// Operations that it happened to.
    pub hit: u64,
    /// Requests sent again that were answered as the first time, or for the first time.
    pub answered: u64,
    /// Requests sent again that the system refused.
    pub refused: u64,
    /// Requests sent again whose answer is not the first one.
    pub differed: u64,
    /// Requests sent again that nobody answered.
    pub unanswered: u64,
}

/// The clients of a run, as faults see them.
pub trait Misleading: Send + Sync {
    /// From now on this happens to them.
    fn begin(&self, fault: u64, what: ClientFault);

    /// What has come of it so far. `None`: it is not in force.
    fn seen(&self, fault: u64) -> Option<ClientsSeen>;

    /// It ends. What has come of it in all; `None`: it was not in force.
    fn end(&self, fault: u64) -> Option<ClientsSeen>;

    /// How many requests of this fault are still on their way.
    fn on_their_way(&self, fault: u64) -> usize;
}
