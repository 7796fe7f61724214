//! What the properties of nodes' statuses share: replicas of one log, judged by what they said of themselves all along.
//!
//! After a restart a node replays its log and begins low: where a node was silent, or was killed or restarted by a fault,
//! it begins anew.

use super::claim::About;
use crate::history::{FaultStep, FaultTrace, Sample, Series, Trace};
use crate::verdict::{PropertyVerdict, Witness};

/// A number that may not go back on a node while its program runs.
pub(super) fn never_back(
    about: &About,
    what: &str,
    trace: &Trace<'_>,
    value: impl Fn(&Sample) -> u64,
) -> PropertyVerdict {
    let (series, restarts) = (&trace.statuses, Restarts::of(trace));
    let mut compared = 0_u64;
    for (node, samples) in series {
        for pair in samples.windows(2) {
            let (before, after) = (&pair[0], &pair[1]);
            if !before.up || !after.up || restarts.between(node, before, after) {
                continue;
            }
            compared += 1;
            if value(after) < value(before) {
                let summary = format!(
                    "{what} of {node} went back from {} at {} s to {} at {} s, while its program ran",
                    value(before),
                    seconds(before.time),
                    value(after),
                    seconds(after.time)
                );
                return about.violated(Witness::of_words(summary), String::new());
            }
        }
    }
    let nothing = (compared == 0).then_some("no node was seen twice while its program ran");
    seen(about, series, nothing, samples(series))
}

/// Held, if every node was seen, and something that could have contradicted it: else `nothing` says what was missing.
pub(super) fn seen(about: &About, series: &Series, nothing: Option<&str>, detail: String) -> PropertyVerdict {
    let silent: Vec<&str> = series
        .iter()
        .filter(|(_, samples)| !samples.iter().any(|sample| sample.up))
        .map(|(node, _)| node.as_str())
        .collect();
    if series.is_empty() {
        return about.inconclusive("no status of any node was seen", detail);
    }
    if !silent.is_empty() {
        let reason = format!("no status of {} was seen", silent.join(", "));
        return about.inconclusive(reason, detail);
    }
    match nothing {
        Some(nothing) => about.inconclusive(nothing, detail),
        None => about.held(detail),
    }
}

pub(super) fn samples(series: &Series) -> String {
    let count: usize = series.values().flatten().filter(|sample| sample.up).count();
    format!("{count} samples of {} nodes", series.len())
}

pub(super) fn seconds(nanoseconds: u64) -> String {
    format!("{:.1}", nanoseconds as f64 / 1e9)
}

/// When faults ended or restarted the programs of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Restarts {
    /// Node, from, to, in nanoseconds since the run began.
    spans: Vec<(String, u64, u64)>,
}

impl Restarts {
    fn of(trace: &Trace<'_>) -> Self {
        let mut restarts = Restarts::default();
        for fault in trace.faults.values() {
            restarts.add(fault, trace.end);
        }
        restarts
    }

    /// From its preparation, since steps are noted when they are done, to the proof that it is healed.
    fn add(&mut self, fault: &FaultTrace, end: u64) {
        let mut open: Option<(u64, Vec<String>)> = None;
        for step in fault.steps.iter().filter(|step| step.event.restarts(&fault.kind)) {
            match step.event.step {
                FaultStep::Prepare => open = Some((step.time, step.event.targets.clone())),
                FaultStep::Inject => {
                    if let Some((_, targets)) = &mut open {
                        targets.extend(step.event.targets.iter().cloned());
                    }
                }
                FaultStep::VerifyHealed => self.close(open.take(), step.time),
                _ => {}
            }
        }
        self.close(open, end);
    }

    fn close(&mut self, fault: Option<(u64, Vec<String>)>, to: u64) {
        let (from, nodes) = fault.unwrap_or_default();
        self.spans.extend(nodes.into_iter().map(|node| (node, from, to)));
    }

    fn between(&self, node: &str, before: &Sample, after: &Sample) -> bool {
        (self.spans.iter()).any(|(of, from, to)| of == node && *from <= after.time && *to >= before.time)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::history::{Event, EventType, Process};

    #[test]
    fn restarts_are_read_from_fault_events() {
        let event = |index: u64, f: &str, step: &str| Event {
            index,
            time: index * 10,
            process: Process::Nemesis,
            kind: EventType::Info,
            f: f.to_owned(),
            key: None,
            value: json!({"id": 1, "step": step, "targets": ["n1"], "result": "installed"}),
            node: None,
            attempts: Vec::new(),
            error: None,
            extra: Map::new(),
        };
        let history = [
            event(1, "kill", "prepare"),
            event(2, "kill", "inject"),
            event(5, "kill", "verify-healed"),
        ];
        let of = |events: &[Event]| Restarts::of(&Trace::new(events, Series::new()));
        let restarts = of(&history);
        assert!(restarts.spans.contains(&("n1".to_owned(), 10, 50)));
        assert_eq!(of(&[event(1, "partition", "prepare")]), Restarts::default());
        // A run that was cut off in the middle.
        assert_eq!(of(&history[..2]).spans[0], ("n1".to_owned(), 10, 20));
    }
}
