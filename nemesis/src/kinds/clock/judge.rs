//! Whether what was seen of clocks proves that they are wrong as they were to be, or right again. Pure.

use std::collections::BTreeMap;

use duress_checker::history::Measurement;
use serde_json::json;

use super::report::{NodeClocks, Seen, State};
use crate::agent::processes::same;
use crate::agent::protocol::Process;
use crate::agent::vdso::measure::Reading;
use crate::agent::vdso::skew::{Clock, Skew};
use crate::life::technique::{StepOutcome, Unproven};

/// Every process of each node has the whole patch, and there is one; what was measured is what it should be. Those in `held`
/// were made wrong when it was injected.
pub fn judge_wrong(nodes: &[NodeClocks], held: &[Process], skew: &Skew, measured: bool) -> StepOutcome {
    let evidence = json!({"clocks": nodes});
    let offsets = offsets(nodes, Some(skew));
    StepOutcome::seen(find_fault(nodes, held, skew, measured), evidence).measuring(offsets)
}

/// What clocks are off by, in seconds: the least and the most of each clock of a node.
fn offsets(nodes: &[NodeClocks], skew: Option<&Skew>) -> Vec<Measurement> {
    let mut offsets = Vec::new();
    for NodeClocks { node, processes } in nodes {
        let mut by_clock: BTreeMap<String, (i64, i64, Option<f64>)> = BTreeMap::new();
        for reading in processes.iter().flat_map(|seen| &seen.readings) {
            // Where the kernel was not asked on the way, what lies between its times before and after is right.
            let (from, to) = reading.between_ns;
            let truth = reading.truth_ns.unwrap_or(reading.shown_ns.clamp(from, to));
            let off = reading.shown_ns - truth;
            let asked = skew.filter(|skew| skew.period_ns == 0);
            let asked = asked.map(|skew| (skew.shown_ns(reading.clock, truth) - truth) as f64 / 1e9);
            let (least, most, _) = by_clock.entry(name(reading.clock)).or_insert((off, off, asked));
            (*least, *most) = ((*least).min(off), (*most).max(off));
        }
        for (clock, (least, most, asked)) in by_clock {
            let offset = |off: i64| Measurement {
                node: node.clone(),
                what: format!("offset of the {clock} clock"),
                unit: "s".to_owned(),
                seen: off as f64 / 1e9,
                asked,
            };
            offsets.push(offset(least));
            offsets.extend((most != least).then(|| offset(most)));
        }
    }
    offsets
}

fn find_fault(
    nodes: &[NodeClocks],
    held: &[Process],
    skew: &Skew,
    measured: bool,
) -> Result<String, Unproven> {
    if nodes.is_empty() && measured {
        return Err("no node was looked at".to_owned().into());
    }
    let mut said = Vec::new();
    for NodeClocks { node, processes } in nodes {
        // What came in from outside, as an engine's health check does, is none of its program.
        let visits =
            |seen: &&Seen| seen.process.entered && !held.iter().any(|other| same(other, &seen.process));
        let program: Vec<&Seen> = processes.iter().filter(|seen| !visits(seen)).collect();
        // It may be down for a moment, by another fault.
        if program.is_empty() && !measured {
            continue;
        }
        if program.is_empty() {
            return Err(format!("{node}: no process runs there").into());
        }
        for seen in &program {
            let pid = seen.process.pid;
            let why = match &seen.state {
                State::Wrong => continue,
                State::Half => "the patch of its vDSO is not whole".to_owned(),
                State::Another => "another fault has changed its clocks".to_owned(),
                State::True => "its clocks are right".to_owned(),
                State::Unfit(why) => why.clone(),
            };
            return Err(format!("{node}: process {pid}: {why}").into());
        }
        if measured {
            said.push(format!("{node}: {}", judge_readings(node, &program, skew)?));
        } else {
            said.push(format!("{node}: {} processes", program.len()));
        }
    }
    Ok(said.join("; "))
}

/// What the clocks of a node's processes are off by.
fn judge_readings(node: &str, program: &[&Seen], skew: &Skew) -> Result<String, Unproven> {
    let mut said = Vec::new();
    for clock in &skew.clocks {
        let mut errors = Vec::new();
        for seen in program {
            let pid = seen.process.pid;
            for reading in seen.readings.iter().filter(|reading| reading.clock == *clock) {
                let error =
                    error_ns(reading, skew).map_err(|why| why.of(format_args!("{node}: process {pid}")))?;
                errors.push(error);
            }
        }
        let (Some(least), Some(most)) = (errors.iter().min(), errors.iter().max()) else {
            let why = program.iter().find_map(|seen| seen.unmeasured.as_deref());
            let why = why.unwrap_or("nobody read it");
            let why = format!(
                "{node}: what the clock {} shows is not known: {why}",
                name(*clock)
            );
            return Err(why.into());
        };
        if *least == 0 && *most == 0 {
            return Err(format!("{node}: the clock {} is right", name(*clock)).into());
        }
        if skew.period_ns != 0 && least == most {
            return Err(Unproven::Mismatch(format!(
                "{node}: the clock {} was only seen {} s off, and never otherwise",
                name(*clock),
                seconds(*most)
            )));
        }
        let off = match (skew.period_ns != 0, least == most) {
            (true, _) => format!("{} s or {} s", seconds(*least), seconds(*most)),
            (false, true) => format!("{} s", seconds(*most)),
            (false, false) => format!("{} s to {} s", seconds(*least), seconds(*most)),
        };
        said.push(format!("{} is {off} off", name(*clock)));
    }
    let measured = program.iter().filter(|seen| !seen.readings.is_empty()).count();
    Ok(format!(
        "in {measured} of {} processes {}",
        program.len(),
        said.join(", ")
    ))
}

