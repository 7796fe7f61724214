//! The leader's lease: how long it may answer reads without asking anyone.
//!
//! # Why it is safe
//!
//! A follower that accepts anything from a leader at time *t* votes for no one else until *t* +
//! `election timeout max`, and also starts no election of its own before that (openraft: `leader_lease`; a
//! restarted follower counts anew from its start). The leader takes the time *before* it sends a request and,
//! when the answer comes, knows that this follower's promise runs at least from then. Once a majority has
//! promised, no other leader can be elected before the oldest promise of that majority ends, because any other
//! majority contains a node that promised. The leader itself is part of both majorities without having promised
//! anything, so before it hands out a vote it fences its own lease ([`Lease::fence`]).
//!
//! Reads take the value first and look at the lease after: if the lease holds *then*, no later leader existed
//! when the value was taken. [`SHARE`] leaves room for monotonic clocks that do not run equally fast.
//!
//! All of it is counted on the monotonic clock. With [`Defect::LeaseByWallclock`] it is counted on the clock of
//! the wall, and someone who sets that back lengthens the lease.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::defect::{Defect, Defects};
use crate::types::{NodeId, Vote};

/// The part of the followers' promise that the leader uses: it tolerates clocks that differ by a fifth.
const SHARE: f64 = 0.8;

/// Which leadership an acknowledgement is for: term and leader.
type Leadership = (u64, NodeId);

/// A moment on the clock of the lease; with the defect, also on the one that it should be counted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    counted: Duration,
    monotonic: Duration,
}

/// What the followers have promised this node.
#[derive(Debug)]
pub struct Lease {
    start: Instant,
    defects: Defects,
    length: Duration,
    promises: Mutex<Promises>,
}

#[derive(Debug, Default)]
struct Promises {
    /// By follower: the leadership it acknowledged, and when the acknowledged request was sent.
    sent: BTreeMap<NodeId, (Leadership, Moment)>,
    /// The highest leadership this node has voted for.
    fence: Leadership,
}

impl Lease {
    /// A lease on followers that promise to wait for `election_max`.
    pub fn new(election_max: Duration, defects: &Defects) -> Self {
        Self {
            start: Instant::now(),
            defects: defects.clone(),
            length: election_max.mul_f64(SHARE),
            promises: Mutex::default(),
        }
    }

    /// To be taken before a request is sent.
    pub fn now(&self) -> Moment {
        let monotonic = self.start.elapsed();
        let counted = match self.defects.has(Defect::LeaseByWallclock) {
            true => SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default(),
            false => monotonic,
        };
        Moment { counted, monotonic }
    }

    /// `follower` accepted what the leader of `vote` sent at `sent`.
    pub fn promised(&self, follower: NodeId, vote: &Vote, sent: Moment) {
        let mut promises = self.promises.lock().unwrap_or_else(PoisonError::into_inner);
        let new = (leadership(vote), sent);
        promises
            .sent
            .entry(follower)
            .and_modify(|old| *old = new.max(*old))
            .or_insert(new);
    }

    /// This node is about to tell a candidate that it voted for `vote`.
    pub fn fence(&self, vote: &Vote) {
        let mut promises = self.promises.lock().unwrap_or_else(PoisonError::into_inner);
        promises.fence = promises.fence.max(leadership(vote));
    }

    /// Whether node `me`, elected by `vote`, holds the lease now: in each of the `configs` that are in force.
    pub fn holds(&self, me: NodeId, vote: &Vote, configs: &[BTreeSet<NodeId>]) -> bool {
        let promises = self.promises.lock().unwrap_or_else(PoisonError::into_inner);
        let leadership = leadership(vote);
        if promises.fence > leadership {
            return false;
        }
        let now = self.now();
        let held = |clock: fn(&Moment) -> Duration| {
            let fresh = |node: &NodeId| {
                *node == me
                    || promises.sent.get(node).is_some_and(|(of, sent)| {
                        *of == leadership && clock(&now) < clock(sent) + self.length
                    })
            };
            configs
                .iter()
                .all(|voters| voters.iter().filter(|node| fresh(node)).count() * 2 > voters.len())
        };
        let holds = held(|moment| moment.counted);
        if holds && self.defects.has(Defect::LeaseByWallclock) && !held(|moment| moment.monotonic) {
            self.defects.diverged(Defect::LeaseByWallclock);
        }
        holds
    }
}

fn leadership(vote: &Vote) -> Leadership {
    (vote.leader_id.term, vote.leader_id.node_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn lease(length: Duration) -> Lease {
        Lease::new(length, &Defects::default())
    }

    fn three() -> Vec<BTreeSet<NodeId>> {
        vec![BTreeSet::from([1, 2, 3])]
    }

    #[test]
    fn a_majority_of_fresh_promises_is_a_lease() {
        let lease = lease(LONG);
        let vote = Vote::new_committed(1, 1);
        assert!(!lease.holds(1, &vote, &three()));
        lease.promised(2, &vote, lease.now());
        assert!(lease.holds(1, &vote, &three()));
    }

    #[test]
    fn promises_expire() {
        let lease = lease(Duration::ZERO);
        let vote = Vote::new_committed(1, 1);
        lease.promised(2, &vote, lease.now());
        lease.promised(3, &vote, lease.now());
        assert!(!lease.holds(1, &vote, &three()));
    }

    #[test]
    fn promises_to_an_earlier_leadership_do_not_count() {
        let lease = lease(LONG);
        lease.promised(2, &Vote::new_committed(1, 1), lease.now());
        assert!(!lease.holds(1, &Vote::new_committed(2, 1), &three()));
    }

    #[test]
    fn a_late_answer_does_not_undo_a_newer_promise() {
        let lease = lease(LONG);
        let early = lease.now();
        lease.promised(2, &Vote::new_committed(2, 1), lease.now());
        lease.promised(2, &Vote::new_committed(1, 1), early);
        assert!(lease.holds(1, &Vote::new_committed(2, 1), &three()));
    }

    #[test]
    fn a_vote_for_someone_else_ends_the_lease() {
        let lease = lease(LONG);
        let vote = Vote::new_committed(1, 1);
        lease.promised(2, &vote, lease.now());
        lease.fence(&Vote::new(1, 3));
        assert!(!lease.holds(1, &vote, &three()));
    }

    #[test]
    fn both_configurations_of_a_joint_one_must_agree() {
        let lease = lease(LONG);
        let vote = Vote::new_committed(1, 1);
        lease.promised(2, &vote, lease.now());
        let joint = vec![BTreeSet::from([1, 2, 3]), BTreeSet::from([1, 4, 5])];
        assert!(!lease.holds(1, &vote, &joint));
        lease.promised(4, &vote, lease.now());
        assert!(lease.holds(1, &vote, &joint));
    }

    #[test]
    fn the_defect_counts_on_the_clock_of_the_wall() {
        let wall = Lease::new(LONG, &Defects::new([Defect::LeaseByWallclock]));
        assert!(
            wall.now().counted > Duration::from_secs(1_600_000_000),
            "counts from 1970"
        );
    }
}
