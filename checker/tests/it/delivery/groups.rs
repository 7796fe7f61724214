//! Groups that consume, transform and produce: what they commit and what they are told, each anomaly with a twin that is none; and what
//! anomalies of streams come from.

use duress_checker::delivery::{Anomaly, Order, Until};

use super::{findings, history, named};

/// Two messages in `in`, at offsets 0 and 1, polled by process 1.
const TWO: &str = "s0:[[\"send\",\"in\",7],[\"send\",\"in\",8]] +0:[[\"send\",\"in\",[0,7]],[\"send\",\"in\",[1,8]]] \
                   p1:[[\"poll\"]] +1:[[\"poll\",{\"in\":[[0,7],[1,8]]}]]";

fn output(input: u64, epoch: u64) -> String {
    format!("{{\"input\":[\"in\",{input}],\"by\":\"t\",\"epoch\":{epoch}}}")
}

/// A transaction of `process` that ends so: outputs at offsets of `out`, each of an input, and up to where the group has come.
fn txn(end: &str, process: u64, epoch: u64, outputs: &[(u64, u64)], group: &str, next: u64) -> String {
    let sends = |answered: bool| {
        let send = |(offset, input): &(u64, u64)| match answered {
            true => format!("[\"send\",\"out\",[{offset},{}]],", output(*input, epoch)),
            false => format!("[\"send\",\"out\",{}],", output(*input, epoch)),
        };
        outputs.iter().map(send).collect::<String>()
    };
    let whole = |sends: String| {
        format!(
            "[[\"as\",{{\"producer\":\"t\",\"epoch\":{epoch},\"sequence\":0,\"txn\":1}}],{sends}\
             [\"commit\",{{\"group\":\"{group}\",\"member\":\"t\",\"generation\":1,\"offsets\":{{\"in\":{next}}}}}]]"
        )
    };
    format!(
        " t{process}:{} {end}{process}:{}",
        whole(sends(false)),
        whole(sends(end == "+"))
    )
}

/// A join of `process` that is told where to go on.
fn join(process: u64, next: u64) -> [String; 2] {
    let asked = "\"group\":\"g\",\"member\":\"t\",\"partitions\":[\"in\"],\"session_ms\":2000";
    [
        format!(" S{process}:[[\"join\",{{{asked}}}]]"),
        format!(" +{process}:[[\"join\",{{{asked},\"generation\":1,\"offsets\":{{\"in\":{next}}}}}]]"),
    ]
}

/// Everything that is in `out`, polled by process 9.
fn polled(outputs: &[(u64, u64, u64)]) -> String {
    let pairs: Vec<String> = (outputs.iter())
        .map(|(offset, input, epoch)| format!("[{offset},{}]", output(*input, *epoch)))
        .collect();
    format!(
        " p9:[[\"poll\",{{\"out\":0}},9]] +9:[[\"poll\",{{\"out\":[{}]}}]]",
        pairs.join(",")
    )
}

fn judged(parts: &[&str]) -> String {
    named(
        &history(&format!("{TWO}{}", parts.concat())),
        Order::Usual,
        Until::Shown,
    )
}

#[test]
fn a_group_that_came_past_a_message_made_an_output_of_it() {
    let both = txn("+", 2, 1, &[(0, 0), (1, 1)], "g", 2);
    assert_eq!(judged(&[&both, &polled(&[(0, 0, 1), (1, 1, 1)])]), "");
    let one = txn("+", 2, 1, &[(0, 0)], "g", 2);
    assert_eq!(
        judged(&[&one, &polled(&[(0, 0, 1)])]),
        "1 committed-without-output"
    );
    // It did not come past the other.
    let one = txn("+", 2, 1, &[(0, 0)], "g", 1);
    assert_eq!(judged(&[&one, &polled(&[(0, 0, 1)])]), "");
    // Another group, which only reads, came past it.
    let reads = txn("+", 3, 1, &[], "h", 2);
    assert_eq!(judged(&[&one, &reads, &polled(&[(0, 0, 1)])]), "");
    // It was not committed.
    let failed = txn("-", 2, 1, &[(0, 0)], "g", 2);
    let other = txn("+", 3, 2, &[(1, 0)], "g", 1);
    assert_eq!(judged(&[&failed, &other, &polled(&[(1, 0, 2)])]), "");
}

