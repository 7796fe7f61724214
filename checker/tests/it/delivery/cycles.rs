//! Cycles of transactions: each anomaly in a few operations, a twin of it that is none, what is said of it, and single corruptions of
//! correct histories.

use duress_checker::delivery::{Anomaly, Finding, Findings, Isolation};
use duress_checker::generate::Random;

use super::isolated;
use super::streams::events;

/// What cycles are found, by name: where transactions are promised to be so far apart.
pub(super) fn cycles(found: &Findings) -> String {
    let of_cycles = (found.counts.iter())
        .filter(|(anomaly, _)| anomaly.name().starts_with('G') && anomaly.name() != "G1a");
    let names: Vec<String> = of_cycles
        .map(|(anomaly, count)| format!("{count} {}", anomaly.name()))
        .collect();
    names.join(", ")
}

fn judged(text: &str, isolation: Isolation) -> String {
    cycles(&isolated(&events(text), isolation))
}

/// The weakest promise that is broken, and by what.
fn weakest(text: &str) -> String {
    let promised = Isolation::ALL.map(|(name, isolation)| (name, judged(text, isolation)));
    let broken = promised.into_iter().find(|(_, found)| !found.is_empty());
    broken.map_or(String::new(), |(name, found)| format!("{name}: {found}"))
}

#[test]
fn sends_of_two_transactions_each_before_the_other() {
    let both = "t1(s:a1,s:b3) t2(s:a2,s:b4)";
    assert_eq!(
        weakest(&format!("{both} +1(s:a1=0,s:b3=1) +2(s:a2=1,s:b4=0)")),
        "read-committed: 1 G0"
    );
    assert_eq!(
        weakest(&format!("{both} +1(s:a1=0,s:b3=0) +2(s:a2=1,s:b4=1)")),
        ""
    );
    // In one partition: a message in the midst of another transaction's.
    let between = "t1(s:a1,s:a3) t2(s:a2)";
    assert_eq!(
        weakest(&format!("{between} +1(s:a1=0,s:a3=2) +2(s:a2=1)")),
        "read-committed: 1 G0"
    );
    assert_eq!(weakest(&format!("{between} +1(s:a1=0,s:a3=1) +2(s:a2=2)")), "");
    // Offsets between them of which nothing is known.
    assert_eq!(
        weakest(&format!("{both} +1(s:a1=0,s:b3=9) +2(s:a2=7,s:b4=0)")),
        "read-committed: 1 G0"
    );
    // One did not happen; of one nobody knows; of one it is known since it was polled.
    assert_eq!(
        weakest(&format!("{both} +1(s:a1=0,s:b3=1) -2(s:a2=1,s:b4=0)")),
        ""
    );
    let unknown = format!("{both} +1(s:a1=0,s:b3=1) ?2(s:a2=1,s:b4=0)");
    assert_eq!(weakest(&unknown), "");
    assert_eq!(
        weakest(&format!("{unknown} p9(p) +9(p:a2=1)")),
        "read-committed: 1 G0"
    );
    // Another message lies where one of them does.
    assert_eq!(
        weakest(&format!(
            "{both} t3(s:a5) +1(s:a1=0,s:b3=1) +2(s:a2=1,s:b4=0) +3(s:a5=1)"
        )),
        ""
    );
    // Where it lies is not certain.
    assert_eq!(
        weakest(&format!(
            "{both} +1(s:a1=0,s:b3=1) +2(s:a2=1,s:b4=0) p9(p) +9(p:b4=0/b4=5)"
        )),
        ""
    );
}

#[test]
fn a_transaction_polls_what_one_behind_it_sent() {
    let both = "t1(s:a1,p) t2(s:a2,s:b3)";
    assert_eq!(
        weakest(&format!("{both} +1(s:a1=0,p:b3=0) +2(s:a2=1,s:b3=0)")),
        "read-committed: 1 G1c"
    );
    assert_eq!(
        weakest(&format!("{both} +1(s:a1=1,p:b3=0) +2(s:a2=0,s:b3=0)")),
        ""
    );
}

