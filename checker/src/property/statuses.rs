//! What the properties of nodes' statuses share: replicas of one log, judged by what they said of themselves all along.
//!
//! After a restart a node replays its log and begins low: where a node was silent, or was killed or restarted by a fault,
//! it begins anew.

use super::claim::About;
use crate::history::{FaultStep, FaultTrace, Sample, Series, Trace};
use crate::verdict::{Proof, PropertyVerdict, StatusSpan, StatusesProof, Witness};

/// How long before and after the samples that contradict a property statuses are shown, in nanoseconds.
const AROUND: u64 = 2_000_000_000;

/// Spans of one node that are shown; those nearest to the samples that contradict the property are kept.
const SPANS_MAX: usize = 40;

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
                let telling = [(node.as_str(), before.time), (node.as_str(), after.time)];
                let shown = |shown: &str| shown == node;
                return about.violated(
                    Witness::of(spans(series, &shown, &telling), summary),
                    String::new(),
                );
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

/// The statuses of the nodes that are `shown`, around the samples that contradict a property, given as node and time.
pub(super) fn spans(series: &Series, shown: &dyn Fn(&str) -> bool, telling: &[(&str, u64)]) -> Proof {
    let times = || telling.iter().map(|(_, time)| *time);
    let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
    let around = first.saturating_sub(AROUND)..=last.saturating_add(AROUND);
    let mut spans = Vec::new();
    for (node, samples) in series.iter().filter(|(node, _)| shown(node)) {
        let mut of_node: Vec<StatusSpan> = Vec::new();
        for sample in samples.iter().filter(|sample| around.contains(&sample.time)) {
            let contradicts = telling.contains(&(node.as_str(), sample.time));
            match of_node.last_mut() {
                Some(span) if goes_on(span, sample) => {
                    (span.to, span.applied_to) = (sample.time, sample.applied);
                    span.contradicts |= contradicts;
                }
                _ => of_node.push(span(node, sample, contradicts)),
            }
        }
        let distance = |span: &StatusSpan| first.saturating_sub(span.to).max(span.from.saturating_sub(last));
        of_node.sort_by_key(|span| (!span.contradicts, distance(span)));
        of_node.truncate(SPANS_MAX);
        of_node.sort_by_key(|span| span.from);
        spans.extend(of_node);
    }
    Proof::Statuses(StatusesProof { spans })
}

fn span(node: &str, sample: &Sample, contradicts: bool) -> StatusSpan {
    StatusSpan {
        node: node.to_owned(),
        from: sample.time,
        to: sample.time,
        up: sample.up,
        leads: sample.leads,
        term: sample.term,
        applied_from: sample.applied,
        applied_to: sample.applied,
        contradicts,
    }
}

fn goes_on(span: &StatusSpan, sample: &Sample) -> bool {
    match (span.up, sample.up) {
        (false, false) => true,
        (true, true) => {
            (span.leads, span.term) == (sample.leads, sample.term) && span.applied_to <= sample.applied
        }
        _ => false,
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

    /// From its preparation, since steps are noted when they are done, to the proof that it is healed; to the end of the run where
    /// it can't be: a program may find damage to its data at any time, and begin anew over it.
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
                FaultStep::VerifyHealed if !step.event.stays() => self.close(open.take(), step.time),
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
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::history::{Event, EventType, Process};

    /// A status a tenth of a second, of one node: `"L4@7 F5@9 -"` leads in term 4 with 7 applied, follows, is silent.
    fn series(node: &str, text: &str) -> Series {
        let sample = |(at, word): (u64, &str)| {
            let time = at * 100_000_000;
            let Some((head, applied)) = word.split_once('@') else {
                return Sample {
                    time,
                    ..Sample::default()
                };
            };
            let (role, term) = head.split_at(1);
            Sample {
                time,
                up: true,
                leads: role == "L",
                term: term.parse().expect("a term"),
                applied: applied.parse().expect("an index"),
            }
        };
        let samples = (1..).zip(text.split(' ')).map(sample).collect();
        Series::from([(node.to_owned(), samples)])
    }

    #[test]
    fn what_a_node_said_is_told_in_spans_and_those_that_contradict_are_marked() {
        let series = series("n1", "L4@7 L4@9 L4@8 - - F5@9");
        let about = crate::property::named("applied-never-goes-back")
            .expect("there is one")
            .about();
        let trace = Trace {
            statuses: series,
            ..Trace::default()
        };
        let verdict = never_back(about, "applied index", &trace, |sample| sample.applied);
        let crate::verdict::Verdict::Violated { witness } = verdict.verdict else {
            panic!("{verdict:?}");
        };
        assert!(
            witness
                .summary
                .contains("went back from 9 at 0.2 s to 8 at 0.3 s"),
            "{}",
            witness.summary
        );
        let Proof::Statuses(proof) = witness.proof else {
            panic!("{:?}", witness.proof);
        };
        let seen: Vec<_> = (proof.spans.iter())
            .map(|span| {
                (
                    span.from / 100_000_000,
                    span.to / 100_000_000,
                    span.up,
                    span.contradicts,
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (1, 2, true, true),
                (3, 3, true, true),
                (4, 5, false, false),
                (6, 6, true, false)
            ]
        );
    }

    #[test]
    fn a_node_that_flaps_is_shown_where_it_matters() {
        let flapping = ["F4@1 F5@1"; 200].join(" ");
        let series = series("n1", &flapping);
        let Proof::Statuses(proof) = spans(&series, &|_| true, &[("n1", 20_000_000_000)]) else {
            panic!("statuses");
        };
        assert!(proof.spans.len() <= SPANS_MAX);
        assert!(proof.spans.iter().any(|span| span.contradicts));
    }

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

    #[test]
    fn what_is_lost_is_over_with_the_fault_and_what_is_damaged_is_not() {
        let event = |index: u64, f: &str, value: Value| Event {
            index,
            time: index * 10,
            process: Process::Nemesis,
            kind: EventType::Info,
            f: f.to_owned(),
            key: None,
            value,
            node: None,
            attempts: Vec::new(),
            error: None,
            extra: Map::new(),
        };
        let of = |effect: &str| {
            let step = |step: &str| json!({"id": 1, "effect": effect, "step": step, "targets": ["n1"], "result": "installed"});
            let mut history: Vec<Event> = (1..)
                .zip(["prepare", "inject", "verify", "verify-healed"])
                .map(|(index, name)| event(index, "bit-rot", step(name)))
                .collect();
            history.push(event(9, "partition", json!({"id": 2, "effect": "cuts", "step": "prepare", "targets": ["n2"], "result": "installed"})));
            Restarts::of(&Trace::new(&history, Series::new())).spans
        };
        assert_eq!(
            of("restarts"),
            [("n1".to_owned(), 10, 40), ("n1".to_owned(), 10, 40)]
        );
        assert_eq!(of("loses"), of("restarts"));
        assert_eq!(
            of("damages"),
            [("n1".to_owned(), 10, 90), ("n1".to_owned(), 10, 90)]
        );
        assert_eq!(of("skews"), []);
    }
}
