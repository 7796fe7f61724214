//! Whether what was measured is what was asked for. Pure.

use duress_checker::history::Measurement;

use super::asked::Asked;
use super::report::{NodeCounts, NodeSamples, Sample};
use crate::kinds::packets::Distribution;
use crate::layer::call::{Call, Effect, When};
use crate::life::technique::Unproven;

/// A machine that has much to do adds this to what a call takes, and a quarter of what it was to take.
const SLACK_US: u64 = 50_000;
/// A shorter delay is not told from none by how long a call takes.
const TELLING_US: u64 = 20_000;
/// Failures of that many calls are within this many standard deviations, but for one run in millions.
const DEVIATIONS: f64 = 5.0;
const NOSPC: i32 = rustix::io::Errno::NOSPC.raw_os_error();

/// The calls that are tried to see what is in force, and how often: those that cost least of those that it is about.
pub fn tried(asked: &Asked) -> (Vec<Call>, u32) {
    const PREFERRED: [Call; 10] = [
        Call::Fsync,
        Call::Write,
        Call::Read,
        Call::Open,
        Call::Truncate,
        Call::Allocate,
        Call::Rename,
        Call::Mkdir,
        Call::Unlink,
        Call::Create,
    ];
    let about = PREFERRED
        .iter()
        .copied()
        .filter(|call| asked.calls.contains(call));
    match asked.effect {
        Effect::Slow {
            delay_us, jitter_us, ..
        } => {
            let times = match (delay_us, jitter_us) {
                (500_000.., _) => 1,
                (_, 0) => 3,
                _ => 6,
            };
            (about.take(1).collect(), times)
        }
        Effect::Fail {
            when: When::Share(_), ..
        } => (about.take(1).collect(), 100),
        Effect::Fail { .. } | Effect::Tear { .. } => (about.collect(), 1),
        Effect::Full => (vec![Call::Create], 1),
    }
}

/// Whether it is in force at each of these nodes, by what became of the agent's own calls; `before` is what they took before.
pub fn judge_wrong(asked: &Asked, before: &[NodeSamples], nodes: &[NodeSamples]) -> Result<String, Unproven> {
    let mut said = Vec::new();
    for node in nodes {
        let usual = before.iter().find(|other| other.node == node.node);
        let usual = usual.and_then(|usual| usual.samples.iter().map(|sample| sample.micros).min());
        let found = in_force(asked, usual.unwrap_or(0), &node.samples);
        said.push(found.map_err(|why| why.of(&node.node))?);
    }
    said.dedup();
    Ok(said.join("; "))
}

/// What the agent's own calls met at each node, while it is in force or after: how long the quickest took, or how many failed.
pub fn measurements(asked: &Asked, in_force: bool, nodes: &[NodeSamples]) -> Vec<Measurement> {
    let tried = nodes
        .iter()
        .filter_map(|node| Some((node, node.samples.first()?)));
    let measured = |(node, first): (&NodeSamples, &Sample)| {
        let (what, unit, seen, wanted) = match &asked.effect {
            Effect::Slow { delay_us, .. } => {
                let quickest = node.samples.iter().map(|sample| sample.micros).min();
                let what = format!("time of {}", first.call.name());
                (what, "ms", quickest? as f64 / 1e3, *delay_us as f64 / 1e3)
            }
            Effect::Fail { .. } | Effect::Full => {
                let failed = node
                    .samples
                    .iter()
                    .filter(|sample| sample.errno.is_some())
                    .count();
                let wanted = match &asked.effect {
                    Effect::Fail {
                        when: When::Share(share),
                        ..
                    } => share * 100.0,
                    _ => 100.0,
                };
                let seen = failed as f64 / node.samples.len() as f64 * 100.0;
                ("calls that fail".to_owned(), "%", seen, wanted)
            }
            Effect::Tear { .. } => return None,
        };
        Some(Measurement {
            node: node.node.clone(),
            what,
            unit: unit.to_owned(),
            seen,
            asked: in_force.then_some(wanted),
        })
    };
    tried.filter_map(measured).collect()
}

fn ms(us: u64) -> String {
    format!("{:.1} ms", us as f64 / 1000.0)
}

