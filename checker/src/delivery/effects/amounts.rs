//! A counter: whether its value is a sum that the requests can have made.

use std::collections::BTreeSet;

use super::{Object, Read, named};
use crate::delivery::anomaly::{Anomaly, Cause};
use crate::delivery::findings::Findings;
use crate::history::{EventType, Val};

/// Sums of ambiguous amounts that are told apart.
const SUMS_MAX: usize = 1 << 14;
/// Ambiguous amounts that differ of which all sums are looked at.
const AMOUNTS_MAX: usize = 256;

/// Amounts of the requests of one object.
#[derive(Default)]
struct Amounts {
    acknowledged: i128,
    unknown: Vec<i128>,
    /// Whether all of them are at least 0, or at most 0.
    grows: bool,
    shrinks: bool,
}

pub(super) fn judge(read: &Read<'_>, object: &Object, sum: i64, findings: &mut Findings) {
    let journal = read.journal;
    let name = named(journal, read.name);
    let mut amounts = Amounts {
        grows: true,
        shrinks: true,
        ..Amounts::default()
    };
    let mut retried = Vec::new();
    for &effect in &object.effects {
        let touch = &journal.touches[effect as usize];
        let request = journal.request(touch);
        let Some(amount) = journal.values.int(touch.value).map(i128::from) else {
            findings.leave(format!(
                "an effect on {name} is no whole number, and it reads as one"
            ));
            return;
        };
        amounts.grows &= amount >= 0;
        amounts.shrinks &= amount <= 0;
        match request.outcome {
            EventType::Ok => amounts.acknowledged += amount,
            EventType::Fail => continue,
            EventType::Info | EventType::Invoke => amounts.unknown.push(amount),
        }
        if request.attempts > 1 || request.is_unknown() {
            retried.push(touch.request);
        }
    }
    let over = i128::from(sum) - amounts.acknowledged;
    let ambiguous = amounts.unknown.len() as u64;
    let least: i128 = amounts.unknown.iter().filter(|&&amount| amount < 0).sum();
    let most: i128 = amounts.unknown.iter().filter(|&&amount| amount > 0).sum();
    let said = format!(
        "{name} is {sum}; the acknowledged effects are {}, {ambiguous} of unknown outcome add {least} to {most}",
        amounts.acknowledged
    );
    // The other way round where all shrink it.
    let (too_little, too_much) = match (amounts.grows, amounts.shrinks) {
        (true, _) => (over < least, over > most),
        (false, true) => (over > most, over < least),
        (false, false) => (false, false),
    };
    let anomaly = if too_little {
        Anomaly::LostEffect
    } else if too_much {
        Anomaly::DuplicateEffect
    } else if over < least || over > most || amounts.can_be(over) == Some(false) {
        Anomaly::UnexplainedEffect
    } else {
        amounts.appeared(over, findings);
        return;
    };
    findings.ambiguous.unknown += ambiguous;
    let cause = match retried.is_empty() {
        true => Cause::Unknown,
        false => Cause::ClientRetry,
    };
    retried.truncate(super::super::findings::KEPT_MAX);
    findings.add(read.finding(anomaly, cause, Val::NONE, retried, said));
}

impl Amounts {
    /// Whether ambiguous ones can add up to that; `None`: there are too many sums to tell.
    fn can_be(&self, over: i128) -> Option<bool> {
        if let Some(step) = self.step() {
            let count = over / step;
            return Some(over % step == 0 && (0..=self.unknown.len() as i128).contains(&count));
        }
        if self.unknown.len() > AMOUNTS_MAX {
            return None;
        }
        let mut sums = BTreeSet::from([0]);
        for amount in &self.unknown {
            let more: Vec<i128> = sums.iter().map(|sum| sum + amount).collect();
            sums.extend(more);
            if sums.len() > SUMS_MAX {
                return None;
            }
        }
        Some(sums.contains(&over))
    }

    /// What each of the ambiguous ones adds, if it is the same and not nothing.
    fn step(&self) -> Option<i128> {
        let step = *self.unknown.first()?;
        (step != 0 && self.unknown.iter().all(|&amount| amount == step)).then_some(step)
    }

    /// How many of the ambiguous ones happened, where the sum says so: they are all equal.
    fn appeared(&self, over: i128, findings: &mut Findings) {
        let count = self.unknown.len() as u64;
        match self.step().map(|step| u64::try_from(over / step).unwrap_or(0)) {
            Some(appeared) => {
                findings.ambiguous.appeared += appeared;
                // They may still come.
                findings.ambiguous.unknown += count - appeared.min(count);
            }
            None => findings.ambiguous.unknown += count,
        }
    }
}
