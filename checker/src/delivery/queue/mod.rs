//! Queues: what became of every message that was enqueued, and of every one that came out.
//!
//! ```text
//! enqueue 7 ok … dequeue → 7 … ack 7 ok             delivered and acknowledged
//! enqueue 8 ok … dequeue → 8 … dequeue → 8          redelivered: a duplicate only where the promise says so
//! enqueue 9 ok … drain → []                         lost
//! ```
//!
//! Requests take effect at some moment between invocation and completion, or never if they failed, or at any time from their
//! invocation on, or never, if nobody knows. So `a` comes before `b` only if it was acknowledged before `b` was asked for.
//!
//! A dequeue of unknown outcome may have taken one message, whichever; a drain of unknown outcome any number. What they may
//! have taken is never called lost, and what they may have delivered first never late: of `n` messages that are gone and `m`
//! such dequeues only `n - m` are lost for certain, and those are counted.
//!
//! A queue is *drained* when a `drain` ended `ok`, or when a `dequeue` found nothing and no later one brought anything.

mod account;
mod order;

use self::account::{Account, Missing, accounts};
use super::anomaly::{Anomaly, Cause};
use super::by_message::ByMessage;
use super::findings::{Finding, Findings, cause};
use super::journal::{Journal, NONE, Request, Touch, TouchKind};
use super::promise::{Order, Until};
use crate::history::{EventType, Val};

/// Judges every message. `until` is where the promise ends, and no default.
pub(super) fn judge(journal: &Journal, order: Order, until: Until) -> Findings {
    let mut findings = Findings::default();
    let mut queues = accounts(journal);
    for &queue in queues.keys() {
        findings.stream(queue);
    }
    let by_message = ByMessage::of(journal);
    let mut placed = Vec::new();
    for (message, &(queue, value)) in by_message.messages.iter().enumerate() {
        let touches = by_message.touches(message, journal);
        let life = match Life::of(journal, queue, value, touches) {
            Ok(life) => life,
            Err(reason) => {
                findings.leave(reason);
                continue;
            }
        };
        life.count(&mut findings);
        life.received(until, &mut findings);
        if let Some(queue) = queues.get_mut(&queue) {
            life.missing(until, queue, &mut findings);
        }
        if order != Order::None {
            placed.extend(order::Placed::of(&life));
        }
    }
    for (queue, account) in queues.iter_mut() {
        account.settle(*queue, journal, &mut findings);
    }
    if order != Order::None {
        order::judge(journal, order, placed, &queues, &mut findings);
    }
    findings
}

/// What was done to one message.
pub(super) struct Life<'a> {
    journal: &'a Journal,
    queue: Val,
    value: Val,
    send: Option<&'a Touch>,
    /// Deliveries, in the order of invocation.
    receives: Vec<&'a Touch>,
    acks: Vec<&'a Touch>,
    nacks: Vec<&'a Touch>,
}

impl<'a> Life<'a> {
    fn of(
        journal: &'a Journal,
        queue: Val,
        value: Val,
        touches: impl Iterator<Item = &'a Touch>,
    ) -> Result<Self, String> {
        let mut life = Life {
            journal,
            queue,
            value,
            send: None,
            receives: Vec::new(),
            acks: Vec::new(),
            nacks: Vec::new(),
        };
        for touch in touches {
            match touch.kind {
                TouchKind::Send if life.send.is_some() => {
                    return Err(format!(
                        "event {} enqueues {} again: which of the two is delivered can't be told",
                        journal.request(touch).index,
                        life.name()
                    ));
                }
                TouchKind::Send => life.send = Some(touch),
                TouchKind::Receive => life.receives.push(touch),
                TouchKind::Ack => life.acks.push(touch),
                TouchKind::Nack => life.nacks.push(touch),
                _ => {}
            }
        }
        Ok(life)
    }

    fn name(&self) -> String {
        crate::history::shortened(&self.journal.values.json(self.value).to_string())
    }

