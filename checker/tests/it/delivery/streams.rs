//! Streams in a few operations: each anomaly of `jepsen.tests.kafka` and beyond, and a twin of it that is none.

use duress_checker::delivery::{Order, Until};

use super::{findings, history, named};

/// Transactions in short: `s:a7` sends 7 to a, `s:a7=3` and it lies at offset 3; `p:a7=3/b8=0` a poll shows those. Micro-operations
/// are parted by commas: `+1(s:a7=3,p:b8=0)`.
pub(super) fn events(text: &str) -> Vec<duress_checker::history::Event> {
    let pair = |word: &str| {
        let (key, rest) = word.split_at(1);
        let (value, offset) = rest.split_once('=').unwrap_or((rest, ""));
        (key.to_owned(), value.to_owned(), offset.to_owned())
    };
    let micro = |word: &str| {
        let (kind, rest) = word.split_at(1);
        let rest = rest.trim_start_matches(':');
        if kind == "s" {
            let (key, value, offset) = pair(rest);
            return match offset.as_str() {
                "" => format!("[\"send\",\"{key}\",{value}]"),
                "?" => format!("[\"send\",\"{key}\",[null,{value}]]"),
                offset => format!("[\"send\",\"{key}\",[{offset},{value}]]"),
            };
        }
        let mut shown: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
        for word in rest.split('/').filter(|word| !word.is_empty()) {
            let (key, value, offset) = pair(word);
            shown.entry(key).or_default().push(format!("[{offset},{value}]"));
        }
        let shown: Vec<String> = (shown.into_iter())
            .map(|(key, pairs)| format!("\"{key}\":[{}]", pairs.join(",")))
            .collect();
        format!("[\"poll\",{{{}}}]", shown.join(","))
    };
    let word = |word: &str| match word.split_once('(') {
        Some((head, rest)) => {
            let (inside, fields) = rest.split_once(')').expect("a closing bracket");
            let steps: Vec<String> = inside.split(',').map(micro).collect();
            format!("{head}:[{}]{fields}", steps.join(","))
        }
        None => word.to_owned(),
    };
    let words: Vec<String> = text.split_whitespace().map(word).collect();
    history(&words.join(" "))
}

fn judged(text: &str) -> String {
    named(&events(text), Order::Usual, Until::Shown)
}

/// Sends of 1 to 4 to a, each acknowledged, at offsets 0 to 3, by processes of their own.
const FOUR: &str = "s1(s:a1) +1(s:a1=0) s2(s:a2) +2(s:a2=1) s3(s:a3) +3(s:a3=2) s4(s:a4) +4(s:a4=3)";

fn after_four(text: &str) -> String {
    judged(&format!("{FOUR} {text}"))
}

#[test]
fn what_is_polled_in_order_is_fine() {
    assert_eq!(after_four("p9(p) +9(p:a1=0/a2=1) p9(p) +9(p:a3=2/a4=3)"), "");
    assert_eq!(after_four("t9(p,p) +9(p:a1=0/a2=1,p:a3=2/a4=3)"), "");
    // By two, each all of it.
    assert_eq!(
        after_four("p8(p) +8(p:a1=0/a2=1/a3=2/a4=3) p9(p) +9(p:a1=0/a2=1/a3=2/a4=3)"),
        ""
    );
}

#[test]
fn inconsistent_offsets() {
    assert_eq!(
        judged("s1(s:a1) +1(s:a1=0) s2(s:a2) +2(s:a2=0) p9(p) +9(p:a1=0) p8(p) +8(p:a2=0)"),
        "1 inconsistent-offsets"
    );
    assert_eq!(
        judged("s1(s:a1) +1(s:a1=0) s2(s:b2) +2(s:b2=0) p9(p) +9(p:a1=0/b2=0)"),
        ""
    );
    // Of a send that failed, or that nobody knows of, the offset says nothing.
    assert_eq!(
        judged("s1(s:a1) +1(s:a1=0) s2(s:a2) ?2(s:a2=0) p9(p) +9(p:a1=0)"),
        ""
    );
    assert_eq!(
        judged("s1(s:a1) +1(s:a1=0) s2(s:a2) -2(s:a2=0) p9(p) +9(p:a1=0)"),
        ""
    );
}

#[test]
fn duplicate() {
    assert_eq!(judged("s1(s:a1) +1(s:a1=0) p9(p) +9(p:a1=0/a1=1)"), "1 duplicate");
    assert_eq!(judged("s1(s:a1) ?1(s:a1) p9(p) +9(p:a1=0/a1=1)"), "1 duplicate");
    assert_eq!(
        judged("s1(s:a1) +1(s:a1=0) s2(s:b1) +2(s:b1=1) p9(p) +9(p:a1=0/b1=1)"),
        ""
    );
}

