//! What a violated history is shown by: few operations, the right reason, and how far it could be explained.

use duress_checker::verdict::{Reached, Verdict, Witness, WitnessOp};
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
    let order: Vec<u64> = reached
        .order
        .iter()
        .map(|placed| placed.operation.index)
        .collect();
    assert_eq!(order, [0, 2, 4]);
    assert_eq!(reached.states, ["3"]);
    assert_eq!(
        (reached.failing.index, &reached.failing.result),
        (6, &Some(json!(1)))
    );
    assert_eq!(
        reached.sentence,
        "What completed before event 7 can be put in an order, of 3 operations, which leaves 3; the read of process 2 that \
         completes there fits no such order."
    );
}

/// Of each operation of the order its index in the history, and when it takes effect.
fn effects(reached: &Reached) -> Vec<(u64, u64)> {
    let placed = reached.order.iter();
    placed
        .map(|placed| (placed.operation.index, placed.effect))
        .collect()
}

#[test]
fn an_operation_takes_effect_while_it_is_open_and_after_those_before_it() {
    // The read is invoked first and sees the write that is invoked last.
    let steps = [
        (0, "invoke", "read", json!(null)),
        (1, "invoke", "write", json!(1)),
        (2, "invoke", "write", json!(2)),
        (1, "ok", "write", json!(1)),
        (2, "ok", "write", json!(2)),
        (0, "ok", "read", json!(2)),
        (3, "invoke", "read", json!(null)),
        (3, "ok", "read", json!(2)),
        (3, "invoke", "read", json!(null)),
        (3, "ok", "read", json!(1)),
    ];
    let reached = witness("register", &steps).reached.unwrap();
    // Events are ten nanoseconds apart.
    assert_eq!(effects(&reached), [(1, 10), (2, 20), (0, 20), (6, 60)]);
    assert_eq!(reached.states, ["2"]);
}

#[test]
fn of_a_long_order_the_end_is_kept_with_what_it_waits_for() {
    // One that stays open and is seen after more than are shown.
    let mut steps = vec![(9, "invoke", "write", json!(100))];
    for value in 0..20 {
        steps.extend(done(0, "write", json!(value), json!(value)));
    }
    for _ in 0..11 {
        steps.extend(done(1, "read", json!(null), json!(100)));
    }
    steps.extend(done(1, "read", json!(null), json!(3)));
    let reached = witness("register", &steps).reached.unwrap();
    assert_eq!((reached.ordered, reached.order.len()), (32, 12));
    let effects = effects(&reached);
    assert_eq!(effects[..2], [(0, 390), (41, 410)]);
    for (placed, (_, effect)) in reached.order.iter().zip(&effects) {
        let operation = &placed.operation;
        assert!(operation.invoked <= *effect, "{placed:?}");
        assert!(
            operation.completed.is_none_or(|completed| *effect <= completed),
            "{placed:?}"
        );
    }
    assert!(effects.is_sorted_by_key(|(_, effect)| *effect));
}

#[test]
fn a_state_that_only_an_open_operation_leads_to_comes_with_it() {
    let mut steps = done(0, "write", json!(1), json!(1)).to_vec();
    steps.push((1, "invoke", "write", json!(2)));
    steps.push((2, "invoke", "read", json!(null)));
    steps.push((3, "invoke", "write", json!(1)));
    steps.push((2, "ok", "read", json!(3)));
    steps.push((1, "ok", "write", json!(2)));
    let reached = witness("register", &steps).reached.unwrap();
    assert_eq!(reached.states, ["1", "2"]);
    // The write of 1 would change nothing.
    assert_eq!(
        reached.open.iter().map(|open| open.index).collect::<Vec<_>>(),
        [2]
    );
    assert!(reached.sentence.ends_with(
        "an order, of 1 operation, which leaves 1 or 2; the read of process 2 that completes there fits no such order."
    ));
}

