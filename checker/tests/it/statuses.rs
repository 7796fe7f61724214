//! The properties of what nodes say of themselves.

use std::num::NonZeroUsize;
use std::time::Duration;

use duress_checker::history::{Event, Sample, Series, Trace};
use duress_checker::property::{Settings, named};
use duress_checker::verdict::{Budget, PropertyVerdict, Verdict};
use serde_json::json;

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

const TERMS: &str = "terms-never-go-back";
const APPLIED: &str = "applied-never-goes-back";

fn judge(property: &str, trace: &Trace<'_>) -> PropertyVerdict {
    let settings = Settings {
        model: None,
        budget: Budget::default(),
        elapsed: &|| Duration::ZERO,
        threads: NonZeroUsize::MIN,
        cut_short: &|| None,
    };
    named(property)
        .expect("a property of the table")
        .judge(trace, &settings)
}

fn judged(property: &str, statuses: &Series) -> PropertyVerdict {
    judge(property, &Trace::new(&[], statuses.clone()))
}

fn is_violated(verdict: &PropertyVerdict) -> bool {
    matches!(verdict.verdict, Verdict::Violated { .. })
}

#[test]
fn two_steady_leaders_of_one_term_are_one_too_many() {
    let split = series(&["L4.1 L4.2 L4.3 L4.4 L4.5", "F3.1 F3.1 L4.2 L4.3 L4.4"]);
    let verdict = judged("one-leader-per-term", &split);
    assert!(is_violated(&verdict), "{verdict:?}");
    let succession = series(&["L4.1 L4.2 L4.3 F5.4 F5.5", "F4.1 F4.2 F4.3 L5.4 L5.5"]);
    assert_eq!(judged("one-leader-per-term", &succession).verdict, Verdict::Held);
}

#[test]
fn a_new_leader_may_show_the_old_term_for_a_moment() {
    // n1 is cut off and stands still; n2 was elected and has not applied an entry of its own term yet.
    let lag = series(&["L4.1 L4.2 L4.3 L4.3 L4.3", "F4.3 F4.3 L4.3 L4.3 L5.4"]);
    assert_eq!(judged("one-leader-per-term", &lag).verdict, Verdict::Held);
}

#[test]
fn numbers_go_back_only_when_the_program_began_anew() {
    let back = series(&["F4.8 F3.9"]);
    assert!(is_violated(&judged(TERMS, &back)));
    assert!(!is_violated(&judged(APPLIED, &back)));
    let lost = series(&["F4.8 F4.7"]);
    assert!(is_violated(&judged(APPLIED, &lost)));
    assert!(!is_violated(&judged(TERMS, &lost)));
    // It was silent in between.
    assert_eq!(
        judged(APPLIED, &series(&["F4.8 - F0.0 F4.9"])).verdict,
        Verdict::Held
    );
    // It was killed and back between two looks.
    let lost = series(&["F4.8 F4.7 F4.7"]);
    let step = |index: u64, time: u64, step: &str| {
        let value = json!({"id": 1, "step": step, "targets": ["n1"], "result": "installed"});
        let event = json!({"index": index, "time": time, "process": "nemesis", "type": "info", "f": "kill",
            "value": value});
        serde_json::from_value::<Event>(event).expect("an event")
    };
    let killed = [
        step(0, 20_000_000, "prepare"),
        step(1, 80_000_000, "verify-healed"),
    ];
    let trace = Trace::new(&killed, lost.clone());
    assert_eq!(judge(APPLIED, &trace).verdict, Verdict::Held);
    assert!(is_violated(&judged(APPLIED, &lost)));
}

#[test]
fn where_nothing_was_seen_nothing_is_held() {
    assert!(matches!(
        judged("one-leader-per-term", &Series::new()).verdict,
        Verdict::Inconclusive { .. }
    ));
    assert!(matches!(
        judged("one-leader-per-term", &series(&["F1.1", "- -"])).verdict,
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
        assert!(reason(judged("one-leader-per-term", &series(&nodes))).contains("no node was seen to lead"));
    }
    for nodes in ["F1.1", "F1.1 - F1.2"] {
        for property in [TERMS, APPLIED] {
            assert!(reason(judged(property, &series(&[nodes]))).contains("no node was seen twice"));
        }
    }
}
