//! What becomes of each packet of one directed link: a stream of decisions that follows from a seed. Pure.
//!
//! The same seed gives the same fates for the first packet, the second, and so on. Which packet is the first is the system's affair.
//! Each effect draws from a stream of its own, so that the losses of a link stay the same when a delay is added.

use std::time::Duration;

use super::effects::{Distribution, Effects};
use crate::dice::Dice;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is lost.
    Lost,
    /// It is dropped: more wait for their turn than may.
    Overflowed,
    /// It goes on.
    Delivered(Passage),
}

/// How a packet goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passage {
    /// After this time.
    pub delay: Duration,
    /// With a copy of itself.
    pub copied: bool,
    /// With one bit of its data flipped. The number says which, among as many as there are.
    pub flip: Option<u64>,
}

/// The decisions for one directed link.
pub struct Fates {
    effects: Effects,
    delays: Dice,
    losses: Dice,
    copies: Dice,
    holds: Dice,
    flips: Dice,
    /// In a bad period.
    bad: bool,
    /// When the line is free again, after the first packet could come.
    free: Duration,
}

/// What tells the streams of one link apart, beside the seed itself and its complement. Changing one changes what becomes of packets
/// in every replay.
const COPIES: u64 = 0x636f_7069_6573_0001;
const HOLDS: u64 = 0x686f_6c64_7300_0002;
const FLIPS: u64 = 0x666c_6970_7300_0003;

/// Of a link: names of nodes and the family of addresses make it another stream.
pub fn seed_of_link(seed: u64, from: &str, to: &str, v6: bool) -> u64 {
    // FNV-1a (Fowler, Noll, Vo): streams have to differ, and nothing more.
    let text = format!("{from}>{to}/{}", if v6 { 6 } else { 4 });
    let mixed = text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    seed ^ mixed
}

impl Fates {
    /// Of the link with this seed.
    pub fn new(effects: Effects, seed: u64) -> Fates {
        Fates {
            effects,
            delays: Dice::new(seed),
            losses: Dice::new(!seed),
            copies: Dice::new(seed ^ COPIES),
            holds: Dice::new(seed ^ HOLDS),
            flips: Dice::new(seed ^ FLIPS),
            bad: false,
            free: Duration::ZERO,
        }
    }

    /// Of the next packet, which has so many bytes and comes so long after the first could.
    pub fn next(&mut self, elapsed: Duration, bytes: usize) -> Fate {
        let Effects {
            duplicate,
            reorder,
            reorder_us,
            corrupt,
            ..
        } = self.effects;
        // Each stream is drawn from whatever becomes of the packet, so that none depends on another.
        let mut delay = self.delay() + self.jam(elapsed);
        if happens(&mut self.holds, reorder) {
            delay += Duration::from_micros(reorder_us);
        }
        let copied = happens(&mut self.copies, duplicate);
        let flip = happens(&mut self.flips, corrupt).then(|| self.flips.number());
        if self.loses() {
            return Fate::Lost;
        }
        let Some(wait) = self.wait(elapsed, bytes) else {
            return Fate::Overflowed;
        };
        delay += wait;
        Fate::Delivered(Passage { delay, copied, flip })
    }

    /// How long a packet waits for its turn, and then takes to pass, on a line that takes one packet after another; `None` where no more
    /// may wait. (A token bucket that is as deep as one packet.)
    fn wait(&mut self, elapsed: Duration, bytes: usize) -> Option<Duration> {
        let Effects { rate, queue, .. } = self.effects;
        if rate == 0 {
            return Some(Duration::ZERO);
        }
        let waits = self.free.saturating_sub(elapsed);
        let waiting = waits.as_secs_f64() * rate as f64;
        if !waits.is_zero() && waiting + bytes as f64 > queue as f64 {
            return None;
        }
        let takes = Duration::from_secs_f64(bytes as f64 / rate as f64);
        self.free = elapsed + waits + takes;
        Some(waits + takes)
    }

    /// The model of Gilbert (1960) and Elliott (1963): a link is good or bad, and turns from one to the other with fixed probabilities from
    /// packet to packet; in each state it loses a share of its own. Gilbert's link, unless it says otherwise, loses all while it is
    /// bad, and nothing while it is good.
    fn loses(&mut self) -> bool {
        let Effects {
            loss,
            burst,
            spared,
            between,
            ..
        } = self.effects;
        if loss == 0.0 {
            return false;
        }
        let drawn = fraction(&mut self.losses);
        if burst <= 1.0 {
            return drawn < loss;
        }
        let turns = if self.bad {
            1.0 / burst
        } else {
            self.effects.burst_begins()
        };
        self.bad ^= drawn < turns;
        match self.bad {
            true => spared == 0.0 || fraction(&mut self.losses) >= spared,
            false => happens(&mut self.losses, between),
        }
    }

    /// Until the end of the jam that a packet has come into.
    fn jam(&self, elapsed: Duration) -> Duration {
        let jam_ns = u128::from(self.effects.jam_us) * 1000;
        if jam_ns == 0 {
            return Duration::ZERO;
        }
        Duration::from_nanos((jam_ns - elapsed.as_nanos() % jam_ns) as u64)
    }

    fn delay(&mut self) -> Duration {
        let Effects {
            delay_us,
            jitter_us,
            distribution,
            ..
        } = self.effects;
        if jitter_us == 0 {
            return Duration::from_micros(delay_us);
        }
        let (delay, jitter) = (delay_us as f64, jitter_us as f64);
        let drawn = fraction(&mut self.delays);
        let us = match distribution {
            Distribution::Uniform => delay + jitter * (2.0 * drawn - 1.0),
            // Box and Muller 1958.
            Distribution::Normal => {
                let angle = std::f64::consts::TAU * fraction(&mut self.delays);
                delay + jitter * (-2.0 * (1.0 - drawn).ln()).sqrt() * angle.cos()
            }
            Distribution::Exponential => delay - jitter * (1.0 - drawn).ln(),
        };
        Duration::from_nanos((us.max(0.0) * 1000.0) as u64)
    }
}

/// Draws only where there is something to decide.
fn happens(dice: &mut Dice, share: f64) -> bool {
    share > 0.0 && fraction(dice) < share
}

/// From 0 to 1, 1 excluded.
fn fraction(dice: &mut Dice) -> f64 {
    (dice.number() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests;
