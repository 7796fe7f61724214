//! Correct histories, with answers that got lost, are not flagged; each single corruption of one is, by its name, and nothing else is.

use duress_checker::delivery::{Order, Promise, Until};
use duress_checker::generate::{Deliveries, Random, queue_deliveries, stream_deliveries};
use duress_checker::history::{Event, EventType};
use serde_json::{Value, json};

use super::{findings, named};

pub(super) const SEEDS: u64 = 60;

fn queue(info_percent: u64, seed: u64) -> Vec<Event> {
    let mut events = Vec::new();
    let shape = Deliveries {
        messages: 60,
        clients: 3,
        info_percent,
        seed,
    };
    queue_deliveries(shape, &mut |event| events.push(event));
    events
}

fn stream(info_percent: u64, seed: u64) -> Vec<Event> {
    let mut events = Vec::new();
    let shape = Deliveries {
        messages: 80,
        clients: 2,
        info_percent,
        seed,
    };
    stream_deliveries(shape, 2, &mut |event| events.push(event));
    events
}

#[test]
fn correct_queues_are_not_flagged_whatever_is_unknown() {
    let mut redelivered = 0;
    let mut unknown = 0;
    for seed in 0..300 {
        for info_percent in [0, 5, 30] {
            let events = queue(info_percent, seed);
            assert_eq!(
                named(&events, Order::Global, Until::Acknowledged),
                "",
                "{info_percent} %, seed {seed}"
            );
            let found = findings(&events, Order::Global, Until::Acknowledged);
            assert_eq!(
                found.strongest().into_keys().collect::<Vec<_>>(),
                [Some(Promise::ExactlyOnce)]
            );
            redelivered += found.redeliveries;
            unknown += found.ambiguous.appeared + found.ambiguous.unknown + found.ambiguous.did_not;
        }
    }
    assert!(
        redelivered > 100 && unknown > 100,
        "{redelivered} redelivered, {unknown} unknown"
    );
}

#[test]
fn correct_streams_are_not_flagged_whatever_is_unknown() {
    for seed in 0..300 {
        for info_percent in [0, 5, 30] {
            let events = stream(info_percent, seed);
            let found = findings(&events, Order::Usual, Until::Shown);
            let counted: Vec<&str> = found.counts.keys().map(|anomaly| anomaly.name()).collect();
            assert!(
                counted.iter().all(|name| *name == "int-send-skip"),
                "{info_percent} %, seed {seed}: {counted:?}"
            );
        }
    }
}

/// Puts operations of a process of its own in at a place: each an invocation, its answer right behind it.
pub(super) fn insert(events: &mut Vec<Event>, at: usize, operations: &[(&str, Value, Value)]) {
    let template = events[at].clone();
    let process = json!(9_999);
    let new = operations.iter().flat_map(|(f, asked, answered)| {
        [(EventType::Invoke, asked), (EventType::Ok, answered)].map(|(kind, value)| Event {
            process: serde_json::from_value(process.clone()).expect("a process"),
            kind,
            f: (*f).to_owned(),
            value: value.clone(),
            ..template.clone()
        })
    });
    let new: Vec<Event> = new.collect();
    events.splice(at..at, new);
    for (index, event) in (0..).zip(events.iter_mut()) {
        event.index = index;
        event.time = index * 1000;
    }
}

pub(super) fn ok_of<'a>(events: &'a [Event], f: &'a str) -> impl Iterator<Item = usize> + 'a {
    (0..events.len()).filter(move |&at| events[at].f == f && events[at].kind == EventType::Ok)
}

/// One of them, anywhere.
pub(super) fn pick(random: &mut Random, from: Vec<usize>) -> usize {
    from[random.below(from.len() as u64) as usize]
}

fn invocation(events: &[Event], answer: usize) -> usize {
    let process = events[answer].process;
    (0..answer)
        .rev()
        .find(|&at| events[at].process == process)
        .expect("an invocation")
}

