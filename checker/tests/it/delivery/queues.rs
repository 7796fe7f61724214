//! Queues in a few operations: each anomaly, and a twin of it that is none.

use duress_checker::delivery::{Order, Until};

use super::{findings, history, named};

fn delivered(text: &str) -> String {
    named(&history(text), Order::None, Until::Delivered)
}

fn acknowledged(text: &str) -> String {
    named(&history(text), Order::None, Until::Acknowledged)
}

fn ordered(text: &str) -> String {
    named(&history(text), Order::Global, Until::Delivered)
}

#[test]
fn lost_is_what_was_acknowledged_and_is_not_there_when_the_queue_is_drained() {
    assert_eq!(delivered("e1:7 +1 z2 +2:[]"), "1 lost");
    assert_eq!(delivered("e1:7 +1 d2 +2"), "1 lost");
    assert_eq!(delivered("e1:7 +1 z2 +2:[7]"), "");
    assert_eq!(delivered("e1:7 +1 d2 +2:7"), "");
    // A dequeue that failed since the queue was empty.
    assert_eq!(delivered("e1:7 +1 d2 -2@{\"error\":\"empty\"}"), "1 lost");
    // Another failure says nothing.
    assert_eq!(delivered("e1:7 +1 d2 -2@{\"error\":\"refused\"}"), "1 stuck");
}

#[test]
fn what_was_not_acknowledged_is_not_lost() {
    assert_eq!(delivered("e1:7 ?1 z2 +2:[]"), "");
    assert_eq!(delivered("e1:7 z2 +2:[]"), "");
    assert_eq!(delivered("e1:7 -1 z2 +2:[]"), "");
    // The drain may have come first.
    assert_eq!(delivered("z2 e1:7 +1 +2:[]"), "1 stuck");
}

#[test]
fn what_a_dequeue_of_unknown_outcome_may_have_taken_is_not_lost() {
    assert_eq!(delivered("e1:7 +1 d2 ?2 z3 +3:[]"), "");
    assert_eq!(delivered("e1:7 +1 d2 z3 +3:[]"), "");
    // It may be carried out later than it was given up.
    assert_eq!(delivered("d2 ?2 e1:7 +1 z3 +3:[]"), "");
    // It took one of the two.
    assert_eq!(delivered("e1:7 +1 e1:8 +1 d2 ?2 z3 +3:[]"), "1 lost");
    // A drain may have taken both.
    assert_eq!(delivered("e1:7 +1 e1:8 +1 z2 ?2 z3 +3:[]"), "");
    let found = findings(
        &history("e1:7 ?1 d2 ?2 e3:8 +3 z4 +4:[8]"),
        Order::None,
        Until::Delivered,
    );
    assert_eq!((found.ambiguous.unknown, found.ambiguous.did_not), (1, 0));
    let found = findings(
        &history("e1:7 ?1 e3:8 +3 z4 +4:[8]"),
        Order::None,
        Until::Delivered,
    );
    assert_eq!((found.ambiguous.unknown, found.ambiguous.did_not), (0, 1));
    let found = findings(&history("e1:7 ?1 z4 +4:[7]"), Order::None, Until::Delivered);
    assert_eq!(found.ambiguous.appeared, 1);
}

#[test]
fn what_a_dequeue_of_unknown_outcome_was_lent_is_lost_if_the_queue_is_seen_without_any_message() {
    // Somebody acknowledges here, so the promise can end with that.
    let acknowledged = |text: &str| acknowledged(&format!("e9:9 +9 d9 +9:9 a9:9 +9 {text}"));
    let lent = |found: &str| format!("e1:7 +1 d2 ?2@{{\"lease_ms\":1}} d3 +3@{found}");
    assert_eq!(acknowledged(&lent("{\"lent\":0}")), "1 lost");
    // Others have messages, and this one may be among them.
    assert_eq!(acknowledged(&lent("{\"lent\":1}")), "");
    assert_eq!(acknowledged(&lent("{}")), "");
    // It may have been taken for good.
    assert_eq!(acknowledged("e1:7 +1 d2 ?2 d3 +3@{\"lent\":0}"), "");
    assert_eq!(acknowledged("e1:7 +1 z2 ?2 d3 +3@{\"lent\":0}"), "");
    // It came later than the look.
    assert_eq!(
        acknowledged("d2 ?2@{\"lease_ms\":1} d3 e1:7 +1 +3@{\"lent\":0}"),
        "1 stuck"
    );
    // One is lost for certain, and the other may be with whoever asked last.
    let two = "e1:7 +1 d2 ?2@{\"lease_ms\":1} d3 +3@{\"lent\":0} e1:8 +1 d4 ?4@{\"lease_ms\":1} d5 +5";
    assert_eq!(acknowledged(two), "1 lost");
    let found = findings(
        &history("e9:9 +9 d9 +9:9 a9:9 +9 e1:7 ?1 d2 ?2@{\"lease_ms\":1} d3 +3@{\"lent\":0}"),
        Order::None,
        Until::Acknowledged,
    );
    assert_eq!((found.ambiguous.unknown, found.ambiguous.did_not), (0, 1));
}

