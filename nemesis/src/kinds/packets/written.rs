//! What is done to packets, as a spec has it, and whether that makes sense.

use serde::{Deserialize, Serialize};

use super::effects::{Distribution, Effects};
use super::links::LinksWritten;
use super::record::Wanted;
use crate::kinds::clock::nanoseconds;
use crate::kinds::kind::ParameterError;
use crate::kinds::size::bytes;

/// As in a spec.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delay: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jitter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    distribution: Option<Distribution>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jam: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loss: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    burst: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    burst_loss: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loss_between: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duplicate: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reorder: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reorder_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    corrupt: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksum: Option<Checksum>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    log: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    capture: bool,
    #[serde(flatten)]
    pub links: LinksWritten,
}

/// Of packets whose data is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Checksum {
    /// It stays as it was, and the kernel that receives drops the packet.
    #[default]
    Broken,
    /// It is made to fit, and the program gets the packet.
    Repaired,
}

/// Of what is done to single packets.
const SHARE_MIN: f64 = 0.01;
/// With more, those that are held back would overtake each other.
const REORDER_MAX: f64 = 0.4;
/// Probes are 2 ms apart: some have to be behind.
const REORDER_BY_MIN_US: u64 = 5000;
const REORDER_BY_MAX_US: u64 = 2_000_000;
const REORDER_BY_US: u64 = 20_000;
/// A line that is slower takes longer to be measured than most faults last; one that is faster, more probes than a machine can send.
const RATE_MIN: u64 = 8 << 10;
const RATE_MAX: u64 = 1 << 20;
/// What a connection sends before it has heard anything (RFC 6928) has to fit.
const QUEUE_MIN: u64 = 16 << 10;
/// As long as the longest delay.
const QUEUE_MAX_S: u64 = 5;
const LOSS_MIN: f64 = 0.01;
const LOSS_MAX: f64 = 0.9;
const BURST_MAX: f64 = 50.0;
const JAM_MIN_US: u64 = 50_000;
const JAM_MAX_US: u64 = 2_000_000;
const BURST_PER_LOSS: f64 = 250.0;
const MILLISECOND_US: u64 = 1000;
/// A probe that takes longer would make the verification longer than most faults.
const DELAY_MAX_US: u64 = 5_000_000;

fn microseconds(key: &str, text: Option<&String>) -> Result<u64, ParameterError> {
    let Some(text) = text else { return Ok(0) };
    let ns = nanoseconds(text, false).map_err(|what| ParameterError::at(key, what))?;
    let us = ns.unsigned_abs() / 1000;
    if !(MILLISECOND_US..=DELAY_MAX_US).contains(&us) {
        return Err(ParameterError::at(
            key,
            format!("a {key} of {text:?} makes no sense; use 1ms to 5s"),
        ));
    }
    Ok(us)
}

/// A share of packets, from [`SHARE_MIN`] to `most`; 0 where it is not written.
fn share(key: &str, written: Option<f64>, most: f64) -> Result<f64, ParameterError> {
    match written {
        Some(share) if !(SHARE_MIN..=most).contains(&share) => {
            let what = format!("a share of {share} makes no sense here; use {SHARE_MIN} to {most}");
            Err(ParameterError::at(key, what))
        }
        written => Ok(written.unwrap_or(0.0)),
    }
}

/// Fails where a parameter is written that says more of another one, which is not.
fn goes_with(key: &str, written: bool, with: &str, there: bool) -> Result<(), ParameterError> {
    match written && !there {
        true => Err(ParameterError::at(
            key,
            format!("it goes with {with}, of which nothing is said"),
        )),
        false => Ok(()),
    }
}

impl Written {
    /// What is done to packets.
    pub fn effects(&self) -> Result<Effects, ParameterError> {
        let mut effects = timing_and_loss(self)?;
        effects.duplicate = share("duplicate", self.duplicate, LOSS_MAX)?;
        reordering(self, &mut effects)?;
        effects.corrupt = share("corrupt", self.corrupt, LOSS_MAX)?;
        goes_with(
            "checksum",
            self.checksum.is_some(),
            "corrupt",
            effects.corrupt > 0.0,
        )?;
        effects.repaired = self.checksum == Some(Checksum::Repaired);
        line(self, &mut effects)?;
        let none = Effects {
            repaired: effects.repaired,
            ..Effects::default()
        };
        if effects == none {
            return Err(ParameterError::whole(
                "nothing is done to packets: say delay, jitter, jam, loss, duplicate, reorder, corrupt or rate",
            ));
        }
        Ok(effects)
    }

    /// What is written down of single packets.
    pub fn record(&self) -> Wanted {
        Wanted {
            log: self.log,
            capture: self.capture,
        }
    }
}

fn reordering(written: &Written, effects: &mut Effects) -> Result<(), ParameterError> {
    effects.reorder = share("reorder", written.reorder, REORDER_MAX)?;
    let there = effects.reorder > 0.0;
    goes_with("reorder-by", written.reorder_by.is_some(), "reorder", there)?;
    if !there {
        return Ok(());
    }
    if effects.jitter_us > 0 || effects.jam_us > 0 {
        let what =
            "a jitter reorders packets by itself, and a jam delivers them in order; use one or the other";
        return Err(ParameterError::at("reorder", what));
    }
    effects.reorder_us = match &written.reorder_by {
        None => REORDER_BY_US,
        by => microseconds("reorder-by", by.as_ref())?,
    };
    if !(REORDER_BY_MIN_US..=REORDER_BY_MAX_US).contains(&effects.reorder_us) {
        let what = format!("{:?} makes no sense; use 5ms to 2s", written.reorder_by);
        return Err(ParameterError::at("reorder-by", what));
    }
    Ok(())
}

