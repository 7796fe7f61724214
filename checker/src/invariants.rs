//! What replicas of one log may never do, judged by what they said of themselves all along.
//!
//! The input is what a probe saw of each node, in order of time, e.g. every 100 ms:
//!
//! ```text
//! n1  leads in term 4, applied 812     n1  leads in term 4, applied 840     n1  no answer     n1  follows in term 5 …
//! ```
//!
//! - *one leader a term* (Ongaro, Consensus: Bridging Theory and Practice, 2014, figure 3.2, election safety): no two
//!   nodes lead in one term;
//! - *terms never go back* and *applied indices never go back*, on a node, as long as its program runs.
//!
//! Systems show these numbers with a lag, so they are read with care, lest there be false alarms. A system may show the
//! term of the entry that it applied last: one that has just been elected then shows its predecessor's. So a leadership
//! only counts once it was seen [`STEADY`] times in a row, in one term, with entries being applied. And after a restart a
//! node replays its log and begins low: where a node was silent, or was killed or restarted by a fault, it begins anew.

use std::collections::BTreeMap;

use crate::history::{Event, FaultEvent, FaultStep, Process};
use crate::verdict::{PropertyVerdict, Verdict, Witness};

/// What one look at a node showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Nanoseconds since the run began.
    pub time: u64,
    /// Whether the node answered. If not, the rest says nothing.
    pub up: bool,
    /// Whether it said that it leads.
    pub leads: bool,
    /// Its term.
    pub term: u64,
    /// Up to which index it had applied the log.
    pub applied: u64,
}

/// What was seen of each node, in order of time.
pub type Series = BTreeMap<String, Vec<Sample>>;

/// In how many samples in a row a leadership must be seen to count.
pub const STEADY: usize = 3;

/// No two nodes lead in one term.
pub fn one_leader_per_term(series: &Series) -> PropertyVerdict {
    let mut leaders: BTreeMap<u64, (&str, u64)> = BTreeMap::new();
    for (node, samples) in series {
        for window in samples.windows(STEADY) {
            let term = window[0].term;
            let steady = window
                .iter()
                .all(|sample| sample.up && sample.leads && sample.term == term)
                && window.windows(2).all(|pair| pair[0].applied < pair[1].applied);
            if !steady {
                continue;
            }
            let (leader, since) = *leaders.entry(term).or_insert((node, window[0].time));
            if leader != node {
                let summary = format!(
                    "{leader} led in term {term} from {} s on, and so did {node} from {} s on",
                    seconds(since),
                    seconds(window[0].time)
                );
                return violated("one-leader-per-term", summary);
            }
        }
    }
    let detail = format!(
        "{} terms with a steady leader, {}",
        leaders.len(),
        samples(series)
    );
    let nothing = leaders
        .is_empty()
        .then_some("no node was seen to lead for long enough to count");
    seen("one-leader-per-term", series, nothing, detail)
}

/// Terms never go back on a node.
pub fn terms_never_go_back(series: &Series, restarts: &Restarts) -> PropertyVerdict {
    never_back("terms-never-go-back", "term", series, restarts, |sample| {
        sample.term
    })
}

/// The applied index never goes back on a node.
pub fn applied_never_goes_back(series: &Series, restarts: &Restarts) -> PropertyVerdict {
    never_back(
        "applied-never-goes-back",
        "applied index",
        series,
        restarts,
        |sample| sample.applied,
    )
}

fn never_back(
    property: &str,
    what: &str,
    series: &Series,
    restarts: &Restarts,
    value: impl Fn(&Sample) -> u64,
) -> PropertyVerdict {
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
                return violated(property, summary);
            }
        }
    }
    let nothing = (compared == 0).then_some("no node was seen twice while its program ran");
    seen(property, series, nothing, samples(series))
}

fn violated(property: &str, summary: String) -> PropertyVerdict {
    let witness = Witness {
        summary,
        key: None,
        operations: Vec::new(),
        minimal: true,
        ..Witness::default()
    };
    PropertyVerdict {
        property: property.to_owned(),
        verdict: Verdict::Violated { witness },
        detail: String::new(),
    }
}

/// Held, if every node was seen, and something that could have contradicted it: else `nothing` says what was missing.
fn seen(property: &str, series: &Series, nothing: Option<&str>, detail: String) -> PropertyVerdict {
    let silent: Vec<&str> = series
        .iter()
        .filter(|(_, samples)| !samples.iter().any(|sample| sample.up))
        .map(|(node, _)| node.as_str())
        .collect();
    let verdict = if series.is_empty() || !silent.is_empty() {
        let who = if series.is_empty() {
            "any node".to_owned()
        } else {
            silent.join(", ")
        };
        Verdict::Inconclusive {
            reason: format!("no status of {who} was seen"),
        }
    } else if let Some(nothing) = nothing {
        Verdict::Inconclusive {
            reason: nothing.to_owned(),
        }
    } else {
        Verdict::Held
    };
    PropertyVerdict {
        property: property.to_owned(),
        verdict,
        detail,
    }
}

fn samples(series: &Series) -> String {
    let count: usize = series.values().flatten().filter(|sample| sample.up).count();
    format!("{count} samples of {} nodes", series.len())
}

fn seconds(nanoseconds: u64) -> String {
    format!("{:.1}", nanoseconds as f64 / 1e9)
}

/// When faults ended or restarted the programs of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restarts {
    /// Node, from, to, in nanoseconds since the run began.
    spans: Vec<(String, u64, u64)>,
}

/// Kinds of faults after which a program begins anew.
const RESTARTING: [&str; 2] = ["kill", "restart"];

