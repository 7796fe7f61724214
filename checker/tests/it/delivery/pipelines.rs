//! Correct pipelines, in which workers are replaced, abort and get no answers, are not flagged; each single corruption of one is, by its name.

use duress_checker::delivery::{Order, Until};
use duress_checker::generate::{Deliveries, Random, pipeline_deliveries};
use duress_checker::history::{Event, EventType};
use serde_json::{Value, json};

use super::corruptions::{SEEDS, insert, ok_of, pick};
use super::findings;

fn pipeline(info_percent: u64, seed: u64) -> Vec<Event> {
    let mut events = Vec::new();
    let shape = Deliveries {
        messages: 40,
        clients: 1,
        info_percent,
        seed,
    };
    pipeline_deliveries(shape, &mut |event| events.push(event));
    events
}

/// What is found that breaks some promise, by name.
fn judged(events: &[Event]) -> String {
    let found = findings(events, Order::Usual, Until::Applied);
    assert_eq!(found.unjudged, None);
    let counts =
        (found.counts.iter()).filter(|(anomaly, _)| !matches!(anomaly.name(), "gap" | "int-send-skip"));
    let counts: Vec<String> = counts
        .map(|(anomaly, count)| format!("{count} {}", anomaly.name()))
        .collect();
    counts.join(", ")
}

#[test]
fn correct_pipelines_are_not_flagged_whatever_is_unknown() {
    let mut unknown = 0;
    for seed in 0..300 {
        for info_percent in [0, 5, 30] {
            let events = pipeline(info_percent, seed);
            assert_eq!(judged(&events), "", "{info_percent} %, seed {seed}");
            let of_txn = |event: &&Event| event.f == "txn" && event.kind == EventType::Info;
            unknown += events.iter().filter(of_txn).count();
        }
    }
    assert!(unknown > 1000, "{unknown}");
}

/// Everything that is polled of `out`.
fn polled(events: &mut [Event]) -> &mut Vec<Value> {
    let last = events.last_mut().expect("a poll");
    last.value[0][1]["out"].as_array_mut().expect("outputs")
}

#[test]
fn each_single_corruption_of_a_pipeline_is_found_by_its_name() {
    for seed in 0..SEEDS {
        let clean = pipeline(0, seed);
        let mut random = Random::new(seed);
        let at = pick(&mut random, ok_of(&clean, "txn").collect());
        let output = clean[at].value[1].clone();

        // Drop: an output was never sent, and its input committed all the same.
        let mut events = clean.clone();
        for side in [at - 1, at] {
            events[side].value.as_array_mut().expect("steps").remove(1);
        }
        polled(&mut events).retain(|pair| *pair != output[2]);
        assert_eq!(judged(&events), "1 committed-without-output", "seed {seed}");

        // Duplicate: another attempt made it once more, at the end.
        let mut events = clean.clone();
        let end = polled(&mut events).len();
        let newest = polled(&mut events)[end - 1][1]["epoch"].clone();
        let mut again = output[2][1].clone();
        (again["attempt"], again["epoch"]) = (json!(77_777), newest);
        polled(&mut events).push(json!([end, again]));
        let last = events.len() - 2;
        let once_more = (
            "txn",
            json!([["send", "out", again]]),
            json!([["send", "out", [end, again]]]),
        );
        insert(&mut events, last, &[once_more]);
        assert_eq!(judged(&events), "1 duplicate-output", "seed {seed}");

        // Go back: a member is told of one offset less than was committed.
        let mut events = clean.clone();
        let told = |join: &usize| clean[*join].value[0][1]["offsets"]["in"].as_u64().unwrap_or(0);
        let back = ok_of(&clean, "subscribe").filter(|join| told(join) > 0);
        let join = pick(&mut random, back.collect());
        events[join].value[0][1]["offsets"]["in"] = json!(told(&join) - 1);
        assert_eq!(judged(&events), "1 output-without-commit", "seed {seed}");

        // Abort: a transaction had failed, and is polled; what it made does not count.
        let mut events = clean.clone();
        events[at].kind = EventType::Fail;
        let made = clean[at].value.as_array().map_or(0, |steps| steps.len() - 2);
        assert_eq!(
            judged(&events),
            format!("{made} G1a, {made} committed-without-output"),
            "seed {seed}"
        );

        // Invent: nobody had sent what an output says it was made from.
        let mut events = clean.clone();
        let mut invented = output[2][1].clone();
        (invented["input"][1], invented["attempt"]) = (json!(9_999), json!(77_777));
        invented["by"] = json!("u");
        polled(&mut events).push(json!([end, invented]));
        let once_more = (
            "txn",
            json!([["send", "out", invented]]),
            json!([["send", "out", [end, invented]]]),
        );
        insert(&mut events, last, &[once_more]);
        assert_eq!(judged(&events), "1 output-before-input", "seed {seed}");
    }
}
