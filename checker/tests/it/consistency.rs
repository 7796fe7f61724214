//! Weaker promises, each with a history that breaks it and one that keeps it.

use std::cell::Cell;
use std::time::Duration;

use duress_checker::consistency::{Guarantee, Kept, guarantees, judged, staleness};
use duress_checker::generate::{self, Shape};
use duress_checker::history::History;
use duress_checker::limits::Limits;
use duress_checker::linearizability::check_history;
use duress_checker::verdict::{Budget, Verdict};
use serde_json::{Value, json};

use crate::front_door::events;

/// `"0w1 1r1"`: process 0 writes 1, then process 1 reads 1; `_` is null.
fn history(text: &str) -> History {
    let mut steps = Vec::new();
    for word in text.split_whitespace() {
        let mut letters = word.chars();
        let process = letters.next().unwrap().to_digit(10).unwrap().into();
        let f = if letters.next() == Some('w') {
            "write"
        } else {
            "read"
        };
        let value: Value = letters
            .next()
            .and_then(|value| value.to_digit(10))
            .map_or(Value::Null, |value| json!(value));
        steps.push((
            process,
            "invoke",
            f,
            if f == "read" { Value::Null } else { value.clone() },
        ));
        steps.push((process, "ok", f, value));
    }
    History::from_events(&events(&steps)).unwrap()
}

fn broken(text: &str) -> Vec<Guarantee> {
    let limits = Limits {
        budget: Budget::default(),
        elapsed: &|| Duration::ZERO,
    };
    let found = guarantees(&history(text), limits).unwrap();
    let broken = found.into_iter().filter(|(_, kept)| matches!(kept, Kept::No(_)));
    broken.map(|(guarantee, _)| guarantee).collect()
}

#[test]
fn each_promise_is_told_from_the_others() {
    use Guarantee::*;
    for (text, wanted) in [
        // Stale, but nobody can tell within a process: sequential.
        ("0w1 0w2 1r1", vec![]),
        ("0w1 0r_", vec![ReadYourWrites, Causal, Sequential]),
        ("0w1 0w2 1r2 1r_", vec![MonotonicReads, Causal, Sequential]),
        // Two writes that two readers see in different orders: causal, since nothing orders them.
        ("0w1 1w2 2r1 2r2 3r2 3r1", vec![MonotonicReads, Sequential]),
        // Seen, answered, and the answer seen before what it answers.
        ("0w1 1r1 1w2 2r2 2r1", vec![Causal, Sequential]),
        ("0w1 1r1 1w2 2r1 2r2", vec![]),
        // Two that each write what the other had read before.
        ("0r2 0w1 1r1 1w2", vec![WritesFollowReads, Causal, Sequential]),
        ("0r_ 0w1 1r1 1w2", vec![]),
        // A read of what was written twice does not name its write.
        ("0w1 0w2 0w1 1r1 1r2 1r1", vec![]),
        ("0w1 0w2 0w1 1r2 1r1 1r2", vec![Sequential]),
        (
            "0r7",
            vec![
                ReadYourWrites,
                MonotonicReads,
                MonotonicWrites,
                WritesFollowReads,
                Causal,
                Sequential,
            ],
        ),
    ] {
        assert_eq!(broken(text), wanted, "{text}");
    }
}

/// A stale read among a thousand operations on few values: whether it is sequential takes a search without end.
fn hard() -> History {
    let shape = Shape {
        length: 1000,
        concurrency: 10,
        info_percent: 3,
        stale: true,
        seed: 3,
    };
    generate::register(shape, Some(5))
}

#[test]
fn weaker_promises_take_a_tenth_of_a_second() {
    let history = hard();
    // A millisecond each time that somebody looks.
    let clock = Cell::new(0);
    let elapsed = || {
        clock.set(clock.get() + 1);
        Duration::from_millis(clock.get())
    };
    let verdict = check_history(&history, "cas-register", Budget::default(), &elapsed).unwrap();
    assert!(matches!(verdict.verdict, Verdict::Violated { .. }), "{verdict:?}");
    let before = clock.get();
    let verdict = judged(&history, "cas-register", verdict, Budget::default(), &elapsed);
    let took = clock.get() - before;
    assert!(took < 120, "{took} ms");
    let Verdict::Violated { witness } = verdict.verdict else {
        panic!("{verdict:?}");
    };
    let weaker = witness.weaker.unwrap();
    assert!(!weaker.undecided.is_empty() && weaker.reads > 100, "{weaker:?}");
}

#[test]
fn a_model_without_weaker_promises_has_none() {
    let steps = [
        (0, "invoke", "enqueue", json!(1)),
        (0, "ok", "enqueue", json!(1)),
        (0, "invoke", "dequeue", json!(null)),
        (0, "ok", "dequeue", json!(null)),
    ];
    let history = History::from_events(&events(&steps)).unwrap();
    let elapsed = || Duration::ZERO;
    let verdict = check_history(&history, "queue", Budget::default(), &elapsed).unwrap();
    let verdict = judged(&history, "queue", verdict, Budget::default(), &elapsed);
    let Verdict::Violated { witness } = verdict.verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(witness.weaker, None);
}

#[test]
fn staleness_is_measured_in_time_and_versions() {
    let stale = staleness(&history("0w1 0w2 0w3 1r3 1r1")).unwrap();
    assert_eq!((stale.reads, stale.versions.as_slice()), (2, [2].as_slice()));
    // Events are 10 ns apart: the write of 2 completed at 30, the read began at 80.
    assert_eq!(stale.nanos, [50]);
    assert_eq!(stale.percentile(99), Some((50, 2)));
    assert_eq!(staleness(&history("0w1 1r1")).unwrap().percentile(50), None);
}
