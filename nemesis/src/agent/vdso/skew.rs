//! What a clock shows instead of what the kernel says: a pure function of the kernel's answer, the same in every process.
//!
//! ```text
//! elapsed = true − anchor
//! shown   = true + elapsed · rate + offset      where there is a period: the offset only in every other one, from the first on
//! ```
//!
//! A jump is an offset; a strobe has a period, too; a drift is a rate; a rate of −1 is a clock that stands still. A process that
//! starts later gets the same function, and so shows the same time as the others.

use std::io;

use serde::{Deserialize, Serialize};

/// Clock ids from 0 that can be changed: those of the machine, not the ones that count what a process or a thread used.
pub const CLOCKS: usize = 12;

/// Nanoseconds.
pub const SECOND: i64 = 1_000_000_000;

/// 1 as a rate, which has 32 binary places.
pub const RATE_ONE: i64 = 1 << 32;

/// A clock, by the name that specs have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// Of the wall: `CLOCK_REALTIME`, its coarse and alarm variants, `CLOCK_TAI`, `gettimeofday` and `time`.
    Realtime,
    /// `CLOCK_MONOTONIC` and its coarse variant.
    Monotonic,
    /// `CLOCK_MONOTONIC_RAW`.
    MonotonicRaw,
    /// `CLOCK_BOOTTIME` and its alarm variant.
    Boottime,
}

impl Clock {
    /// All clock ids that show it; the first has its name.
    pub fn ids(self) -> &'static [usize] {
        match self {
            Clock::Realtime => &[0, 5, 8, 11],
            Clock::Monotonic => &[1, 6],
            Clock::MonotonicRaw => &[4],
            Clock::Boottime => &[7, 9],
        }
    }

    /// As `clock_gettime` knows it.
    pub fn id(self) -> usize {
        self.ids()[0]
    }
}

/// What some clocks show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skew {
    /// Which clocks.
    pub clocks: Vec<Clock>,
    /// Added.
    pub offset_ns: i64,
    /// How much faster they run, in parts of [`RATE_ONE`].
    pub rate: i64,
    /// Length of the times with and without the offset; 0: there is always one.
    pub period_ns: i64,
    /// What the kernel said when it began, by clock id.
    pub anchors_ns: [i64; CLOCKS],
}

impl Skew {
    /// Bit n: clock id n.
    pub fn mask(&self) -> u64 {
        let ids = self.clocks.iter().flat_map(|clock| clock.ids());
        ids.fold(0, |mask, id| mask | 1 << id)
    }

    /// What a clock shows when the kernel says `truth_ns`. The assembler has the same, to the bit.
    pub fn shown_ns(&self, clock: Clock, truth_ns: i64) -> i64 {
        if !self.clocks.contains(&clock) {
            return truth_ns;
        }
        let elapsed = truth_ns.wrapping_sub(self.anchors_ns[clock.id()]);
        let faster = ((i128::from(elapsed) * i128::from(self.rate)) >> 32) as i64;
        let shown = truth_ns.wrapping_add(faster);
        if self.period_ns != 0 && (elapsed / self.period_ns) & 1 != 0 {
            return shown;
        }
        shown.wrapping_add(self.offset_ns)
    }
}

/// What the kernel says now, by clock id: clocks that show the same have the same anchor. Asks by the system call, past any vDSO.
pub fn anchors() -> io::Result<[i64; CLOCKS]> {
    let mut anchors = [0; CLOCKS];
    for clock in [
        Clock::Realtime,
        Clock::Monotonic,
        Clock::MonotonicRaw,
        Clock::Boottime,
    ] {
        let now = now_ns(clock.id())?;
        for id in clock.ids() {
            anchors[*id] = now;
        }
    }
    // International atomic time is some seconds ahead.
    anchors[11] = now_ns(11)?;
    Ok(anchors)
}

/// What the kernel says now.
pub fn now_ns(clock: usize) -> io::Result<i64> {
    let mut now = nix::libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: clock_gettime(2) writes one timespec, to which the pointer is valid.
    let failed = unsafe {
        nix::libc::syscall(
            nix::libc::SYS_clock_gettime,
            clock as nix::libc::c_long,
            &raw mut now,
        )
    };
    if failed != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(now.tv_sec * SECOND + now.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skew(offset_ns: i64, rate: i64, period_ns: i64) -> Skew {
        Skew {
            clocks: vec![Clock::Realtime],
            offset_ns,
            rate,
            period_ns,
            anchors_ns: [1000; CLOCKS],
        }
    }

    #[test]
    fn four_faults_are_one_function() {
        let shown = |skew: Skew, truth| skew.shown_ns(Clock::Realtime, truth);
        assert_eq!(shown(skew(-7, 0, 0), 5000), 4993, "a jump");
        assert_eq!(
            shown(skew(0, -RATE_ONE, 0), 5000),
            1000,
            "a clock that stands still"
        );
        assert_eq!(shown(skew(0, RATE_ONE / 2, 0), 5000), 7000, "a drift");
        let strobe: Vec<i64> = (0..4).map(|n| shown(skew(7, 0, 10), 1000 + 10 * n)).collect();
        assert_eq!(strobe, [1007, 1010, 1027, 1030], "a strobe");
        assert_eq!(skew(7, 0, 0).shown_ns(Clock::Monotonic, 5), 5, "other clocks");
    }

    #[test]
    fn a_mask_has_all_that_show_a_clock() {
        assert_eq!(skew(1, 0, 0).mask(), 1 | 1 << 5 | 1 << 8 | 1 << 11);
    }
}
