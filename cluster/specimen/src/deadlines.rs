//! Ends what has lasted too long: leases of messages, memberships of groups, transactions.
//!
//! What a log says must not depend on anybody's clock, so such an end is a command like any other, that the leader proposes. It counts
//! from when it first saw a thing, on its monotonic clock: nothing ends before the time it was promised. A new leader counts from the
//! beginning. Commands name what they end by its number, so that what was renewed meanwhile stays.
//!
//! One command at a time: however much ends while no majority is there, clients find room.

use std::collections::HashMap;
use std::sync::Weak;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::service::Service;
use crate::state::State;
use crate::types::Op;

/// How often the leader looks. A thing may last longer by this much; nobody is promised that it ends in time.
const LOOK: Duration = Duration::from_millis(20);

/// Things by their numbers, and when each was first seen.
#[derive(Default)]
pub struct Seen(HashMap<u64, Instant>);

impl Seen {
    /// Those of `things` whose time is over. A thing is given by its number, the milliseconds that it may last, and itself.
    pub fn over<T>(&mut self, things: impl Iterator<Item = (u64, u64, T)>, now: Instant) -> Vec<T> {
        let mut known = std::mem::take(&mut self.0);
        let mut over = Vec::new();
        for (number, lasts_ms, thing) in things {
            let since = known.remove(&number).unwrap_or(now);
            self.0.insert(number, since);
            if now.duration_since(since) >= Duration::from_millis(lasts_ms) {
                over.push(thing);
            }
        }
        over
    }
}

/// While this node leads, proposes what is `due`, again and again, until the node is gone.
pub async fn keep(node: Weak<Service>, due: impl Fn(&mut Seen, &State, Instant) -> Vec<Op>) {
    let mut seen = Seen::default();
    loop {
        sleep(LOOK).await;
        let Some(node) = node.upgrade() else { return };
        if node.must_lead().is_err() {
            seen = Seen::default();
            continue;
        }
        let due = due(&mut seen, &node.state().state, Instant::now());
        for op in due {
            // What fails is tried again at the next look.
            let _ = node.write(op, None).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_over_when_its_time_has_passed_since_it_was_first_seen() {
        let mut seen = Seen::default();
        let begin = Instant::now();
        let mut over = |number, ms| {
            let things = std::iter::once((number, 500, "thing"));
            seen.over(things, begin + Duration::from_millis(ms)).len()
        };
        assert_eq!((over(1, 0), over(1, 499), over(1, 500)), (0, 0, 1));
        assert_eq!(over(1, 520), 1, "until it is known to have ended");
        assert_eq!(over(2, 540), 0, "under another number it is another thing");
        assert_eq!(over(1, 560), 0, "and what was away is new");
    }
}
