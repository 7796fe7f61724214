//! Violations planted in histories of thousands of operations are found, in bounded memory, whichever path decides.

use std::time::Instant;

use duress_checker::generate::{self, Shape};
use duress_checker::history::{History, NEVER};
use duress_checker::linearizability::check_history;
use duress_checker::verdict::{Budget, Verdict};

const LENGTH: u32 = 2_000;

/// Lets an operation late in the history answer what one early in it did, and the other way round.
fn swap_answers(history: &mut History, f: u16) {
    let answered: Vec<usize> = (0..history.rows.len())
        .filter(|&at| {
            let row = &history.rows[at];
            row.f == f && row.ret != NEVER && !row.result.first.is_nil()
        })
        .collect();
    let (early, late) = (answered[answered.len() / 10], answered[answered.len() * 9 / 10]);
    assert_ne!(history.rows[early].result, history.rows[late].result);
    let result = history.rows[early].result;
    history.rows[early].result = history.rows[late].result;
    history.rows[late].result = result;
}

/// `f` is the function whose answers are swapped; a witness may have so many operations.
fn found(model: &str, f: u16, witness_max: usize, info_percents: &[u64], make: fn(Shape) -> History) {
    for &info_percent in info_percents {
        for seed in 1..=5 {
            let mut history = make(Shape {
                length: LENGTH,
                concurrency: 5,
                info_percent,
                stale: false,
                seed,
            });
            swap_answers(&mut history, f);
            let start = Instant::now();
            let checked = check_history(&history, model, Budget::default(), &|| start.elapsed());
            let verdict = checked.expect("operations of the model");
            assert!(verdict.decided_by.iter().all(|by| by.refuted == 0), "{verdict:?}");
            let verdict = verdict.verdict;
            let Verdict::Violated { witness } = verdict else {
                panic!("{model}, {info_percent} % info, seed {seed}: {verdict:?}");
            };
            let count = witness.operations.len();
            let about = format!("{model}, {info_percent} % info, seed {seed}: {}", witness.summary);
            assert!(count <= witness_max, "{about}: {count} operations");
            assert!(witness.minimal, "{about}");
        }
    }
}

#[test]
fn in_queues() {
    found("queue", 1, 2, &[0, 5], generate::queue);
}

#[test]
fn in_stacks() {
    found("stack", 1, 2, &[0], generate::stack);
}

#[test]
fn in_counters() {
    // Whatever was counted belongs to the proof.
    found("counter", 1, 200, &[0, 5], generate::counter);
}

#[test]
fn in_logs() {
    found("log", 0, 2, &[0, 5], generate::log);
}

#[test]
fn in_registers() {
    found("cas-register", 0, 3, &[0, 5], |shape| {
        generate::register(shape, None)
    });
}
