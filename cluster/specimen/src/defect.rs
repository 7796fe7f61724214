//! The bugs that can be switched on, one by one, with `--defect NAME`.
//!
//! Each is small, lives in one place (search for its variant), and looks like something that has happened
//! to real systems. With none switched on the specimen is correct. What each does, what reveals it and
//! what it breaks is data here, so that the documentation, the command line and calibration cannot differ:
//!
//! ```
//! use duress_specimen::Defect;
//!
//! let defect: Defect = "split-cas".parse().unwrap();
//! assert_eq!(defect.name(), "split-cas");
//! assert!(defect.what().contains("compares"));
//! ```
//!
//! Each has a *marker* in `/status`: how often since its start the node has done what a correct one would not have done,
//! `"diverged":{"split-cas":3}`. So a run in which a defect was never triggered is told from one in which it was, and went unseen.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Defect {
    /// Any node answers a linearizable read from its own state.
    StaleRead,
    /// The leader answers a write when its own log has it, not when a majority has.
    AckBeforeQuorum,
    /// The log says that an entry is durable when it has only been handed over.
    AckBeforeSync,
    /// The leader's lease is counted on the clock of the wall, which can be set back.
    LeaseByWallclock,
    /// A compare-and-set compares at the leader and is logged as a plain write.
    SplitCas,
    /// A snapshot claims entries that were applied after its data had been copied.
    LostOnCompaction,
    /// A retried request runs again, because nobody asks the session table.
    DoubleApply,
    /// An installed snapshot is merged into the state instead of replacing it.
    ReviveDeleted,
    /// Records of the log are taken as they are read, whatever their checksums say.
    NoChecksum,
    /// A write or sync of the log that failed counts as done.
    IgnoresEio,
    /// A lock is taken from its holder by the clock of the wall, which can be set.
    TrustsWallClockTtl,
    /// What a crash left of a record stays in the log, and later records go behind it.
    TornLogTail,
    /// The end of a lease gives back a message that has been acknowledged meanwhile.
    RequeueAcked,
    /// Which requests have run is known to the leader that ran them, and only while it runs.
    DedupInMemory,
    /// A snapshot does not restore which requests have run.
    DedupLostInSnapshot,
    /// The session table has room for eight clients.
    DedupWindowTooShort,
    /// The leader acknowledges an ack by its own state, and tells nobody.
    AckNotReplicated,
    /// What finds a queue full is acknowledged and dropped.
    DropsWhenFull,
    /// What is sent again goes to the head of its queue.
    ReordersOnRetry,
}

impl Defect {
    /// Every defect, in the order of the documentation.
    pub const ALL: [Defect; 19] = [
        Defect::StaleRead,
        Defect::AckBeforeQuorum,
        Defect::AckBeforeSync,
        Defect::LeaseByWallclock,
        Defect::SplitCas,
        Defect::LostOnCompaction,
        Defect::DoubleApply,
        Defect::ReviveDeleted,
        Defect::NoChecksum,
        Defect::IgnoresEio,
        Defect::TrustsWallClockTtl,
        Defect::TornLogTail,
        Defect::RequeueAcked,
        Defect::DedupInMemory,
        Defect::DedupLostInSnapshot,
        Defect::DedupWindowTooShort,
        Defect::AckNotReplicated,
        Defect::DropsWhenFull,
        Defect::ReordersOnRetry,
    ];

