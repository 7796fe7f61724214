//! Groups that make no outputs: what none of them polled, and what two of them did; each anomaly with a twin that is none.

use duress_checker::delivery::{Anomaly, Order, Until};
use duress_checker::generate::{Deliveries, Random, group_deliveries};
use duress_checker::history::{Event, EventType};
use serde_json::{Value, json};

use super::corruptions::{SEEDS, insert, ok_of, pick};
use super::{findings, history};

/// Messages 100 to 104 in `in`, at offsets 0 to 4, acknowledged and polled by process 9, who is of no group.
fn five() -> String {
    let all = |one: fn(u64) -> String| (0..5).map(one).collect::<Vec<_>>().join(",");
    let asked = all(|at| format!("[\"send\",\"in\",{}]", 100 + at));
    let answered = all(|at| format!("[\"send\",\"in\",[{at},{}]]", 100 + at));
    format!("s8:[{asked}] +8:[{answered}] {}", poll(9, "+", &[0, 1, 2, 3, 4]))
}

/// Process `p` joins as itself, knows of this generation, and is told to go on at `next`.
pub(super) fn join(p: u64, end: &str, generation: u64, next: u64) -> String {
    let asked = format!("\"group\":\"g\",\"member\":\"m{p}\",\"partitions\":[\"in\"]");
    let told = match end {
        "+" => format!(":[[\"join\",{{{asked},\"generation\":{generation},\"offsets\":{{\"in\":{next}}}}}]]"),
        _ => String::new(),
    };
    format!("S{p}:[[\"join\",{{{asked}}}]] {end}{p}{told}")
}

pub(super) fn poll(p: u64, end: &str, offsets: &[u64]) -> String {
    let pairs: Vec<String> = offsets.iter().map(|at| format!("[{at},{}]", 100 + at)).collect();
    let shown = match end {
        "?" => String::new(),
        _ => format!(":[[\"poll\",{{\"in\":[{}]}}]]", pairs.join(",")),
    };
    format!("p{p}:[[\"poll\"]] {end}{p}{shown}")
}

pub(super) fn commit(p: u64, end: &str, next: u64) -> String {
    let value = format!("[[\"commit\",{{\"group\":\"g\",\"offsets\":{{\"in\":{next}}}}}]]");
    format!("t{p}:{value} {end}{p}:{value}")
}

/// What is found of groups, by name.
pub(super) fn of_groups(events: &[Event]) -> String {
    let counts = findings(events, Order::None, Until::Shown).counts;
    let names = (counts.iter()).filter(|(anomaly, _)| anomaly.name().starts_with("group-"));
    let names: Vec<String> = names
        .map(|(anomaly, count)| format!("{count} {}", anomaly.name()))
        .collect();
    names.join(", ")
}

fn judged(words: &[String]) -> String {
    of_groups(&history(&format!("{} {}", five(), words.join(" "))))
}

#[test]
fn a_group_that_committed_behind_a_message_has_polled_it() {
    let all = [join(1, "+", 1, 0), poll(1, "+", &[0, 1, 2]), commit(1, "+", 3)];
    assert_eq!(judged(&all), "");
    let mut skipped = all.to_vec();
    skipped[1] = poll(1, "+", &[0, 2]);
    assert_eq!(judged(&skipped), "1 group-poll-skip");
    // It did not come past it, or nobody knows.
    for end in ["-", "?"] {
        let mut open = skipped.clone();
        open[2] = commit(1, end, 3);
        assert_eq!(judged(&open), "", "{end}");
    }
    // It began behind it.
    let mut later = skipped.clone();
    later[0] = join(1, "+", 1, 2);
    assert_eq!(judged(&later), "");
    // Another member polled it before.
    let mut before = vec![join(2, "+", 0, 0), poll(2, "+", &[0, 1])];
    before.extend(skipped.clone());
    assert_eq!(judged(&before), "");
    // Who is of no group did.
    let assigned = format!("A3:[\"in\"] +3 {}", poll(3, "+", &[1]));
    skipped.insert(2, assigned);
    assert_eq!(judged(&skipped), "1 group-poll-skip");
}

