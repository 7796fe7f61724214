//! One queue as a whole: when it was drained, what requests of unknown outcome may have taken, what is missing.

use std::collections::BTreeMap;

use crate::delivery::anomaly::Anomaly;
use crate::delivery::findings::{Finding, Findings, cause};
use crate::delivery::journal::{Journal, NONE, Touch, TouchKind};
use crate::history::Val;

/// What happened to one queue as a whole.
#[derive(Default)]
pub(super) struct Account {
    /// Index and time of the invocation of the last request that found nothing, or left nothing, and after which nothing came any
    /// more.
    pub drained: Option<(u64, u64)>,
    /// Index of the invocation of the last such request by which nothing was lent either, so that there was no message at all.
    pub empty: Option<u64>,
    /// Invocation of the last request that brought something.
    last_receive: u64,
    /// Invocations of dequeues of unknown outcome.
    pub takes: Vec<u64>,
    /// How many of those took what they got for good: the others had it lent, and it is gone only by an ack.
    for_good: usize,
    /// Invocation of the first drain of unknown outcome.
    pub take_all: Option<u64>,
    /// Sends of messages that ought to be there and are not.
    pub missing: Vec<Missing>,
    /// Sends of unknown outcome of which nothing was seen although the queue was drained.
    pub vanished: u64,
}

/// A message that ought to be there and is not.
pub(super) struct Missing {
    /// Its send.
    pub send: Touch,
    /// Nobody ever got it.
    pub never: bool,
    /// It is provably gone: no dequeue of unknown outcome may have it.
    pub surely: bool,
}

/// All queues, without what is missing.
pub(super) fn accounts(journal: &Journal) -> BTreeMap<Val, Account> {
    let mut queues: BTreeMap<Val, Account> = BTreeMap::new();
    for touch in &journal.touches {
        let request = journal.request(touch);
        let account = queues.entry(touch.stream).or_default();
        match touch.kind {
            TouchKind::Receive => account.last_receive = account.last_receive.max(request.index),
            TouchKind::Take => {
                account.takes.push(request.index);
                account.for_good += usize::from(touch.at == NONE);
            }
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
            if touch.at != NONE {
                account.empty = account.empty.max(Some(request.index));
            }
        }
    }
    for account in queues.values_mut() {
        account.takes.sort_unstable();
    }
    queues
}

impl Account {
    /// Whether what was there when this event happened, and was acknowledged by nobody, would have been found at the end: no
    /// request of unknown outcome took anything for good, and the queue was seen without any message later.
    pub fn would_have(&self, there: u64) -> bool {
        self.for_good == 0 && self.take_all.is_none() && self.empty.is_some_and(|empty| there < empty)
    }

    /// Says of what is missing how much is lost: what dequeues of unknown outcome may have taken is not.
    pub fn settle(&mut self, queue: Val, journal: &Journal, findings: &mut Findings) {
        let excused = match self.take_all {
            Some(_) => usize::MAX,
            None => self.takes.len(),
        };
        self.missing
            .sort_by_key(|missing| (missing.surely, journal.request(&missing.send).index));
        let doubtful = self.missing.partition_point(|missing| !missing.surely);
        let spared = doubtful.min(excused);
        let sure = match spared {
            0 => String::new(),
            spared => format!(
                " (of {doubtful} that are missing {spared} may have been taken by dequeues of unknown outcome)"
            ),
        };
        for Missing { send, never, surely } in self.missing.iter().skip(spared) {
            let name = crate::history::shortened(&journal.values.json(send.value).to_string());
            let sure = if *surely { "" } else { &sure };
            let sentence = match never {
                true => {
                    format!("{name} was acknowledged and never delivered, though the queue was drained{sure}")
                }
                false => format!(
                    "{name} was given back, or its lease ended, and it was never delivered again, though the queue was drained{sure}"
                ),
            };
            let sent = journal.request(send);
            findings.add(Finding {
                anomaly: Anomaly::Lost,
                cause: cause(journal, Some(sent), None),
                stream: queue,
                value: send.value,
                requests: vec![send.request],
                sentence,
            });
        }
        match excused > doubtful && !self.would_have(0) {
            true => findings.ambiguous.unknown += self.vanished,
            false => findings.ambiguous.did_not += self.vanished,
        }
    }
}
