//! Groups that consume, transform and produce: whether outputs and how far the group has come went together.
//!
//! ```text
//! txn [send out {input: [in, 17]}, commit g {in: 18}]      one transaction
//! join g → in from 18                                      the group has come past 17: something must have been made of it
//! join g → in from 17                                      behind what was committed: 17 will be worked on twice
//! ```
//!
//! Only groups count in whose name outputs are sent: others may read the same partition and make nothing of it.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use super::log::Logs;
use super::outputs::{name, send_of};
use crate::delivery::anomaly::Anomaly;
use crate::delivery::findings::{Finding, Findings, cause};
use crate::delivery::journal::{Journal, NONE, Touch, TouchKind};
use crate::history::Val;
use crate::history::values::FastMap;

/// A group is known to have come so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    /// The next offset.
    pub next: u64,
    /// Index of the event by which that was certain.
    pub settled: u64,
    /// Who shows it, by its position in the journal.
    pub request: u32,
}

pub(super) struct Groups<'a> {
    journal: &'a Journal,
    logs: &'a Logs,
    /// Those that make outputs.
    makers: BTreeSet<Val>,
    /// By partition, from the lowest offset to the highest; each with what was certain first, of itself and those behind it.
    passed: BTreeMap<Val, Vec<Passed>>,
    /// By partition, the index of the last send whose message a poll shows.
    shown: OnceCell<FastMap<Val, u64>>,
}

/// Groups in whose name outputs are sent.
pub(super) fn makers(journal: &Journal) -> BTreeSet<Val> {
    let mut makers = BTreeSet::new();
    for touches in journal.touches.chunk_by(|a, b| a.request == b.request) {
        if touches.iter().any(|touch| touch.kind == TouchKind::Output) {
            let commits = touches.iter().filter(|touch| touch.kind == TouchKind::Commit);
            makers.extend(commits.map(|commit| commit.value));
        }
    }
    makers
}

impl<'a> Groups<'a> {
    pub fn of(journal: &'a Journal, logs: &'a Logs) -> Self {
        let makers = makers(journal);
        let mut passed: BTreeMap<Val, Vec<Passed>> = BTreeMap::new();
        for touch in journal
            .touches
            .iter()
            .filter(|touch| makers.contains(&touch.value))
        {
            let request = journal.request(touch);
            let known = matches!(touch.kind, TouchKind::Commit | TouchKind::Dealt) && request.is_ok();
            if known && touch.at != NONE {
                passed.entry(touch.stream).or_default().push(Passed {
                    next: touch.at,
                    settled: request.settled(),
                    request: touch.request,
                });
            }
        }
        for passed in passed.values_mut() {
            passed.sort_unstable_by_key(|passed| (passed.next, passed.settled));
            let mut first: Option<Passed> = None;
            for passed in passed.iter_mut().rev() {
                let next = passed.next;
                match first {
                    Some(before) if before.settled < passed.settled => *passed = Passed { next, ..before },
                    _ => first = Some(*passed),
                }
            }
        }
        Groups {
            journal,
            logs,
            makers,
            passed,
            shown: OnceCell::new(),
        }
    }

    /// What first made it certain that a group has come past an offset.
    pub fn passed(&self, partition: Val, offset: u64) -> Option<Passed> {
        let passed = self.passed.get(&partition)?;
        let at = passed.partition_point(|passed| passed.next <= offset);
        passed.get(at).copied()
    }

    /// Whether none of these outputs, of unknown outcome and seen by nobody, was there at this event: what was sent to their partition after it
    /// was seen, and lies behind them.
    pub fn none_came(&self, outputs: &[&Touch], settled: u64) -> bool {
        outputs.iter().all(|output| {
            let partition = send_of(self.journal, output).stream;
            self.shown().get(&partition).is_some_and(|&sent| sent > settled)
        })
    }

    fn shown(&self) -> &FastMap<Val, u64> {
        self.shown.get_or_init(|| {
            let polls = self
                .journal
                .touches
                .iter()
                .filter(|touch| touch.kind == TouchKind::Receive);
            let polls = polls.filter(|poll| self.journal.request(poll).is_ok());
            let polled: BTreeSet<(Val, Val)> = polls.map(|poll| (poll.stream, poll.value)).collect();
            let mut shown: FastMap<Val, u64> = FastMap::default();
            for send in self
                .journal
                .touches
                .iter()
                .filter(|touch| touch.kind == TouchKind::Send)
            {
                if self.logs.committed(send) && polled.contains(&(send.stream, send.value)) {
                    let last = shown.entry(send.stream).or_default();
                    *last = self.journal.request(send).index.max(*last);
                }
            }
            shown
        })
    }

    /// `output-without-commit`: once for each commit that was not kept.
    pub fn behind(&self, findings: &mut Findings) {
        // By group and partition.
        let mut told: BTreeMap<(Val, Val), Vec<&Touch>> = BTreeMap::new();
        let mut commits: Vec<&Touch> = Vec::new();
        for touch in &self.journal.touches {
            let known = self.makers.contains(&touch.value) && self.journal.request(touch).is_ok();
            match touch.kind {
                TouchKind::Dealt if known => {
                    let told = told.entry((touch.value, touch.stream)).or_default();
                    told.push(touch);
                }
                TouchKind::Commit if known && touch.at != NONE => commits.push(touch),
                _ => {}
            }
        }
        for told in told.values_mut() {
            told.sort_unstable_by_key(|told| self.journal.request(told).index);
            // Of those that were asked for later, the one that was told to go back the furthest.
            for at in (1..told.len()).rev() {
                if told[at].at < told[at - 1].at {
                    told[at - 1] = told[at];
                }
            }
        }
        for commit in commits {
            let Some(told) = told.get(&(commit.value, commit.stream)) else {
                continue;
            };
            let end = self.journal.request(commit).end;
            let later = told.partition_point(|told| self.journal.request(told).index <= end);
            if let Some(told) = told.get(later).filter(|told| told.at < commit.at) {
                self.add_behind(commit, told, findings);
            }
        }
    }

    /// The last output that goes with a commit.
    fn output(&self, commit: &Touch) -> Option<&'a Touch> {
        let touches = self.journal.touches_of(commit.request).iter().rev();
        let mut outputs = touches.filter(|touch| touch.kind == TouchKind::Output);
        outputs.find(|output| output.stream == commit.stream)
    }

    fn add_behind(&self, commit: &Touch, told: &Touch, findings: &mut Findings) {
        let Some(output) = self.output(commit) else { return };
        let send = send_of(self.journal, output);
        let (committed, joined) = (self.journal.request(commit), self.journal.request(told));
        findings.add(Finding {
            anomaly: Anomaly::OutputWithoutCommit,
            cause: match self.journal.upsets.late.contains_key(&commit.request) {
                true => crate::delivery::anomaly::Cause::Replay,
                false => cause(self.journal, Some(committed), Some(joined)),
            },
            stream: send.stream,
            value: send.value,
            requests: vec![commit.request, told.request],
            sentence: format!(
                "outputs were committed with offset {} of {}, and later the group is told to go on from {}",
                commit.at,
                name(self.journal, commit.stream),
                told.at
            ),
        });
    }
}