#[test]
fn what_a_poll_of_unknown_outcome_may_have_taken_is_not_passed_over() {
    // It is replaced, and the next member is told to go on behind 2.
    let lost = [
        join(1, "+", 1, 0),
        poll(1, "+", &[0]),
        poll(1, "?", &[]),
        join(2, "+", 2, 3),
    ];
    assert_eq!(judged(&lost), "");
    let mut known = lost.to_vec();
    known.remove(2);
    assert_eq!(judged(&known), "2 group-poll-skip");
    // It was told to go on behind them, and so took nothing of them.
    let other = [
        join(1, "+", 1, 0),
        poll(1, "+", &[0]),
        join(3, "+", 2, 3),
        poll(3, "?", &[]),
        join(2, "+", 3, 3),
    ];
    assert_eq!(judged(&other), "2 group-poll-skip");
    // Nobody knows where it was told to go on.
    let mut unknown = other.to_vec();
    unknown[2] = join(3, "?", 2, 0);
    assert_eq!(judged(&unknown), "");
    // Its own.
    let mine = [
        join(1, "+", 1, 0),
        poll(1, "+", &[0, 2]),
        poll(1, "?", &[]),
        commit(1, "+", 3),
    ];
    assert_eq!(judged(&mine), "");
    // A member knows what it polled itself, whatever became of another's poll.
    let own = [
        join(3, "?", 1, 0),
        poll(3, "?", &[]),
        join(1, "+", 2, 0),
        poll(1, "+", &[0, 2]),
        commit(1, "+", 3),
    ];
    assert_eq!(judged(&own), "1 group-poll-skip");
}

#[test]
fn two_members_of_one_generation_do_not_share_a_message() {
    let both = [
        join(1, "+", 4, 0),
        join(2, "+", 4, 1),
        poll(1, "+", &[0, 1]),
        poll(2, "+", &[1]),
    ];
    assert_eq!(judged(&both), "1 group-duplicate");
    let mut apart = both.clone();
    apart[3] = poll(2, "+", &[2]);
    assert_eq!(judged(&apart), "");
    // It changed hands, and nobody had committed it.
    let mut dealt_anew = both.clone();
    dealt_anew[1] = join(2, "+", 5, 1);
    assert_eq!(judged(&dealt_anew), "");
    // Poll and answer of the same member, once more.
    let mut again = both.clone();
    again[1] = join(1, "+", 4, 1);
    again[3] = poll(1, "+", &[1]);
    assert_eq!(judged(&again), "");
    // One of them failed.
    let mut failed = both;
    failed[3] = poll(2, "-", &[1]);
    assert_eq!(judged(&failed), "");
}

#[test]
fn what_was_committed_is_not_polled_again_by_who_joins_later() {
    let again = [
        join(1, "+", 1, 0),
        poll(1, "+", &[0, 1]),
        commit(1, "+", 2),
        join(2, "+", 2, 1),
        poll(2, "+", &[1, 2]),
    ];
    assert_eq!(judged(&again), "1 group-duplicate");
    for (at, other) in [
        (2, commit(1, "+", 1)),
        (2, commit(1, "?", 2)),
        (3, join(2, "+", 2, 2)),
        (4, poll(2, "+", &[2])),
    ] {
        let mut twin = again.clone();
        twin[at] = other;
        assert_eq!(judged(&twin), "", "{at}");
    }
    // It joined before that was committed.
    let mut before = again;
    before.swap(2, 3);
    assert_eq!(judged(&before), "");
}

#[test]
fn groups_that_make_outputs_are_judged_by_those() {
    let output = "{\"input\":[\"in\",0],\"by\":\"t\"}";
    let ends = "[\"commit\",{\"group\":\"g\",\"offsets\":{\"in\":2}}]";
    let makes =
        format!("t1:[[\"send\",\"out\",{output}],{ends}] +1:[[\"send\",\"out\",[0,{output}]],{ends}]");
    assert_eq!(judged(&[join(1, "+", 1, 0), poll(1, "+", &[0]), makes]), "");
}

#[test]
fn it_is_told_where_the_group_was() {
    let skipped = [join(1, "+", 1, 0), poll(1, "+", &[0, 2]), commit(1, "+", 3)];
    let events = history(&format!("{} {}", five(), skipped.join(" ")));
    let found = findings(&events, Order::Usual, Until::Shown);
    let of = |finding: &&duress_checker::delivery::Finding| finding.anomaly == Anomaly::GroupPollSkip;
    let finding = found.kept.iter().find(of).expect("a finding");
    assert_eq!(
        finding.sentence,
        "none of \"g\" polled 101, at offset 1 of \"in\", though the group has come to offset 3"
    );
    assert_eq!(finding.requests.len(), 2);
}

