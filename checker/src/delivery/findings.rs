//! What a pass over a journal found: every anomaly counted, the first of each kept, and what became of messages.

use std::collections::BTreeMap;

use super::anomaly::{Anomaly, Breach, Cause};
use super::journal::{Journal, Request, Touch, TouchKind};
use super::promise::Promise;
use crate::history::Val;

/// Findings of one anomaly that are kept.
pub const KEPT_MAX: usize = 8;

/// One anomaly of one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What is wrong.
    pub anomaly: Anomaly,
    /// What it may have come from.
    pub cause: Cause,
    /// The queue, partition or object.
    pub stream: Val,
    /// The message; of effects that are amounts [`Val::NONE`].
    pub value: Val,
    /// Positions in the journal of the requests that show it.
    pub requests: Vec<u32>,
    /// In one sentence without its stop.
    pub sentence: String,
}

/// What became of requests of which nobody knew whether they took effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ambiguous {
    /// Their message, or what they do, was seen.
    pub appeared: u64,
    /// It would have been seen, and was not.
    pub did_not: u64,
    /// It can't be known.
    pub unknown: u64,
}

/// How durations are spread, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread(Vec<u64>);

impl Spread {
    /// One more.
    pub fn add(&mut self, nanos: u64) {
        self.0.push(nanos);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// The duration that so many in a hundred don't exceed; `None` if there are none.
    pub fn percentile(&mut self, percent: usize) -> Option<u64> {
        let last = self.0.len().checked_sub(1)?;
        let at = (self.0.len() * percent).div_ceil(100).saturating_sub(1).min(last);
        Some(*self.0.select_nth_unstable(at).1)
    }
}

/// Which breaches a stream has, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Broken {
    loss: bool,
    duplication: bool,
    other: bool,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Messages, or effects, that were asked for or seen.
    pub messages: u64,
    /// Those of which the request ended `ok`.
    pub acknowledged: u64,
    /// How often a message was given to somebody, or the states that were looked at.
    pub deliveries: u64,
    /// Those that were not the first of their message.
    pub redeliveries: u64,
    /// By their names.
    pub counts: BTreeMap<Anomaly, u64>,
    /// By what they may have come from.
    pub causes: BTreeMap<(Anomaly, Cause), u64>,
    /// The first of each.
    pub kept: Vec<Finding>,
    /// Requests of unknown outcome.
    pub ambiguous: Ambiguous,
    /// From the invocation of a send to the first delivery of its message.
    pub latency: Spread,
    /// From one delivery of a message to the next.
    pub redelivered_after: Spread,
    /// Why something could not be judged; the first reason.
    pub unjudged: Option<String>,
    streams: BTreeMap<Val, Broken>,
}

impl Findings {
    /// A queue, partition or object that was looked at.
    pub(super) fn stream(&mut self, stream: Val) {
        self.streams.entry(stream).or_default();
    }

    /// Adds one.
    pub(super) fn add(&mut self, finding: Finding) {
        let anomaly = finding.anomaly;
        let broken = self.streams.entry(finding.stream).or_default();
        match anomaly.breach() {
            Breach::Loss => broken.loss = true,
            Breach::Duplication => broken.duplication = true,
            Breach::LossOrDuplication => (broken.loss, broken.duplication) = (true, true),
            Breach::Integrity | Breach::Order => broken.other = true,
            Breach::Doubt | Breach::Nothing => {}
        }
        let count = self.counts.entry(anomaly).or_default();
        *count += 1;
        *self.causes.entry((anomaly, finding.cause)).or_default() += 1;
        if *count <= KEPT_MAX as u64 {
            self.kept.push(finding);
        }
    }

    /// Whether there are as many of one as are kept.
    pub(super) fn kept_all(&self, anomaly: Anomaly) -> bool {
        self.counts
            .get(&anomaly)
            .is_some_and(|&count| count >= KEPT_MAX as u64)
    }

    /// Counts some that are not worth a finding each.
    pub(super) fn count(&mut self, anomaly: Anomaly, count: u64) {
        if count > 0 {
            *self.counts.entry(anomaly).or_default() += count;
        }
    }

    /// Notes why something could not be judged.
    pub(super) fn leave(&mut self, reason: String) {
        self.unjudged.get_or_insert(reason);
    }

    /// Whether an anomaly breaks a promise. Orders are looked at only as far as they are promised.
    pub fn breaks(anomaly: Anomaly, promise: Promise) -> bool {
        match anomaly.breach() {
            Breach::Loss => promise.forbids_loss(),
            Breach::Duplication => promise.forbids_duplicates(),
            Breach::LossOrDuplication => promise == Promise::ExactlyOnce,
            Breach::Integrity | Breach::Order => true,
            Breach::Doubt | Breach::Nothing => false,
        }
    }

    /// Anomalies that break a promise.
    pub fn broken(&self, promise: Promise) -> impl Iterator<Item = (Anomaly, u64)> {
        (self.counts.iter())
            .filter(move |(anomaly, _)| Findings::breaks(**anomaly, promise))
            .map(|(&anomaly, &count)| (anomaly, count))
    }

    /// Of how many queues, partitions or objects each is the strongest promise that nothing contradicts; `None`: of these
    /// there is none.
    pub fn strongest(&self) -> BTreeMap<Option<Promise>, u64> {
        let mut strongest = BTreeMap::new();
        for broken in self.streams.values() {
            let promise = match (broken.loss, broken.duplication, broken.other) {
                (_, _, true) | (true, true, _) => None,
                (true, false, _) => Some(Promise::AtMostOnce),
                (false, true, _) => Some(Promise::AtLeastOnce),
                (false, false, _) => Some(Promise::ExactlyOnce),
            };
            *strongest.entry(promise).or_default() += 1;
        }
        strongest
    }
}

/// What an anomaly may have come from that was seen at `seen`, where the message was sent by `send`.
pub(super) fn cause(journal: &Journal, send: Option<&Request>, seen: Option<&Request>) -> Cause {
    let Some(send) = send else {
        return Cause::Unknown;
    };
    if send.attempts > 1 || send.is_unknown() {
        return Cause::ClientRetry;
    }
    if send.sent_again {
        return Cause::Replay;
    }
    let to = seen.map_or(u64::MAX, |seen| seen.ended);
    match journal.restarted(send.invoked, to) {
        true => Cause::Restart,
        false => Cause::Unknown,
    }
}

/// The same of a message of a stream, sent by a request at this position: also what its producer did, and whoever repeats.
pub(super) fn stream_cause(journal: &Journal, send: Option<&Touch>, seen: Option<&Request>) -> Cause {
    let Some(send) = send else {
        return Cause::Unknown;
    };
    let (request, upsets) = (journal.request(send), &journal.upsets);
    let to = seen.map_or(u64::MAX, |seen| seen.ended);
    let replayed = upsets
        .replays
        .get(&(send.stream, send.value))
        .is_some_and(|&at| at <= to);
    if replayed || upsets.late.contains_key(&send.request) {
        return Cause::Replay;
    }
    let likely = cause(journal, Some(request), seen);
    if likely != Cause::Unknown {
        return likely;
    }
    let mut touches = journal.touches_of(send.request).iter();
    let producer = touches.find(|touch| touch.kind == TouchKind::As);
    let sessions = producer.and_then(|producer| upsets.sessions.get(&producer.value));
    let changed = |at: &&u64| request.invoked < **at && **at <= to;
    match sessions.is_some_and(|sessions| sessions.iter().any(|at| changed(&at))) {
        true => Cause::SessionChange,
        false => Cause::Unknown,
    }
}
