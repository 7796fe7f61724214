//! Request by request: how consumers and producers move along partitions, within a transaction and from one to the next.

use super::log::Logs;
use crate::delivery::anomaly::{Anomaly, Cause};
use crate::delivery::findings::{Finding, Findings};
use crate::delivery::journal::{Journal, Request, Touch, TouchKind};
use crate::delivery::promise::Order;
use crate::history::values::FastMap;
use crate::history::{EventType, Val};

/// Where a process stands in a partition: place, and the touch that brought it there.
#[derive(Clone, Copy)]
struct Stand<'a> {
    place: u32,
    touch: &'a Touch,
}

/// What a process did before.
#[derive(Default)]
struct Session<'a> {
    /// Whether the system deals out its partitions, and may deal them anew at any time.
    subscribed: bool,
    polled: FastMap<Val, Stand<'a>>,
    sent: FastMap<Val, Stand<'a>>,
}

/// Skips and steps back of polls and sends.
pub(super) fn judge(journal: &Journal, logs: &Logs, order: Order, findings: &mut Findings) {
    let mut sessions: FastMap<u64, Session<'_>> = FastMap::default();
    let mut moves = Moves {
        journal,
        logs,
        sends_ordered: order != Order::None,
        polls_ordered: matches!(order, Order::Key | Order::Partition | Order::Global),
        findings,
    };
    let mut rest = journal.touches.as_slice();
    for (position, request) in (0..).zip(&journal.requests) {
        // A poll may show nothing.
        let count = rest.iter().take_while(|touch| touch.request == position).count();
        let (touches, others) = rest.split_at(count);
        rest = others;
        let session = sessions.entry(request.process).or_default();
        match touches.first().map(|touch| touch.kind) {
            Some(kind @ (TouchKind::Assign | TouchKind::Subscribe)) => {
                session.subscribed = kind == TouchKind::Subscribe;
                let chosen = |partition: &Val| touches.iter().any(|touch| touch.stream == *partition);
                session.polled.retain(|partition, _| chosen(partition));
            }
            _ => moves.request(request, touches, session),
        }
    }
}

struct Moves<'a, 'f> {
    journal: &'a Journal,
    logs: &'a Logs,
    sends_ordered: bool,
    polls_ordered: bool,
    findings: &'f mut Findings,
}

impl<'a> Moves<'a, '_> {
    fn request(&mut self, request: &Request, touches: &'a [Touch], session: &mut Session<'a>) {
        // Few partitions in one transaction.
        let mut polled: Vec<(Val, Stand<'a>)> = Vec::new();
        let mut sent: Vec<(Val, Stand<'a>)> = Vec::new();
        let changes = touches.iter().filter(|touch| touch.kind == TouchKind::Rebalance);
        let moved: Vec<Val> = changes.map(|touch| touch.stream).collect();
        let moved = |partition: Val| moved.contains(&partition);
        for touch in touches {
            let partition = touch.stream;
            let place = self.logs.log(touch).and_then(|log| log.place_of(touch));
            let Some(place) = place else { continue };
            let stand = Stand { place, touch };
            match touch.kind {
                TouchKind::Receive => {
                    match put(&mut polled, partition, stand) {
                        Some(before) if !moved(partition) => self.polled(before, stand, true),
                        Some(_) => {}
                        None => {
                            let before = session.polled.get(&partition).copied();
                            if let Some(before) = before.filter(|_| !session.subscribed && !moved(partition))
                            {
                                self.polled(before, stand, false);
                            }
                        }
                    };
                }
                TouchKind::Send => match put(&mut sent, partition, stand) {
                    Some(before) => self.sent(before, stand, true),
                    None if request.outcome == EventType::Fail => {}
                    None => {
                        if let Some(&before) = session.sent.get(&partition) {
                            self.sent(before, stand, false);
                        }
                    }
                },
                _ => {}
            }
        }
        match request.outcome {
            EventType::Ok => session.polled.extend(polled),
            EventType::Fail => {}
            // How far it came is not known.
            EventType::Info | EventType::Invoke => session.polled.clear(),
        }
        // One of unknown outcome may be appended later than what the process sends next.
        if request.is_ok() {
            session.sent.extend(sent);
        }
    }

    fn polled(&mut self, before: Stand<'_>, now: Stand<'_>, within: bool) {
        let place = (before.place, now.place);
        let (anomaly, said) = match within {
            _ if now.place == before.place + 1 => return,
            true if now.place > before.place => (Anomaly::IntPollSkip, self.skipped(now.touch, place)),
            false if now.place > before.place => (Anomaly::PollSkip, self.skipped(now.touch, place)),
            _ if !self.polls_ordered => return,
            true => (Anomaly::IntNonmonotonicPoll, "goes back, or stays".to_owned()),
            false => (Anomaly::NonmonotonicPoll, "goes back, or stays".to_owned()),
        };
        let sentence = format!(
            "a poll of {} after {} {said}",
            self.name(now.touch),
            self.name(before.touch)
        );
        self.add(anomaly, before.touch, now.touch, sentence);
    }

    fn sent(&mut self, before: Stand<'_>, now: Stand<'_>, within: bool) {
        let place = (before.place, now.place);
        let (anomaly, said) = match within {
            true if now.place > before.place + 1 => {
                self.findings.count(Anomaly::IntSendSkip, 1);
                return;
            }
            _ if now.place > before.place || !self.sends_ordered => return,
            true => (Anomaly::IntNonmonotonicSend, place),
            false => (Anomaly::NonmonotonicSend, place),
        };
        let sentence = format!(
            "{} was sent after {}, and lies before it: place {} of its partition, and {}",
            self.name(now.touch),
            self.name(before.touch),
            said.1,
            said.0
        );
        self.add(anomaly, before.touch, now.touch, sentence);
    }

    fn skipped(&self, touch: &Touch, (from, to): (u32, u32)) -> String {
        let first = self.logs.log(touch).and_then(|log| log.between(from, to));
        let first =
            first.map(|message| crate::history::shortened(&self.journal.values.json(message).to_string()));
        format!(
            "passes over {} from {} on",
            to - from - 1,
            first.unwrap_or_default()
        )
    }

    fn name(&self, touch: &Touch) -> String {
        crate::history::shortened(&self.journal.values.json(touch.value).to_string())
    }

    fn add(&mut self, anomaly: Anomaly, before: &Touch, now: &Touch, sentence: String) {
        let mut requests = vec![before.request, now.request];
        requests.dedup();
        self.findings.add(Finding {
            anomaly,
            cause: Cause::Unknown,
            stream: now.stream,
            value: now.value,
            requests,
            sentence,
        });
    }
}

/// Notes where a transaction stands in a partition; returns where it stood before.
fn put<'a>(stands: &mut Vec<(Val, Stand<'a>)>, partition: Val, stand: Stand<'a>) -> Option<Stand<'a>> {
    match stands.iter_mut().find(|(other, _)| *other == partition) {
        Some((_, before)) => Some(std::mem::replace(before, stand)),
        None => {
            stands.push((partition, stand));
            None
        }
    }
}