impl Restarts {
    /// What the fault events of a history tell.
    pub fn of(history: &[Event]) -> Self {
        let mut open: BTreeMap<u64, (u64, Vec<String>)> = BTreeMap::new();
        let mut restarts = Restarts::default();
        let end = history.last().map_or(0, |event| event.time);
        for event in history {
            if event.process != Process::Nemesis || !RESTARTING.contains(&event.f.as_str()) {
                continue;
            }
            let Ok(fault) = serde_json::from_value::<FaultEvent>(event.value.clone()) else {
                continue;
            };
            match fault.step {
                // Steps are noted when they are done: the program died some time after the one before.
                FaultStep::Prepare => drop(open.insert(fault.id, (event.time, fault.targets))),
                FaultStep::Inject => {
                    if let Some((_, targets)) = open.get_mut(&fault.id) {
                        targets.extend(fault.targets);
                    }
                }
                FaultStep::VerifyHealed => restarts.close(open.remove(&fault.id), event.time),
                _ => {}
            }
        }
        for (_, fault) in open {
            restarts.close(Some(fault), end);
        }
        restarts
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
    use crate::history::EventType;

    /// `"L4.8 L4.9 - F5.9"`: leads in term 4 with 8 applied, no answer, follows in term 5; a sample every 100 ms.
    fn series(nodes: &[&str]) -> Series {
        let sample = |(number, word): (usize, &str)| {
            let time = number as u64 * 100_000_000;
            let Some((term, applied)) = word.get(1..).and_then(|rest| rest.split_once('.')) else {
                return Sample {
                    time,
                    ..Sample::default()
                };
            };
            let number = |text: &str| text.parse().expect("a number");
            Sample {
                time,
                up: true,
                leads: word.starts_with('L'),
                term: number(term),
                applied: number(applied),
            }
        };
        let node = |(number, text): (usize, &&str)| {
            (
                format!("n{}", number + 1),
                text.split(' ').enumerate().map(sample).collect(),
            )
        };
        nodes.iter().enumerate().map(node).collect()
    }

    fn is_violated(verdict: &PropertyVerdict) -> bool {
        matches!(verdict.verdict, Verdict::Violated { .. })
    }

    #[test]
    fn two_steady_leaders_of_one_term_are_one_too_many() {
        let split = series(&["L4.1 L4.2 L4.3 L4.4 L4.5", "F3.1 F3.1 L4.2 L4.3 L4.4"]);
        let verdict = one_leader_per_term(&split);
        assert!(is_violated(&verdict), "{verdict:?}");
        let succession = series(&["L4.1 L4.2 L4.3 F5.4 F5.5", "F4.1 F4.2 F4.3 L5.4 L5.5"]);
        assert_eq!(one_leader_per_term(&succession).verdict, Verdict::Held);
    }

    #[test]
    fn a_new_leader_may_show_the_old_term_for_a_moment() {
        // n1 is cut off and stands still; n2 was elected and has not applied an entry of its own term yet.
        let lag = series(&["L4.1 L4.2 L4.3 L4.3 L4.3", "F4.3 F4.3 L4.3 L4.3 L5.4"]);
        assert_eq!(one_leader_per_term(&lag).verdict, Verdict::Held);
    }

    #[test]
    fn numbers_go_back_only_when_the_program_began_anew() {
        let none = Restarts::default();
        let back = series(&["F4.8 F3.9"]);
        assert!(is_violated(&terms_never_go_back(&back, &none)));
        assert!(!is_violated(&applied_never_goes_back(&back, &none)));
        let lost = series(&["F4.8 F4.7"]);
        assert!(is_violated(&applied_never_goes_back(&lost, &none)));
        assert!(!is_violated(&terms_never_go_back(&lost, &none)));
        // It was silent in between.
        assert_eq!(
            applied_never_goes_back(&series(&["F4.8 - F0.0 F4.9"]), &none).verdict,
            Verdict::Held
        );
        // It was killed and back between two looks.
        let lost = series(&["F4.8 F4.7 F4.7"]);
        let restarts = Restarts {
            spans: vec![("n1".to_owned(), 20_000_000, 80_000_000)],
        };
        assert_eq!(applied_never_goes_back(&lost, &restarts).verdict, Verdict::Held);
    }

    #[test]
    fn where_nothing_was_seen_nothing_is_held() {
        assert!(matches!(
            one_leader_per_term(&Series::new()).verdict,
            Verdict::Inconclusive { .. }
        ));
        assert!(matches!(
            one_leader_per_term(&series(&["F1.1", "- -"])).verdict,
            Verdict::Inconclusive { .. }
        ));
    }

    #[test]
    fn where_nothing_could_contradict_nothing_is_held() {
        let reason = |verdict: PropertyVerdict| match verdict.verdict {
            Verdict::Inconclusive { reason } => reason,
            other => panic!("{other:?}"),
        };
        // Nobody leads, or not for long.
        for nodes in [["F1.1 F1.2 F1.3", "F1.1 F1.2 F1.3"], ["L1.1 L1.2", "F1.1 F1.2"]] {
            assert!(reason(one_leader_per_term(&series(&nodes))).contains("no node was seen to lead"));
        }
        let none = Restarts::default();
        for nodes in ["F1.1", "F1.1 - F1.2"] {
            for judge in [terms_never_go_back, applied_never_goes_back] {
                assert!(reason(judge(&series(&[nodes]), &none)).contains("no node was seen twice"));
            }
        }
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
        let restarts = Restarts::of(&history);
        assert!(restarts.spans.contains(&("n1".to_owned(), 10, 50)));
        assert_eq!(
            Restarts::of(&[event(1, "partition", "prepare")]),
            Restarts::default()
        );
        // A run that was cut off in the middle.
        assert_eq!(Restarts::of(&history[..2]).spans[0], ("n1".to_owned(), 10, 20));
    }
}