#[test]
fn each_single_corruption_of_a_queue_is_found_by_its_name() {
    for seed in 0..SEEDS {
        let clean = queue(0, seed);
        let mut random = Random::new(seed);
        let delivered: Vec<usize> = ok_of(&clean, "dequeue")
            .filter(|&at| !clean[at].value.is_null())
            .collect();
        let judged = |events: &[Event], until| named(events, Order::Global, until);

        // Drop: a delivery and its ack never happened.
        let mut events = clean.clone();
        let at = pick(&mut random, delivered.clone());
        let message = events[at].value.clone();
        let ack = ok_of(&events, "ack")
            .find(|&ack| events[ack].value == message)
            .expect("an ack");
        let mut gone = vec![at, invocation(&events, at), ack, invocation(&events, ack)];
        gone.sort_unstable();
        for at in gone.into_iter().rev() {
            events.remove(at);
        }
        assert_eq!(judged(&events, Until::Acknowledged), "1 lost", "seed {seed}");

        // Duplicate: once more right behind the first, and once more after the ack.
        let mut events = clean.clone();
        insert(&mut events, at + 1, &[("dequeue", Value::Null, message.clone())]);
        assert_eq!(
            judged(&events, Until::Delivered),
            "1 duplicate-delivery",
            "seed {seed}"
        );
        assert_eq!(judged(&events, Until::Acknowledged), "", "seed {seed}");
        let both = [
            ("dequeue", Value::Null, message.clone()),
            ("ack", message.clone(), message.clone()),
        ];
        let mut events = clean.clone();
        insert(&mut events, at + 1, &both);
        assert_eq!(
            judged(&events, Until::Acknowledged),
            "1 duplicate-ack",
            "seed {seed}"
        );
        let mut events = clean.clone();
        insert(&mut events, ack + 1, &both[..1]);
        assert_eq!(
            judged(&events, Until::Acknowledged),
            "1 resurrected",
            "seed {seed}"
        );

        // Invent.
        let mut events = clean.clone();
        insert(&mut events, at + 1, &[("dequeue", Value::Null, json!(77_777))]);
        assert_eq!(judged(&events, Until::Acknowledged), "1 phantom", "seed {seed}");

        // Abort: the enqueue had failed.
        let mut events = clean.clone();
        let sent = ok_of(&events, "enqueue")
            .find(|&at| events[at].value == message)
            .expect("an enqueue");
        events[sent].kind = EventType::Fail;
        assert_eq!(
            judged(&events, Until::Acknowledged),
            "1 aborted-delivered",
            "seed {seed}"
        );
    }
}

#[test]
fn a_swap_in_a_queue_is_found_by_its_name() {
    for seed in 0..SEEDS {
        // One sender and one receiver, so that everything is in order.
        let mut events = Vec::new();
        let shape = Deliveries {
            messages: 60,
            clients: 1,
            info_percent: 0,
            seed,
        };
        queue_deliveries(shape, &mut |event| events.push(event));
        let delivered: Vec<usize> = ok_of(&events, "dequeue")
            .filter(|&at| !events[at].value.is_null())
            .collect();
        let acked: Vec<(usize, usize)> = (delivered.iter())
            .filter_map(|&at| {
                let ack = ok_of(&events, "ack").find(|&ack| events[ack].value == events[at].value)?;
                Some((at, ack))
            })
            .collect();
        // The two messages were in the queue together, or a swap would be a delivery before its send.
        let sent = |value: &Value| ok_of(&events, "enqueue").find(|&at| events[at].value == *value);
        let pair = acked.windows(2).find(|pair| {
            let (first, second) = (pair[0].0, pair[1].0);
            let (early, late) = (sent(&events[first].value), sent(&events[second].value));
            early < late && late.is_some_and(|late| late < invocation(&events, first))
        });
        let Some(&[(first, first_ack), (second, second_ack)]) = pair.and_then(|pair| pair.first_chunk::<2>())
        else {
            panic!("seed {seed}: no two messages were in the queue together");
        };
        let (one, other) = (events[first].value.clone(), events[second].value.clone());
        for (at, value) in [
            (first, &other),
            (first_ack, &other),
            (second, &one),
            (second_ack, &one),
        ] {
            events[at].value = value.clone();
        }
        for ack in [first_ack, second_ack] {
            let at = invocation(&events, ack);
            events[at].value = events[ack].value.clone();
        }
        assert_eq!(
            named(&events, Order::Global, Until::Acknowledged),
            "1 reordered",
            "seed {seed}"
        );
        assert_eq!(
            named(&events, Order::None, Until::Acknowledged),
            "",
            "seed {seed}"
        );
    }
}

/// Changes what every poll shows of one message: to these pairs.
fn change(events: &mut [Event], partition: &str, offset: u64, change: impl Fn(&mut Vec<Value>, usize)) {
    for event in events
        .iter_mut()
        .filter(|event| event.f == "poll" && event.kind == EventType::Ok)
    {
        if let Some(pairs) = event.value[0][1].get_mut(partition).and_then(Value::as_array_mut)
            && let Some(at) = pairs.iter().position(|pair| pair[0] == offset)
        {
            change(pairs, at);
        }
    }
}