fn group(info_percent: u64, seed: u64) -> Vec<Event> {
    let mut events = Vec::new();
    let shape = Deliveries {
        messages: 40,
        clients: 3,
        info_percent,
        seed,
    };
    group_deliveries(shape, &mut |event| events.push(event));
    events
}

#[test]
fn correct_groups_are_not_flagged_whatever_is_unknown() {
    let (mut unknown, mut redelivered) = (0, 0);
    for seed in 0..300 {
        for info_percent in [0, 5, 30] {
            let events = group(info_percent, seed);
            let found = findings(&events, Order::Usual, Until::Shown);
            assert!(
                found.counts.keys().all(|anomaly| anomaly.name() == "unseen"),
                "{info_percent} %, seed {seed}: {:?}",
                found.counts
            );
            redelivered += found.redeliveries;
            unknown += (events.iter())
                .filter(|event| event.kind == EventType::Info)
                .count();
        }
    }
    assert!(
        unknown > 1000 && redelivered > 1000,
        "{unknown} unknown, {redelivered} redelivered"
    );
}

fn told(events: &[Event], join: usize) -> u64 {
    events[join].value[0][1]["offsets"]["in"].as_u64().unwrap_or(0)
}

#[test]
fn each_single_corruption_of_a_group_is_found_by_its_name() {
    for seed in 0..SEEDS {
        let clean = group(0, seed);
        let mut random = Random::new(seed);
        assert_eq!(of_groups(&clean), "", "seed {seed}");
        let pairs = |at: usize| clean[at].value[0][1]["in"].as_array().map_or(0, Vec::len);
        let polls: Vec<usize> = ok_of(&clean, "poll").filter(|&at| pairs(at) > 1).collect();

        // Drop: no poll shows a message that is not the last that was shown.
        let at = pick(&mut random, polls.clone());
        let message = clean[at].value[0][1]["in"][0].clone();
        let mut events = clean.clone();
        for &poll in &polls {
            let shown = events[poll].value[0][1]["in"].as_array_mut().expect("pairs");
            shown.retain(|pair| *pair != message);
        }
        for poll in ok_of(&clean, "poll").filter(|&at| pairs(at) == 1) {
            if clean[poll].value[0][1]["in"][0] == message {
                events[poll].value[0][1]["in"] = json!([]);
            }
        }
        assert_eq!(of_groups(&events), "1 group-poll-skip", "seed {seed}");

        // Go back: a member is told of one offset less than was committed, and polls it.
        let last = (ok_of(&clean, "subscribe").filter(|&join| told(&clean, join) > 0)).last();
        let join = last.expect("a join behind a commit");
        let next = told(&clean, join);
        let mut back = clean[join].value.clone();
        (back[0][1]["offsets"]["in"], back[0][1]["member"]) = (json!(next - 1), json!("another"));
        back[0][1]["generation"] = json!(77_777);
        let mut asked = back.clone();
        asked[0][1]["offsets"] = Value::Null;
        let again = json!([["poll", {"in": [[next - 1, next - 1]]}]]);
        let mut events = clean.clone();
        let end = events.len() - 1;
        insert(
            &mut events,
            end,
            &[
                ("subscribe", asked.clone(), back.clone()),
                ("poll", json!([["poll"]]), again.clone()),
            ],
        );
        assert_eq!(of_groups(&events), "1 group-duplicate", "seed {seed}");

        // Deal twice: another member of the same generation polls what this one polled, and nobody has committed it.
        let newest = ok_of(&clean, "subscribe").last().expect("a join");
        back[0][1]["generation"] = clean[newest].value[0][1]["generation"].clone();
        let shown = ok_of(&clean, "poll").find(|&poll| poll > newest && pairs(poll) > 0);
        let Some(shown) = shown else { continue };
        let message = clean[shown].value[0][1]["in"][0].clone();
        back[0][1]["offsets"]["in"] = message[0].clone();
        let mut events = clean.clone();
        insert(
            &mut events,
            shown + 1,
            &[
                ("subscribe", asked, back),
                ("poll", json!([["poll"]]), json!([["poll", {"in": [message]}]])),
            ],
        );
        assert_eq!(of_groups(&events), "1 group-duplicate", "seed {seed}");
    }
}
