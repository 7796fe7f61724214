//! What is done to the packets of a link, as numbers, and what follows from that for many packets. Pure.

use serde::{Deserialize, Serialize};

/// How delays spread around their middle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// Evenly, from `delay - jitter` to `delay + jitter`.
    #[default]
    Uniform,
    /// A normal distribution with this standard deviation; never below 0.
    Normal,
    /// Never below `delay`; on top of it an exponential distribution with the mean `jitter`.
    Exponential,
}

/// What is done to each packet of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Effects {
    /// Time that it is held, in microseconds.
    pub delay_us: u64,
    /// How much that varies, in microseconds.
    pub jitter_us: u64,
    /// How.
    pub distribution: Distribution,
    /// Time after which all that was held in it is delivered at once, again and again, in microseconds. 0: nothing is.
    #[serde(default)]
    pub jam_us: u64,
    /// Share of packets that get lost, from 0 to 1.
    pub loss: f64,
    /// Mean number of packets of a bad period, at least 1; all are lost, unless `spared` says otherwise. 0: each is lost by itself.
    pub burst: f64,
    /// Share of packets of a bad period that are not lost, from 0 to 1.
    #[serde(default)]
    pub spared: f64,
    /// Share of packets that get lost outside bad periods, from 0 to 1.
    #[serde(default)]
    pub between: f64,
    /// Share of packets that arrive twice, from 0 to 1.
    #[serde(default)]
    pub duplicate: f64,
    /// Share of packets that are held back, so that later ones overtake them, from 0 to 1.
    #[serde(default)]
    pub reorder: f64,
    /// How long those are held back, in microseconds.
    #[serde(default)]
    pub reorder_us: u64,
    /// Share of packets with one bit of their data flipped, from 0 to 1.
    #[serde(default)]
    pub corrupt: f64,
    /// Whether the checksum of such a packet is made to fit, so that the program gets it. If not, the kernel drops it.
    #[serde(default)]
    pub repaired: bool,
    /// Bytes a second that pass at most, IP headers included. 0: there is no limit.
    #[serde(default)]
    pub rate: u64,
    /// Bytes that wait for their turn at most; what comes on top is dropped.
    #[serde(default)]
    pub queue: u64,
}

impl Effects {
    /// In the words of tc-netem(8), as far as it has any.
    pub fn as_netem(&self) -> String {
        let ms = |us: u64| format!("{}ms", us as f64 / 1000.0);
        let mut words = vec!["netem".to_owned()];
        if self.delay_us > 0 || self.jitter_us > 0 {
            words.push(format!("delay {}", ms(self.delay_us)));
        }
        if self.jitter_us > 0 {
            words.push(ms(self.jitter_us));
        }
        match self.distribution {
            Distribution::Uniform => {}
            Distribution::Normal => words.push("distribution normal".to_owned()),
            Distribution::Exponential => words.push("(exponential)".to_owned()),
        }
        if self.jam_us > 0 {
            words.push(format!("slot {}", ms(self.jam_us)));
        }
        if self.loss > 0.0 && self.burst > 1.0 {
            let [begin, end, spared, between] =
                [self.burst_begins(), 1.0 / self.burst, self.spared, self.between]
                    .map(|share| format!("{:.3}%", share * 100.0));
            let elliott = match self.spared + self.between > 0.0 {
                true => format!(" {spared} {between}"),
                false => String::new(),
            };
            words.push(format!("loss gemodel {begin} {end}{elliott}"));
        } else if self.loss > 0.0 {
            words.push(format!("loss {}%", self.loss * 100.0));
        }
        for (word, share) in [("duplicate", self.duplicate), ("corrupt", self.corrupt)] {
            if share > 0.0 {
                words.push(format!("{word} {}%", share * 100.0));
            }
        }
        if self.reorder > 0.0 {
            let (share, by) = (self.reorder * 100.0, ms(self.reorder_us));
            words.push(format!("({share}% held for {by} more)"));
        }
        if self.rate > 0 {
            words.push(format!("rate {}bps limit ({} bytes)", self.rate, self.queue));
        }
        words.join(" ")
    }

    /// The delay that half of the packets exceed, in microseconds.
    pub fn median_us(&self) -> u64 {
        let delay_us = match self.distribution {
            Distribution::Uniform | Distribution::Normal => self.delay_us,
            Distribution::Exponential => {
                self.delay_us + (self.jitter_us as f64 * std::f64::consts::LN_2) as u64
            }
        };
        delay_us + self.jam_us / 2
    }

    /// Between the delays that a quarter and three quarters of the packets don't exceed, in microseconds.
    pub fn quartiles_us(&self) -> u64 {
        let width = match self.distribution {
            Distribution::Uniform => 1.0,
            Distribution::Normal => 1.349,
            Distribution::Exponential => 3f64.ln(),
        };
        (self.jitter_us as f64 * width) as u64 + self.jam_us / 2
    }

    /// Hardly any packet is held for longer, in microseconds.
    pub fn longest_us(&self) -> u64 {
        let spread = match self.distribution {
            Distribution::Uniform => 1,
            Distribution::Normal => 5,
            Distribution::Exponential => 10,
        };
        let waits_us = match self.rate {
            0 => 0,
            rate => self.queue * 1_000_000 / rate,
        };
        self.delay_us + spread * self.jitter_us + self.jam_us + self.reorder_us + waits_us
    }

    /// Share of packets that don't get to a program: lost, or refused by the kernel for their checksum.
    pub fn missing(&self) -> f64 {
        1.0 - (1.0 - self.loss) * (1.0 - self.refused())
    }

    /// Share of packets that the kernel refuses for their checksum, of those that are not lost.
    pub fn refused(&self) -> f64 {
        if self.repaired { 0.0 } else { self.corrupt }
    }

    /// Share of packets that get to a program with other data than they were sent with.
    pub fn changed(&self) -> f64 {
        if self.repaired { self.corrupt } else { 0.0 }
    }

    /// How much more the number of lost packets varies than if each were lost by itself: the ratio of the variances, for many
    /// packets. Lost packets come in bursts, so there are fewer independent ones.
    pub fn loss_dispersion(&self) -> f64 {
        if self.burst <= 1.0 {
            return 1.0;
        }
        // A chain of two states, which are correlated by 1 - P(begins) - P(ends) from packet to packet.
        let (bad, apart) = (self.bad(), 1.0 - self.spared - self.between);
        let correlation = 1.0 - self.burst_begins() - 1.0 / self.burst;
        let together = 2.0 * apart * apart * bad * (1.0 - bad) * correlation / (1.0 - correlation);
        1.0 + together / (self.loss * (1.0 - self.loss))
    }

    /// Share of packets that fall into bad periods, from the share of all that is lost.
    fn bad(&self) -> f64 {
        (self.loss - self.between) / (1.0 - self.spared - self.between)
    }

    /// The probability that a bad period begins with a packet that follows one of a good period.
    pub fn burst_begins(&self) -> f64 {
        self.bad() / (self.burst.max(1.0) * (1.0 - self.bad()))
    }
}
