//! Groups that make no outputs against their definitions, position by position and pair by pair: small random histories with arbitrary
//! answers.

use std::collections::BTreeMap;

use duress_checker::generate::Random;

use super::coverage::{commit, join, of_groups, poll};
use super::history;
use crate::against_brute_force::rounds;

const MESSAGES: u64 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Join,
    Poll,
    Commit,
}

/// What one process did. It begins at `from` and ends at `to`.
#[derive(Clone, Debug)]
struct Did {
    kind: Kind,
    process: u64,
    from: u64,
    to: u64,
    how: &'static str,
    generation: u64,
    /// What it was told, or commits.
    next: u64,
    shown: Vec<u64>,
}

/// Messages that were acknowledged, then operations of three processes that overlap as they like.
fn random(seed: u64) -> (String, Vec<Did>) {
    let mut random = Random::new(seed);
    let sends = |one: fn(u64) -> String| (0..MESSAGES).map(one).collect::<Vec<_>>().join(",");
    let mut words = vec![
        format!("s8:[{}]", sends(|at| format!("[\"send\",\"in\",{}]", 100 + at))),
        format!(
            "+8:[{}]",
            sends(|at| format!("[\"send\",\"in\",[{at},{}]]", 100 + at))
        ),
    ];
    let mut did: Vec<Did> = Vec::new();
    let mut open: Vec<(u64, usize, String)> = Vec::new();
    let length = 8 + random.below(24);
    while (words.len() as u64) < length || !open.is_empty() {
        let process = random.below(3);
        let at = words.len() as u64;
        if let Some(position) = open.iter().position(|(other, ..)| *other == process) {
            let (_, which, end) = open.swap_remove(position);
            did[which].to = at;
            words.push(end);
        } else if at < length {
            let kind = [Kind::Join, Kind::Poll, Kind::Poll, Kind::Commit][random.below(4) as usize];
            let how = ["+", "+", "+", "+", "+", "?", "-"][random.below(7) as usize];
            let op = Did {
                kind,
                process,
                from: at,
                to: 0,
                how,
                generation: random.below(2),
                next: random.below(MESSAGES + 1),
                shown: (0..MESSAGES)
                    .filter(|_| how != "?" && random.percent(45))
                    .collect(),
            };
            let both = match kind {
                Kind::Join => join(process, how, op.generation, op.next),
                Kind::Poll => poll(process, how, &op.shown),
                Kind::Commit => commit(process, how, op.next),
            };
            let (begin, end) = both.split_once(' ').expect("two words");
            words.push(begin.to_owned());
            open.push((process, did.len(), end.to_owned()));
            did.push(op);
        }
    }
    (words.join(" "), did)
}

/// What ought to be found.
fn oracle(did: &[Did]) -> BTreeMap<&'static str, u64> {
    // As whom a process does something: its last join that did not fail. Whoever failed to join again is what it was.
    let membership = |op: &Did| {
        let before = did.iter().enumerate().filter(|(_, join)| {
            join.kind == Kind::Join && join.process == op.process && join.how != "-" && join.from <= op.from
        });
        before.max_by_key(|(_, join)| join.from).map(|(which, _)| which)
    };
    let known = |which: usize| did[which].how == "+";
    let of = |kind: Kind| did.iter().filter(move |op| op.kind == kind);
    let polls = || of(Kind::Poll).filter_map(|poll| Some((poll, membership(poll)?)));
    let lost: Vec<usize> = (polls().filter(|(poll, _)| poll.how == "?"))
        .map(|(_, member)| member)
        .collect();
    let commits: Vec<&Did> = of(Kind::Commit).filter(|commit| commit.how == "+").collect();
    let joins: Vec<&Did> = of(Kind::Join).filter(|join| join.how == "+").collect();
    let (mut skipped, mut twice) = (0, 0);
    for offset in 0..MESSAGES {
        let by: Vec<(&Did, usize)> = polls().filter(|(poll, _)| poll.shown.contains(&offset)).collect();
        if by.is_empty() {
            let own = commits.iter().any(|commit| {
                let member = membership(commit).filter(|&member| known(member) && !lost.contains(&member));
                commit.next > offset && member.is_some_and(|member| did[member].next <= offset)
            });
            let taken = (lost.iter()).any(|&member| !known(member) || did[member].next <= offset);
            let behind = |certain: u64| {
                let all = commits.iter().chain(&joins);
                all.clone().any(|op| op.next > offset && op.from > certain)
            };
            let anybody = joins.iter().any(|told| told.next <= offset && behind(told.to));
            skipped += u64::from(own || anybody && !taken);
            continue;
        }
        let by: Vec<(&Did, usize)> = by.into_iter().filter(|(poll, _)| poll.how == "+").collect();
        let told = |member: usize| known(member) && did[member].next <= offset;
        let one_generation = by.iter().any(|(one, its)| {
            by.iter().any(|(other, theirs)| {
                let same = did[*its].generation == did[*theirs].generation;
                one.process != other.process && told(*its) && told(*theirs) && same
            })
        });
        let passed = commits
            .iter()
            .filter(|commit| commit.next > offset)
            .map(|commit| commit.to)
            .min();
        let first = by.iter().min_by_key(|(poll, _)| poll.from);
        let again = by.iter().any(|(_, member)| {
            let later = passed.is_some_and(|passed| did[*member].from > passed);
            first.is_some_and(|(_, its)| its != member) && told(*member) && later
        });
        twice += u64::from(one_generation || again);
    }
    let mut found = BTreeMap::from([("group-poll-skip", skipped), ("group-duplicate", twice)]);
    found.retain(|_, count| *count > 0);
    found
}

#[test]
fn groups_without_outputs_are_judged_as_by_their_definitions() {
    let histories = rounds();
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..histories {
        let (text, did) = random(seed);
        let wanted = oracle(&did);
        let names = ["group-poll-skip", "group-duplicate"];
        let names = names.iter().filter_map(|name| Some((name, wanted.get(name)?)));
        let names: Vec<String> = names.map(|(name, count)| format!("{count} {name}")).collect();
        assert_eq!(
            of_groups(&history(&text)),
            names.join(", "),
            "seed {seed}: {text}"
        );
        for name in wanted.into_keys() {
            *seen.entry(name).or_default() += 1;
        }
    }
    // Each was there, or this compares nothing.
    assert!(
        seen.len() == 2 && seen.values().all(|&seen| seen * 100 > histories),
        "{seen:?}"
    );
}
