//! Cycles of transactions against their definitions: every pair of transactions, and everybody that reaches everybody, of small random
//! histories with arbitrary answers.

use std::collections::{BTreeMap, BTreeSet};

use duress_checker::delivery::Isolation;
use duress_checker::generate::Random;

use super::cycles::cycles;
use super::isolated;
use super::streams::events;
use crate::against_brute_force::rounds;

const PARTITIONS: [&str; 2] = ["a", "b"];

type Message = (&'static str, u64);

#[derive(Clone, Debug, Default)]
struct Txn {
    how: &'static str,
    subscribed: bool,
    /// With the offsets that its answer tells.
    sends: Vec<(Message, Option<u64>)>,
    polls: Vec<(Message, u64)>,
}

/// Transactions that all overlap: each message has a place, which answers and polls tell, but for a few.
fn random(seed: u64) -> (String, Vec<Txn>) {
    let mut random = Random::new(seed);
    if random.percent(20) {
        let txns = skewed(&mut random);
        return (written(&txns), txns);
    }
    let mut txns: Vec<Txn> = Vec::new();
    let mut placed: Vec<(Message, u64)> = Vec::new();
    for _ in 0..2 + random.below(4) {
        let mut txn = Txn {
            how: ["+", "+", "+", "+", "?", "-"][random.below(6) as usize],
            subscribed: random.percent(10),
            ..Txn::default()
        };
        for _ in 0..random.below(3) {
            let partition = PARTITIONS[random.below(2) as usize];
            let message = (partition, placed.len() as u64);
            // Mostly one of its own.
            let offset = match random.percent(95) {
                true => random.below(4) * 20 + placed.len() as u64,
                false => random.below(3) * 20,
            };
            placed.push((message, offset));
            let told = txn.how == "+" && random.percent(80);
            txn.sends.push((message, Some(offset).filter(|_| told)));
        }
        txns.push(txn);
    }
    for txn in txns.iter_mut().filter(|txn| txn.how != "?") {
        for _ in 0..random.below(4) {
            let Some(&(message, offset)) = placed.get(random.below(placed.len().max(1) as u64) as usize)
            else {
                continue;
            };
            let offset = if random.percent(95) {
                offset
            } else {
                1 + random.below(90)
            };
            txn.polls.push((message, offset));
        }
        txn.polls.sort_by_key(|((partition, _), _)| *partition);
    }
    (written(&txns), txns)
}

/// Transactions that poll of one partition and send to another, all behind one that sent to each.
fn skewed(random: &mut Random) -> Vec<Txn> {
    let first = Txn {
        how: "+",
        sends: (0..)
            .zip(PARTITIONS)
            .map(|(value, partition)| ((partition, value), Some(0)))
            .collect(),
        ..Txn::default()
    };
    let mut txns = vec![first];
    for value in 2..4 + random.below(3) {
        let polls = random.below(2) as usize;
        txns.push(Txn {
            how: "+",
            subscribed: random.percent(10),
            sends: vec![((PARTITIONS[1 - polls], value), Some(value))],
            polls: vec![((PARTITIONS[polls], polls as u64), 0)],
        });
    }
    txns
}

fn written(txns: &[Txn]) -> String {
    let mut words: Vec<String> = Vec::new();
    for (process, txn) in txns.iter().enumerate() {
        if txn.subscribed {
            words.push(format!("S{process}:[\"a\",\"b\"] +{process}"));
        }
        let sends = txn
            .sends
            .iter()
            .map(|((partition, value), _)| format!("s:{partition}{value},"));
        words.push(format!("t{process}({}p)", sends.collect::<String>()));
    }
    for (process, txn) in txns.iter().enumerate() {
        let sends = txn.sends.iter().map(|((partition, value), offset)| {
            let offset = offset.map_or("?".to_owned(), |offset| offset.to_string());
            format!("s:{partition}{value}={offset},")
        });
        let polls: Vec<String> = (txn.polls.iter())
            .map(|((partition, value), offset)| format!("{partition}{value}={offset}"))
            .collect();
        let shown = match polls.is_empty() {
            true => "p".to_owned(),
            false => format!("p:{}", polls.join("/")),
        };
        words.push(match txn.how {
            "?" => format!("?{process}"),
            how => format!("{how}{process}({}{shown})", sends.collect::<String>()),
        });
    }
    words.join(" ")
}

type Pairs = BTreeSet<(usize, usize)>;

/// Everybody that reaches everybody.
fn closure(edges: &Pairs) -> Pairs {
    let mut all = edges.clone();
    loop {
        let further: Pairs = (all.iter())
            .flat_map(|&(from, through)| {
                let on = all.iter().filter(move |(start, _)| *start == through);
                on.map(move |&(_, to)| (from, to))
            })
            .collect();
        let before = all.len();
        all.extend(further);
        if all.len() == before {
            return all;
        }
    }
}

/// Those that reach each other, by the least of them.
fn components(edges: &Pairs) -> BTreeMap<usize, BTreeSet<usize>> {
    let all = closure(edges);
    let mut found: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for &(node, _) in all.iter().filter(|(from, to)| from == to) {
        let with: BTreeSet<usize> = (all.iter())
            .filter(|&&(from, to)| from == node && all.contains(&(to, node)))
            .map(|(_, to)| *to)
            .collect();
        if let Some(&least) = with.first() {
            found.insert(least, with);
        }
    }
    found
}

/// What ought to be found.
fn oracle(txns: &[Txn]) -> BTreeMap<&'static str, u64> {
    let polled_ok = |message: Message| {
        let shows = |txn: &Txn| txn.how == "+" && txn.polls.iter().any(|(other, _)| *other == message);
        txns.iter().any(shows)
    };
    let committed = |txn: &Txn| {
        txn.how == "+" || txn.how == "?" && txn.sends.iter().any(|(message, _)| polled_ok(*message))
    };
    let mut entries: BTreeSet<(Message, u64)> = BTreeSet::new();
    for txn in txns {
        let sends = txn.sends.iter().filter(|_| committed(txn));
        entries.extend(sends.filter_map(|(message, offset)| Some((*message, (*offset)?))));
        entries.extend(txn.polls.iter().copied());
    }
    // Where a message lies, if that is certain.
    let place = |message: Message| -> Option<u64> {
        let mut of = entries.iter().filter(|(other, _)| *other == message);
        let (_, offset) = of.next()?;
        let same = |(other, at): &&(Message, u64)| other.0 == message.0 && at == offset;
        (of.next().is_none() && entries.iter().filter(same).count() == 1).then_some(*offset)
    };
    let sender = |message: Message| {
        let sends = |txn: &Txn| txn.sends.iter().any(|(other, _)| *other == message);
        txns.iter().position(|txn| sends(txn) && committed(txn))
    };
    let messages: BTreeSet<Message> = entries.iter().map(|(message, _)| *message).collect();
    let (mut ww, mut wr, mut rw) = (Pairs::new(), Pairs::new(), Pairs::new());
    for partition in PARTITIONS {
        let mut order: Vec<(u64, usize)> = (messages.iter())
            .filter(|message| message.0 == partition)
            .filter_map(|&message| Some((place(message)?, sender(message)?)))
            .collect();
        order.sort_unstable();
        ww.extend(order.windows(2).map(|pair| (pair[0].1, pair[1].1)));
        for (which, txn) in txns.iter().enumerate().filter(|(_, txn)| txn.how == "+") {
            let of = txn.polls.iter().filter(|(message, _)| message.0 == partition);
            let last = of.filter_map(|(message, _)| place(*message)).max();
            let next = last.and_then(|last| order.iter().find(|(offset, _)| *offset > last));
            if !txn.subscribed {
                rw.extend(next.map(|(_, next)| (which, *next)));
            }
        }
    }
    for (which, txn) in txns.iter().enumerate().filter(|(_, txn)| committed(txn)) {
        let senders = txn.polls.iter().filter_map(|(message, _)| sender(*message));
        wr.extend(senders.map(|sender| (sender, which)));
    }
    for edges in [&mut ww, &mut wr, &mut rw] {
        edges.retain(|(from, to)| from != to);
    }
    let inside = |edges: &Pairs, members: &BTreeSet<usize>| -> Pairs {
        let both = |(from, to): &&(usize, usize)| members.contains(from) && members.contains(to);
        edges.iter().filter(both).copied().collect()
    };
    let either: Pairs = ww.union(&wr).copied().collect();
    let any: Pairs = either.union(&rw).copied().collect();
    let mut found: BTreeMap<&str, u64> = BTreeMap::new();
    found.insert("G0", components(&ww).len() as u64);
    found.insert("G1c-polled", components(&wr).len() as u64);
    let mixed = components(&either);
    let mixed = mixed.values().filter(|members| {
        let polled = inside(&wr, members);
        !polled.is_empty() && components(&polled).is_empty()
    });
    found.insert("G1c", mixed.count() as u64);
    for members in components(&any).values() {
        let missed = inside(&rw, members);
        let back = closure(&inside(&either, members));
        let single = missed.iter().any(|&(from, to)| back.contains(&(to, from)));
        match (single, missed.is_empty()) {
            (true, _) => *found.entry("G-single").or_default() += 1,
            (false, false) => *found.entry("G2").or_default() += 1,
            (false, true) => {}
        }
    }
    found.retain(|_, count| *count > 0);
    found
}

