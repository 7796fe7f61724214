//! The order of each partition: which offsets are known, and what lies there.

use std::collections::BTreeMap;

use crate::delivery::anomaly::{Anomaly, Cause};
use crate::delivery::by_message::ByMessage;
use crate::delivery::findings::{Finding, Findings};
use crate::delivery::journal::{Journal, NONE, Touch, TouchKind};
use crate::history::Val;
use crate::history::values::FastMap;

/// One partition.
#[derive(Default)]
pub(super) struct Log {
    /// Known offsets, each once, growing.
    offsets: Vec<u64>,
    /// What lies there, by offset and message.
    entries: Vec<(u64, Val)>,
    /// Where offsets leave few gaps: the place of each from the first on; [`NO_PLACE`]: it is not known.
    dense: Vec<u32>,
    /// The first and the last place of each message.
    places: FastMap<Val, (u32, u32)>,
    /// The last place that a poll that succeeded reached; `None`: there was none.
    pub polled: Option<u32>,
}

/// Nothing is known to lie there.
const NO_PLACE: u32 = u32::MAX;

impl Log {
    /// Notes where a message lies, if that is known and was not noted since `first`, which is fewer times than it is polled.
    fn note(&mut self, first: usize, touch: &Touch) {
        let entry = (touch.at, touch.value);
        if touch.at != NONE
            && !self.entries[first..]
                .iter()
                .rev()
                .take(4)
                .any(|other| *other == entry)
        {
            self.entries.push(entry);
        }
    }

    /// Puts what was noted in order.
    fn sort(&mut self) {
        self.entries.sort_unstable();
        self.entries.dedup();
        self.entries.shrink_to_fit();
        self.places.reserve(self.entries.len());
        for &(offset, message) in &self.entries {
            if self.offsets.last() != Some(&offset) {
                self.offsets.push(offset);
            }
            let place = self.offsets.len() as u32 - 1;
            self.places.entry(message).or_insert((place, place)).1 = place;
        }
        let (Some(&first), Some(&last)) = (self.offsets.first(), self.offsets.last()) else {
            return;
        };
        let reach = last - first;
        if reach < 4 * self.offsets.len() as u64 {
            self.dense = vec![NO_PLACE; reach as usize + 1];
            for (place, offset) in (0..).zip(&self.offsets) {
                self.dense[(offset - first) as usize] = place;
            }
        }
    }

    /// Place of an offset among those that are known.
    pub fn place(&self, offset: u64) -> Option<u32> {
        if self.dense.is_empty() {
            return self.offsets.binary_search(&offset).ok().map(|place| place as u32);
        }
        let behind = offset.checked_sub(*self.offsets.first()?)?;
        let place = self.dense.get(usize::try_from(behind).ok()?).copied();
        place.filter(|&place| place != NO_PLACE)
    }

    /// First and last place of a message.
    pub fn places(&self, message: Val) -> Option<(u32, u32)> {
        self.places.get(&message).copied()
    }

    /// Place of a message that lies at one offset, and alone there.
    pub fn only_place(&self, message: Val) -> Option<u32> {
        let (first, last) = self.places(message)?;
        let offset = self.offsets[first as usize];
        let here = self.entries.partition_point(|(other, _)| *other < offset);
        let alone = self
            .entries
            .get(here + 1)
            .is_none_or(|(other, _)| *other != offset);
        (first == last && alone).then_some(first)
    }

    /// Offset of a message that lies at no other, and alone there.
    pub fn only_offset(&self, message: Val) -> Option<u64> {
        let place = self.only_place(message)?;
        Some(self.offsets[place as usize])
    }

    /// Where a send or a receive stands.
    pub fn place_of(&self, touch: &Touch) -> Option<u32> {
        match touch.at {
            NONE => self.places(touch.value).map(|(_, last)| last),
            offset => self.place(offset),
        }
    }

    /// The first message that lies between two places.
    pub fn between(&self, from: u32, to: u32) -> Option<Val> {
        let offset = *self.offsets.get(from as usize + 1..to as usize)?.first()?;
        let at = self.entries.partition_point(|(other, _)| *other < offset);
        self.entries.get(at).map(|(_, message)| *message)
    }
}

/// All partitions.
pub(super) struct Logs {
    logs: BTreeMap<Val, Log>,
    /// Which requests are known to have happened: by their position in the journal.
    committed: Vec<bool>,
}

