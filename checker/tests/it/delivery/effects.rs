//! Effects in a few operations: each anomaly, and a twin of it that is none.

use duress_checker::delivery::{Order, Until};

use super::{findings, history, named};

fn applied(text: &str) -> String {
    named(&history(text), Order::Usual, Until::Applied)
}

#[test]
fn a_counter_is_what_was_acknowledged_and_some_of_what_nobody_knows() {
    assert_eq!(applied("i1:5 +1 i2:3 ?2 r4 +4:5"), "");
    assert_eq!(applied("i1:5 +1 i2:3 ?2 r4 +4:8"), "");
    assert_eq!(applied("i1:5 +1 i2:3 r4 +4:8"), "");
    assert_eq!(applied("i1:5 +1 i2:3 ?2 r4 +4:11"), "1 duplicate-effect");
    assert_eq!(applied("i1:5 +1 i2:3 ?2 r4 +4:3"), "1 lost-effect");
    assert_eq!(applied("i1:5 +1 i2:3 ?2 r4 +4:7"), "1 unexplained-effect");
    assert_eq!(applied("i1 +1 r4 +4:1"), "");
    assert_eq!(applied("i1 +1 r4 +4:2"), "1 duplicate-effect");
    assert_eq!(applied("i1 +1 r4 +4"), "1 lost-effect");
}

#[test]
fn ambiguous_amounts_are_any_subset() {
    let some = "i1:10 +1 i2:1 ?2 i3:2 ?3 i4:4 ?4";
    for sum in 10..=17 {
        assert_eq!(applied(&format!("{some} r5 +5:{sum}")), "");
    }
    assert_eq!(applied(&format!("{some} r5 +5:18")), "1 duplicate-effect");
    assert_eq!(
        applied("i1:10 +1 i2:3 ?2 i3:7 ?3 r5 +5:15"),
        "1 unexplained-effect"
    );
    // Equal ones, however many.
    let many: Vec<String> = (1..400)
        .map(|process| format!("i{process}:2 ?{process}"))
        .collect();
    assert_eq!(applied(&format!("{} r999 +999:400", many.join(" "))), "");
    assert_eq!(
        applied(&format!("{} r999 +999:401", many.join(" "))),
        "1 unexplained-effect"
    );
    let found = findings(
        &history("i1:2 ?1 i2:2 ?2 i3:2 ?3 r5 +5:4"),
        Order::Usual,
        Until::Applied,
    );
    assert_eq!((found.ambiguous.appeared, found.ambiguous.unknown), (2, 1));
}

#[test]
fn amounts_that_go_both_ways_are_only_called_unexplained() {
    assert_eq!(applied("i1:5 +1 i2:-3 +2 r4 +4:2"), "");
    assert_eq!(applied("i1:5 +1 i2:-3 +2 r4 +4:5"), "1 unexplained-effect");
    assert_eq!(applied("i1:5 +1 i2:-3 ?2 r4 +4:5"), "");
    assert_eq!(applied("i1:-5 +1 r4 +4:0"), "1 lost-effect");
    assert_eq!(applied("i1:-5 +1 r4 +4:-10"), "1 duplicate-effect");
}

#[test]
fn a_failed_effect_is_none() {
    assert_eq!(applied("i1:5 +1 i2:3 -2 r4 +4:5"), "");
    assert_eq!(applied("i1:5 +1 i2:3 -2 r4 +4:8"), "1 duplicate-effect");
    assert_eq!(applied("l1:a +1 l2:b -2 r4 +4:[\"a\",\"b\"]"), "1 aborted-effect");
    assert_eq!(applied("l1:a +1 l2:b -2 r4 +4:[\"a\"]"), "");
}

#[test]
fn a_ledger_says_which() {
    assert_eq!(applied("l1:a +1 l2:b ?2 r4 +4:[\"a\"]"), "");
    assert_eq!(applied("l1:a +1 l2:b ?2 r4 +4:[\"a\",\"b\"]"), "");
    assert_eq!(
        applied("l1:a +1 l2:b ?2 r4 +4:[\"b\",\"a\",\"b\"]"),
        "1 duplicate-effect"
    );
    assert_eq!(applied("l1:a +1 l2:b ?2 r4 +4:[\"b\"]"), "1 lost-effect");
    assert_eq!(applied("l1:a +1 r4 +4:[\"a\",\"c\"]"), "1 phantom-effect");
    assert_eq!(applied("l1:a +1 r4 +4"), "1 lost-effect");
    // Tried again under the same id: it counts once, and must be there once.
    assert_eq!(applied("l1:a ?1 l2:a +2 r4 +4:[\"a\"]"), "");
    assert_eq!(
        applied("l1:a ?1 l2:a +2 r4 +4:[\"a\",\"a\"]"),
        "1 duplicate-effect"
    );
}

#[test]
fn only_the_state_after_all_that_is_known_to_have_ended_counts() {
    assert_eq!(applied("r4 +4:0 i1:5 +1 r4 +4:5"), "");
    // The last one does: a read in between may be of an old state.
    assert_eq!(applied("i1:5 +1 r4 +4:0 r4 +4:5"), "");
    let found = findings(&history("i1:5 r4 +4:0 +1"), Order::Usual, Until::Applied);
    assert!(
        found
            .unjudged
            .is_some_and(|reason| reason.contains("not read after its last effect"))
    );
    let found = findings(&history("i1:5 +1 r4 +4:\"x\""), Order::Usual, Until::Applied);
    assert!(
        found
            .unjudged
            .is_some_and(|reason| reason.contains("neither a number nor a list"))
    );
}
