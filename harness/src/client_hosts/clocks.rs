//! How far the clock of a client's host is ahead, as far as that is known at a moment.

use std::collections::VecDeque;

use duress_checker::history::OtherClock;
use duress_cluster::clock_offset::{Offset, RoundTrip, monotonic_ns};
use duress_workloads::service::Seen;

/// The newest round trips that are kept: of so many, one was fast, and none is old.
const KEPT: usize = 60;

/// Where the time of a run begins, by the clock that nobody sets.
#[derive(Clone, Copy, Debug)]
pub struct RunStart {
    /// No later than it.
    ns: u64,
    /// And no more earlier than this.
    error_ns: u64,
}

impl RunStart {
    /// Of a run that began then.
    pub fn of(start: std::time::Instant) -> RunStart {
        let before = monotonic_ns();
        let elapsed = start.elapsed().as_nanos() as u64;
        let after = monotonic_ns();
        RunStart {
            ns: before.saturating_sub(elapsed),
            error_ns: after - before,
        }
    }
}

/// What was measured of a clock.
#[derive(Debug, Default)]
pub struct Clocks {
    trips: VecDeque<RoundTrip>,
}

impl Clocks {
    /// One more round trip.
    pub fn add(&mut self, trip: RoundTrip) {
        self.trips.push_back(trip);
        if self.trips.len() > KEPT {
            self.trips.pop_front();
        }
    }

    /// How far it is ahead at this moment of the clock here, as well as any of the round trips says. `None`: nobody has asked it.
    pub fn offset(&self, now: u64) -> Option<Offset> {
        let aged = self.trips.iter().filter_map(|trip| {
            let offset = Offset::best(std::slice::from_ref(trip))?;
            Some(offset.after(now.saturating_sub(trip.received)))
        });
        aged.min_by_key(|offset| offset.error_ns)
    }

    /// An attempt that was made from `start` to `end` by the clock there, in the time of the run.
    pub fn seen(&self, host: &str, start: u64, end: u64, run: RunStart) -> Option<Seen> {
        let now = monotonic_ns();
        let offset = self.offset(now)?;
        // It may have begun before that was measured.
        let began = offset.earliest(start).max(0).cast_unsigned();
        let offset = offset.after(now.saturating_sub(began));
        // An exact clock tells the same, whichever end of the error is looked at.
        let exact = Offset {
            error_ns: 0,
            ..offset
        };
        let in_run = |theirs| {
            exact
                .earliest(theirs)
                .max(0)
                .cast_unsigned()
                .saturating_sub(run.ns)
        };
        Some(Seen {
            start: in_run(start),
            end: in_run(end),
            clock: OtherClock {
                host: host.to_owned(),
                error_ns: offset.error_ns + run.error_ns,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_counts_until_it_is_old() {
        let mut clocks = Clocks::default();
        assert_eq!(clocks.offset(0), None);
        let trip = |sent, took: u64, ahead: u64| RoundTrip {
            sent,
            theirs: sent + took / 2 + ahead,
            received: sent + took,
        };
        clocks.add(trip(0, 2_000, 300));
        clocks.add(trip(1_000_000_000, 100_000, 700));
        let at = |clocks: &Clocks, now| clocks.offset(now).map(|offset| offset.ns);
        assert_eq!(at(&clocks, 1_000_200_000), Some(300));
        // In three seconds clocks drift further apart than the slow one was wrong.
        assert_eq!(at(&clocks, 1_000_200_000 + 3_000_000_000), Some(300));
        for late in 0..KEPT as u64 {
            clocks.add(trip(5_000_000_000 + late, 200_000, 900));
        }
        assert_eq!(at(&clocks, 6_000_000_000), Some(900));
    }

    #[test]
    fn an_attempt_is_told_in_the_time_of_the_run() {
        let run = RunStart::of(std::time::Instant::now());
        let mut clocks = Clocks::default();
        let now = monotonic_ns();
        let ahead = 300_000_000;
        clocks.add(RoundTrip {
            sent: now,
            theirs: now + ahead + 500,
            received: now + 1000,
        });
        let seen = clocks.seen("c1", now + ahead, now + ahead + 7000, run).unwrap();
        let began = now - run.ns;
        assert!(
            seen.start.abs_diff(began) <= seen.clock.error_ns,
            "{seen:?}, {began}"
        );
        assert_eq!(seen.end - seen.start, 7000);
        assert_eq!(seen.clock.host, "c1");
    }
}