    /// The name on the command line, e.g. `ack-before-sync`.
    pub const fn name(self) -> &'static str {
        match self {
            Defect::StaleRead => "stale-read",
            Defect::AckBeforeQuorum => "ack-before-quorum",
            Defect::AckBeforeSync => "ack-before-sync",
            Defect::LeaseByWallclock => "lease-by-wallclock",
            Defect::SplitCas => "split-cas",
            Defect::LostOnCompaction => "lost-on-compaction",
            Defect::DoubleApply => "double-apply",
            Defect::ReviveDeleted => "revive-deleted",
            Defect::NoChecksum => "no-checksum",
            Defect::IgnoresEio => "ignores-eio",
            Defect::TrustsWallClockTtl => "trusts-wall-clock-ttl",
            Defect::TornLogTail => "torn-log-tail",
            Defect::RequeueAcked => "requeue-acked",
            Defect::DedupInMemory => "dedup-in-memory",
            Defect::DedupLostInSnapshot => "dedup-lost-in-snapshot",
            Defect::DedupWindowTooShort => "dedup-window-too-short",
            Defect::AckNotReplicated => "ack-not-replicated",
            Defect::DropsWhenFull => "drops-when-full",
            Defect::ReordersOnRetry => "reorders-on-retry",
        }
    }

    /// What the specimen does wrong.
    pub const fn what(self) -> &'static str {
        match self {
            Defect::StaleRead => {
                "any node answers a linearizable read from its own state, without asking whether it still leads"
            }
            Defect::AckBeforeQuorum => {
                "the leader answers put and delete when its own log has the entry, not when a majority has it"
            }
            Defect::AckBeforeSync => {
                "log entries are acknowledged before they are durable; a background commit follows every 300 ms"
            }
            Defect::LeaseByWallclock => {
                "the leader counts its lease on CLOCK_REALTIME, so a clock set back makes the lease last longer"
            }
            Defect::SplitCas => {
                "cas compares with the leader's state and then logs a plain put: two at once can both succeed"
            }
            Defect::LostOnCompaction => {
                "a snapshot is stamped with what is applied when it is written, but its data was copied before"
            }
            Defect::DoubleApply => {
                "the state machine does not consult the session table: a retried request is applied twice"
            }
            Defect::ReviveDeleted => {
                "installing a snapshot adds its keys to the state and keeps the keys that it no longer has"
            }
            Defect::NoChecksum => {
                "what the log's records hold is not checked, and a record that can't be read counts as one that does nothing"
            }
            Defect::IgnoresEio => "a write or sync of the log that fails is taken for done",
            Defect::TrustsWallClockTtl => {
                "the leader ends the lease of a lock when CLOCK_REALTIME says so, and that can be set ahead"
            }
            Defect::TornLogTail => {
                "at start the log is read up to the first bad record, which stays where it is: new ones go behind it"
            }
            Defect::RequeueAcked => {
                "the end of a lease puts its message back into the queue, also if it has been acknowledged while that was on its way"
            }
            Defect::DedupInMemory => {
                "which requests have run is kept in the leader's memory: another leader, or a restarted one, runs a retry again"
            }
            Defect::DedupLostInSnapshot => {
                "what is restored from a snapshot lacks the session table: a retry of what ran before it runs again"
            }
            Defect::DedupWindowTooShort => {
                "the session table keeps the last eight clients, and forgets what others have run"
            }
            Defect::AckNotReplicated => {
                "the leader takes an ack by its own state and answers, without putting it into the log"
            }
            Defect::DropsWhenFull => {
                "an enqueue that finds its queue full is answered as if it had been done"
            }
            Defect::ReordersOnRetry => {
                "a retried enqueue moves its message to the head of the queue, as if it had been given back"
            }
        }
    }

    /// The fault or load that reveals it.
    pub const fn revealed_by(self) -> &'static str {
        match self {
            Defect::StaleRead => {
                "reads from followers under load; more so from a node that a partition cut off"
            }
            Defect::AckBeforeQuorum => "partition or kill of the leader under writes",
            Defect::AckBeforeSync => "kill -9 of a majority, or of all nodes, at once under writes",
            Defect::LeaseByWallclock => "lease reads, the leader partitioned and its clock set back",
            Defect::SplitCas => "contention: several clients cas the same hot key, no fault needed",
            Defect::LostOnCompaction => {
                "kill and restart of nodes, then of the leader, under writes to many keys"
            }
            Defect::DoubleApply => {
                "clients that retry with a token while the leader is paused, cut off or killed"
            }
            Defect::ReviveDeleted => {
                "a follower cut off until its log is compacted away, under deletes, which later leads"
            }
            Defect::NoChecksum => "bit-rot in the log of a node that then restarts, and later leads",
            Defect::IgnoresEio => "disk-error at one node after the other, and their kill",
            Defect::TrustsWallClockTtl => "clock-jump ahead of a leader while locks are held",
            Defect::TornLogTail => "torn-write at one node after the other, writes, and their kill",
            Defect::RequeueAcked => {
                "consumers that acknowledge when their lease is about to end, the more the slower the network is"
            }
            Defect::DedupInMemory => {
                "producers that retry with a token while the leader is killed, paused or cut off"
            }
            Defect::DedupLostInSnapshot => {
                "nodes that are killed and restarted, with snapshots taken often, while producers retry late"
            }
            Defect::DedupWindowTooShort => {
                "more producers than that, which retry with a token after a time-out"
            }
            Defect::AckNotReplicated => "a change of leader: kill, pause or partition of it",
            Defect::DropsWhenFull => {
                "producers that are faster than consumers, until a queue is full; no fault needed"
            }
            Defect::ReordersOnRetry => {
                "producers that retry with a token, and a queue in which messages wait"
            }
        }
    }

    /// The property that does not hold any more.
    pub const fn breaks(self) -> &'static str {
        match self {
            Defect::StaleRead | Defect::LeaseByWallclock => "linearizable (stale reads)",
            Defect::AckBeforeQuorum | Defect::AckBeforeSync | Defect::IgnoresEio | Defect::TornLogTail => {
                "durability: acknowledged writes are lost"
            }
            Defect::SplitCas => "linearizable (lost updates)",
            Defect::LostOnCompaction => "durability: acknowledged writes are lost, replicas diverge",
            Defect::DoubleApply => "exactly-once",
            Defect::ReviveDeleted => "linearizable (deleted values return), replicas diverge",
            Defect::NoChecksum => "linearizable (values that nobody wrote, lost writes), replicas diverge",
            Defect::TrustsWallClockTtl => "mutual-exclusion",
            Defect::RequeueAcked => "exactly-once (resurrected messages)",
            Defect::DedupInMemory => "exactly-once (messages are there twice)",
            Defect::DedupLostInSnapshot => "exactly-once (messages are there twice), replicas diverge",
            Defect::DedupWindowTooShort => "exactly-once (messages are there twice)",
            Defect::AckNotReplicated => "exactly-once (resurrected messages), replicas diverge",
            Defect::DropsWhenFull => "at-least-once (acknowledged messages are lost)",
            Defect::ReordersOnRetry => "first in, first out (reordered messages)",
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no defect's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown defect {given:?}; choose one of {}", Defect::ALL.map(Defect::name).join(", "))]
pub struct UnknownDefect {
    /// What was given instead.
    pub given: String,
}

impl FromStr for Defect {
    type Err = UnknownDefect;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        Defect::ALL
            .into_iter()
            .find(|defect| defect.name() == given)
            .ok_or_else(|| UnknownDefect { given: given.into() })
    }
}

