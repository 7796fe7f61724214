//! Whether what was measured on one link is what its faults were asked to do. Pure.

use super::super::effects::Effects;
use super::super::order::LinkMeasured;
use crate::life::technique::Unproven;

/// Exceeded by chance about once in a hundred thousand.
const SIGMAS: f64 = 4.5;
/// What a busy machine adds to a median: this, and a tenth.
const LATE_US: u64 = 10_000;
/// How much earlier than asked a median may be, for what clocks and timers round: this, and a hundredth.
const EARLY_US: u64 = 500;
/// In a jam packets keep their order; of those that are late one by one, half or so overtake each other.
const OVERTAKEN: f64 = 0.1;
/// How many of those that are held back are seen to be overtaken at least: while a machine stands still, nobody overtakes.
const OVERTAKEN_LEAST: f64 = 0.5;
/// Of packets that nobody was to lose.
const UNASKED: f64 = 0.02;
/// How many times the rate may pass: the first packet may have been seen late, which makes the time short.
const RATE_MOST: f64 = 1.25;
/// How much of the rate has to pass at least: the system uses some of it.
const RATE_LEAST: f64 = 0.4;

/// Whether the fault that does `own` does it there.
pub fn judge_link(link: &LinkMeasured, own: &Effects) -> Result<(), Unproven> {
    if link.sent == 0 {
        return Err("nothing was sent".to_owned().into());
    }
    if link.heard == 0 {
        let why = format!(
            "not one of {} packets arrived: another fault may have cut it",
            link.sent
        );
        return Err(why.into());
    }
    let all = Faults::of(link, own);
    judge_loss(link, &all)?;
    if own.median_us() > 0 {
        judge_delay(link, &all)?;
    }
    judge_spread(link, own)?;
    judge_copies(link, &all)?;
    judge_order(link, &all)?;
    judge_data(link, &all)?;
    judge_rate(link, &all)
}

/// Whether nothing is done there but by the faults that go on.
pub fn judge_free(link: &LinkMeasured) -> Result<(), Unproven> {
    let nothing = Effects::default();
    let all = Faults::of(link, &nothing);
    judge_loss(link, &all)?;
    judge_delay(link, &all)?;
    judge_copies(link, &all)?;
    judge_data(link, &all)
}

/// The fault that is judged, and all that are in force on the link.
struct Faults<'a> {
    own: &'a Effects,
    all: Vec<&'a Effects>,
}

impl<'a> Faults<'a> {
    fn of(link: &'a LinkMeasured, own: &'a Effects) -> Faults<'a> {
        let all = link.others.iter().chain([own]).collect();
        Faults { own, all }
    }

    /// Of packets to which at least one does it.
    fn share(&self, of_one: impl Fn(&Effects) -> f64) -> f64 {
        1.0 - (self.all.iter())
            .map(|effects| 1.0 - of_one(effects))
            .product::<f64>()
    }

    /// Whether packets wait for their turn: how many are late, or are dropped for it, depends on what is sent.
    fn queues(&self) -> bool {
        self.all.iter().any(|effects| effects.rate > 0)
    }
}

/// The median of what is late by several faults is not the sum of their medians, but not far from it.
fn judge_delay(link: &LinkMeasured, faults: &Faults<'_>) -> Result<(), Unproven> {
    let all = &faults.all;
    let asked: u64 = all.iter().map(|effects| effects.median_us()).sum();
    let spread: u64 = all.iter().map(|effects| effects.quartiles_us()).sum();
    let mut slack = (SIGMAS * spread as f64 / f64::from(link.heard).sqrt()) as u64 + link.clock_error_us;
    if all.len() > 1 {
        slack += spread / 4;
    }
    // Those that are held back by themselves move the middle a little, too.
    slack += (all.iter())
        .map(|effects| (effects.reorder * effects.reorder_us as f64) as u64)
        .sum::<u64>();
    let seen = link.delay_us[2];
    let late = !faults.queues() && seen > asked + LATE_US + asked / 10 + slack;
    if seen + EARLY_US + asked / 100 + slack < asked || late {
        let others = if all.len() > 1 {
            ", other faults included"
        } else {
            ""
        };
        return Err(mismatch(format!(
            "packets are {:.1} ms late instead of {:.1} ms{others}",
            ms(seen),
            ms(asked)
        )));
    }
    Ok(())
}

fn judge_spread(link: &LinkMeasured, own: &Effects) -> Result<(), Unproven> {
    let spreads = |other: &Effects| other.quartiles_us() > 0 || other.reorder > 0.0 || other.rate > 0;
    if own.quartiles_us() == 0 || own.rate > 0 || link.others.iter().any(spreads) {
        return Ok(());
    }
    let (seen, asked) = (width(link) as f64, own.quartiles_us() as f64);
    if seen < 0.6 * asked - EARLY_US as f64 || seen > 1.6 * asked + LATE_US as f64 {
        return Err(mismatch(format!(
            "half of the delays are within {:.1} ms instead of {:.1} ms",
            seen / 1000.0,
            asked / 1000.0
        )));
    }
    Ok(())
}