fn in_force(asked: &Asked, usual_us: u64, samples: &[Sample]) -> Result<String, Unproven> {
    if samples.is_empty() {
        return Err("no call could be tried".to_owned().into());
    }
    match &asked.effect {
        Effect::Slow {
            delay_us,
            jitter_us,
            distribution,
        } => {
            let (least, most) = span(*delay_us, *jitter_us, *distribution);
            let shortest = samples.iter().map(|sample| sample.micros).min().unwrap_or(0);
            let seen = format!(
                "{} took {} (asked {})",
                samples[0].call.name(),
                ms(shortest),
                ms(*delay_us)
            );
            let most = most + usual_us + SLACK_US + delay_us / 4;
            match shortest {
                _ if (least..=most).contains(&shortest) => Ok(seen),
                // Not later than without it.
                _ if shortest < usual_us + delay_us / 4 => Err(seen.into()),
                _ => Err(Unproven::Mismatch(seen)),
            }
        }
        Effect::Fail {
            errno,
            when: When::Share(share),
        } => {
            let failed = samples
                .iter()
                .filter(|sample| sample.errno == Some(*errno))
                .count();
            let count = samples.len() as f64;
            let off = (failed as f64 - share * count).abs();
            let seen = format!(
                "{failed} of {} calls failed (asked {:.0} %)",
                samples.len(),
                share * 100.0
            );
            match off <= DEVIATIONS * (share * (1.0 - share) * count).sqrt() + 0.5 {
                true => Ok(seen),
                false if failed == 0 => Err(seen.into()),
                false => Err(Unproven::Mismatch(seen)),
            }
        }
        Effect::Fail { errno, .. } => failing(samples, *errno),
        Effect::Full => failing(samples, NOSPC),
        Effect::Tear { .. } => Ok("armed".to_owned()),
    }
}

fn failing(samples: &[Sample], errno: i32) -> Result<String, Unproven> {
    let error = std::io::Error::from_raw_os_error(errno);
    let Some(other) = samples.iter().find(|sample| sample.errno != Some(errno)) else {
        return Ok(format!("{} failed: {error}", samples[0].call.name()));
    };
    let call = other.call.name();
    match other.errno.map(std::io::Error::from_raw_os_error) {
        None => Err(format!("{call} did not fail (asked: {error})").into()),
        Some(seen) => Err(Unproven::Mismatch(format!(
            "{call} failed: {seen} (asked: {error})"
        ))),
    }
}

/// What a single call is to take more: hardly any takes less, or more.
fn span(delay_us: u64, jitter_us: u64, distribution: Distribution) -> (u64, u64) {
    match distribution {
        Distribution::Uniform => (delay_us.saturating_sub(jitter_us), delay_us + jitter_us),
        Distribution::Normal => (delay_us.saturating_sub(4 * jitter_us), delay_us + 4 * jitter_us),
        Distribution::Exponential => (delay_us, delay_us + 6 * jitter_us),
    }
}

/// Whether it is over at each of these nodes.
pub fn judge_right(asked: &Asked, nodes: &[NodeSamples]) -> Result<String, String> {
    let mut longest = 0;
    for NodeSamples { node, samples } in nodes {
        if let Some(sample) = samples.iter().find(|sample| sample.errno.is_some()) {
            return Err(format!("{node}: {} still fails", sample.call.name()));
        }
        let shortest = samples.iter().map(|sample| sample.micros).min().unwrap_or(0);
        longest = longest.max(shortest);
        if let Effect::Slow { delay_us, .. } = asked.effect
            && delay_us >= TELLING_US
            && shortest >= delay_us
        {
            return Err(format!(
                "{node}: {} still takes {}",
                samples[0].call.name(),
                ms(shortest)
            ));
        }
    }
    Ok(format!("calls take {} at most", ms(longest)))
}