#[test]
fn where_nothing_completed_there_is_no_order() {
    let reached = witness("register", &done(0, "read", json!(null), json!(1)))
        .reached
        .unwrap();
    assert_eq!(
        (reached.ordered, reached.order.len(), reached.failing.index),
        (0, 0, 0)
    );
    assert_eq!(
        reached.sentence,
        "Nothing completed before event 1, which leaves null; the read of process 0 that completes there does not fit."
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

/// Values come again and again, so whoever is to blame is found by a search that begins in the middle. The compare-and-sets
/// that brought in what was there then need nobody before them.
#[test]
fn a_value_that_was_brought_in_long_before_is_called_stale() {
    let mut steps = Vec::new();
    for _ in 0..100 {
        steps.extend(done(0, "cas", json!([null, 1]), json!([null, 1])));
        steps.extend(done(0, "cas", json!([1, 2]), json!([1, 2])));
        steps.extend(done(0, "cas", json!([2, null]), json!([2, null])));
    }
    steps.extend(done(0, "write", json!(2), json!(2)));
    steps.extend(done(0, "write", json!(3), json!(3)));
    steps.extend(done(1, "read", json!(null), json!(2)));
    let witness = witness("cas-register", &steps);
    assert_eq!(
        witness.summary,
        "read of \"x\" returned 2 after the write of 3 had been acknowledged"
    );
    assert!(witness.operations.len() < 30, "{:?}", indices(&witness));
}

/// What is about reads of a whole set is no proof where elements are removed: who removed them may be left out.
/// What a compare-and-set brought in is told with it and with what it found, whoever decides: alone, the read would be of
/// what nobody wrote.
#[test]
fn a_value_that_a_cas_brought_in_is_shown_with_the_cas() {
    let stale = |before: &[[Step; 2]]| {
        let steps = [
            done(0, "write", json!(1), json!(1)),
            done(0, "cas", json!([1, 2]), json!([1, 2])),
            done(1, "write", json!(3), json!(3)),
            done(2, "read", json!(null), json!(2)),
        ];
        witness("cas-register", &[before, &steps].concat().concat())
    };
    let shown = |witness: &Witness| -> Vec<(String, Value)> {
        let show = |op: &WitnessOp| (op.f.clone(), op.value.clone());
        witness.operations.iter().map(show).collect()
    };
    let told = "read of \"x\" returned 2 after the write of 3 had been acknowledged";
    let direct = stale(&[]);
    assert_eq!(direct.summary, told);
    assert_eq!(
        shown(&direct),
        [
            ("write".to_owned(), json!(1)),
            ("cas".to_owned(), json!([1, 2])),
            ("write".to_owned(), json!(3)),
            ("read".to_owned(), json!(null)),
        ]
    );
    // Written twice: 9, which is nobody's business here, and then 1, so that only a search can tell.
    for (before, count) in [([9, 9], 4), ([1, 9], 5)] {
        let written = before.map(|value| done(3, "write", json!(value), json!(value)));
        let searched = stale(&written);
        assert_eq!(searched.summary, told, "{before:?}");
        assert_eq!(searched.operations.len(), count, "{before:?}: {searched:?}");
    }
}

#[test]
fn an_element_that_was_removed_is_not_called_lost() {
    let mut steps = done(0, "add", json!(1), json!(1)).to_vec();
    steps.extend(done(0, "remove", json!(1), json!(1)));
    steps.extend(done(0, "add", json!(2), json!(2)));
    for _ in 0..40 {
        steps.extend(done(1, "read", json!(null), json!([2])));
    }
    steps.extend(done(1, "read", json!(null), json!([])));
    let witness = witness("set", &steps);
    assert_eq!(indices(&witness), [4, 86]);
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

/// It can't be told from a key that nothing was put in.
#[test]
fn an_empty_append_proves_nothing() {
    let append = |text: &str| done(0, "append", json!(text), json!(text));
    let get = |text: &str| done(1, "get", json!(null), json!(text));
    let steps = [append(""), get("")].concat();
    assert_eq!(judge(&steps, "kv").verdict, Verdict::Held);
    let steps = [append(""), append("a"), get("")].concat();
    assert_eq!(indices(&witness("kv", &steps)), [0, 2, 4]);
}

/// The first two were appended the other way round, and only the whole text says so.
#[test]
fn a_text_that_shows_an_order_is_shown_with_all_who_wrote_it() {
    let append = |text: &str| done(0, "append", json!(text), json!(text));
    let steps = [
        append("b.").to_vec(),
        append("a.").to_vec(),
        append("c.").to_vec(),
        append("d.").to_vec(),
        done(1, "get", json!(null), json!("a.b.c.d.")).to_vec(),
    ]
    .concat();
    assert_eq!(indices(&witness("kv", &steps)), [0, 2, 4, 6, 8]);
}

#[test]
fn a_transaction_keeps_what_wrote_what_it_found() {
    let txn = |process: u64, steps: Value| done(process, "txn", steps.clone(), steps);
    let steps = [
        txn(0, json!([["write", "x", 5], ["write", "y", 6]])).to_vec(),
        txn(0, json!([["write", "z", 7]])).to_vec(),
        txn(0, json!([["write", "x", 8]])).to_vec(),
        txn(1, json!([["read", "x", 5], ["read", "y", 6]])).to_vec(),
    ]
    .concat();
    let witness = witness("multi-register", &steps);
    assert_eq!(indices(&witness), [0, 4, 6]);
    assert!(
        witness
            .summary
            .ends_with("after the txn of 8 had been acknowledged"),
        "{}",
        witness.summary
    );
}
