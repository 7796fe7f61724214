//! Queues against a slow and obvious oracle: small random histories with arbitrary answers.
//!
//! The oracle goes through every way in which dequeues of unknown outcome may have taken messages, and takes the one that
//! leaves the fewest lost, or the fewest late. Everything else it looks up pair by pair.

use duress_checker::delivery::{Anomaly, Findings, Order, Until};
use duress_checker::generate::Random;
use duress_checker::history::Event;

use super::{findings, history};
use crate::against_brute_force::rounds;

/// What one process did: kind, message, where it began, where it ended, how.
#[derive(Clone, Copy, Debug)]
struct Did {
    kind: char,
    message: Option<u64>,
    from: u64,
    to: u64,
    how: char,
}

impl Did {
    fn settled(&self) -> u64 {
        if self.how == '+' { self.to } else { u64::MAX }
    }
}

const MESSAGES: u64 = 4;

/// A few operations that overlap as they like, each message enqueued once at most.
fn random(seed: u64) -> (Vec<Event>, Vec<Did>) {
    let mut random = Random::new(seed);
    let mut words: Vec<String> = Vec::new();
    let mut did: Vec<Did> = Vec::new();
    // Who is at work, and on what.
    let mut open: Vec<(u64, usize)> = Vec::new();
    let mut process = 0;
    let mut enqueued = 0;
    let length = 8 + random.below(18);
    while (words.len() as u64) < length || !open.is_empty() {
        let begin =
            (words.len() as u64) < length && (open.is_empty() || random.percent(50)) && open.len() < 4;
        let at = words.len() as u64;
        if begin {
            process += 1;
            let kind = match random.below(10) {
                0..4 if enqueued < MESSAGES => 'e',
                0..8 => 'd',
                8 => 'a',
                _ => 'z',
            };
            let message = match kind {
                'e' => {
                    enqueued += 1;
                    Some(enqueued - 1)
                }
                'a' => Some(random.below(MESSAGES)),
                _ => None,
            };
            let value = message.map_or(String::new(), |message| format!(":{message}"));
            words.push(format!("{kind}{process}{value}"));
            open.push((process, did.len()));
            did.push(Did {
                kind,
                message,
                from: at,
                to: u64::MAX,
                how: '?',
            });
            continue;
        }
        let (process, which) = open.swap_remove(random.below(open.len() as u64) as usize);
        let did = &mut did[which];
        did.to = at;
        did.how = match random.below(10) {
            0 if did.kind == 'e' => '-',
            0..3 => '?',
            _ => '+',
        };
        // Everything that a drain takes out is one request: it stays empty here.
        let value = match (did.kind, did.how) {
            ('d', '+') => {
                did.message = Some(random.below(MESSAGES + 1)).filter(|&message| message < MESSAGES);
                did.message.map_or(String::new(), |message| format!(":{message}"))
            }
            ('z', '+') => ":[]".to_owned(),
            _ => String::new(),
        };
        words.push(format!("{}{process}{value}", did.how));
    }
    (history(&words.join(" ")), did)
}

#[derive(Debug, PartialEq, Eq)]
struct Counts {
    lost: u64,
    reordered: u64,
    duplicates: u64,
    resurrected: u64,
    phantoms: u64,
    aborted: u64,
}