fn line(written: &Written, effects: &mut Effects) -> Result<(), ParameterError> {
    goes_with("queue", written.queue.is_some(), "rate", written.rate.is_some())?;
    let Some(rate) = &written.rate else { return Ok(()) };
    let size = |key: &str, text: &str| bytes(text).map_err(|what| ParameterError::at(key, what));
    effects.rate = size("rate", rate)?;
    if !(RATE_MIN..=RATE_MAX).contains(&effects.rate) {
        let what = format!("a rate of {rate:?} makes no sense; use 8KiB to 1MiB, in a second");
        return Err(ParameterError::at("rate", what));
    }
    effects.queue = match &written.queue {
        None => (effects.rate / 10).max(QUEUE_MIN),
        Some(queue) => size("queue", queue)?,
    };
    let most = effects.rate * QUEUE_MAX_S;
    if !(QUEUE_MIN..=most).contains(&effects.queue) {
        let what = format!("use {QUEUE_MIN} to {most} bytes: what passes in {QUEUE_MAX_S} s");
        return Err(ParameterError::at("queue", what));
    }
    Ok(())
}

fn timing_and_loss(written: &Written) -> Result<Effects, ParameterError> {
    let delay_us = microseconds("delay", written.delay.as_ref())?;
    let jitter_us = microseconds("jitter", written.jitter.as_ref())?;
    let distribution = written.distribution.unwrap_or_default();
    if jitter_us > delay_us && distribution != Distribution::Exponential {
        let what = "a jitter above the delay would make packets early; make the delay longer, or the distribution exponential";
        return Err(ParameterError::at("jitter", what));
    }
    if written.distribution.is_some() && jitter_us == 0 {
        return Err(ParameterError::at(
            "distribution",
            "without a jitter there is nothing to distribute",
        ));
    }
    let jam_us = microseconds("jam", written.jam.as_ref())?;
    if written.jam.is_some() && !(JAM_MIN_US..=JAM_MAX_US).contains(&jam_us) {
        let what = format!("a jam of {:?} makes no sense; use 50ms to 2s", written.jam);
        return Err(ParameterError::at("jam", what));
    }
    if jam_us > 0 && (delay_us > 0 || jitter_us > 0) {
        let what = "a delay or jitter would spread what a jam delivers at once; use one or the other";
        return Err(ParameterError::at("jam", what));
    }
    let loss = written.loss.unwrap_or(0.0);
    if written.loss.is_some() && !(LOSS_MIN..=LOSS_MAX).contains(&loss) {
        let what =
            format!("a loss of {loss} makes no sense; use {LOSS_MIN} to {LOSS_MAX}, or a partition for all");
        return Err(ParameterError::at("loss", what));
    }
    let burst = written.burst.unwrap_or(0.0);
    if written.burst.is_some() && !(1.0..=BURST_MAX).contains(&burst) {
        return Err(ParameterError::at(
            "burst",
            format!("a burst of {burst} packets makes no sense; use 1 to {BURST_MAX}"),
        ));
    }
    if written.burst.is_some() && loss == 0.0 {
        return Err(ParameterError::at(
            "burst",
            "without a loss there are no bursts of it",
        ));
    }
    let (burst_loss, between) = states(written, loss)?;
    let effects = Effects {
        delay_us,
        jitter_us,
        distribution,
        jam_us,
        loss,
        burst,
        spared: 1.0 - burst_loss,
        between,
        ..Effects::default()
    };
    if burst > 1.0 && !(0.0..=1.0).contains(&effects.burst_begins()) {
        let what = format!("bursts of {burst} packets are too short for a loss of {loss}");
        return Err(ParameterError::at("burst", what));
    }
    // As many bursts as that are in what a verification can send.
    if burst > loss * BURST_PER_LOSS {
        let what = format!(
            "bursts of {burst} packets are too rare with a loss of {loss} to be seen; use at most {}",
            loss * BURST_PER_LOSS
        );
        return Err(ParameterError::at("burst", what));
    }
    Ok(effects)
}

/// Shares that get lost in bad periods, and outside of them.
fn states(written: &Written, loss: f64) -> Result<(f64, f64), ParameterError> {
    let (burst_loss, between) = (
        written.burst_loss.unwrap_or(1.0),
        written.loss_between.unwrap_or(0.0),
    );
    for (name, given) in [
        ("burst-loss", written.burst_loss),
        ("loss-between", written.loss_between),
    ] {
        if given.is_some() && written.burst.is_none() {
            return Err(ParameterError::at(name, "it goes with burst"));
        }
    }
    if !(burst_loss > loss && burst_loss <= 1.0) {
        let what = format!("a share of {burst_loss} makes no burst; use more than the loss, {loss}, up to 1");
        return Err(ParameterError::at("burst-loss", what));
    }
    if !(0.0..=loss / 2.0).contains(&between) {
        let what = format!(
            "use 0 to {}, half of the loss: most of it comes in bursts",
            loss / 2.0
        );
        return Err(ParameterError::at("loss-between", what));
    }
    Ok((burst_loss, between))
}
