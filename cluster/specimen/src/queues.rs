//! Queues, as part of the replicated state: messages are put in, lent to consumers, and gone when these acknowledge.
//!
//! ```text
//! enqueue 7          ready 7
//! dequeue            lent 7, receipt 31, for 500 ms
//! ack 31             gone
//! nack 31, or lapse  ready 7, where it was before
//! ack 31             refused: the message is not lent under this receipt any more
//! ```
//!
//! First in, first out: of what is ready the message that was put in first is lent first, also when it was lent before. A lease ends
//! by a command like any other ([`Op::Lapse`](crate::types::Op::Lapse)), which the leader proposes: see [`crate::loans`]. Queues are
//! bounded: what finds no room is refused, and was never there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::defect::{Defect, Defects};
use crate::types::{Reply, Scalar};

/// Queues that have messages, at most.
pub const QUEUES_MAX: usize = 1024;

/// Numbers of messages begin here, so that there is room in front.
const FIRST: u64 = 1 << 32;

/// With [`Defect::RequeueAcked`]: acknowledged messages that are remembered.
const ACKED_MAX: usize = 1000;

/// All queues.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Queues {
    /// Those that have messages.
    queues: BTreeMap<String, Queue>,
    /// How many messages were put in so far.
    sent: u64,
    /// How many were lent so far.
    receipts: u64,
    /// With [`Defect::RequeueAcked`]: what was acknowledged last, by receipt.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    acked: BTreeMap<u64, Loan>,
}

/// One queue. Messages are numbered in the order in which they were put in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Queue {
    ready: BTreeMap<u64, Scalar>,
    /// By receipt.
    lent: BTreeMap<u64, Loan>,
}

/// A message that a consumer has. When its time is over is for the leader to say: see [`crate::loans`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loan {
    number: u64,
    value: Scalar,
    /// For how long it is lent.
    pub lease_ms: u64,
}

impl Queues {
    /// Puts a message into a queue, if that has fewer than `max`.
    pub(crate) fn enqueue(
        &mut self,
        index: u64,
        queue: &str,
        value: &Scalar,
        max: u64,
        defects: &Defects,
    ) -> Reply {
        let room = match self.queues.get(queue) {
            Some(queue) => ((queue.ready.len() + queue.lent.len()) as u64) < max,
            None => self.queues.len() < QUEUES_MAX,
        };
        if room {
            self.sent += 1;
            let queue = self.queues.entry(queue.to_owned()).or_default();
            queue.ready.insert(FIRST + self.sent, value.clone());
        } else if defects.has(Defect::DropsWhenFull) {
            defects.diverged(Defect::DropsWhenFull);
            return Reply::Enqueued { done: true, index };
        }
        Reply::Enqueued { done: room, index }
    }

    /// Lends the first message that is ready.
    pub(crate) fn dequeue(&mut self, index: u64, queue: &str, lease_ms: u64) -> Reply {
        let mut lent = Lent {
            value: Scalar::ABSENT,
            receipt: None,
            lent: 0,
        };
        if let Some(queue) = self.queues.get_mut(queue) {
            if let Some((number, value)) = queue.ready.pop_first() {
                self.receipts += 1;
                lent.value = value.clone();
                lent.receipt = Some(self.receipts);
                let loan = Loan {
                    number,
                    value,
                    lease_ms,
                };
                queue.lent.insert(self.receipts, loan);
            }
            lent.lent = queue.lent.len() as u64;
        }
        Reply::Dequeued { lent, index }
    }

    /// The consumer is done with what was lent under this receipt.
    pub(crate) fn ack(&mut self, index: u64, queue: &str, receipt: u64, defects: &Defects) -> Reply {
        let loan = self.take_back(queue, receipt);
        let done = loan.is_some();
        if let Some(loan) = loan.filter(|_| defects.has(Defect::RequeueAcked)) {
            self.acked.insert(receipt, loan);
            if self.acked.len() > ACKED_MAX {
                self.acked.pop_first();
            }
        }
        self.tidy(queue);
        Reply::Settled { done, index }
    }

    /// The consumer gives back what was lent under this receipt.
    pub(crate) fn nack(&mut self, index: u64, queue: &str, receipt: u64) -> Reply {
        let done = self.ready_again(queue, receipt);
        Reply::Settled { done, index }
    }

