//! Ends memberships of groups that were not renewed, and transactions that stay open: see [`crate::deadlines`].

use std::sync::Weak;
use std::time::Instant;

use crate::deadlines::{Seen, keep};
use crate::service::Service;
use crate::streams::op::{Overdue, StreamOp};
use crate::streams::{Streams, Watched};
use crate::types::Op;

/// What one command ends, at most, of each kind.
const OVERDUE_MAX: usize = 1000;

/// What has lasted too long. A transaction may be open for `transaction_ms`.
fn over(seen: &mut Seen, streams: &Streams, transaction_ms: u64, now: Instant) -> Overdue {
    let watched = streams.watched().map(|(number, watched)| {
        let lasts_ms = match &watched {
            Watched::Member { session_ms, .. } => *session_ms,
            Watched::Transaction(_) => transaction_ms,
        };
        (number, lasts_ms, (number, watched))
    });
    let mut overdue = Overdue::default();
    for (number, watched) in seen.over(watched, now) {
        match watched {
            Watched::Member { group, member, .. } => {
                overdue
                    .members
                    .push((group.to_owned(), member.to_owned(), number));
            }
            Watched::Transaction(id) => overdue.transactions.push(id),
        }
    }
    overdue.members.truncate(OVERDUE_MAX);
    overdue.transactions.truncate(OVERDUE_MAX);
    overdue
}

/// Ends what has lasted too long, until the node is gone.
pub async fn expire(node: Weak<Service>, transaction_ms: u64) {
    keep(node, move |seen, state, now| {
        let overdue = over(seen, state.streams(), transaction_ms, now);
        let is = overdue != Overdue::default();
        is.then_some(Op::Stream(StreamOp::Expire(overdue)))
            .into_iter()
            .collect()
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::defect::Defects;
    use crate::streams::op::{Origin, TxnId};

    #[test]
    fn a_member_that_is_silent_and_a_transaction_that_stays_open_are_ended_and_nothing_else() {
        let (defects, begin) = (Defects::default(), Instant::now());
        let mut streams = Streams::default();
        let join = || StreamOp::Join {
            group: "g".into(),
            member: "c1".into(),
            partitions: Vec::new(),
            session_ms: 300,
        };
        let producer = || "p".to_owned();
        let init = StreamOp::Init { producer: producer() };
        let send = StreamOp::Send {
            partition: "in".into(),
            value: 7.into(),
            from: Some(Origin {
                producer: producer(),
                epoch: 1,
                sequence: 0,
                txn: Some(1),
            }),
            max: 9,
        };
        for op in [init, send, join()] {
            streams.apply(1, &op, &defects).unwrap();
        }
        let mut seen = Seen::default();
        let mut at = |streams: &Streams, ms| over(&mut seen, streams, 500, begin + Duration::from_millis(ms));
        assert_eq!(at(&streams, 0), Overdue::default());
        let silent = at(&streams, 300);
        assert_eq!((silent.members.len(), silent.transactions.len()), (1, 0));
        streams.apply(2, &join(), &defects).unwrap();
        streams.apply(3, &StreamOp::Expire(silent), &defects).unwrap();
        assert_eq!(streams.to_json()["members"], 1, "it has been renewed meanwhile");
        let overdue = at(&streams, 500);
        let id = TxnId {
            producer: producer(),
            epoch: 1,
            txn: 1,
        };
        assert_eq!((&overdue.members, &overdue.transactions), (&vec![], &vec![id]));
        streams.apply(4, &StreamOp::Expire(overdue), &defects).unwrap();
        assert_eq!(streams.to_json()["open"], 0);
        let silent = at(&streams, 800);
        assert_eq!(silent.members.len(), 1);
        streams.apply(5, &StreamOp::Expire(silent), &defects).unwrap();
        assert_eq!(at(&streams, 900), Overdue::default());
    }
}