/// What a clock is off by, if it shows what it should.
fn error_ns(reading: &Reading, skew: &Skew) -> Result<i64, Unproven> {
    let clock = name(reading.clock);
    let Some(truth) = reading.truth_ns else {
        return Err(format!("the clock {clock} was read without asking the kernel").into());
    };
    let (from, to) = reading.between_ns;
    if !(from..=to).contains(&truth) {
        return Err(format!("what the kernel said of the clock {clock} was not its time").into());
    }
    let wanted = skew.shown_ns(reading.clock, truth);
    if reading.shown_ns != wanted {
        return Err(Unproven::Mismatch(format!(
            "the clock {clock} is {} s off, and should be {} s",
            seconds(reading.shown_ns - truth),
            seconds(wanted - truth)
        )));
    }
    Ok(reading.shown_ns - truth)
}

/// Nothing of the fault is left, and clocks show the kernel's time.
pub fn judge_right(nodes: &[NodeClocks]) -> StepOutcome {
    let evidence = json!({"clocks": nodes});
    let mut count = 0;
    for NodeClocks { node, processes } in nodes {
        for seen in processes {
            let pid = seen.process.pid;
            match &seen.state {
                State::True => count += 1,
                // Of another fault, or somebody else's: what it shows is not ours to judge.
                State::Another | State::Unfit(_) => continue,
                State::Wrong | State::Half => {
                    let why = format!("{node}: process {pid} still has a patched vDSO");
                    return StepOutcome::indeterminate(why, evidence);
                }
            }
            for reading in &seen.readings {
                let (from, to) = reading.between_ns;
                if !(from - COARSE_NS..=to).contains(&reading.shown_ns) {
                    let off = seconds(reading.shown_ns - to);
                    let why = format!(
                        "{node}: process {pid}: {} is still {off} s off",
                        name(reading.clock)
                    );
                    return StepOutcome::indeterminate(why, evidence);
                }
            }
        }
    }
    StepOutcome::installed(format!("the clocks of {count} processes are right"), evidence)
        .measuring(offsets(nodes, None))
}

/// The kernel computes the time from a counter, whose readings on two processors may differ by a little.
const COARSE_NS: i64 = 1000;

fn name(clock: Clock) -> String {
    let name = serde_json::to_value(clock).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}