    /// The leases under these receipts are over, unless they have ended before.
    pub(crate) fn lapse(&mut self, index: u64, queue: &str, receipts: &[u64], defects: &Defects) -> Reply {
        for receipt in receipts {
            if self.ready_again(queue, *receipt) {
                continue;
            }
            if let Some(Loan { number, value, .. }) = self.acked.remove(receipt) {
                defects.diverged(Defect::RequeueAcked);
                let queue = self.queues.entry(queue.to_owned()).or_default();
                queue.ready.insert(number, value);
            }
        }
        Reply::Settled { done: true, index }
    }

    /// [`Defect::ReordersOnRetry`]: what is sent again goes to the head of its queue. Whether it was further back.
    pub(crate) fn move_to_head(&mut self, queue: &str, value: &Scalar) -> bool {
        let Some(queue) = self.queues.get_mut(queue) else {
            return false;
        };
        let found = queue.ready.iter().find(|(_, ready)| *ready == value);
        let Some(number) = found.map(|(number, _)| *number) else {
            return false;
        };
        if queue.ready.keys().next() == Some(&number) {
            return false;
        }
        // Before what is lent too: that comes back under its own number.
        let lent = queue.lent.values().map(|loan| loan.number);
        let head = queue.ready.keys().copied().chain(lent).min().unwrap_or(number);
        if let Some(value) = queue.ready.remove(&number) {
            queue.ready.insert(head - 1, value);
        }
        true
    }

    /// What is lent, by the name of its queue and its receipt.
    pub fn loans(&self) -> impl Iterator<Item = (&String, u64, &Loan)> {
        let of = |(name, queue)| loans_of(name, queue);
        self.queues.iter().flat_map(of)
    }

    /// How many messages are ready and how many are lent, in all queues.
    pub fn counts(&self) -> (u64, u64) {
        let queues = self.queues.values();
        queues.fold((0, 0), |(ready, lent), queue| {
            (ready + queue.ready.len() as u64, lent + queue.lent.len() as u64)
        })
    }

    fn take_back(&mut self, queue: &str, receipt: u64) -> Option<Loan> {
        self.queues.get_mut(queue)?.lent.remove(&receipt)
    }

    /// Whether it was lent.
    fn ready_again(&mut self, queue: &str, receipt: u64) -> bool {
        let Some(queue) = self.queues.get_mut(queue) else {
            return false;
        };
        let Some(Loan { number, value, .. }) = queue.lent.remove(&receipt) else {
            return false;
        };
        queue.ready.insert(number, value);
        true
    }

    /// A queue without messages is no queue.
    fn tidy(&mut self, queue: &str) {
        let empty = |queue: &Queue| queue.ready.is_empty() && queue.lent.is_empty();
        if self.queues.get(queue).is_some_and(empty) {
            self.queues.remove(queue);
        }
    }
}

fn loans_of<'a>(name: &'a String, queue: &'a Queue) -> impl Iterator<Item = (&'a String, u64, &'a Loan)> {
    queue
        .lent
        .iter()
        .map(move |(receipt, loan)| (name, *receipt, loan))
}

