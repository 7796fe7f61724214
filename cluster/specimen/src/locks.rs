//! Ends the lease of locks whose time is over.
//!
//! A lock is lent for some time, and what a log says must not depend on anybody's clock. So its end is a command like any other,
//! proposed by the leader, which counts each lease from when it first saw it, on its monotonic clock: never less than its
//! holder was promised. A new leader counts from the beginning. ([`Op::Expire`] names the grant, so a lock that has been given back and
//! lent again meanwhile stays lent.)
//!
//! With [`Defect::TrustsWallClockTtl`] it is counted on the clock of the wall, and someone who sets that ahead takes locks from those
//! who hold them.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use tokio::time::sleep;

use crate::defect::{Defect, Defects};
use crate::service::Service;
use crate::state::Grant;
use crate::types::Op;

/// How often the leader looks. A lease may last longer by this much; nobody is promised that it ends in time.
const LOOK: Duration = Duration::from_millis(20);

/// When the leader first saw a grant.
#[derive(Clone, Copy)]
struct Seen {
    monotonic: Instant,
    wall: SystemTime,
}

/// Grants by their numbers, and when each was first seen.
#[derive(Default)]
struct Leases(BTreeMap<u64, Seen>);

impl Leases {
    /// The locks whose time is over.
    fn over<'a>(
        &mut self,
        lent: impl Iterator<Item = (&'a String, &'a Grant)>,
        now: Seen,
        defects: &Defects,
    ) -> Vec<Op> {
        let mut known = std::mem::take(&mut self.0);
        let mut over = Vec::new();
        for (lock, grant) in lent {
            let since = known.remove(&grant.number).unwrap_or(now);
            self.0.insert(grant.number, since);
            let ttl = Duration::from_millis(grant.ttl_ms);
            let rightly = now.monotonic.duration_since(since.monotonic) >= ttl;
            let by_wall = now
                .wall
                .duration_since(since.wall)
                .is_ok_and(|passed| passed >= ttl);
            let ends = match defects.has(Defect::TrustsWallClockTtl) {
                true => by_wall,
                false => rightly,
            };
            if ends {
                if !rightly {
                    defects.diverged(Defect::TrustsWallClockTtl);
                }
                over.push(Op::Expire {
                    lock: lock.clone(),
                    grant: grant.number,
                });
            }
        }
        over
    }
}

/// Ends leases until the node is gone.
pub async fn expire(node: Weak<Service>, defects: Defects) {
    let mut leases = Leases::default();
    loop {
        sleep(LOOK).await;
        let Some(node) = node.upgrade() else { return };
        if node.must_lead().is_err() {
            leases = Leases::default();
            continue;
        }
        let now = Seen {
            monotonic: Instant::now(),
            wall: SystemTime::now(),
        };
        for op in leases.over(node.state().state.locks(), now, &defects) {
            let node = Arc::clone(&node);
            // What fails is tried again at the next look.
            tokio::spawn(async move { node.write(op, None).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of one lease of a second are over, after so many milliseconds on each clock.
    fn over(monotonic_ms: u64, wall_ms: u64, defects: &Defects) -> usize {
        let lock = "l".to_owned();
        let grant = Grant {
            number: 1,
            owner: 1.into(),
            ttl_ms: 1000,
        };
        let begin = Seen {
            monotonic: Instant::now(),
            wall: SystemTime::now(),
        };
        let later = Seen {
            monotonic: begin.monotonic + Duration::from_millis(monotonic_ms),
            wall: begin.wall + Duration::from_millis(wall_ms),
        };
        let mut leases = Leases::default();
        assert!(
            leases
                .over([(&lock, &grant)].into_iter(), begin, defects)
                .is_empty()
        );
        leases.over([(&lock, &grant)].into_iter(), later, defects).len()
    }

    #[test]
    fn a_lease_ends_when_its_time_is_over_and_not_when_a_clock_says_so() {
        let (correct, trusting) = (Defects::default(), Defects::new([Defect::TrustsWallClockTtl]));
        assert_eq!((over(1000, 0, &correct), over(999, 60_000, &correct)), (1, 0));
        assert_eq!((over(1000, 0, &trusting), over(999, 60_000, &trusting)), (0, 1));
        assert_eq!(trusting.times(Defect::TrustsWallClockTtl), 1);
        assert_eq!(over(1000, 1000, &trusting), 1);
        assert_eq!(
            trusting.times(Defect::TrustsWallClockTtl),
            1,
            "the right ones do not count"
        );
    }
}
