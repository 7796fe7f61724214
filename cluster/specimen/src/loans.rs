//! Ends the lease of messages whose time is over.
//!
//! As with locks ([`crate::locks`]), the end of a lease is a command that the leader proposes. It counts each lease from when it first
//! saw the message lent, on its monotonic clock, so a consumer has never less time than it was promised. A new leader counts from the
//! beginning. A command names receipts: what has been acknowledged or given back meanwhile stays so.
//!
//! One command for each queue at a time: however many leases end while no majority is there, clients find room.

use std::collections::{BTreeMap, HashMap};
use std::sync::Weak;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::queues::Queues;
use crate::service::Service;
use crate::types::Op;

/// How often the leader looks. A lease may last longer by this much; nobody is promised that it ends in time.
const LOOK: Duration = Duration::from_millis(20);

/// Receipts in one command, at most.
const RECEIPTS_MAX: usize = 1000;

/// Receipts, and when each was first seen.
#[derive(Default)]
struct Seen(HashMap<u64, Instant>);

impl Seen {
    /// The receipts whose time is over, by queue.
    fn over(&mut self, queues: &Queues, now: Instant) -> BTreeMap<String, Vec<u64>> {
        let mut known = std::mem::take(&mut self.0);
        let mut over: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (queue, receipt, loan) in queues.loans() {
            let since = known.remove(&receipt).unwrap_or(now);
            self.0.insert(receipt, since);
            if now.duration_since(since) < Duration::from_millis(loan.lease_ms) {
                continue;
            }
            let receipts = over.entry(queue.clone()).or_default();
            if receipts.len() < RECEIPTS_MAX {
                receipts.push(receipt);
            }
        }
        over
    }
}

/// Ends leases until the node is gone.
pub async fn expire(node: Weak<Service>) {
    let mut seen = Seen::default();
    loop {
        sleep(LOOK).await;
        let Some(node) = node.upgrade() else { return };
        if node.must_lead().is_err() {
            seen = Seen::default();
            continue;
        }
        let over = seen.over(node.state().state.queues(), Instant::now());
        for (queue, receipts) in over {
            // What fails is tried again at the next look.
            let _ = node.write(Op::Lapse { queue, receipts }, None).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defect::Defects;

    #[test]
    fn a_lease_is_over_when_its_time_has_passed_since_it_was_first_seen() {
        let mut queues = Queues::default();
        queues.enqueue(1, "q", &1.into(), 9, &Defects::default());
        queues.dequeue(2, "q", 500);
        let mut seen = Seen::default();
        let begin = Instant::now();
        let after = |ms| begin + Duration::from_millis(ms);
        assert!(seen.over(&queues, begin).is_empty());
        assert!(seen.over(&queues, after(499)).is_empty());
        let over = BTreeMap::from([("q".to_owned(), vec![1])]);
        assert_eq!(seen.over(&queues, after(500)), over);
        assert_eq!(
            seen.over(&queues, after(520)),
            over,
            "until it is known to have ended"
        );
        // Lent again, it is another loan.
        queues.lapse(3, "q", &[1], &Defects::default());
        queues.dequeue(4, "q", 500);
        assert!(seen.over(&queues, after(540)).is_empty());
        assert_eq!(seen.0.len(), 1);
    }
}