#[test]
fn transactions_that_poll_each_other() {
    let both = "t1(s:a1,p) t2(s:b2,p)";
    assert_eq!(
        weakest(&format!("{both} +1(s:a1=0,p:b2=0) +2(s:b2=0,p:a1=0)")),
        "kafka: 1 G1c-polled"
    );
    assert_eq!(
        judged(
            &format!("{both} +1(s:a1=0,p:b2=0) +2(s:b2=0,p:a1=0)"),
            Isolation::None
        ),
        ""
    );
    assert_eq!(weakest(&format!("{both} +1(s:a1=0,p:b2=0) +2(s:b2=0,p)")), "");
    // What a transaction shows that did not happen shows nothing.
    assert_eq!(
        weakest(&format!("{both} +1(s:a1=0,p:b2=0) -2(s:b2=0,p:a1=0)")),
        ""
    );
    // In a circle of three.
    let three = "t1(s:a1,p) t2(s:b2,p) t3(s:c3,p)";
    let ends = "+1(s:a1=0,p:c3=0) +2(s:b2=0,p:a1=0) +3(s:c3=0,p:b2=0)";
    assert_eq!(weakest(&format!("{three} {ends}")), "kafka: 1 G1c-polled");
    let found = isolated(&events(&format!("{three} {ends}")), Isolation::Serializable);
    assert_eq!(cycles(&found), "1 G1c-polled");
}

/// 5 lies in a.
const FIRST: &str = "s0(s:a5) +0(s:a5=0)";

#[test]
fn a_transaction_polls_one_half_of_another_and_not_the_other() {
    let both = "t1(p) t2(s:a6,s:b7)";
    let half = format!("{FIRST} {both} +1(p:a5=0/b7=0) +2(s:a6=1,s:b7=0)");
    assert_eq!(weakest(&half), "consistent-view: 1 G-single");
    assert_eq!(
        weakest(&format!("{FIRST} {both} +1(p:a5=0/a6=1/b7=0) +2(s:a6=1,s:b7=0)")),
        ""
    );
    assert_eq!(
        weakest(&format!("{FIRST} {both} +1(p:a5=0) +2(s:a6=1,s:b7=0)")),
        ""
    );
    // It may have lost the partition before it came to 6.
    assert_eq!(weakest(&half.replace("t1", "S1:[\"a\",\"b\"] +1 t1")), "");
    let moved = "@{\"rebalance-log\":[{\"keys\":[\"a\"]}]}";
    assert_eq!(
        weakest(&half.replace("+1(p:a5=0/b7=0)", &format!("+1(p:a5=0/b7=0){moved}"))),
        ""
    );
    // It polled nothing of a, so where it stands is not known.
    assert_eq!(
        weakest(&format!("{FIRST} {both} +1(p:b7=0) +2(s:a6=1,s:b7=0)")),
        ""
    );
}

#[test]
fn two_transactions_that_each_miss_what_the_other_sent() {
    let first = format!("{FIRST} s0(s:b8) +0(s:b8=0)");
    let both = "t1(p,s:b7) t2(p,s:a6)";
    let skewed = format!("{first} {both} +1(p:a5=0,s:b7=1) +2(p:b8=0,s:a6=1)");
    assert_eq!(weakest(&skewed), "serializable: 1 G2");
    assert_eq!(
        weakest(&format!(
            "{first} {both} +1(p:a5=0,s:b7=1) +2(p:b8=0/b7=1,s:a6=1)"
        )),
        ""
    );
}

/// The one that was found.
fn cycle(found: &Findings) -> &Finding {
    let mut of = (found.kept.iter()).filter(|finding| finding.anomaly != Anomaly::Unseen);
    of.next().expect("a cycle")
}