#[test]
fn stuck_is_what_nobody_looked_for_long_enough() {
    assert_eq!(delivered("e1:7 +1 e1:8 +1 d2 +2:7"), "1 stuck");
    // An empty answer, and then something after all: that queue may hide more.
    assert_eq!(delivered("e1:7 +1 e1:8 +1 d2 +2 d2 +2:7"), "1 stuck");
    assert_eq!(delivered("e1:7 +1 e1:8 +1 d2 +2:7 d2 +2"), "1 lost");
}

#[test]
fn a_second_delivery_is_a_duplicate_only_where_the_promise_ends_there() {
    let text = "e1:7 +1 d2 +2:7 d3 +3:7";
    assert_eq!(delivered(text), "1 duplicate-delivery");
    assert_eq!(acknowledged(&format!("{text} a3:7 +3")), "");
    let found = findings(&history(text), Order::None, Until::Delivered);
    assert_eq!(found.redeliveries, 1);
    // One of them is not known to have delivered anything.
    assert_eq!(delivered("e1:7 +1 d2 ?2 d3 +3:7"), "");
}

#[test]
fn resurrected_is_what_comes_after_its_ack_was_acknowledged() {
    assert_eq!(acknowledged("e1:7 +1 d2 +2:7 a2:7 +2 d3 +3:7"), "1 resurrected");
    // Asked for before the ack was answered.
    assert_eq!(acknowledged("e1:7 +1 d2 +2:7 d3 a2:7 +2 +3:7"), "");
    assert_eq!(acknowledged("e1:7 +1 d2 +2:7 a2:7 ?2 d3 +3:7"), "");
    assert_eq!(acknowledged("e1:7 +1 d2 +2:7 a2:7 -2 d3 +3:7 a3:7 +3"), "");
    // By another that took it over, and a consumer that crashed.
    assert_eq!(acknowledged("e1:7 +1 d2 +2:7 d3 +3:7 a3:7 +3"), "");
}

#[test]
fn a_duplicate_ack_is_two_deliveries_that_were_both_acknowledged() {
    assert_eq!(
        acknowledged("e1:7 +1 d2 +2:7 d3 +3:7 a2:7 +2 a3:7 +3"),
        "1 duplicate-ack"
    );
    assert_eq!(acknowledged("e1:7 +1 d2 +2:7 d3 +3:7 a2:7 -2 a3:7 +3"), "");
    assert_eq!(acknowledged("e1:7 +1 d2 +2:7 d3 +3:7 a2:7 ?2 a3:7 +3"), "");
    // The same delivery, acknowledged again by who has it.
    assert_eq!(acknowledged("e1:7 +1 d2 +2:7 a2:7 +2 a2:7 +2"), "");
}

#[test]
fn a_phantom_is_what_nobody_enqueued() {
    assert_eq!(delivered("e1:7 +1 z2 +2:[7,8]"), "1 phantom");
    assert_eq!(delivered("d2 +2:7 e1:7 +1"), "1 phantom");
    assert_eq!(delivered("d2 e1:7 +2:7 +1"), "");
    assert_eq!(delivered("d2 e1:7 +2:7 ?1"), "");
}

#[test]
fn what_its_process_left_open_is_of_unknown_outcome() {
    assert_eq!(delivered("e1:7 e1:8 +1 z2 +2:[7,8]"), "");
    assert_eq!(delivered("e1:7 e1:8 +1 z2 +2:[8]"), "");
    // The dequeue that was left may have taken it.
    assert_eq!(delivered("e1:7 +1 d2 d2 +2"), "");
}

#[test]
fn aborted_delivered_is_what_had_failed() {
    assert_eq!(delivered("e1:7 -1 d2 +2:7"), "1 aborted-delivered");
    assert_eq!(delivered("e1:7 d2 +2:7 -1"), "1 aborted-delivered");
    assert_eq!(delivered("e1:7 ?1 d2 +2:7"), "");
}

#[test]
fn reordered_is_what_was_overtaken() {
    assert_eq!(ordered("e1:7 +1 e1:8 +1 d2 +2:8 d2 +2:7"), "1 reordered");
    assert_eq!(ordered("e1:7 +1 e1:8 +1 d2 +2:7 d2 +2:8"), "");
    // At the same time: sends, deliveries.
    assert_eq!(ordered("e1:7 e3:8 +1 +3 d2 +2:8 d2 +2:7"), "");
    assert_eq!(ordered("e1:7 +1 e1:8 +1 d2 d3 +2:8 +3:7"), "");
    assert_eq!(ordered("e1:7 ?1 e3:8 +3 d2 +2:8 d2 +2:7"), "");
    // In one drain the order is not judged: it is one request.
    assert_eq!(ordered("e1:7 +1 e1:8 +1 z2 +2:[8,7]"), "");
}

