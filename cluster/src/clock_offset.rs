//! How far the clock of another machine is from the clock here, and how well that is known.
//!
//! ```text
//! sent (here) ───────▶ theirs (there) ───────▶ received (here)
//!      100                  5130                     140         their clock is ahead by 5010, ± 20
//! ```
//!
//! Their clock was read at some moment between the two readings here, so it can't be further off than half of the time between them:
//! Cristian, "Probabilistic clock synchronization", Distributed Computing 3, 1989, section 3; RFC 5905, section 8, with one time stamp over
//! there instead of two. Of several round trips the fastest says most.
//!
//! The clocks are those that nobody sets (`CLOCK_MONOTONIC`). They still don't run equally fast, so a measurement is worth less the older
//! it is: see [`Offset::after`].

use serde::{Deserialize, Serialize};

/// How much faster or slower a clock may run than another, in nanoseconds a second. Twice what RFC 5905 (`PHI`, section 11.2) takes for the
/// most that a clock gains or loses: here two of them are compared.
const DRIFT_NS_A_SECOND: u64 = 30_000;

/// A question to another machine what its clock reads. All in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTrip {
    /// When it was sent, by the clock here.
    pub sent: u64,
    /// What the clock there read.
    pub theirs: u64,
    /// When the answer was here.
    pub received: u64,
}

/// How far another clock is ahead of the one here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offset {
    /// In nanoseconds; negative: it is behind.
    pub ns: i64,
    /// It is no further from `ns` than this.
    pub error_ns: u64,
}

impl Offset {
    /// What the fastest of these round trips says. `None`: there was none.
    pub fn best(trips: &[RoundTrip]) -> Option<Offset> {
        let fastest = trips
            .iter()
            .min_by_key(|trip| trip.received.saturating_sub(trip.sent))?;
        let took = fastest.received.saturating_sub(fastest.sent);
        let middle = fastest.sent + took / 2;
        Some(Offset {
            ns: fastest.theirs.wrapping_sub(middle).cast_signed(),
            // Rounded up, since the middle was rounded down.
            error_ns: took.div_ceil(2),
        })
    }

    /// What is left of it after so many nanoseconds.
    #[must_use]
    pub fn after(self, ns: u64) -> Offset {
        let drift = u128::from(ns) * u128::from(DRIFT_NS_A_SECOND) / 1_000_000_000;
        Offset {
            error_ns: self.error_ns.saturating_add(drift as u64 + 1),
            ..self
        }
    }

    /// The earliest moment, by the clock here, at which their clock may have read this.
    pub fn earliest(&self, theirs: u64) -> i64 {
        self.here(theirs).saturating_sub_unsigned(self.error_ns)
    }

    /// The latest.
    pub fn latest(&self, theirs: u64) -> i64 {
        self.here(theirs).saturating_add_unsigned(self.error_ns)
    }

    fn here(&self, theirs: u64) -> i64 {
        theirs.cast_signed().saturating_sub(self.ns)
    }
}

/// What the clock of this machine reads, in nanoseconds (`CLOCK_MONOTONIC`): the same for all processes that share its time namespace.
pub fn monotonic_ns() -> u64 {
    let mut time = nix::libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: clock_gettime(2) writes one timespec, to which the pointer is valid. It can't fail with a clock that every kernel has.
    unsafe { nix::libc::clock_gettime(nix::libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trip(sent: u64, theirs: u64, received: u64) -> RoundTrip {
        RoundTrip {
            sent,
            theirs,
            received,
        }
    }

    #[test]
    fn the_fastest_round_trip_says_most() {
        let offset = Offset::best(&[
            trip(0, 5400, 1000),
            trip(2000, 7030, 2040),
            trip(3000, 8900, 3900),
        ]);
        assert_eq!(
            offset,
            Some(Offset {
                ns: 5010,
                error_ns: 20
            })
        );
        assert_eq!(Offset::best(&[]), None);
    }

    #[test]
    fn the_bound_holds_wherever_between_the_clock_was_read() {
        for ahead in [-700_000_i64, -1, 0, 1, 300_000_000] {
            for (there, back) in [(0, 41), (41, 0), (20, 21), (1, 2)] {
                let sent: u64 = 1_000_000_000;
                let theirs = (sent + there).checked_add_signed(ahead).unwrap();
                let offset = Offset::best(&[trip(sent, theirs, sent + there + back)]).unwrap();
                assert!(
                    offset.ns.abs_diff(ahead) <= offset.error_ns,
                    "{offset:?}, {ahead}"
                );
                let moment = (sent + there).cast_signed();
                assert!(offset.earliest(theirs) <= moment && moment <= offset.latest(theirs));
            }
        }
    }

    #[test]
    fn what_is_old_is_worth_less() {
        let offset = Offset { ns: 5, error_ns: 100 };
        assert_eq!(offset.after(2_000_000_000).error_ns, 100 + 60_000 + 1);
    }

    #[test]
    fn the_clock_moves() {
        let before = monotonic_ns();
        assert!(before > 0 && monotonic_ns() >= before);
    }
}
