//! One queue as a whole: when it was drained, what requests of unknown outcome may have taken, what is missing.

use std::collections::BTreeMap;

use crate::delivery::anomaly::Anomaly;
use crate::delivery::findings::{Finding, Findings, cause};
use crate::delivery::journal::{Journal, Touch, TouchKind};
use crate::history::Val;

/// What happened to one queue as a whole.
#[derive(Default)]
pub(super) struct Account {
    /// Index and time of the invocation of the last request that found nothing, or left nothing, and after which nothing came any
    /// more.
    pub drained: Option<(u64, u64)>,
    /// Invocation of the last request that brought something.
    last_receive: u64,
    /// Invocations of dequeues of unknown outcome.
    pub takes: Vec<u64>,
    /// Invocation of the first drain of unknown outcome.
    pub take_all: Option<u64>,
    /// Sends of messages that ought to be there and are not, and whether nobody ever got them.
    pub missing: Vec<(Touch, bool)>,
    /// Sends of unknown outcome of which nothing was seen although the queue was drained.
    pub vanished: u64,
}

/// All queues, without what is missing.
pub(super) fn accounts(journal: &Journal) -> BTreeMap<Val, Account> {
    let mut queues: BTreeMap<Val, Account> = BTreeMap::new();
    for touch in &journal.touches {
        let request = journal.request(touch);
        let account = queues.entry(touch.stream).or_default();
        match touch.kind {
            TouchKind::Receive => account.last_receive = account.last_receive.max(request.index),
            TouchKind::Take => account.takes.push(request.index),
            TouchKind::TakeAll => {
                let first = account.take_all.get_or_insert(request.index);
                *first = (*first).min(request.index);
            }
            _ => {}
        }
    }
    for touch in journal
        .touches
        .iter()
        .filter(|touch| touch.kind == TouchKind::Empty)
    {
        let request = journal.request(touch);
        if let Some(account) = queues.get_mut(&touch.stream)
            && account.last_receive < request.end
        {
            account.drained = account.drained.max(Some((request.index, request.invoked)));
        }
    }
    for account in queues.values_mut() {
        account.takes.sort_unstable();
    }
    queues
}

impl Account {
    /// Says of what is missing how much is lost: what dequeues of unknown outcome may have taken is not.
    pub fn settle(&mut self, queue: Val, journal: &Journal, findings: &mut Findings) {
        let excused = match self.take_all {
            Some(_) => usize::MAX,
            None => self.takes.len(),
        };
        self.missing
            .sort_by_key(|(touch, _)| journal.request(touch).index);
        let spared = self.missing.len().min(excused);
        let sure = match spared {
            0 => String::new(),
            spared => format!(
                " (of {} that are missing {spared} may have been taken by dequeues of unknown outcome)",
                self.missing.len()
            ),
        };
        for (touch, never) in self.missing.iter().skip(spared) {
            let name = crate::history::shortened(&journal.values.json(touch.value).to_string());
            let sentence = match never {
                true => {
                    format!("{name} was acknowledged and never delivered, though the queue was drained{sure}")
                }
                false => format!(
                    "{name} was given back, or its lease ended, and it was never delivered again, though the queue was drained{sure}"
                ),
            };
            let sent = journal.request(touch);
            findings.add(Finding {
                anomaly: Anomaly::Lost,
                cause: cause(journal, Some(sent), None),
                stream: queue,
                value: touch.value,
                requests: vec![touch.request],
                sentence,
            });
        }
        match excused > self.missing.len() {
            true => findings.ambiguous.unknown += self.vanished,
            false => findings.ambiguous.did_not += self.vanished,
        }
    }
}
