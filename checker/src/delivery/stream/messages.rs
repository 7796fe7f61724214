//! Message by message: who sent it, who polled it, where it lies.

use super::log::Logs;
use crate::delivery::anomaly::{Anomaly, Cause};
use crate::delivery::by_message::ByMessage;
use crate::delivery::findings::{Finding, Findings, stream_cause};
use crate::delivery::journal::{Journal, NONE, Request, Touch, TouchKind};
use crate::history::{EventType, Val};

/// `duplicate`, `lost-write`, `G1a`, `precommitted-read`, `phantom` and `unseen`, and what became of messages.
pub(super) fn judge(journal: &Journal, by_message: &ByMessage, logs: &Logs, findings: &mut Findings) {
    for (message, &(partition, value)) in by_message.messages.iter().enumerate() {
        let touches = || by_message.touches(message, journal);
        let message = Message {
            journal,
            partition,
            value,
            send: touches().find(|touch| touch.kind == TouchKind::Send),
            polls: touches()
                .filter(|touch| touch.kind == TouchKind::Receive)
                .collect(),
        };
        message.count(findings);
        message.polled(findings);
        message.placed(logs, findings);
    }
}

struct Message<'a> {
    journal: &'a Journal,
    partition: Val,
    value: Val,
    send: Option<&'a Touch>,
    polls: Vec<&'a Touch>,
}

impl<'a> Message<'a> {
    fn name(&self) -> String {
        crate::history::shortened(&self.journal.values.json(self.value).to_string())
    }

    fn request(&self, touch: &Touch) -> &'a Request {
        self.journal.request(touch)
    }

    fn sent(&self) -> Option<&'a Request> {
        self.send.map(|send| self.request(send))
    }

    fn first_ok(&self) -> Option<&'a Touch> {
        self.polls.iter().copied().find(|poll| self.request(poll).is_ok())
    }

    fn add(&self, anomaly: Anomaly, seen: Option<&Touch>, sentence: String, findings: &mut Findings) {
        let seen_by = seen.map(|seen| self.request(seen));
        let mut requests: Vec<u32> = self
            .send
            .into_iter()
            .chain(seen)
            .map(|touch| touch.request)
            .collect();
        requests.dedup();
        findings.add(Finding {
            anomaly,
            cause: match anomaly {
                Anomaly::Unseen => Cause::Unknown,
                _ => stream_cause(self.journal, self.send, seen_by),
            },
            stream: self.partition,
            value: self.value,
            requests,
            sentence,
        });
    }

    fn count(&self, findings: &mut Findings) {
        let ok = || {
            self.polls
                .iter()
                .map(|poll| self.request(poll))
                .filter(|poll| poll.is_ok())
        };
        findings.messages += 1;
        findings.acknowledged += u64::from(self.sent().is_some_and(Request::is_ok));
        let delivered = ok().count() as u64;
        findings.deliveries += delivered;
        findings.redeliveries += delivered.saturating_sub(1);
        if let (Some(send), Some(first)) = (self.sent(), ok().next()) {
            findings.latency.add(first.ended.saturating_sub(send.invoked));
        }
        for (first, second) in ok().zip(ok().skip(1)) {
            findings
                .redelivered_after
                .add(second.ended.saturating_sub(first.ended));
        }
        if self.sent().is_some_and(Request::is_unknown) {
            match self.polls.is_empty() {
                true => findings.ambiguous.unknown += 1,
                false => findings.ambiguous.appeared += 1,
            }
        }
    }

    fn polled(&self, findings: &mut Findings) {
        let early = |poll: &&&Touch| {
            let end = self.request(poll).end;
            self.sent().is_none_or(|send| send.index > end)
        };
        if let Some(early) = self.polls.iter().find(early) {
            let when = match self.send {
                Some(_) => "before anybody had asked to send it",
                None => "which nobody had sent",
            };
            self.add(
                Anomaly::Phantom,
                Some(early),
                format!("{} was polled, {when}", self.name()),
                findings,
            );
        }
        if self.sent().is_some_and(|send| send.outcome == EventType::Fail)
            && let Some(poll) = self.first_ok()
        {
            let sentence = format!("{} was polled, and its send had failed", self.name());
            self.add(Anomaly::G1a, Some(poll), sentence, findings);
        }
        let own = |poll: &&&Touch| self.send.is_some_and(|send| send.request == poll.request);
        if let Some(poll) = self.polls.iter().find(own) {
            let sentence = format!("the transaction that sends {} polls it", self.name());
            self.add(Anomaly::PrecommittedRead, Some(poll), sentence, findings);
        }
    }

    /// What follows from where it lies in its partition.
    fn placed(&self, logs: &Logs, findings: &mut Findings) {
        let log = self
            .send
            .or(self.polls.first().copied())
            .and_then(|touch| logs.log(touch));
        let Some(log) = log else { return };
        let places = log.places(self.value);
        if places.is_some_and(|(first, last)| first < last) {
            let mut offsets: Vec<u64> = (self.send.iter().copied().filter(|send| logs.committed(send)))
                .chain(self.polls.iter().copied())
                .map(|touch| touch.at)
                .filter(|&offset| offset != NONE)
                .collect();
            offsets.sort_unstable();
            offsets.dedup();
            let other = self.polls.iter().find(|poll| Some(&poll.at) != offsets.first());
            let offsets: Vec<String> = offsets.iter().map(u64::to_string).collect();
            let sentence = format!("{} lies at offsets {}", self.name(), offsets.join(", "));
            self.add(Anomaly::Duplicate, other.copied(), sentence, findings);
        }
        let Some(send) = self.send else { return };
        if !self.polls.is_empty() || !logs.committed(send) {
            return;
        }
        let behind = places
            .zip(log.polled)
            .is_some_and(|((_, last), polled)| last <= polled);
        if behind {
            let sentence = format!(
                "{} was sent, and nobody polled it though somebody polled what lies behind it",
                self.name()
            );
            self.add(Anomaly::LostWrite, None, sentence, findings);
        } else if self.request(send).is_ok() {
            let sentence = format!(
                "{} was acknowledged, and nobody had polled it at the end",
                self.name()
            );
            self.add(Anomaly::Unseen, None, sentence, findings);
        }
    }
}