#[test]
fn lost_write() {
    let polls = "p9(p) +9(p:a1=0/a2=1) p9(p) +9(p:a4=3)";
    assert_eq!(after_four(polls), "1 lost-write, 1 poll-skip");
    // Behind what was polled it is not known to be lost.
    assert_eq!(after_four("p9(p) +9(p:a1=0/a2=1)"), "2 unseen");
    // Whoever polls it, and whatever becomes of that transaction.
    assert_eq!(
        after_four("p9(p) +9(p:a1=0/a2=1) t8(p) -8(p:a3=2) t9(p) ?9(p) t7(p) +7(p:a4=3)"),
        ""
    );
    // Of unknown outcome: it may never have been written.
    assert_eq!(
        judged("s1(s:a1) ?1(s:a1) s2(s:a2) +2(s:a2=1) p9(p) +9(p:a2=1)"),
        ""
    );
    // Another message of the same transaction shows that it was.
    assert_eq!(
        judged("t1(s:a1,s:b5) ?1(s:a1=0,s:b5=0) s2(s:a2) +2(s:a2=1) p9(p) +9(p:a2=1/b5=0)"),
        "1 lost-write"
    );
    assert_eq!(
        judged("t1(s:a1,s:b5) ?1(s:a1=0,s:b5=0) s2(s:a2) +2(s:a2=1) p9(p) +9(p:a2=1)"),
        ""
    );
}

#[test]
fn aborted_read() {
    assert_eq!(judged("s1(s:a1) -1(s:a1) p9(p) +9(p:a1=0)"), "1 G1a");
    assert_eq!(judged("s1(s:a1) ?1(s:a1) p9(p) +9(p:a1=0)"), "");
    // A poll that failed itself.
    assert_eq!(judged("s1(s:a1) -1(s:a1) t9(p) -9(p:a1=0)"), "");
}

#[test]
fn precommitted_read() {
    assert_eq!(judged("t1(s:a1,p) +1(s:a1=0,p:a1=0)"), "1 precommitted-read");
    assert_eq!(judged("t1(s:a1,p) +1(s:a1=0,p) p1(p) +1(p:a1=0)"), "");
}

#[test]
fn skips_and_steps_back_within_a_poll() {
    let rest = "p8(p) +8(p:a1=0/a2=1/a3=2/a4=3)";
    assert_eq!(
        after_four(&format!("p9(p) +9(p:a1=0/a3=2/a4=3) {rest}")),
        "1 int-poll-skip"
    );
    assert_eq!(
        after_four(&format!("p9(p) +9(p:a1=0/a3=2/a2=1) {rest}")),
        "1 int-poll-skip, 1 int-nonmonotonic-poll"
    );
    assert_eq!(
        after_four(&format!("p9(p) +9(p:a2=1/a1=0) {rest}")),
        "1 int-nonmonotonic-poll"
    );
    assert_eq!(
        after_four(&format!("t9(p,p) +9(p:a1=0,p:a1=0) {rest}")),
        "1 int-nonmonotonic-poll"
    );
    // The partition changed hands.
    let moved = "@{\"rebalance-log\":[{\"keys\":[\"a\"]}]}";
    assert_eq!(
        after_four(&format!("t9(p,p) +9(p:a1=0,p:a1=0){moved} {rest}")),
        ""
    );
    // At an offset between them is nothing that anybody knows of.
    assert_eq!(
        judged("s1(s:a1) +1(s:a1=0) s2(s:a2) +2(s:a2=2) p9(p) +9(p:a1=0/a2=2)"),
        "1 gap"
    );
}

#[test]
fn skips_and_steps_back_from_poll_to_poll() {
    let rest = "p8(p) +8(p:a1=0/a2=1/a3=2/a4=3)";
    assert_eq!(
        after_four(&format!("p9(p) +9(p:a1=0) p9(p) +9(p:a3=2) {rest}")),
        "1 poll-skip"
    );
    assert_eq!(
        after_four(&format!("p9(p) +9(p:a1=0/a2=1) p9(p) +9(p:a2=1) {rest}")),
        "1 nonmonotonic-poll"
    );
    // Partitions that the system deals out, and may deal out anew.
    let subscribed = "S9:[\"a\"] +9 p9(p) +9(p:a1=0/a2=1) p9(p) +9(p:a2=1)";
    assert_eq!(after_four(&format!("{subscribed} {rest}")), "");
    // Given up in between, and chosen again.
    let again = "A9:[\"a\"] +9 p9(p) +9(p:a1=0/a2=1) A9:[\"b\"] +9 A9:[\"a\"] +9 p9(p) +9(p:a1=0)";
    assert_eq!(after_four(&format!("{again} {rest}")), "");
    let kept = "A9:[\"a\"] +9 p9(p) +9(p:a1=0/a2=1) A9:[\"a\",\"b\"] +9 p9(p) +9(p:a1=0)";
    assert_eq!(after_four(&format!("{kept} {rest}")), "1 nonmonotonic-poll");
    let sought =
        "A9:[\"a\"] +9 p9(p) +9(p:a1=0/a2=1) A9:[\"a\"]@{\"seek-to-beginning?\":true} +9 p9(p) +9(p:a1=0)";
    assert_eq!(after_four(&format!("{sought} {rest}")), "");
    // How far a poll of unknown outcome came is not known.
    assert_eq!(
        after_four(&format!("p9(p) +9(p:a1=0) p9(p) ?9 p9(p) +9(p:a3=2) {rest}")),
        ""
    );
}