/// Whether its rule is there, and whether calls of the system have met it.
pub fn judge_counts(nodes: &[NodeCounts], bitten: bool) -> Result<String, String> {
    let mut said = Vec::new();
    for NodeCounts { node, counts } in nodes {
        let Some(counts) = counts else {
            return Err(format!("{node}: its layer is not armed with it any more"));
        };
        if bitten && counts.hit == 0 {
            return Err(format!(
                "{node}: it has hit no call of the system ({} were looked at)",
                counts.seen
            ));
        }
        let late = match counts.added_us {
            0 => String::new(),
            us => format!(", by {} together", ms(us)),
        };
        said.push(format!("{node}: {} of {} calls{late}", counts.hit, counts.seen));
    }
    match said.is_empty() {
        true => Err("no layer is armed with it".to_owned()),
        false => Ok(said.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(effect: Effect) -> Asked {
        Asked {
            calls: [Call::Fsync].into(),
            path: None,
            effect,
        }
    }

    fn slow(delay_us: u64) -> Asked {
        asked(Effect::Slow {
            delay_us,
            jitter_us: 0,
            distribution: Distribution::Uniform,
        })
    }

    fn samples(all: &[(u64, Option<i32>)]) -> Vec<NodeSamples> {
        let sample = |(micros, errno): &(u64, Option<i32>)| Sample {
            call: Call::Fsync,
            micros: *micros,
            errno: *errno,
        };
        vec![NodeSamples {
            node: "n1".to_owned(),
            samples: all.iter().map(sample).collect(),
        }]
    }

    #[test]
    fn delays_are_what_was_asked_or_not() {
        let judge = |took| {
            judge_wrong(
                &slow(100_000),
                &samples(&[(2_000, None)]),
                &samples(&[(took, None)]),
            )
            .is_ok()
        };
        assert_eq!(
            [2_000, 99_000, 100_500, 170_000, 210_000].map(judge),
            [false, false, true, true, false]
        );
        let mismatch = |took| {
            let judged = judge_wrong(
                &slow(100_000),
                &samples(&[(2_000, None)]),
                &samples(&[(took, None)]),
            );
            matches!(judged, Err(Unproven::Mismatch(_)))
        };
        assert_eq!([2_000, 60_000, 210_000].map(mismatch), [false, true, true]);
        assert!(judge_wrong(&slow(100_000), &[], &samples(&[])).is_err());
        assert!(judge_right(&slow(100_000), &samples(&[(90_000, None)])).is_ok());
        assert!(judge_right(&slow(100_000), &samples(&[(100_000, None)])).is_err());
    }

    #[test]
    fn errors_are_what_was_asked_or_not() {
        let (errno, when) = (5, When::Always);
        let fail = asked(Effect::Fail { errno, when });
        assert!(judge_wrong(&fail, &[], &samples(&[(1, Some(5)), (1, Some(5))])).is_ok());
        assert!(judge_wrong(&fail, &[], &samples(&[(1, Some(5)), (1, None)])).is_err());
        assert!(judge_wrong(&fail, &[], &samples(&[(1, Some(28))])).is_err());
        let when = When::Share(0.5);
        let share = asked(Effect::Fail { errno, when });
        let half: Vec<_> = (0..100)
            .map(|number| (1, (number % 2 == 0).then_some(5)))
            .collect();
        assert!(judge_wrong(&share, &[], &samples(&half)).is_ok());
        assert!(judge_wrong(&share, &[], &samples(&[(1, None); 100])).is_err());
        assert!(judge_right(&fail, &samples(&[(1, Some(5))])).is_err());
    }

    #[test]
    fn numbers_are_told_beside_what_was_asked() {
        let numbers = |asked: &Asked, in_force, calls: &[(u64, Option<i32>)]| {
            let numbers = measurements(asked, in_force, &samples(calls));
            numbers
                .into_iter()
                .map(|one| (one.what, one.seen, one.asked))
                .collect::<Vec<_>>()
        };
        let late = [(101_000, None), (130_000, None)];
        let time = || "time of fsync".to_owned();
        assert_eq!(
            numbers(&slow(100_000), true, &late),
            [(time(), 101.0, Some(100.0))]
        );
        assert_eq!(
            numbers(&slow(100_000), false, &[(900, None)]),
            [(time(), 0.9, None)]
        );
        let when = When::Share(0.5);
        let fail = asked(Effect::Fail { errno: 5, when });
        let failing = numbers(&fail, true, &[(1, Some(5)), (1, None), (1, None), (1, None)]);
        assert_eq!(failing, [("calls that fail".to_owned(), 25.0, Some(50.0))]);
        assert!(numbers(&slow(1), true, &[]).is_empty());
    }

    #[test]
    fn what_hit_nobody_has_not_bitten() {
        let node = |counts| {
            vec![NodeCounts {
                node: "n1".to_owned(),
                counts,
            }]
        };
        let counts = |hit| crate::layer::call::Counts {
            seen: 9,
            hit,
            ..Default::default()
        };
        assert!(judge_counts(&node(Some(counts(1))), true).is_ok());
        assert!(judge_counts(&node(Some(counts(0))), true).is_err());
        assert!(judge_counts(&node(Some(counts(0))), false).is_ok());
        assert!(judge_counts(&node(None), false).is_err());
        assert!(judge_counts(&[], false).is_err());
    }
}