#[test]
fn it_is_told_who_sent_what_before_whom_and_shows_whom_it_names() {
    let text = format!(
        "{FIRST} t1(s:a1,s:b3) t2(s:a2,s:b4) t3(s:c6) +3(s:c6=0) +1(s:a1=1,s:b3=1) +2(s:a2=2,s:b4=0)"
    );
    let found = isolated(&events(&text), Isolation::ReadCommitted);
    let finding = cycle(&found);
    assert_eq!(
        finding.sentence,
        "A sent 1 to \"a\" before B sent 2; B sent 4 to \"b\" before A sent 3 (A is event 2, B event 3)"
    );
    assert_eq!(finding.requests.len(), 2);
    let text = "t1(s:a1,p) t2(s:b2,p) +1(s:a1=0,p:b2=0) +2(s:b2=0,p:a1=0)";
    let found = isolated(&events(text), Isolation::Usual);
    assert_eq!(
        cycle(&found).sentence,
        "A sent 1 to \"a\", which B polled; B sent 2 to \"b\", which A polled (A is event 0, B event 1)"
    );
    let half = format!("{FIRST} t1(p) t2(s:a6,s:b7) +1(p:a5=0/b7=0) +2(s:a6=1,s:b7=0)");
    let found = isolated(&events(&half), Isolation::ConsistentView);
    assert_eq!(
        cycle(&found).sentence,
        "A polled \"a\" up to 5 and not 6, which B sent; B sent 7 to \"b\", which A polled (A is event 2, B event 3)"
    );
}

/// Pairs of transactions that overlap, one after the other in every partition, the second of which polls what the first sent: in words, as
/// they begin and as they end.
fn rounds(seed: u64) -> Vec<[String; 4]> {
    let mut random = Random::new(seed);
    let mut offset = 0;
    let round = |number: u64| {
        let (one, other) = match random.percent(50) {
            true => (2 * number, 2 * number + 1),
            false => (2 * number + 1, 2 * number),
        };
        let (first, second) = (offset, offset + 1);
        offset += 2;
        [
            format!("t{one}(s:a{one},s:b{one},p)"),
            format!("t{other}(s:a{other},s:b{other},p)"),
            format!("+{one}(s:a{one}={first},s:b{one}={first},p)"),
            format!("+{other}(s:a{other}={second},s:b{other}={second},p:a{one}={first}/b{one}={first})"),
        ]
    };
    (0..8).map(round).collect()
}

#[test]
fn each_single_corruption_of_isolated_transactions_is_found_by_its_name() {
    for seed in 0..40 {
        let clean = rounds(seed);
        let text = |rounds: &[[String; 4]]| rounds.concat().join(" ");
        assert_eq!(weakest(&text(&clean)), "", "seed {seed}");
        let at = (seed % 8) as usize;
        let first = 2 * at as u64;
        let corrupted = |which: usize, from: String, to: String| {
            let mut rounds = clean.clone();
            assert!(rounds[at][which].contains(&from), "{} {from}", rounds[at][which]);
            rounds[at][which] = rounds[at][which].replace(&from, &to);
            rounds
        };
        // Who was first in one partition is the second in the other, and nobody polls.
        let mut swapped = corrupted(2, format!("={first},p)"), format!("={},p)", first + 1));
        let end = &mut swapped[at][3];
        let (sends, _) = end.split_once(",p:").expect("a poll");
        let (kept, _) = sends.rsplit_once('=').expect("an offset");
        *end = format!("{kept}={first},p)");
        assert_eq!(weakest(&text(&swapped)), "read-committed: 1 G0", "seed {seed}");
        // Each polls the other.
        let other = clean[at][1]
            .split_once("s:a")
            .and_then(|(_, rest)| rest.split_once(','));
        let other = other.map(|(value, _)| value).expect("a value");
        let polls = corrupted(2, ",p)".to_owned(), format!(",p:a{other}={})", first + 1));
        assert_eq!(weakest(&text(&polls)), "kafka: 1 G1c-polled", "seed {seed}");
        // Who was polled comes second in the partitions.
        let mut late = clean.clone();
        for (which, from, to) in [(2, first, first + 1), (3, first + 1, first)] {
            let (sends, polls) = late[at][which].split_once(",p").expect("a poll");
            let sends = sends.replace(&format!("={from}"), &format!("={to}"));
            let polls = polls.replace(&format!("={first}"), &format!("={}", first + 1));
            late[at][which] = format!("{sends},p{polls}");
        }
        assert_eq!(weakest(&text(&late)), "read-committed: 1 G1c", "seed {seed}");
    }
}