#[test]
fn sends_of_one_producer() {
    let polled = "p9(p) +9(p:a2=0/a1=1)";
    assert_eq!(
        judged(&format!("t1(s:a1,s:a2) +1(s:a1=1,s:a2=0) {polled}")),
        "1 int-nonmonotonic-send"
    );
    assert_eq!(
        judged(&format!("s1(s:a1) +1(s:a1=1) s1(s:a2) +1(s:a2=0) {polled}")),
        "1 nonmonotonic-send"
    );
    // Another one's, between its own.
    assert_eq!(
        judged("t1(s:a1,s:a2) s2(s:a3) +2(s:a3=1) +1(s:a1=0,s:a2=2) p9(p) +9(p:a1=0/a3=1/a2=2)"),
        "1 int-send-skip"
    );
    // One of unknown outcome may come later than what was sent after it, and not earlier than what was sent before.
    assert_eq!(
        judged(&format!("s1(s:a1) ?1(s:a1) s1(s:a2) +1(s:a2=0) {polled}")),
        ""
    );
    assert_eq!(
        judged(&format!("s1(s:a1) +1(s:a1=1) s1(s:a2) ?1(s:a2) {polled}")),
        "1 nonmonotonic-send"
    );
    // One that failed, and one whose offset nobody knows.
    assert_eq!(
        judged("s1(s:a1) +1(s:a1=1) s1(s:a3) -1(s:a3=0) p9(p) +9(p:a1=1)"),
        ""
    );
    assert_eq!(
        judged("s1(s:a1) +1(s:a1=?) s1(s:a2) +1(s:a2=?) p9(p) +9(p:a1=0/a2=1)"),
        ""
    );
    assert_eq!(
        judged("s1(s:a1) +1(s:a1=?) s1(s:a2) +1(s:a2=?) p9(p) +9(p:a2=0/a1=1)"),
        "1 nonmonotonic-send"
    );
}

#[test]
fn sends_in_real_time() {
    let polled = "p9(p) +9(p:a2=0/a1=1)";
    let one_after_the_other = format!("s1(s:a1) +1(s:a1=1) s2(s:a2) +2(s:a2=0) {polled}");
    assert_eq!(judged(&one_after_the_other), "1 reordered");
    assert_eq!(
        judged(&format!("s1(s:a1) s2(s:a2) +1(s:a1=1) +2(s:a2=0) {polled}")),
        ""
    );
    assert_eq!(
        judged(&format!("s1(s:a1) ?1(s:a1=1) s2(s:a2) +2(s:a2=0) {polled}")),
        ""
    );
    let events = events(&one_after_the_other);
    assert_eq!(named(&events, Order::Producer, Until::Shown), "");
    assert_eq!(named(&events, Order::None, Until::Shown), "");
}

#[test]
fn phantom() {
    assert_eq!(judged("s1(s:a1) +1(s:a1=0) p9(p) +9(p:a1=0/a2=1)"), "1 phantom");
    assert_eq!(judged("p9(p) +9(p:a1=0) s1(s:a1) +1(s:a1=0)"), "1 phantom");
    assert_eq!(judged("p9(p) s1(s:a1) +9(p:a1=0) ?1(s:a1)"), "");
}

#[test]
fn unseen_and_what_became_of_ambiguous_sends() {
    assert_eq!(judged("s1(s:a1) +1(s:a1=0) p9(p) +9(p)"), "1 unseen");
    assert_eq!(judged("s1(s:a1) ?1(s:a1) p9(p) +9(p)"), "");
    let found = findings(
        &events("s1(s:a1) ?1(s:a1) s2(s:a2) ?2 p9(p) +9(p:a2=0)"),
        Order::Usual,
        Until::Shown,
    );
    assert_eq!((found.ambiguous.appeared, found.ambiguous.unknown), (1, 1));
}

#[test]
fn a_message_that_is_sent_twice_is_not_judged() {
    let found = findings(
        &events("s1(s:a1) +1(s:a1=0) s1(s:a1) +1(s:a1=1) p9(p) +9(p:a1=0)"),
        Order::Usual,
        Until::Shown,
    );
    assert!(
        found
            .unjudged
            .is_some_and(|reason| reason.contains("sends 1 again"))
    );
}
