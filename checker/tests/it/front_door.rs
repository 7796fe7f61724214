//! Whole histories through `linearizability::check`, in a tiny language: `w1` invokes a write of 1 by process 0,
//! `.` completes what the process has open.

use std::num::NonZeroUsize;
use std::time::Duration;

use duress_checker::generate::{self, Shape};
use duress_checker::history::{Event, NEVER, Series, Trace, Val};
use duress_checker::linearizability::{CheckError, check, check_history, check_parallel};
use duress_checker::property::{Settings, named};
use duress_checker::verdict::{Budget, PropertyVerdict, Verdict};
use serde_json::{Value, json};

/// Events of `(process, type, f, value)`.
pub fn events(steps: &[(u64, &str, &str, Value)]) -> Vec<Event> {
    let lines = steps.iter().enumerate().map(|(index, (process, kind, f, value))| {
        json!({"index": index, "time": index * 10, "process": process, "type": kind, "f": f, "key": "x", "value": value})
    });
    lines.map(|line| serde_json::from_value(line).unwrap()).collect()
}

pub fn judge(steps: &[(u64, &str, &str, Value)], model: &str) -> PropertyVerdict {
    let verdict = check(&events(steps), model, Budget::default(), &|| Duration::ZERO).unwrap();
    let refuted = verdict.decided_by.iter().find(|by| by.refuted > 0);
    assert_eq!(refuted, None, "a path was wrong: {steps:?}");
    verdict
}

#[test]
fn a_stale_read_is_explained_by_the_operations_that_prove_it() {
    let mut steps = Vec::new();
    for value in 1..50 {
        steps.push((0, "invoke", "write", json!(value)));
        steps.push((0, "ok", "write", json!(value)));
    }
    steps.push((1, "invoke", "read", json!(null)));
    steps.push((1, "ok", "read", json!(7)));
    let verdict = judge(&steps, "register");
    let Verdict::Violated { witness } = verdict.verdict else {
        panic!("{verdict:?}");
    };
    assert!(witness.minimal);
    let seen: Vec<(&str, Value)> = witness
        .operations
        .iter()
        .map(|op| (op.f.as_str(), op.value.clone()))
        .collect();
    // The write of the value that was read, one that replaced it, and the read.
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert_eq!(seen[0], ("write", json!(7)));
    assert_eq!(seen[1].0, "write");
    assert_eq!(
        (seen[2].0, &witness.operations[2].result),
        ("read", &Some(json!(7)))
    );
}

#[test]
fn an_unknown_write_may_happen_late_or_never() {
    let mut steps = vec![
        (0, "invoke", "write", json!(1)),
        (0, "info", "write", json!(1)),
        (1, "invoke", "read", json!(null)),
        (1, "ok", "read", json!(null)),
    ];
    assert_eq!(judge(&steps, "register").verdict, Verdict::Held);
    steps.extend([(1, "invoke", "read", json!(null)), (1, "ok", "read", json!(1))]);
    assert_eq!(judge(&steps, "register").verdict, Verdict::Held);
    // Once it was seen it has happened, and cannot happen again.
    steps.extend([(1, "invoke", "read", json!(null)), (1, "ok", "read", json!(null))]);
    assert!(matches!(
        judge(&steps, "register").verdict,
        Verdict::Violated { .. }
    ));
}

#[test]
fn a_failed_write_never_happened() {
    let steps = [
        (0, "invoke", "write", json!(1)),
        (0, "fail", "write", json!(1)),
        (1, "invoke", "read", json!(null)),
        (1, "ok", "read", json!(1)),
    ];
    let verdict = judge(&steps, "cas-register");
    let Verdict::Violated { witness } = verdict.verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(witness.operations.len(), 1);
    assert_eq!(
        witness.summary,
        "read of \"x\" returned 1, which only a write that failed wrote"
    );
}

#[test]
fn what_cannot_be_checked_is_named() {
    let steps = [(0, "invoke", "push", json!(1)), (0, "ok", "push", json!(1))];
    let error = check(&events(&steps), "register", Budget::default(), &|| Duration::ZERO).unwrap_err();
    assert_eq!(
        error.to_string(),
        "event 0: a register takes read and write, not push"
    );
    let steps = [
        (0, "invoke", "enqueue", json!(null)),
        (0, "ok", "enqueue", json!(null)),
    ];
    let error = check(&events(&steps), "queue", Budget::default(), &|| Duration::ZERO).unwrap_err();
    assert_eq!(
        error.to_string(),
        "event 0: enqueue takes a value that is not null: dequeue returns that when it is empty"
    );
    let error = check(&[], "regster", Budget::default(), &|| Duration::ZERO).unwrap_err();
    assert!(matches!(error, CheckError::UnknownModel { .. }));
    assert!(error.to_string().contains("cas-register"));
}

