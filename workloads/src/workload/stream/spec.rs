//! What a spec says of the stream workload.
//!
//! ```toml
//! [workload.stream]
//! partitions = 2
//! workers = 3
//! stall = 0.1
//! ```

use serde::{Deserialize, Serialize};

use super::Stream;
use crate::bounds::{Bound, SpecError, share, weight};
use crate::generator::{CatalogueEntry, Workload, WorkloadParameters};
use crate::op::Operation;

/// What a spec says of the stream workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StreamSpec {
    /// Number of partitions that messages are sent to; with workers, as many for outputs. At least 1.
    pub partitions: u64,
    /// Number of members of the group that consumes, transforms and produces. 0: there is no group.
    pub workers: u64,
    /// Relative share of single messages in what a sender asks for.
    pub send: f64,
    /// Relative share of polls.
    pub poll: f64,
    /// Relative share of transactions.
    pub txn: f64,
    /// The most messages that a transaction sends.
    pub size: u64,
    /// Share of transactions, from 0 to 1, that are aborted.
    pub abort: f64,
    /// Share of transactions, from 0 to 1, in the midst of which the commit of the former one comes again.
    pub late: f64,
    /// Share of what senders ask for, from 0 to 1, that is a former send once more.
    pub replay: f64,
    /// Share of a worker's polls, from 0 to 1, after which it stalls and another takes over.
    pub stall: f64,
    /// How long a worker that stalls stands still, in milliseconds; half of it to one and a half.
    pub stall_ms: u64,
    /// For how long a member that says nothing stays in its group, in milliseconds.
    pub session_ms: u64,
}

impl Default for StreamSpec {
    fn default() -> Self {
        StreamSpec {
            partitions: 2,
            workers: 2,
            send: 5.0,
            poll: 3.0,
            txn: 2.0,
            size: 3,
            abort: 0.1,
            late: 0.05,
            replay: 0.02,
            stall: 0.05,
            stall_ms: 200,
            session_ms: 2000,
        }
    }
}

const PARTITIONS: Bound<u64> = Bound {
    key: "partitions",
    least: 1,
    most: 32,
    why: "each is polled from its beginning at the end",
};
const WORKERS: Bound<u64> = Bound {
    key: "workers",
    least: 0,
    most: 100,
    why: "members of one group; 0 is no group",
};
const SHARES: [Bound<f64>; 3] = [weight("send"), weight("poll"), weight("txn")];
const SIZE: Bound<u64> = Bound {
    key: "size",
    least: 1,
    most: 10,
    why: "each is a request, all of them are one attempt, and systems know only so many of the last sequences",
};
const CHANCES: [Bound<f64>; 4] = [share("abort"), share("late"), share("replay"), share("stall")];
const STALL_MS: Bound<u64> = Bound {
    key: "stall-ms",
    least: 1,
    most: 3_600_000,
    why: "an hour; who stalls stands still for half as long again",
};
const SESSION_MS: Bound<u64> = Bound {
    key: "session-ms",
    least: 100,
    most: 3_600_000,
    why: "an hour; members say every few polls that they are there",
};

impl WorkloadParameters for StreamSpec {
    const ABOUT: CatalogueEntry = CatalogueEntry {
        name: "stream",
        description: "partitions: sends, polls and transactions, and a group that consumes, transforms and produces; for the promises of delivery",
        model: None,
        properties: &["exactly-once", "at-least-once", "at-most-once"],
        operations: &[
            Operation::on_all("init"),
            Operation::on_all("assign"),
            Operation::on_all("send"),
            Operation::on_all("poll"),
            Operation::on_all("txn"),
            Operation::on_all("subscribe"),
            Operation::on_all("replay"),
        ],
        parameters: &[
            (
                "partitions",
                "number of partitions that messages are sent to; with workers, as many for outputs (2)",
            ),
            (
                "workers",
                "members of the group that consumes, transforms and produces; 0: there is none (2)",
            ),
            (
                "send",
                "relative share of single messages in what a sender asks for (5)",
            ),
            ("poll", "relative share of polls (3)"),
            ("txn", "relative share of transactions (2)"),
            ("size", "the most messages that a transaction sends (3)"),
            ("abort", "share of transactions that are aborted (0.1)"),
            (
                "late",
                "share of transactions in the midst of which the commit of the former one comes again (0.05)",
            ),
            (
                "replay",
                "share of what senders ask for that is a former send once more (0.02)",
            ),
            (
                "stall",
                "share of a worker's polls after which it stalls while another takes over, and then goes on (0.05)",
            ),
            (
                "stall-ms",
                "how long a worker that stalls stands still, half of it to one and a half (200)",
            ),
            (
                "session-ms",
                "for how long a member that says nothing stays in its group (2000)",
            ),
        ],
    };

    fn bounds() -> Vec<String> {
        let mut rows = vec![PARTITIONS.row(), WORKERS.row()];
        rows.extend(SHARES.iter().map(Bound::row));
        rows.push(SIZE.row());
        rows.extend(CHANCES.iter().map(Bound::row));
        rows.extend([STALL_MS.row(), SESSION_MS.row()]);
        rows
    }

    /// No group is asked for where there are no workers, and no transaction where nobody has any.
    fn operations(&self) -> Vec<Operation> {
        let asked = |operation: &&Operation| match operation.f {
            "subscribe" => self.workers > 0,
            "txn" => self.workers > 0 || self.txn > 0.0,
            "replay" => self.replay > 0.0,
            _ => true,
        };
        Self::ABOUT.operations.iter().filter(asked).copied().collect()
    }

    fn generator(&self) -> Result<Box<dyn Workload>, SpecError> {
        Ok(Box::new(Stream::new(self)?))
    }
}

impl StreamSpec {
    /// Refuses what makes no sense.
    pub(super) fn check(&self) -> Result<(), SpecError> {
        PARTITIONS.check(self.partitions)?;
        WORKERS.check(self.workers)?;
        let shares = [self.send, self.poll, self.txn];
        (SHARES.iter().zip(shares)).try_for_each(|(bound, share)| bound.check(share))?;
        if shares.iter().sum::<f64>() <= 0.0 {
            return Err(SpecError {
                key: "send",
                what: "send, poll and txn are shares: one at least must be above 0".to_owned(),
            });
        }
        SIZE.check(self.size)?;
        let chances = [self.abort, self.late, self.replay, self.stall];
        (CHANCES.iter().zip(chances)).try_for_each(|(bound, chance)| bound.check(chance))?;
        STALL_MS.check(self.stall_ms)?;
        SESSION_MS.check(self.session_ms)
    }
}
