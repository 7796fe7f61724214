//! How many probes it takes, how long they are, and how fast they are sent. Pure.

use super::super::effects::Effects;

/// How many jams are measured.
const JAMS: u64 = 2;
/// How long more is sent than may pass, in microseconds.
const SATURATED_US: u64 = 400_000;
/// The longest probe: what an Ethernet takes, with IPv6, in one piece.
const DATAGRAM_MAX: u64 = 1400;

/// How many probes are sent on each link, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How many.
    pub count: u32,
    /// Between two, in microseconds.
    pub interval_us: u64,
    /// How long each is, in bytes from its IPv4 header on.
    pub bytes: u32,
}

impl Plan {
    /// Enough to see that nothing is done to packets.
    pub const HEALED: Plan = Plan {
        count: 50,
        interval_us: 2000,
        bytes: 100,
    };
}

/// What it takes to tell these effects from others.
pub fn probes(effects: &Effects) -> Plan {
    const MAX: f64 = 4000.0;
    let mut count = if effects.jitter_us > 0 { 200.0f64 } else { 100.0 };
    if effects.loss > 0.0 {
        count = (40.0 * effects.loss_dispersion() / effects.loss).clamp(200.0, MAX);
    }
    for share in [effects.duplicate, effects.reorder, effects.corrupt] {
        if share > 0.0 {
            count = count.max((40.0 / share).clamp(200.0, MAX));
        }
    }
    let bytes = Plan::HEALED.bytes;
    if effects.rate > 0 {
        // More than may pass, for long enough.
        let bytes = (effects.rate / 100).clamp(u64::from(bytes), DATAGRAM_MAX);
        let interval_us = (bytes * 1_000_000 / (2 * effects.rate)).max(1);
        let long_enough = (SATURATED_US / interval_us).max(40);
        return Plan {
            count: (count as u32).max(long_enough as u32),
            interval_us,
            bytes: bytes as u32,
        };
    }
    // All of some jams: in a part of one, nothing is as asked.
    if effects.jam_us > 0 {
        count = count.max(200.0);
        return Plan {
            count: count as u32,
            interval_us: (JAMS * effects.jam_us / count as u64).max(500),
            bytes,
        };
    }
    Plan {
        count: count as u32,
        interval_us: if count <= 500.0 { 2000 } else { 500 },
        bytes,
    }
}