#[test]
fn each_single_corruption_of_a_stream_is_found_by_its_name() {
    for seed in 0..SEEDS {
        let clean = stream(0, seed);
        let mut random = Random::new(seed);
        // Somewhere in the middle, so that something lies before and behind it.
        let sends: Vec<(usize, Value)> = ok_of(&clean, "send")
            .flat_map(|at| {
                clean[at]
                    .value
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(move |send| (at, send.clone()))
            })
            .filter(|(_, send)| send[1] == 0 && (3..12).contains(&send[2][0].as_u64().unwrap_or(0)))
            .collect();
        let (at, send) = sends[random.below(sends.len() as u64) as usize].clone();
        let (offset, message) = (send[2][0].as_u64().expect("an offset"), send[2][1].clone());
        let judged = |events: &[Event]| {
            let mut names = findings(events, Order::Usual, Until::Shown).counts;
            names.retain(|anomaly, _| anomaly.name() != "int-send-skip");
            let names: Vec<String> = names
                .iter()
                .map(|(anomaly, count)| format!("{count} {}", anomaly.name()))
                .collect();
            names.join(", ")
        };
        assert_eq!(judged(&clean), "", "seed {seed}");

        // Drop: nobody is shown it. That whoever polls past it skips it is the same corruption, seen from there.
        let mut events = clean.clone();
        change(&mut events, "0", offset, |pairs, at| drop(pairs.remove(at)));
        let found = findings(&events, Order::Usual, Until::Shown);
        let names: Vec<&str> = found
            .counts
            .keys()
            .map(|anomaly| anomaly.name())
            .filter(|name| *name != "int-send-skip")
            .collect();
        assert!(names.contains(&"lost-write"), "seed {seed}: {names:?}");
        assert!(
            names
                .iter()
                .all(|name| matches!(*name, "lost-write" | "int-poll-skip" | "poll-skip")),
            "seed {seed}: {names:?}"
        );

        // Duplicate: it lies behind itself once more, and everything that follows one further on.
        let mut events = clean.clone();
        for event in events.iter_mut().filter(|event| event.kind == EventType::Ok) {
            shift(event, offset, &message);
        }
        assert_eq!(judged(&events), "1 duplicate", "seed {seed}");

        // Invent: something else lies behind it, that nobody sent.
        for event in events
            .iter_mut()
            .filter(|event| event.kind == EventType::Ok && event.f == "poll")
        {
            if let Some(pairs) = event.value[0][1].get_mut("0").and_then(Value::as_array_mut) {
                for pair in pairs.iter_mut().filter(|pair| pair[0] == offset + 1) {
                    pair[1] = json!(77_777);
                }
            }
        }
        assert_eq!(judged(&events), "1 phantom", "seed {seed}");

        // Disagree: one of the two that poll sees something else of the other partition there.
        let mut events = clean.clone();
        let mut once = std::cell::Cell::new(false);
        change(&mut events, "0", offset, |pairs, at| {
            if !once.replace(true) {
                pairs[at][1] = json!(77_777);
            }
        });
        assert!(*once.get_mut());
        assert_eq!(
            judged(&events),
            "1 phantom, 1 inconsistent-offsets",
            "seed {seed}"
        );

        // Abort: the send had failed. If it sent two, so had the other.
        let mut events = clean.clone();
        let sent = events[at].value.as_array().map_or(0, Vec::len);
        events[at].kind = EventType::Fail;
        assert_eq!(judged(&events), format!("{sent} G1a"), "seed {seed}");
    }
}

/// What lies behind an offset of partition 0 lies one further on, and the message there once more.
fn shift(event: &mut Event, offset: u64, message: &Value) {
    let further = |at: &mut Value| {
        if let Some(at_offset) = at.as_u64().filter(|&at| at > offset) {
            *at = json!(at_offset + 1);
        }
    };
    if event.f == "send" {
        for send in event
            .value
            .as_array_mut()
            .into_iter()
            .flatten()
            .filter(|send| send[1] == 0)
        {
            further(&mut send[2][0]);
        }
    }
    if event.f == "poll"
        && let Some(pairs) = event.value[0][1].get_mut("0").and_then(Value::as_array_mut)
    {
        pairs.iter_mut().for_each(|pair| further(&mut pair[0]));
        if let Some(at) = pairs.iter().position(|pair| pair[0] == offset) {
            pairs.insert(at + 1, json!([offset + 1, message]));
        }
    }
}
