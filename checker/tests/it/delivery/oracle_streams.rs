//! Streams against their definitions, word by word and pair by pair: small random histories with arbitrary answers.

use std::collections::{BTreeMap, BTreeSet};

use duress_checker::delivery::{Anomaly, Order, Until};
use duress_checker::generate::Random;

use super::{findings, history};
use crate::against_brute_force::rounds;

const MESSAGES: u64 = 5;
const PARTITIONS: [&str; 2] = ["a", "b"];

type Message = (&'static str, u64);

/// One operation: what it sent and polled, and where. It ends at `to`.
#[derive(Clone, Debug, Default)]
struct Did {
    process: u64,
    from: u64,
    to: u64,
    how: &'static str,
    sends: Vec<(Message, Option<u64>)>,
    polls: Vec<(Message, u64)>,
}

/// Operations of three processes that overlap as they like; what a poll shows is mostly in order.
fn random(seed: u64) -> (String, Vec<Did>) {
    let mut random = Random::new(seed);
    let mut words: Vec<String> = Vec::new();
    let mut did: Vec<Did> = Vec::new();
    let mut open: Vec<(u64, usize)> = Vec::new();
    let mut sent = 0;
    let length = 10 + random.below(16);
    while (words.len() as u64) < length || !open.is_empty() {
        let process = random.below(3);
        let at = words.len() as u64;
        let Some(position) = open.iter().position(|(other, _)| *other == process) else {
            if at >= length {
                continue;
            }
            let mut op = Did {
                process,
                from: at,
                ..Did::default()
            };
            let mut steps = vec!["[\"poll\"]".to_owned()];
            if sent < MESSAGES && random.percent(60) {
                steps.clear();
                for _ in 0..=random.below(2).min(MESSAGES - sent - 1) {
                    let partition = PARTITIONS[random.below(2) as usize];
                    steps.push(format!("[\"send\",\"{partition}\",{sent}]"));
                    op.sends.push(((partition, sent), None));
                    sent += 1;
                }
            }
            words.push(format!("t{process}:[{}]", steps.join(",")));
            open.push((process, did.len()));
            did.push(op);
            continue;
        };
        let (_, which) = open.swap_remove(position);
        let op = &mut did[which];
        op.to = at;
        op.how = ["+", "+", "+", "?", "-"][random.below(5) as usize];
        let mut steps = Vec::new();
        for (message, offset) in &mut op.sends {
            *offset = Some(random.below(6)).filter(|_| op.how == "+" && random.percent(80));
            let shown = offset.map_or("null".to_owned(), |offset| offset.to_string());
            steps.push(format!("[\"send\",\"{}\",[{shown},{}]]", message.0, message.1));
        }
        if op.sends.is_empty() && op.how != "?" {
            let mut shown: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            let mut start = random.below(3);
            for _ in 0..random.below(4) {
                let message = (PARTITIONS[random.below(2) as usize], random.below(MESSAGES + 1));
                start += random.below(3);
                op.polls.push((message, start));
            }
            // As the map of the answer has them.
            op.polls.sort_by_key(|((partition, _), _)| *partition);
            for ((partition, value), offset) in &op.polls {
                shown
                    .entry(partition)
                    .or_default()
                    .push(format!("[{offset},{value}]"));
            }
            let shown: Vec<String> = (shown.iter())
                .map(|(partition, pairs)| format!("\"{partition}\":[{}]", pairs.join(",")))
                .collect();
            steps.push(format!("[\"poll\",{{{}}}]", shown.join(",")));
        }
        let value = match op.how {
            "?" => String::new(),
            _ => format!(":[{}]", steps.join(",")),
        };
        words.push(format!("{}{process}{value}", op.how));
    }
    (words.join(" "), did)
}

/// What ought to be found, by its name.
fn oracle(did: &[Did]) -> BTreeMap<Anomaly, u64> {
    let mut found: BTreeMap<Anomaly, u64> = BTreeMap::new();
    let mut add = |anomaly: Anomaly, really: bool| *found.entry(anomaly).or_default() += u64::from(really);
    let polled_ok = |message: Message| {
        did.iter()
            .any(|op| op.how == "+" && op.polls.iter().any(|(other, _)| *other == message))
    };
    let polled = |message: Message| {
        did.iter()
            .any(|op| op.polls.iter().any(|(other, _)| *other == message))
    };
    let committed =
        |op: &Did| op.how == "+" || op.how == "?" && op.sends.iter().any(|(message, _)| polled_ok(*message));
    // What is known to lie where.
    let entries: BTreeSet<(&str, u64, u64)> = (did.iter())
        .flat_map(|op| {
            let sends = op
                .sends
                .iter()
                .filter(|_| committed(op))
                .filter_map(|(message, offset)| Some((*message, (*offset)?)));
            let polls = op.polls.iter().copied();
            sends
                .chain(polls)
                .map(|((partition, value), offset)| (partition, offset, value))
                .collect::<Vec<_>>()
        })
        .collect();
    let offsets = |partition: &str| -> BTreeSet<u64> {
        entries
            .iter()
            .filter(|(other, ..)| *other == partition)
            .map(|(_, offset, _)| *offset)
            .collect()
    };
    let place = |partition: &str, offset: u64| offsets(partition).range(..offset).count() as i64;
    let places = |message: Message| -> Vec<i64> {
        let at = entries
            .iter()
            .filter(|(partition, _, value)| (*partition, *value) == message);
        at.map(|(partition, offset, _)| place(partition, *offset))
            .collect()
    };
    let sender = |message: Message| {
        did.iter()
            .find(|op| op.sends.iter().any(|(other, _)| *other == message))
    };
    for partition in PARTITIONS {
        for offset in offsets(partition) {
            let here = entries
                .iter()
                .filter(|(other, at, _)| (*other, *at) == (partition, offset))
                .count();
            add(Anomaly::InconsistentOffsets, here > 1);
        }
        let all = (0..MESSAGES + 1).map(|value| (partition, value));
        let bound = all
            .clone()
            .filter(|&message| polled_ok(message))
            .filter_map(|message| places(message).first().copied())
            .max();
        for message in all {
            let send = sender(message);
            add(Anomaly::Duplicate, places(message).len() > 1);
            add(
                Anomaly::Phantom,
                (did.iter()
                    .filter(|op| op.polls.iter().any(|(other, _)| *other == message)))
                .any(|op| send.is_none_or(|send| send.from > op.to)),
            );
            add(
                Anomaly::G1a,
                polled_ok(message) && send.is_some_and(|send| send.how == "-"),
            );
            let gone = !polled(message) && send.is_some_and(&committed);
            let behind = places(message)
                .last()
                .copied()
                .zip(bound)
                .is_some_and(|(last, bound)| last <= bound);
            add(Anomaly::LostWrite, gone && behind);
            add(
                Anomaly::Unseen,
                gone && !behind && send.is_some_and(|send| send.how == "+"),
            );
        }
    }
    // Process by process, as they went.
    let mut in_order: Vec<&Did> = did.iter().collect();
    in_order.sort_by_key(|op| op.from);
    for process in 0..3 {
        for partition in PARTITIONS {
            let mut last_poll: Option<i64> = None;
            let mut last_send: Option<i64> = None;
            for op in in_order.iter().filter(|op| op.process == process) {
                let polls: Vec<i64> = (op.polls.iter().filter(|(message, _)| message.0 == partition))
                    .map(|(_, offset)| place(partition, *offset))
                    .collect();
                for pair in polls.windows(2) {
                    add(Anomaly::IntPollSkip, pair[1] - pair[0] > 1);
                    add(Anomaly::IntNonmonotonicPoll, pair[1] - pair[0] < 1);
                }
                if let (Some(last), Some(first)) = (last_poll, polls.first()) {
                    add(Anomaly::PollSkip, first - last > 1);
                    add(Anomaly::NonmonotonicPoll, first - last < 1);
                }
                match op.how {
                    "+" => last_poll = polls.last().copied().or(last_poll),
                    "?" => last_poll = None,
                    _ => {}
                }
                let sends: Vec<i64> = (op.sends.iter().filter(|(message, _)| message.0 == partition))
                    .filter_map(|(message, offset)| match offset {
                        Some(offset) => Some(place(partition, *offset)),
                        None => places(*message).last().copied(),
                    })
                    .collect();
                for pair in sends.windows(2) {
                    add(Anomaly::IntSendSkip, pair[1] - pair[0] > 1);
                    add(Anomaly::IntNonmonotonicSend, pair[1] - pair[0] < 1);
                }
                if let (Some(last), Some(first)) = (last_send, sends.first())
                    && op.how != "-"
                {
                    add(Anomaly::NonmonotonicSend, first - last < 1);
                }
                if op.how == "+" {
                    last_send = sends.last().copied().or(last_send);
                }
            }
        }
    }
    found.retain(|_, count| *count > 0);
    found
}

#[test]
fn streams_are_judged_as_by_their_definitions() {
    let histories = rounds();
    let mut seen: BTreeMap<Anomaly, u64> = BTreeMap::new();
    for seed in 0..histories {
        let (text, did) = random(seed);
        let wanted = oracle(&did);
        let found = findings(&history(&text), Order::Producer, Until::Shown);
        assert_eq!(found.unjudged, None);
        let mut counts = found.counts;
        // Steps back of polls are no concern of producers' order; gaps are counted elsewhere.
        let mut wanted_here = wanted.clone();
        wanted_here.retain(|anomaly, _| {
            !matches!(anomaly, Anomaly::NonmonotonicPoll | Anomaly::IntNonmonotonicPoll)
        });
        counts.remove(&Anomaly::Gap);
        assert_eq!(counts, wanted_here, "seed {seed}: {text}");
        let mut counts = findings(&history(&text), Order::Partition, Until::Shown).counts;
        counts.remove(&Anomaly::Gap);
        counts.remove(&Anomaly::Reordered);
        assert_eq!(counts, wanted, "seed {seed}: {text}");
        for anomaly in wanted.into_keys() {
            *seen.entry(anomaly).or_default() += 1;
        }
    }
    // Each was there, or this compares nothing.
    assert_eq!(seen.len(), 13, "{seen:?}");
}
