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

mod catalogue;

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
    /// Offsets that a group commits are known to the leader that took them, and to nobody else.
    OffsetByLeader,
    /// A new session of a producer does not end the one before.
    NoFencing,
    /// A commit shows messages first and moves its group after.
    TxnInTwoSteps,
    /// A commit ends whatever transaction of its producer is open.
    LateCommitWins,
    /// A request that was carried out before all that is remembered is carried out again.
    AcceptsReplayed,
}

impl Defect {
    /// Every defect, in the order of the documentation.
    pub const ALL: [Defect; 24] = [
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
        Defect::OffsetByLeader,
        Defect::NoFencing,
        Defect::TxnInTwoSteps,
        Defect::LateCommitWins,
        Defect::AcceptsReplayed,
    ];
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

    /// Whether any is switched on.
    pub fn has_any(&self) -> bool {
        !self.on.is_empty()
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