/// The defects that are switched on in one node, and how often each has made a difference. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct Defects {
    on: Vec<Defect>,
    times: Arc<[AtomicU64; Defect::ALL.len()]>,
}

impl Defects {
    /// These defects, each once.
    pub fn new(defects: impl IntoIterator<Item = Defect>) -> Self {
        let mut on: Vec<_> = defects.into_iter().collect();
        on.sort();
        on.dedup();
        Self {
            on,
            times: Arc::default(),
        }
    }

    /// Whether `defect` is switched on.
    pub fn has(&self, defect: Defect) -> bool {
        self.on.contains(&defect)
    }

    /// Notes that the node has just done, for `defect`, what a correct one would not have done.
    pub fn diverged(&self, defect: Defect) {
        self.times[defect as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has, since the node started.
    pub fn times(&self, defect: Defect) -> u64 {
        self.times[defect as usize].load(Ordering::Relaxed)
    }

    /// The names, in the order of [`Defect::ALL`].
    pub fn names(&self) -> Vec<&'static str> {
        self.on.iter().map(|defect| defect.name()).collect()
    }

    /// How often each that is switched on has made a difference, by name: `{"stale-read":3}`.
    pub fn to_json(&self) -> Map<String, Value> {
        let count = |defect: &Defect| (defect.name().to_owned(), self.times(*defect).into());
        self.on.iter().map(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_defect() {
        for defect in Defect::ALL {
            assert_eq!(defect.name().parse(), Ok(defect));
            assert_eq!(serde_json::to_value(defect).unwrap(), defect.name());
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_choices() {
        let error = "stale-reads".parse::<Defect>().unwrap_err().to_string();
        assert!(
            error.contains("\"stale-reads\"") && error.contains("revive-deleted"),
            "{error}"
        );
    }

    #[test]
    fn the_page_for_people_says_the_same() {
        let page = include_str!("../../../docs/specimen.md");
        for defect in Defect::ALL {
            let (name, what, by, breaks) = (
                defect.name(),
                defect.what(),
                defect.revealed_by(),
                defect.breaks(),
            );
            let row = format!("| `{name}` | {what} | {by} | {breaks} |");
            assert!(page.contains(&row), "docs/specimen.md lacks the row:\n{row}");
        }
    }
}