/// What came of a dequeue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    /// The message; absent if none is ready.
    pub value: Scalar,
    /// What its ack needs.
    pub receipt: Option<u64>,
    /// How many messages of the queue are lent, this one included.
    pub lent: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Queues without defects, or with one, of three messages each at most.
    struct Table {
        queues: Queues,
        defects: Defects,
    }

    impl Table {
        fn with(defect: Option<Defect>) -> Self {
            Table {
                queues: Queues::default(),
                defects: Defects::new(defect),
            }
        }

        fn enqueue(&mut self, value: i64) -> bool {
            let reply = self.queues.enqueue(1, "q", &value.into(), 3, &self.defects);
            matches!(reply, Reply::Enqueued { done: true, .. })
        }

        fn dequeue(&mut self) -> Lent {
            match self.queues.dequeue(1, "q", 500) {
                Reply::Dequeued { lent, .. } => lent,
                reply => panic!("{reply:?}"),
            }
        }

        /// Everything that is ready, in its order, lent.
        fn all(&mut self) -> Vec<i64> {
            let next = || Some(self.dequeue().value).filter(|value| !value.is_absent());
            let numbers = std::iter::from_fn(next);
            let number = |value| serde_json::Value::from(value).as_i64().unwrap();
            numbers.map(number).collect()
        }

        fn ack(&mut self, receipt: Option<u64>) -> bool {
            let reply = self.queues.ack(1, "q", receipt.unwrap(), &self.defects);
            matches!(reply, Reply::Settled { done: true, .. })
        }

        fn lapse(&mut self, receipt: Option<u64>) {
            self.queues.lapse(1, "q", &[receipt.unwrap()], &self.defects);
        }
    }

    #[test]
    fn first_in_first_out_also_of_what_comes_back() {
        let mut table = Table::with(None);
        assert!([1, 2, 3].into_iter().all(|value| table.enqueue(value)));
        let (first, second) = (table.dequeue(), table.dequeue());
        assert_eq!((&first.value, &second.value), (&1.into(), &2.into()));
        table.queues.nack(1, "q", second.receipt.unwrap());
        table.lapse(first.receipt);
        assert_eq!(table.all(), [1, 2, 3]);
    }

    #[test]
    fn a_message_is_its_consumers_alone_until_the_lease_is_over() {
        let mut table = Table::with(None);
        table.enqueue(7);
        let first = table.dequeue();
        let nothing = table.dequeue();
        assert_eq!(
            (nothing.value.is_absent(), nothing.receipt, nothing.lent),
            (true, None, 1)
        );
        table.lapse(first.receipt);
        let second = table.dequeue();
        assert_eq!(second.value, 7.into());
        assert!(!table.ack(first.receipt), "it is lent to another");
        assert!(table.ack(second.receipt));
        assert!(!table.ack(second.receipt), "it is gone");
        table.lapse(second.receipt);
        let nothing = table.dequeue();
        assert_eq!((nothing.value.is_absent(), nothing.lent), (true, 0));
        assert_eq!(table.queues.queues.len(), 0, "nothing is left of it");
    }

    #[test]
    fn what_finds_no_room_is_refused_and_was_never_there() {
        let mut table = Table::with(None);
        assert!([1, 2, 3].into_iter().all(|value| table.enqueue(value)));
        let lent = table.dequeue();
        assert!(!table.enqueue(4), "what is lent takes room");
        assert!(table.ack(lent.receipt) && table.enqueue(5));
        assert_eq!(table.all(), [2, 3, 5]);
        let mut dropping = Table::with(Some(Defect::DropsWhenFull));
        assert!([1, 2, 3, 4].into_iter().all(|value| dropping.enqueue(value)));
        assert_eq!(dropping.all(), [1, 2, 3]);
        assert_eq!(dropping.defects.times(Defect::DropsWhenFull), 1);
    }

    #[test]
    fn with_the_defect_a_lease_that_ends_gives_back_what_was_acknowledged_meanwhile() {
        for (defect, left) in [(None, vec![]), (Some(Defect::RequeueAcked), vec![7])] {
            let mut table = Table::with(defect);
            table.enqueue(7);
            let lent = table.dequeue();
            assert!(table.ack(lent.receipt));
            table.lapse(lent.receipt);
            assert_eq!(table.all(), left);
            assert_eq!(table.defects.times(Defect::RequeueAcked), left.len() as u64);
        }
    }

    #[test]
    fn what_goes_move_to_head_comes_first() {
        let mut table = Table::with(None);
        assert!([1, 2, 3].into_iter().all(|value| table.enqueue(value)));
        assert!(table.queues.move_to_head("q", &3.into()));
        assert!(!table.queues.move_to_head("q", &3.into()), "it is there");
        assert!(!table.queues.move_to_head("q", &9.into()) && !table.queues.move_to_head("p", &3.into()));
        assert_eq!(table.all(), [3, 1, 2]);
    }

    #[test]
    fn what_goes_to_the_head_takes_nobodys_place() {
        let mut table = Table::with(None);
        assert!([1, 2, 3].into_iter().all(|value| table.enqueue(value)));
        let lent = table.dequeue();
        assert!(table.queues.move_to_head("q", &3.into()));
        table.lapse(lent.receipt);
        assert_eq!(table.all(), [3, 1, 2]);
    }

    #[test]
    fn a_snapshot_holds_queues_with_their_loans() {
        let mut table = Table::with(None);
        assert!([1, 2].into_iter().all(|value| table.enqueue(value)));
        let lent = table.dequeue();
        let bytes = serde_json::to_vec(&table.queues).unwrap();
        table.queues = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(table.queues.counts(), (1, 1));
        assert!(table.ack(lent.receipt));
        assert_eq!(table.all(), [2]);
    }
}