fn oracle(did: &[Did]) -> Counts {
    let of = |kind: char| did.iter().filter(move |did| did.kind == kind);
    let sent = |message: u64| of('e').find(|did| did.message == Some(message));
    let receives = |message: u64| of('d').filter(move |did| did.how == '+' && did.message == Some(message));
    let nothing = |did: &&Did| did.how == '+' && did.message.is_none() && did.kind != 'e';
    let last_receive = of('d')
        .filter(|did| did.how == '+' && did.message.is_some())
        .map(|did| did.from)
        .max();
    let drained = (did.iter().filter(nothing).filter(|did| did.kind != 'a'))
        .filter(|did| last_receive.is_none_or(|last| last < did.to))
        .map(|did| did.from)
        .max();
    let missing: Vec<u64> = (0..MESSAGES)
        .filter(|&message| {
            let acknowledged = sent(message).is_some_and(|send| send.how == '+' && Some(send.to) < drained);
            acknowledged && receives(message).next().is_none()
        })
        .collect();
    let unknown: Vec<&Did> = of('d').filter(|did| did.how == '?').collect();
    let any_drain = of('z').filter(|did| did.how == '?').map(|did| did.from).min();
    // For each way to say who took what: 0 is nothing, `m + 1` is message `m`.
    let ways = (MESSAGES + 1).pow(unknown.len() as u32);
    let taken = |way: u64| -> Vec<(u64, u64)> {
        let mut rest = way;
        let mut taken = Vec::new();
        for did in &unknown {
            if !rest.is_multiple_of(MESSAGES + 1) {
                taken.push((rest % (MESSAGES + 1) - 1, did.from));
            }
            rest /= MESSAGES + 1;
        }
        taken
    };
    let mut lost = u64::MAX;
    let mut reordered = u64::MAX;
    for way in 0..ways {
        let taken = taken(way);
        let gone = missing
            .iter()
            .filter(|&message| !taken.iter().any(|(other, _)| other == message));
        lost = lost.min(if any_drain.is_some() {
            0
        } else {
            gone.count() as u64
        });
        let late = (0..MESSAGES).filter(|&message| {
            let Some(send) = sent(message) else { return false };
            let Some(first) = receives(message).map(|did| did.from).min() else {
                return false;
            };
            let overtaken = (0..MESSAGES)
                .filter(|&other| sent(other).is_some_and(|other| send.settled() < other.from))
                .filter_map(|other| receives(other).map(|did| did.to).min())
                .min();
            let Some(overtaken) = overtaken.filter(|&overtaken| overtaken < first) else {
                return false;
            };
            let excused = taken
                .iter()
                .any(|&(other, from)| other == message && from < overtaken);
            !excused && any_drain.is_none_or(|from| from > overtaken)
        });
        reordered = reordered.min(late.count() as u64);
    }
    let mut counts = Counts {
        lost,
        reordered,
        duplicates: 0,
        resurrected: 0,
        phantoms: 0,
        aborted: 0,
    };
    for message in 0..MESSAGES {
        let all: Vec<&Did> = receives(message).collect();
        counts.phantoms += u64::from(
            all.iter()
                .any(|did| sent(message).is_none_or(|send| send.from > did.to)),
        );
        counts.aborted += u64::from(!all.is_empty() && sent(message).is_some_and(|send| send.how == '-'));
        for again in all.iter().skip(1) {
            let acked = of('a').any(|ack| ack.message == Some(message) && ack.settled() < again.from);
            counts.resurrected += u64::from(acked);
            counts.duplicates += u64::from(!acked);
        }
    }
    counts
}

fn found(findings: &Findings) -> Counts {
    let count = |anomaly: Anomaly| findings.counts.get(&anomaly).copied().unwrap_or(0);
    Counts {
        lost: count(Anomaly::Lost),
        reordered: count(Anomaly::Reordered),
        duplicates: count(Anomaly::DuplicateDelivery),
        resurrected: count(Anomaly::Resurrected),
        phantoms: count(Anomaly::Phantom),
        aborted: count(Anomaly::AbortedDelivered),
    }
}

#[test]
fn queues_are_judged_as_by_trying_everything() {
    let histories = rounds();
    let mut seen = [0; 6];
    for seed in 0..histories {
        let (events, did) = random(seed);
        let wanted = oracle(&did);
        let found = found(&findings(&events, Order::Global, Until::Delivered));
        assert_eq!(found, wanted, "seed {seed}: {did:?}");
        let Counts {
            lost,
            reordered,
            duplicates,
            resurrected,
            phantoms,
            aborted,
        } = wanted;
        for (seen, count) in
            seen.iter_mut()
                .zip([lost, reordered, duplicates, resurrected, phantoms, aborted])
        {
            *seen += u64::from(count > 0);
        }
    }
    // Each was there, or this compares nothing.
    assert!(seen.iter().all(|&seen| seen * 1000 > histories), "{seen:?}");
}