#[test]
fn an_offset_of_a_transaction_of_unknown_outcome_counts_if_the_group_is_told_of_it() {
    let lost = txn("?", 2, 1, &[(0, 0)], "g", 1);
    let [asked, told] = join(3, 1);
    let rest = txn("+", 3, 2, &[(1, 1)], "g", 2);
    let without = polled(&[(1, 1, 2)]);
    assert_eq!(
        judged(&[&lost, &asked, &told, &rest, &without]),
        "1 committed-without-output"
    );
    let with = polled(&[(0, 0, 1), (1, 1, 2)]);
    assert_eq!(judged(&[&lost, &asked, &told, &rest, &with]), "");
    // Nothing lies behind it that would show that it is not there.
    assert_eq!(judged(&[&lost, &asked, &told]), "");
    // It did not happen, and was done by another.
    let [asked, told] = join(3, 0);
    let all = txn("+", 3, 2, &[(1, 0), (2, 1)], "g", 2);
    assert_eq!(
        judged(&[&lost, &asked, &told, &all, &polled(&[(1, 0, 2), (2, 1, 2)])]),
        ""
    );
}

#[test]
fn a_group_is_not_told_to_go_back_behind_what_was_committed_with_outputs() {
    let both = txn("+", 2, 1, &[(0, 0), (1, 1)], "g", 2);
    let seen = polled(&[(0, 0, 1), (1, 1, 1)]);
    let [asked, told] = join(3, 1);
    assert_eq!(judged(&[&both, &asked, &told, &seen]), "1 output-without-commit");
    // Told twice, it is the same commit that was not kept.
    let [again, back] = join(4, 0);
    assert_eq!(
        judged(&[&both, &asked, &told, &again, &back, &seen]),
        "1 output-without-commit"
    );
    // It was asked for before the commit was answered.
    assert_eq!(judged(&[&asked, &both, &told, &seen]), "");
    let [asked, told] = join(3, 2);
    assert_eq!(judged(&[&both, &asked, &told, &seen]), "");
}

/// What the first finding of this kind is said to have come from.
fn cause(anomaly: Anomaly, parts: &[&str]) -> &'static str {
    let events = history(&format!("{TWO}{}", parts.concat()));
    let found = findings(&events, Order::Usual, Until::Shown);
    let first = found.kept.iter().find(|finding| finding.anomaly == anomaly);
    first.unwrap_or_else(|| panic!("{:?}", found.counts)).cause.name()
}

#[test]
fn what_happened_between_is_named_as_the_cause() {
    let (first, second) = (
        txn("+", 2, 1, &[(0, 0)], "g", 1),
        txn("+", 3, 2, &[(1, 0)], "g", 1),
    );
    let seen = polled(&[(0, 0, 1), (1, 0, 2)]);
    let twice = |between: &str| cause(Anomaly::DuplicateOutput, &[&first, between, &second, &seen]);
    // The sessions tell of themselves that one followed the other.
    assert_eq!(twice(""), "producer session change");
    let second = second.replace("\"producer\":\"t\"", "\"producer\":\"u\"");
    let twice = |between: &str| cause(Anomaly::DuplicateOutput, &[&first, between, &second, &seen]);
    assert_eq!(twice(""), "unknown");
    let session = " I3:[[\"init\",\"t\"]] +3:[[\"init\",\"t\",2]]";
    assert_eq!(twice(session), "producer session change");
    let other = " I3:[[\"init\",\"v\"]] +3:[[\"init\",\"v\",2]]";
    assert_eq!(twice(other), "unknown");
    let before = join(2, 0).concat();
    let hands = join(3, 1).concat();
    assert_eq!(
        cause(
            Anomaly::DuplicateOutput,
            &[&before, &first, &hands, &second, &seen]
        ),
        "rebalance"
    );
    assert_eq!(
        cause(
            Anomaly::DuplicateOutput,
            &[&before, &hands, &first, &second, &seen]
        ),
        "unknown"
    );
}

#[test]
fn a_message_that_was_sent_again_on_purpose_is_said_to_come_from_that() {
    let again = " R5:[[\"send\",\"in\",7]] +5:[[\"send\",\"in\",[2,7]]]";
    let seen = " p9:[[\"poll\"]] +9:[[\"poll\",{\"in\":[[0,7],[1,8],[2,7]]}]]";
    assert_eq!(
        cause(Anomaly::Duplicate, &[again, seen]),
        "request sent again after its answer"
    );
    assert_eq!(cause(Anomaly::Duplicate, &[seen]), "unknown");
    // The same send once more is no message of its own.
    assert_eq!(judged(&[again]), "");
    let late = " t2:[[\"send\",\"in\",9],[\"commit-again\",1],[\"abort\"]] -2:[[\"send\",\"in\",9],[\"commit-again\",1],[\"abort\"]]";
    let shown = " p9:[[\"poll\"]] +9:[[\"poll\",{\"in\":[[0,7],[1,8],[2,9]]}]]";
    assert_eq!(
        cause(Anomaly::G1a, &[late, shown]),
        "request sent again after its answer"
    );
}