    fn request(&self, touch: &Touch) -> &'a Request {
        self.journal.request(touch)
    }

    fn sent(&self) -> Option<&'a Request> {
        self.send.map(|send| self.request(send))
    }

    fn finding(&self, anomaly: Anomaly, cause: Cause, shown: &[&Touch], sentence: String) -> Finding {
        let mut requests: Vec<u32> = (self.send.into_iter().chain(shown.iter().copied()))
            .map(|touch| touch.request)
            .collect();
        requests.dedup();
        Finding {
            anomaly,
            cause,
            stream: self.queue,
            value: self.value,
            requests,
            sentence,
        }
    }

    fn count(&self, findings: &mut Findings) {
        findings.messages += 1;
        findings.acknowledged += u64::from(self.sent().is_some_and(Request::is_ok));
        findings.deliveries += self.receives.len() as u64;
        findings.redeliveries += self.receives.len().saturating_sub(1) as u64;
        if self.sent().is_some_and(Request::is_unknown) && !self.receives.is_empty() {
            findings.ambiguous.appeared += 1;
        }
        if let (Some(send), Some(first)) = (self.sent(), self.receives.first()) {
            findings
                .latency
                .add(self.request(first).ended.saturating_sub(send.invoked));
        }
        for pair in self.receives.windows(2) {
            let (first, second) = (self.request(pair[0]), self.request(pair[1]));
            findings
                .redelivered_after
                .add(second.ended.saturating_sub(first.ended));
        }
    }

    /// What is wrong with how it was delivered.
    fn received(&self, until: Until, findings: &mut Findings) {
        let Some(&first) = self.receives.first() else {
            return;
        };
        let early = |receive: &&&Touch| {
            self.sent()
                .is_none_or(|send| send.index > self.request(receive).end)
        };
        if let Some(&early) = self.receives.iter().find(early) {
            let when = match self.send {
                Some(_) => "before anybody had asked to enqueue it",
                None => "which nobody had enqueued",
            };
            let sentence = format!("{} was delivered, {when}", self.name());
            findings.add(self.finding(Anomaly::Phantom, Cause::Unknown, &[early], sentence));
        }
        if self.sent().is_some_and(|send| send.outcome == EventType::Fail) {
            let sentence = format!("{} was delivered, and its enqueue had failed", self.name());
            findings.add(self.finding(Anomaly::AbortedDelivered, self.cause(first), &[first], sentence));
        }
        self.again(until, findings);
    }

    fn cause(&self, seen: &Touch) -> Cause {
        cause(self.journal, self.sent(), Some(self.request(seen)))
    }

    /// Deliveries after the first, and acknowledgements of more than one.
    fn again(&self, until: Until, findings: &mut Findings) {
        let mut resurrected = false;
        for pair in self.receives.windows(2) {
            let (before, again) = (pair[0], pair[1]);
            let acked = self
                .acks
                .iter()
                .find(|ack| self.request(ack).precedes(self.request(again)));
            if let Some(ack) = acked {
                resurrected = true;
                let sentence = format!(
                    "{} was delivered again after its ack had been acknowledged",
                    self.name()
                );
                findings.add(self.finding(
                    Anomaly::Resurrected,
                    self.cause(again),
                    &[before, ack, again],
                    sentence,
                ));
            } else if until == Until::Delivered {
                // What was tried twice may be there twice; else the queue gave out again what nobody had acknowledged.
                let cause = match self.cause(again) {
                    Cause::Unknown => Cause::Redelivery,
                    known => known,
                };
                let sentence = format!("{} was delivered to two", self.name());
                findings.add(self.finding(Anomaly::DuplicateDelivery, cause, &[before, again], sentence));
            }
        }
        if until == Until::Acknowledged && !resurrected {
            let acked = self.acknowledged();
            if let [first, second, ..] = acked.as_slice() {
                let sentence = format!("two deliveries of {} were acknowledged", self.name());
                findings.add(self.finding(
                    Anomaly::DuplicateAck,
                    self.cause(second),
                    &[first, second],
                    sentence,
                ));
            }
        }
    }

    /// Acks that were acknowledged, one for each delivery.
    fn acknowledged(&self) -> Vec<&'a Touch> {
        let mut of: Vec<u32> = Vec::new();
        let mut acks = Vec::new();
        for &ack in self.acks.iter().filter(|ack| self.request(ack).is_ok()) {
            let by = self.request(ack);
            let mine = |receive: &&&Touch| {
                let receive = self.request(receive);
                receive.process == by.process && receive.end < by.index
            };
            // Who acknowledges what it was not given says nothing about deliveries.
            if let Some(receive) = self.receives.iter().rfind(mine)
                && !of.contains(&receive.request)
            {
                of.push(receive.request);
                acks.push(ack);
            }
        }
        acks
    }

    /// Whether it ought to be in the queue at the end, and so to come out when that is drained.
    fn missing(&self, until: Until, account: &mut Account, findings: &mut Findings) {
        let Some((touch, send)) = self.send.zip(self.sent()) else {
            return;
        };
        let (drained, drained_at) = account.drained.unwrap_or((0, 0));
        let there = match self.receives.is_empty() {
            true => send.settled(),
            false if until == Until::Acknowledged => self.given_back(drained_at).unwrap_or(NONE),
            false => NONE,
        };
        match (send.is_unknown(), self.receives.is_empty()) {
            (true, true) if send.end < drained => account.vanished += 1,
            (true, true) => findings.ambiguous.unknown += 1,
            _ if there == NONE || send.outcome == EventType::Fail => {}
            (false, never) if there < drained => account.missing.push(Missing {
                send: *touch,
                never,
                surely: account.would_have(there),
            }),
            // Given back and not yet given out again: somebody had it.
            (_, false) => {}
            (_, true) => {
                let sentence = format!(
                    "{} was acknowledged and not delivered, and the queue was not drained after that",
                    self.name()
                );
                findings.add(self.finding(Anomaly::Stuck, Cause::Unknown, &[], sentence));
            }
        }
    }

    /// Index of the event by which every consumer that had it had given it back, or had lost its lease before a moment; `None`: one
    /// may still be at work, or is done with it.
    fn given_back(&self, drained_at: u64) -> Option<u64> {
        if self
            .acks
            .iter()
            .any(|ack| self.request(ack).outcome != EventType::Fail)
            || !self.sent()?.is_ok()
        {
            return None;
        }
        let mut latest = 0;
        for receive in &self.receives {
            let of = self.request(receive);
            let nack = self
                .nacks
                .iter()
                .map(|nack| self.request(nack))
                .find(|nack| nack.is_ok() && nack.process == of.process && of.end < nack.index);
            latest = match nack {
                Some(nack) => latest.max(nack.end),
                None if receive.at < drained_at => latest,
                None => return None,
            };
        }
        Some(latest)
    }
}
