//! Ends the lease of messages whose time is over: see [`crate::deadlines`].
//!
//! A command names receipts: what has been acknowledged or given back meanwhile stays so. One command for each queue.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::Instant;

use crate::deadlines::{Seen, keep};
use crate::queues::Queues;
use crate::service::Service;
use crate::types::Op;

/// Receipts in one command, at most.
const RECEIPTS_MAX: usize = 1000;

/// The receipts whose time is over, by queue.
fn over(seen: &mut Seen, queues: &Queues, now: Instant) -> BTreeMap<String, Vec<u64>> {
    let loans = queues
        .loans()
        .map(|(queue, receipt, loan)| (receipt, loan.lease_ms, (queue, receipt)));
    let mut over: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (queue, receipt) in seen.over(loans, now) {
        let receipts = over.entry(queue.clone()).or_default();
        if receipts.len() < RECEIPTS_MAX {
            receipts.push(receipt);
        }
    }
    over
}

/// Ends leases until the node is gone.
pub async fn expire(node: Weak<Service>) {
    keep(node, |seen, state, now| {
        let over = over(seen, state.queues(), now).into_iter();
        over.map(|(queue, receipts)| Op::Lapse { queue, receipts })
            .collect()
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        assert!(over(&mut seen, &queues, begin).is_empty());
        assert!(over(&mut seen, &queues, after(499)).is_empty());
        let receipts = BTreeMap::from([("q".to_owned(), vec![1])]);
        assert_eq!(over(&mut seen, &queues, after(500)), receipts);
        // Lent again, it is another loan.
        queues.lapse(3, "q", &[1], &Defects::default());
        queues.dequeue(4, "q", 500);
        assert!(over(&mut seen, &queues, after(540)).is_empty());
    }
}