#[test]
fn cycles_are_found_as_by_their_definitions() {
    let histories = rounds();
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..histories {
        let (text, txns) = random(seed);
        let wanted = oracle(&txns);
        let history = events(&text);
        for (isolation, forbidden) in [
            (Isolation::None, &[][..]),
            (Isolation::Kafka, &["G1c-polled"]),
            (Isolation::ReadCommitted, &["G0", "G1c", "G1c-polled"]),
            (
                Isolation::ConsistentView,
                &["G0", "G1c", "G1c-polled", "G-single"],
            ),
            (
                Isolation::Serializable,
                &["G0", "G1c", "G1c-polled", "G-single", "G2"],
            ),
        ] {
            let names = forbidden
                .iter()
                .filter_map(|name| Some((name, wanted.get(name)?)));
            let names: Vec<String> = names.map(|(name, count)| format!("{count} {name}")).collect();
            let found = isolated(&history, isolation);
            assert_eq!(found.unjudged, None);
            assert_eq!(cycles(&found), names.join(", "), "seed {seed}: {text}");
        }
        for name in wanted.into_keys() {
            *seen.entry(name).or_default() += 1;
        }
    }
    // Each was there, or this compares nothing.
    assert!(
        seen.len() == 5 && seen.values().all(|&seen| seen * 100 > histories),
        "{seen:?}"
    );
}