/// Whoever reads a register of several first decides whether it began as null or as 0.
#[test]
fn registers_begin_as_null_or_as_0_but_not_as_both() {
    let read = |process, value: Value| {
        let asked = json!([["read", "a", null]]);
        let found = json!([["read", "a", value]]);
        [(process, "invoke", "txn", asked), (process, "ok", "txn", found)]
    };
    let same = [read(0, json!(0)), read(1, json!(0))].concat();
    assert_eq!(judge(&same, "multi-register").verdict, Verdict::Held);
    let both = [read(0, json!(null)), read(1, json!(0))].concat();
    let verdict = judge(&both, "multi-register").verdict;
    assert!(matches!(verdict, Verdict::Violated { .. }), "{verdict:?}");
}

#[test]
fn a_spent_budget_is_no_verdict() {
    let steps: Vec<_> = (0..2000)
        .flat_map(|value| {
            [
                (value % 40, "invoke", "write", json!(1)),
                (value % 40, "ok", "write", json!(1)),
            ]
        })
        .collect();
    let budget = Budget {
        time_ms_max: 5,
        ..Budget::default()
    };
    let verdict = check(&events(&steps), "register", budget, &|| Duration::from_secs(1)).unwrap();
    assert!(
        matches!(verdict.verdict, Verdict::Inconclusive { .. }),
        "{verdict:?}"
    );
    assert!(verdict.detail.contains("1 undecided"), "{verdict:?}");
}

/// A run of any workload is judged by the model of its operations.
#[test]
fn the_property_judges_sets_as_sets() {
    let judge = |found: Value| {
        let steps = [
            (0, "invoke", "add", json!(1)),
            (0, "ok", "add", json!(1)),
            (1, "invoke", "read", json!(null)),
            (1, "ok", "read", found),
        ];
        let settings = Settings {
            model: Some("set"),
            budget: Budget::default(),
            elapsed: &|| Duration::ZERO,
            threads: NonZeroUsize::MIN,
            cut_short: &|| None,
        };
        let events = events(&steps);
        let trace = Trace::new(&events, Series::new());
        named("linearizable").unwrap().judge(&trace, &settings).verdict
    };
    assert_eq!(judge(json!([1])), Verdict::Held);
    assert!(matches!(judge(json!([])), Verdict::Violated { .. }));
}

#[test]
fn threads_change_nothing() {
    let shape = |seed| Shape {
        length: 300,
        concurrency: 4,
        info_percent: 5,
        stale: seed % 3 == 0,
        seed,
    };
    // A key for each of several histories, side by side.
    let mut history = generate::register(shape(0), Some(3));
    history.rows.clear();
    for key in 0..12u32 {
        for mut row in generate::register(shape(u64::from(key)), Some(3)).rows {
            row.key = Val::int(u64::from(key)).unwrap();
            row.invoke = row.invoke * 12 + key;
            row.ret = if row.ret == NEVER {
                NEVER
            } else {
                row.ret * 12 + key
            };
            history.rows.push(row);
        }
    }
    history.rows.sort_by_key(|row| row.invoke);
    let judge = |threads| {
        let threads = NonZeroUsize::new(threads).unwrap();
        check_parallel(
            &history,
            "cas-register",
            Budget::default(),
            &|| Duration::ZERO,
            threads,
        )
        .unwrap()
    };
    let one = judge(1);
    assert_eq!(one, judge(4));
    assert_eq!(
        one,
        check_history(&history, "cas-register", Budget::default(), &|| Duration::ZERO).unwrap()
    );
}

#[test]
fn the_budget_counts_what_long_states_take() {
    // Equal values, so that no shortcut applies: every operation makes a state that is longer than the last.
    let steps: Vec<_> = (0..4000)
        .flat_map(|_| [(0, "invoke", "enqueue", json!(1)), (0, "ok", "enqueue", json!(1))])
        .collect();
    let history = events(&steps);
    let judge = |memory_bytes_max| {
        let budget = Budget {
            memory_bytes_max,
            ..Budget::default()
        };
        check(&history, "queue", budget, &|| Duration::ZERO)
            .unwrap()
            .verdict
    };
    // The states have eight million elements, of four bytes, together.
    assert_eq!(judge(64 << 20), Verdict::Held);
    let Verdict::Inconclusive { reason } = judge(16 << 20) else {
        panic!("decided within less memory than its states take");
    };
    assert!(reason.contains("16 MiB of memory"), "{reason}");
}
