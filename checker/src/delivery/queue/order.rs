//! Whether messages come in the order in which they were sent.
//!
//! A message is late if one that was sent after it, of the same [unit](Order), was delivered before it: its send was
//! acknowledged before the other's was asked for, and the other's delivery had ended before the first of its own was asked for.
//! Only first deliveries count: what is given back comes again when it may.
//!
//! A dequeue of unknown outcome may have been the first delivery of one late message, if it was asked for before the other one
//! was delivered. Late messages are matched with them, those that must be excused earliest first; what is left over is late.

use std::collections::BTreeMap;

use super::{Account, Life};
use crate::delivery::anomaly::Anomaly;
use crate::delivery::findings::{Finding, Findings, cause};
use crate::delivery::journal::{Journal, NONE, Request};
use crate::delivery::promise::Order;
use crate::history::Val;

/// A message that was delivered, with what its place in the order depends on.
pub(in crate::delivery) struct Placed {
    queue: Val,
    key: Val,
    value: Val,
    send: u32,
    /// The first delivery to be asked for.
    first: u32,
    /// Index of the event by which it was delivered at the latest.
    delivered: u64,
    /// Index of the event at which the first delivery was asked for.
    asked: u64,
}

impl Placed {
    /// `None` if it was not delivered, or not sent.
    pub fn of(life: &Life<'_>) -> Option<Placed> {
        let send = life.send?;
        let first = life.receives.first()?;
        let ends = life.receives.iter().map(|receive| life.request(receive).end);
        Some(Placed {
            queue: life.queue,
            key: send.key,
            value: life.value,
            send: send.request,
            first: first.request,
            delivered: ends.min()?,
            asked: life.request(first).index,
        })
    }

    fn sent<'a>(&self, journal: &'a Journal) -> &'a Request {
        &journal.requests[self.send as usize]
    }

    fn unit(&self, order: Order, journal: &Journal) -> (Val, Val) {
        match order {
            Order::Key => (self.queue, self.key),
            Order::Producer => (self.queue, self.sent(journal).producer),
            Order::Usual | Order::None | Order::Partition | Order::Global => (self.queue, Val::NONE),
        }
    }
}

struct Late {
    message: usize,
    /// The one that overtook it.
    other: usize,
    /// Index of the event by which that was delivered.
    deadline: u64,
}

/// Judges all messages of all queues.
pub(super) fn judge(
    journal: &Journal,
    order: Order,
    mut placed: Vec<Placed>,
    queues: &BTreeMap<Val, Account>,
    findings: &mut Findings,
) {
    placed.sort_by_cached_key(|message| (message.unit(order, journal), message.sent(journal).index));
    let mut late: BTreeMap<Val, Vec<Late>> = BTreeMap::new();
    let mut start = 0;
    while start < placed.len() {
        let unit = placed[start].unit(order, journal);
        let length = placed[start..]
            .iter()
            .take_while(|message| message.unit(order, journal) == unit);
        let end = start + length.count();
        within(
            journal,
            &placed[start..end],
            start,
            late.entry(unit.0).or_default(),
        );
        start = end;
    }
    for (queue, mut late) in late {
        late.sort_by_key(|late| late.deadline);
        let account = queues.get(&queue);
        let mut takes = account.map_or(&[][..], |account| account.takes.as_slice());
        let take_all = account.and_then(|account| account.take_all).unwrap_or(NONE);
        for late in late {
            if take_all < late.deadline {
                continue;
            }
            if let Some((&take, rest)) = takes.split_first()
                && take < late.deadline
            {
                takes = rest;
                continue;
            }
            findings.add(finding(journal, &placed[late.message], &placed[late.other]));
        }
    }
}

/// Those of one unit, in the order in which their sends were asked for.
fn within(journal: &Journal, unit: &[Placed], start: usize, late: &mut Vec<Late>) {
    // Which of those from here on was delivered earliest.
    let mut earliest: Vec<usize> = (0..unit.len()).collect();
    for at in (1..unit.len()).rev() {
        if unit[earliest[at]].delivered < unit[earliest[at - 1]].delivered {
            earliest[at - 1] = earliest[at];
        }
    }
    for (at, message) in unit.iter().enumerate() {
        let settled = message.sent(journal).settled();
        let after = unit.partition_point(|other| other.sent(journal).index <= settled);
        if let Some(&other) = earliest.get(after)
            && unit[other].delivered < message.asked
        {
            late.push(Late {
                message: start + at,
                other: start + other,
                deadline: unit[other].delivered,
            });
        }
    }
}

fn finding(journal: &Journal, message: &Placed, other: &Placed) -> Finding {
    let name = |value| crate::history::shortened(&journal.values.json(value).to_string());
    let seen = &journal.requests[message.first as usize];
    Finding {
        anomaly: Anomaly::Reordered,
        cause: cause(journal, Some(message.sent(journal)), Some(seen)),
        stream: message.queue,
        value: message.value,
        requests: vec![message.send, other.send, other.first, message.first],
        sentence: format!(
            "{} was sent before {} and delivered after it",
            name(message.value),
            name(other.value)
        ),
    }
}