/// With a sign and nine places.
fn seconds(ns: i64) -> String {
    let sign = if ns < 0 { '-' } else { '+' };
    let ns = ns.unsigned_abs();
    format!("{sign}{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use duress_checker::history::StepResult;

    use super::*;
    use crate::agent::vdso::skew::{CLOCKS, RATE_ONE};

    const TRUTH: i64 = 1_000_000;

    fn skew(offset_ns: i64, rate: i64, period_ns: i64) -> Skew {
        Skew {
            clocks: vec![Clock::Realtime],
            offset_ns,
            rate,
            period_ns,
            anchors_ns: [0; CLOCKS],
        }
    }

    /// A process of the node's program that shows this much too much, at these times.
    fn seen(state: State, errors: &[(i64, i64)]) -> Seen {
        let reading = |(truth, error): &(i64, i64)| Reading {
            clock: Clock::Realtime,
            shown_ns: truth + error,
            truth_ns: Some(*truth),
            between_ns: (truth - 10, truth + 10),
        };
        Seen {
            process: Process {
                pid: 7,
                started: 1,
                state: 'S',
                entered: false,
                machine: 0,
            },
            state,
            readings: errors.iter().map(reading).collect(),
            unmeasured: None,
        }
    }

    fn node(processes: Vec<Seen>) -> Vec<NodeClocks> {
        vec![NodeClocks {
            node: "n1".to_owned(),
            processes,
        }]
    }

    fn wrong(processes: Vec<Seen>, skew: &Skew) -> Result<String, String> {
        find_fault(&node(processes), &[], skew, true).map_err(|why| format!("{why:?}"))
    }

    #[test]
    fn what_shows_what_it_should_is_wrong_as_asked() {
        let jump = wrong(vec![seen(State::Wrong, &[(TRUTH, 7)])], &skew(7, 0, 0)).unwrap();
        assert_eq!(jump, "n1: in 1 of 1 processes realtime is +0.000000007 s off");
        let frozen = skew(0, -RATE_ONE, 0);
        wrong(vec![seen(State::Wrong, &[(TRUTH, -TRUTH)])], &frozen).unwrap();
        let strobe = skew(7, 0, 10);
        let both = wrong(vec![seen(State::Wrong, &[(0, 7), (10, 0)])], &strobe).unwrap();
        assert!(both.contains("+0.000000000 s or +0.000000007 s off"), "{both}");
    }

    #[test]
    fn offsets_are_told_beside_what_was_asked() {
        let numbers = |processes, skew: Option<&Skew>| -> Vec<(f64, Option<f64>)> {
            let offsets = offsets(&node(processes), skew);
            offsets
                .iter()
                .map(|offset| (offset.seen * 1e9, offset.asked.map(|asked| asked * 1e9)))
                .collect()
        };
        let late = || vec![seen(State::Wrong, &[(TRUTH, -7), (TRUTH, -7)])];
        assert_eq!(numbers(late(), Some(&skew(-7, 0, 0))), [(-7.0, Some(-7.0))]);
        let both = vec![seen(State::Wrong, &[(0, 7), (10, 0)])];
        assert_eq!(numbers(both, Some(&skew(7, 0, 10))), [(0.0, None), (7.0, None)]);
        // Once it is healed, the kernel is not asked on the way.
        let mut right = seen(State::True, &[(TRUTH, 3)]);
        right.readings[0].truth_ns = None;
        assert_eq!(numbers(vec![right.clone()], None), [(0.0, None)]);
        right.readings[0].shown_ns += 20;
        assert_eq!(numbers(vec![right], None), [(13.0, None)]);
    }

    #[test]
    fn anything_else_is_not() {
        let jump = skew(7, 0, 0);
        let right = (TRUTH, 7);
        for (processes, why) in [
            (vec![], "no process runs there"),
            (
                vec![seen(State::Wrong, &[(TRUTH, 8)])],
                "Mismatch(\"n1: process 7: the clock realtime is +0.000000008 s off, and should be +0.000000007 s\")",
            ),
            (vec![seen(State::Wrong, &[right, (TRUTH, 0)])], "should be"),
            (vec![seen(State::Wrong, &[])], "nobody read it"),
            (
                vec![seen(State::Wrong, &[right]), seen(State::True, &[])],
                "its clocks are right",
            ),
            (
                vec![seen(State::Wrong, &[right]), seen(State::Half, &[])],
                "not whole",
            ),
            (
                vec![seen(State::Wrong, &[right]), seen(State::Another, &[])],
                "another fault",
            ),
            (vec![seen(State::Unfit("why".to_owned()), &[right])], "why"),
        ] {
            let said = wrong(processes, &jump).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        assert!(find_fault(&[], &[], &jump, true).is_err());
        // A strobe that was seen in one place only, a drift that has not made a nanosecond.
        let said = wrong(vec![seen(State::Wrong, &[(0, 7)])], &skew(7, 0, 10)).unwrap_err();
        assert!(said.contains("never otherwise"), "{said}");
        let said = wrong(vec![seen(State::Wrong, &[(0, 0)])], &skew(0, 1, 0)).unwrap_err();
        assert!(said.contains("is right"), "{said}");
        // What the kernel is said to have answered is not its time.
        let mut lied = seen(State::Wrong, &[right]);
        lied.readings[0].between_ns = (TRUTH + 1, TRUTH + 2);
        assert!(wrong(vec![lied], &jump).is_err());
    }

    #[test]
    fn a_visitor_is_not_the_program_unless_it_was_there_when_it_was_injected() {
        let jump = skew(7, 0, 0);
        let mut visitor = seen(State::True, &[]);
        (visitor.process.pid, visitor.process.entered) = (8, true);
        let program = seen(State::Wrong, &[(TRUTH, 7)]);
        let nodes = node(vec![program, visitor.clone()]);
        assert!(find_fault(&nodes, &[], &jump, true).is_ok());
        assert!(find_fault(&nodes, &[visitor.process], &jump, true).is_err());
        // Visitors alone are no node whose clocks are wrong.
        assert!(find_fault(&node(vec![visitor]), &[], &jump, true).is_err());
    }

    #[test]
    fn healed_means_that_no_patch_is_left_and_the_time_is_right() {
        let judged = |processes| judge_right(&node(processes)).result;
        assert_eq!(
            judged(vec![seen(State::True, &[(TRUTH, 0)])]),
            StepResult::Installed
        );
        assert_eq!(judged(vec![]), StepResult::Installed, "nobody is left");
        assert_eq!(
            judged(vec![seen(State::Another, &[(TRUTH, 7)])]),
            StepResult::Installed
        );
        assert_eq!(judged(vec![seen(State::Wrong, &[])]), StepResult::Indeterminate);
        assert_eq!(judged(vec![seen(State::Half, &[])]), StepResult::Indeterminate);
        let late = seen(State::True, &[(TRUTH, 1_000_000)]);
        assert_eq!(judged(vec![late]), StepResult::Indeterminate);
    }
}