#[test]
fn what_a_dequeue_of_unknown_outcome_may_have_delivered_first_is_not_late() {
    assert_eq!(ordered("e1:7 +1 e1:8 +1 d3 ?3 d2 +2:8 d2 +2:7"), "");
    // That one came too late to have had it.
    assert_eq!(ordered("e1:7 +1 e1:8 +1 d2 +2:8 d3 ?3 d2 +2:7"), "1 reordered");
    // It can have had one of the two.
    assert_eq!(
        ordered("e1:6 +1 e1:7 +1 e1:8 +1 d3 ?3 d2 +2:8 d2 +2:7 d2 +2:6"),
        "1 reordered"
    );
    assert_eq!(
        ordered("e1:6 +1 e1:7 +1 e1:8 +1 z3 ?3 d2 +2:8 d2 +2:7 d2 +2:6"),
        ""
    );
}

#[test]
fn a_redelivery_after_a_nack_is_not_late() {
    let text = "e1:7 +1 e1:8 +1 d2 +2:7 n2:7 +2 d2 +2:8 a2:8 +2 d2 +2:7 a2:7 +2";
    assert_eq!(named(&history(text), Order::Global, Until::Acknowledged), "");
}

#[test]
fn order_counts_within_its_unit() {
    let by_two = history("e1:7 +1 e3:8 +3 d2 +2:8 d2 +2:7");
    let by_one = history("e1:7 +1 e1:8 +1 d2 +2:8 d2 +2:7");
    let of_two_keys = history("e1:7@{\"ordering_key\":1} +1 e1:8@{\"ordering_key\":2} +1 d2 +2:8 d2 +2:7");
    let of_one_key = history("e1:7@{\"ordering_key\":1} +1 e1:8@{\"ordering_key\":1} +1 d2 +2:8 d2 +2:7");
    for (history, order, late) in [
        (&by_two, Order::Producer, false),
        (&by_two, Order::Global, true),
        (&by_one, Order::Producer, true),
        (&by_one, Order::None, false),
        (&by_one, Order::Usual, false),
        (&of_two_keys, Order::Key, false),
        (&of_two_keys, Order::Partition, true),
        (&of_one_key, Order::Key, true),
    ] {
        let wanted = if late { "1 reordered" } else { "" };
        assert_eq!(named(history, order, Until::Delivered), wanted, "{order:?}");
    }
}

#[test]
fn what_was_given_back_has_to_come_again() {
    let given_back = "e1:7 +1 d2 +2:7 n2:7 +2";
    assert_eq!(
        acknowledged(&format!("e3:8 +3 d3 +3:8 a3:8 +3 {given_back} z4 +4:[]")),
        "1 lost"
    );
    assert_eq!(
        acknowledged(&format!("e3:8 +3 d3 +3:8 a3:8 +3 {given_back} z4 +4:[7]")),
        ""
    );
    // Where the promise ends with the delivery it was kept.
    assert_eq!(delivered(&format!("{given_back} z4 +4:[]")), "");
    // Nobody knows whether it was given back, or a consumer may have it still.
    assert_eq!(
        acknowledged("e3:8 +3 d3 +3:8 a3:8 +3 e1:7 +1 d2 +2:7 n2:7 ?2 z4 +4:[]"),
        ""
    );
    assert_eq!(
        acknowledged("e3:8 +3 d3 +3:8 a3:8 +3 e1:7 +1 d2 +2:7 z4 +4:[]"),
        ""
    );
}

#[test]
fn what_a_consumer_lost_its_lease_of_has_to_come_again() {
    // There is an event a millisecond.
    let other = "e3:8 +3 d3 +3:8 a3:8 +3 e1:7 +1";
    let leased = |ms: u64, rest: &str| format!("{other} d2 +2:7@{{\"lease_ms\":{ms}}} d5 +5 {rest} z4 +4:[]");
    assert_eq!(acknowledged(&leased(1, "")), "1 lost");
    assert_eq!(acknowledged(&leased(100, "")), "");
    assert_eq!(acknowledged(&leased(1, "a2:7 +2")), "");
    assert_eq!(acknowledged(&leased(1, "a2:7 ?2")), "");
    assert_eq!(acknowledged(&leased(1, "d6 +6:7 a6:7 +6")), "");
    assert_eq!(delivered(&leased(1, "")), "");
}

#[test]
fn queues_are_judged_apart() {
    let of = |queue: &str| format!("@{{\"key\":\"{queue}\"}}");
    let (a, b) = (of("a"), of("b"));
    // 7 in both, delivered from one, and only the other one is drained.
    let text = format!("e1:7{a} +1 e1:7{b} +1 d2{a} +2:7 z2{b} +2:[]");
    let found = findings(&history(&text), Order::None, Until::Delivered);
    assert_eq!(found.counts.values().sum::<u64>(), 1);
    let strongest: Vec<u64> = found.strongest().into_values().collect();
    assert_eq!(strongest, [1, 1]);
}

#[test]
fn a_message_that_is_enqueued_twice_is_not_judged() {
    let found = findings(
        &history("e1:7 +1 e2:7 +2 z3 +3:[7]"),
        Order::None,
        Until::Delivered,
    );
    assert!(
        found
            .unjudged
            .is_some_and(|reason| reason.contains("enqueues 7 again"))
    );
    assert!(found.counts.is_empty());
}