impl Logs {
    /// Puts them together; an error if a message was sent twice.
    pub fn of(journal: &Journal, by_message: &ByMessage) -> Result<Logs, String> {
        let mut committed: Vec<bool> = journal.requests.iter().map(|request| request.is_ok()).collect();
        let mut logs: BTreeMap<Val, Log> = BTreeMap::new();
        // Messages that a poll that succeeded shows.
        let mut shown: Vec<bool> = Vec::with_capacity(by_message.messages.len());
        // Of unknown outcome, with what they say of their offset.
        let mut unknown: Vec<&Touch> = Vec::new();
        for (message, &(partition, value)) in by_message.messages.iter().enumerate() {
            let log = logs.entry(partition).or_default();
            let first = log.entries.len();
            let mut send: Option<&Touch> = None;
            let mut polled = false;
            for touch in by_message.touches(message, journal) {
                match touch.kind {
                    TouchKind::Send if send.is_some() => {
                        return Err(format!(
                            "event {} sends {} again: which of the two is polled can't be told",
                            journal.request(touch).index,
                            crate::history::shortened(&journal.values.json(value).to_string())
                        ));
                    }
                    TouchKind::Send => {
                        send = Some(touch);
                        let request = journal.request(touch);
                        if request.is_ok() {
                            log.note(first, touch);
                        } else if request.is_unknown() {
                            unknown.push(touch);
                        }
                    }
                    TouchKind::Receive => {
                        polled |= journal.request(touch).is_ok();
                        log.note(first, touch);
                    }
                    _ => {}
                }
            }
            shown.push(polled);
            if let Some(send) = send.filter(|send| polled && journal.request(send).is_unknown()) {
                committed[send.request as usize] = true;
            }
        }
        for send in unknown
            .into_iter()
            .filter(|send| committed[send.request as usize])
        {
            if let Some(log) = logs.get_mut(&send.stream) {
                log.note(0, send);
            }
        }
        logs.values_mut().for_each(Log::sort);
        for (&(partition, value), _) in by_message
            .messages
            .iter()
            .zip(&shown)
            .filter(|(_, shown)| **shown)
        {
            if let Some(log) = logs.get_mut(&partition)
                && let Some((first, _)) = log.places(value)
            {
                log.polled = log.polled.max(Some(first));
            }
        }
        Ok(Logs { logs, committed })
    }

    /// The partition of a touch.
    pub fn log(&self, touch: &Touch) -> Option<&Log> {
        self.logs.get(&touch.stream)
    }

    /// What lies in a partition, by offset.
    pub fn messages(&self, partition: Val) -> impl Iterator<Item = (u64, Val)> {
        let log = self.logs.get(&partition);
        log.into_iter().flat_map(|log| log.entries.iter().copied())
    }

    /// Whether a request is known to have happened.
    pub fn committed(&self, touch: &Touch) -> bool {
        self.committed[touch.request as usize]
    }

    /// `inconsistent-offsets`, and how many offsets nothing is known of.
    pub fn judge(&self, journal: &Journal, findings: &mut Findings) {
        for (&partition, log) in &self.logs {
            findings.stream(partition);
            if let (Some(first), Some(last)) = (log.offsets.first(), log.offsets.last()) {
                findings.count(Anomaly::Gap, last - first + 1 - log.offsets.len() as u64);
            }
            for at in log.entries.chunk_by(|a, b| a.0 == b.0).filter(|at| at.len() > 1) {
                let offset = at[0].0;
                let messages: Vec<String> = at
                    .iter()
                    .map(|(_, message)| journal.values.json(*message).to_string())
                    .collect();
                // Looking for them goes through everything.
                let shown = match findings.kept_all(Anomaly::InconsistentOffsets) {
                    true => Vec::new(),
                    false => showing(journal, partition, offset),
                };
                findings.add(Finding {
                    anomaly: Anomaly::InconsistentOffsets,
                    cause: Cause::Unknown,
                    stream: partition,
                    value: at[1].1,
                    requests: shown,
                    sentence: format!(
                        "at offset {offset} of {} lie {}",
                        journal.values.json(partition),
                        crate::history::shortened(&messages.join(" and "))
                    ),
                });
            }
        }
    }
}

/// The first request for each message that was seen at an offset.
fn showing(journal: &Journal, partition: Val, offset: u64) -> Vec<u32> {
    let mut seen: Vec<(Val, u32)> = Vec::new();
    for touch in &journal.touches {
        let here = touch.stream == partition && touch.at == offset;
        if here && seen.iter().all(|(message, _)| *message != touch.value) {
            seen.push((touch.value, touch.request));
        }
    }
    seen.into_iter().map(|(_, request)| request).collect()
}