fn judge_loss(link: &LinkMeasured, faults: &Faults<'_>) -> Result<(), Unproven> {
    let sent = f64::from(link.sent);
    let asked = faults.share(Effects::missing);
    let dispersion = (faults.all.iter())
        .map(|effects| effects.loss_dispersion())
        .fold(1.0, f64::max);
    let deviation = SIGMAS * (sent * asked * (1.0 - asked) * dispersion).sqrt();
    let unasked = if asked == 0.0 { sent * UNASKED } else { 0.0 };
    let lost = lost(link);
    let few = lost < sent * asked - deviation || (faults.own.missing() > 0.0 && lost == 0.0);
    let many = !faults.queues() && lost > sent * asked + deviation + unasked + 1.0;
    if few || many {
        return Err(mismatch(format!(
            "{:.1} % of {sent} packets are lost instead of {:.1} %",
            lost / sent * 100.0,
            asked * 100.0
        )));
    }
    Ok(())
}

/// Whether so many of those that arrived are as `what` says.
fn judge_share(link: &LinkMeasured, seen: u32, asked: f64, own: f64, what: &str) -> Result<(), Unproven> {
    let (seen, heard) = (f64::from(seen), f64::from(link.heard));
    let deviation = SIGMAS * (heard * asked).sqrt();
    let few = seen < heard * asked - deviation || (own > 0.0 && seen == 0.0);
    if few || seen > heard * asked + deviation + 1.0 {
        return Err(mismatch(format!(
            "{:.1} % of {heard} packets {what} instead of {:.1} %",
            seen / heard * 100.0,
            asked * 100.0
        )));
    }
    Ok(())
}

/// Each fault copies for itself.
fn judge_copies(link: &LinkMeasured, faults: &Faults<'_>) -> Result<(), Unproven> {
    let asked = faults.all.iter().map(|effects| effects.duplicate).sum();
    judge_share(link, link.twice, asked, faults.own.duplicate, "come twice")
}

fn judge_data(link: &LinkMeasured, faults: &Faults<'_>) -> Result<(), Unproven> {
    let own = faults.own;
    // Two flips in one packet may be of the same bit: too rare to reckon with.
    let changed = faults.share(Effects::changed);
    judge_share(link, link.changed, changed, own.changed(), "are changed")?;
    if own.refused() == 0.0 {
        return Ok(());
    }
    // Those that are lost as well are refused by nobody. What is refused of other links is counted, too.
    let asked = f64::from(link.sent) * own.corrupt * (1.0 - faults.share(|effects| effects.loss));
    let least = asked - SIGMAS * asked.sqrt();
    let seen = link.refused as f64;
    if !faults.queues() && (seen < least || seen == 0.0) {
        return Err(mismatch(format!(
            "the kernel refused {seen} datagrams for their checksum instead of some {asked:.0}"
        )));
    }
    Ok(())
}

fn judge_order(link: &LinkMeasured, faults: &Faults<'_>) -> Result<(), Unproven> {
    let own = faults.own;
    let heard = f64::from(link.heard);
    let overtaken = f64::from(link.overtaken);
    if own.jam_us > 0 && link.others.is_empty() && overtaken / heard > OVERTAKEN {
        return Err(mismatch(format!(
            "{:.1} % of the packets were overtaken, so they were not held together",
            overtaken / heard * 100.0
        )));
    }
    if own.reorder == 0.0 {
        return Ok(());
    }
    // What is late one by one overtakes by itself, and what waits for its turn has fewer behind it.
    let alone = link.others.is_empty() && own.rate == 0;
    let asked = own.reorder * heard;
    let deviation = SIGMAS * asked.sqrt();
    let least = if alone {
        OVERTAKEN_LEAST * asked - deviation
    } else {
        0.0
    };
    let most = if alone {
        asked + deviation + heard * UNASKED
    } else {
        heard
    };
    if overtaken == 0.0 || overtaken < least || overtaken > most {
        return Err(mismatch(format!(
            "{:.1} % of {heard} packets are overtaken instead of {:.1} %",
            overtaken / heard * 100.0,
            own.reorder * 100.0
        )));
    }
    Ok(())
}

fn judge_rate(link: &LinkMeasured, faults: &Faults<'_>) -> Result<(), Unproven> {
    let own = faults.own;
    if own.rate == 0 {
        return Ok(());
    }
    let (seen, asked) = (throughput(link), own.rate as f64);
    // Another line, or losses, may leave less to pass than this one would take.
    let others = link.others.iter().any(|other| other.rate > 0);
    let least = if others {
        0.0
    } else {
        RATE_LEAST * asked * (1.0 - faults.share(Effects::missing))
    };
    if seen > RATE_MOST * asked || seen < least || seen == 0.0 {
        return Err(mismatch(format!(
            "{:.1} kB pass in a second instead of {:.1} kB",
            seen / 1000.0,
            asked / 1000.0
        )));
    }
    Ok(())
}

fn mismatch(why: String) -> Unproven {
    Unproven::Mismatch(why)
}

/// Bytes a second.
pub fn throughput(link: &LinkMeasured) -> f64 {
    match link.span_us {
        0 => 0.0,
        span_us => link.bytes as f64 / span_us as f64 * 1e6,
    }
}

/// Packets that were sent and did not arrive.
pub fn lost(link: &LinkMeasured) -> f64 {
    f64::from(link.sent.saturating_sub(link.heard))
}

/// Between the delays of a quarter and of three quarters, in microseconds.
pub fn width(link: &LinkMeasured) -> u64 {
    link.delay_us[3] - link.delay_us[1]
}

/// In milliseconds.
pub fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}
