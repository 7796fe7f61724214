//! What a violated history is shown by: few operations, the right reason, and how far it could be explained.

use duress_checker::verdict::{Verdict, Witness};
use serde_json::{Value, json};

use crate::front_door::judge;

type Step = (u64, &'static str, &'static str, Value);

fn witness(model: &str, steps: &[Step]) -> Witness {
    match judge(steps, model).verdict {
        Verdict::Violated { witness } => witness,
        other => panic!("{other:?}"),
    }
}

/// An operation on its own.
fn done(process: u64, f: &'static str, value: Value, result: Value) -> [Step; 2] {
    [(process, "invoke", f, value), (process, "ok", f, result)]
}

fn indices(witness: &Witness) -> Vec<u64> {
    witness.operations.iter().map(|op| op.index).collect()
}

#[test]
fn what_only_a_later_write_wrote_is_called_so() {
    let steps = [
        done(0, "read", json!(null), json!(1)),
        done(0, "write", json!(1), json!(1)),
    ]
    .concat();
    let witness = witness("register", &steps);
    assert_eq!(
        witness.summary,
        "read of \"x\" returned 1, which only a later write wrote"
    );
}

#[test]
fn how_far_it_goes_is_said() {
    let steps = [
        done(0, "write", json!(1), json!(1)),
        done(0, "write", json!(2), json!(2)),
        done(1, "write", json!(3), json!(3)),
        done(2, "read", json!(null), json!(1)),
        done(2, "read", json!(null), json!(2)),
    ]
    .concat();
    let reached = witness("register", &steps).reached.unwrap();
    assert_eq!(reached.fails_at, 7);
    assert_eq!(reached.order, [0, 2, 4]);
    assert_eq!(reached.states, ["3"]);
    assert_eq!(
        reached.sentence,
        "What completed before event 7 can be put in an order, of 3 operations, which leaves 3; the read of process 2 that \
         completes there fits no such order."
    );
}

#[test]
fn a_lost_append_takes_two_operations() {
    let mut steps = Vec::new();
    for value in 0..50 {
        steps.extend(done(0, "append", json!(value), json!(value)));
    }
    let found: Vec<u64> = (0..50).filter(|&value| value != 30).collect();
    steps.extend(done(1, "read", json!(null), json!(found)));
    let witness = witness("log", &steps);
    assert_eq!(indices(&witness), [60, 100]);
    assert!(witness.minimal);
}

#[test]
fn a_lost_element_takes_two_operations() {
    let mut steps = Vec::new();
    for value in 0..50 {
        steps.extend(done(0, "add", json!(value), json!(value)));
    }
    let found: Vec<u64> = (0..50).filter(|&value| value != 30).collect();
    steps.extend(done(1, "read", json!(null), json!(found)));
    assert_eq!(indices(&witness("set", &steps)), [60, 100]);
}

#[test]
fn two_holders_are_shown_without_those_before_them() {
    let mut steps = Vec::new();
    for turn in 0..20 {
        steps.extend(done(turn % 3, "acquire", json!(null), json!(null)));
        steps.extend(done(turn % 3, "release", json!(null), json!(null)));
    }
    steps.extend(done(1, "acquire", json!(null), json!(null)));
    steps.extend(done(2, "acquire", json!(null), json!(null)));
    for model in ["owner-mutex", "mutex"] {
        assert_eq!(indices(&witness(model, &steps)), [80, 82], "{model}");
    }
}

#[test]
fn a_counter_that_lost_an_increment_keeps_what_was_counted() {
    let mut steps = Vec::new();
    for _ in 0..5 {
        steps.extend(done(0, "add", json!(1), json!(1)));
    }
    steps.extend(done(1, "read", json!(null), json!(5)));
    steps.extend(done(1, "read", json!(null), json!(4)));
    let witness = witness("counter", &steps);
    // The first read has nothing to do with it: five were added, and four were found.
    assert_eq!(indices(&witness), [0, 2, 4, 6, 8, 12]);
    assert_eq!(witness.reached.unwrap().states, ["5"]);
}

#[test]
fn a_stale_read_of_a_version_takes_three_operations() {
    let mut steps = Vec::new();
    for value in 1..=40 {
        steps.extend(done(0, "write", json!([null, value]), json!([value, value])));
    }
    steps.extend(done(1, "read", json!(null), json!([17, 17])));
    let witness = witness("versioned-register", &steps);
    // The write that was read, a later one, and the read.
    assert_eq!(witness.operations.len(), 3);
    assert_eq!(indices(&witness)[0], 32);
    assert_eq!(indices(&witness)[2], 80);
}

#[test]
fn a_text_keeps_what_it_was_put_together_from() {
    let append = |text: &str| done(0, "append", json!(text), json!(text));
    let steps = [
        append("a.").to_vec(),
        append("b.").to_vec(),
        append("c.").to_vec(),
        done(1, "get", json!(null), json!("a.b.")).to_vec(),
        done(1, "get", json!(null), json!("a.b.c.")).to_vec(),
    ]
    .concat();
    let witness = witness("kv", &steps);
    assert_eq!(
        witness.summary,
        "get of \"x\" returned \"a.b.\" after the append of \"c.\" had been acknowledged"
    );
    assert_eq!(indices(&witness), [0, 2, 4, 6]);
    assert_eq!(
        witness.operations[1].note,
        "brought in \"b.\", a part of what the get returned; complete before the get began"
    );
}
