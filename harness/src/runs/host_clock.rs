//! Whether this machine's own clock was set while a run went on: Duress never does, and what others do is not of the system
//! under test.
//!
//! The clock of the wall is compared with `/proc/uptime`, which nobody can set and which goes on while the machine sleeps. What the kernel
//! corrects little by little, as a time daemon asks it to, is none of that.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// The kernel slews by at most this many parts in a million (adjtimex(2): 500), and a little room.
const SLEW_PPM: i128 = 1000;
/// Time daemons step the clock where it is off by more than 128 ms (ntpd), or never; `/proc/uptime` counts hundredths.
const STEP_LEAST_NS: i128 = 100_000_000;

/// What this machine's clocks show at one moment.
#[derive(Clone, Copy, Debug)]
pub struct HostClock {
    wall_ns: i128,
    boot_ns: i128,
}

impl HostClock {
    /// Now. `None`: the kernel does not say how long it has run.
    pub fn now() -> Option<HostClock> {
        let since = |time: SystemTime| match time.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_nanos() as i128,
            Err(before) => -(before.duration().as_nanos() as i128),
        };
        let uptime = fs::read_to_string("/proc/uptime").ok()?;
        let wall_ns = since(SystemTime::now());
        // `4711.08 9000.12`: in hundredths.
        let (seconds, hundredths) = uptime.split(' ').next()?.split_once('.')?;
        let (seconds, hundredths): (i128, i128) = (seconds.parse().ok()?, hundredths.parse().ok()?);
        let boot_ns = seconds * 1_000_000_000 + hundredths * 10_000_000;
        Some(HostClock { wall_ns, boot_ns })
    }

    /// What is to be said if the clock was set since `before`, as far as both moments are known.
    pub fn was_set_since(before: Option<HostClock>) -> Option<String> {
        before?.set_since(HostClock::now()?)
    }

    /// What is to be said of the time since then, if the clock was set; in seconds, how far.
    pub fn set_since(&self, now: HostClock) -> Option<String> {
        let elapsed = now.boot_ns - self.boot_ns;
        let moved = (now.wall_ns - self.wall_ns) - elapsed;
        let slewed = elapsed * SLEW_PPM / 1_000_000;
        if moved.abs() <= STEP_LEAST_NS + slewed {
            return None;
        }
        Some(format!(
            "somebody set this machine's own clock by {:+.3} s during the run, so what was seen may have been that; keep its time \
             daemon from stepping the clock, and run again",
            moved as f64 / 1e9
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i128 = 1_000_000_000;

    fn after(wall_ns: i128, boot_ns: i128) -> Option<String> {
        let begun = HostClock {
            wall_ns: 1_800_000_000 * SECOND,
            boot_ns: 77 * SECOND,
        };
        begun.set_since(HostClock {
            wall_ns: begun.wall_ns + wall_ns,
            boot_ns: begun.boot_ns + boot_ns,
        })
    }

    #[test]
    fn only_a_step_counts() {
        assert_eq!(after(60 * SECOND, 60 * SECOND), None);
        // Slewed for an hour at full speed.
        assert_eq!(after(3600 * SECOND + 1800 * SECOND / 1000, 3600 * SECOND), None);
        let said = after(61 * SECOND, 60 * SECOND).expect("a step");
        assert!(said.contains("by +1.000 s"), "{said}");
        assert!(after(60 * SECOND - SECOND / 5, 60 * SECOND).is_some());
        let now = || HostClock::now().expect("an uptime");
        assert_eq!(now().set_since(now()), None);
    }
}
