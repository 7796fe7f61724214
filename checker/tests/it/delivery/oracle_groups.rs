//! Groups against their definitions, word by word and pair by pair: small random histories with arbitrary answers.

use std::collections::BTreeMap;

use duress_checker::delivery::{Anomaly, Order, Until};
use duress_checker::generate::Random;

use super::{findings, history};
use crate::against_brute_force::rounds;

const INPUTS: u64 = 3;

/// A transaction or a join. It ends at `to`.
#[derive(Clone, Debug, Default)]
struct Did {
    from: u64,
    to: u64,
    how: &'static str,
    /// Inputs of which it makes outputs. A join makes none.
    outputs: Vec<u64>,
    /// The offset that it commits, or is told.
    next: u64,
    joins: bool,
}

fn output(input: u64, of: usize) -> String {
    format!("{{\"input\":[\"in\",{input}],\"by\":\"t\",\"attempt\":{of}}}")
}

/// Three messages in `in`, then operations of three processes that overlap as they like, then polls of some of what was sent to `out`: the
/// history, what was done, and which outputs were polled, by operation and input.
fn random(seed: u64) -> (String, Vec<Did>, Vec<(usize, u64)>) {
    let mut random = Random::new(seed);
    let mut words: Vec<String> = vec![
        "s8:[[\"send\",\"in\",100],[\"send\",\"in\",101],[\"send\",\"in\",102]]".to_owned(),
        "+8:[[\"send\",\"in\",[0,100]],[\"send\",\"in\",[1,101]],[\"send\",\"in\",[2,102]]]".to_owned(),
    ];
    let mut did: Vec<Did> = Vec::new();
    let mut open: Vec<(u64, usize)> = Vec::new();
    let length = 8 + random.below(14);
    while (words.len() as u64) < length || !open.is_empty() {
        let process = random.below(3);
        let at = words.len() as u64;
        if let Some(position) = open.iter().position(|(other, _)| *other == process) {
            let (_, which) = open.swap_remove(position);
            let op = &mut did[which];
            op.to = at;
            op.how = ["+", "+", "+", "?", "-"][random.below(5) as usize];
            words.push(format!("{}{process}:{}", op.how, value(op, which, op.how == "+")));
        } else if at < length {
            let joins = random.percent(40);
            let outputs = (0..INPUTS).filter(|_| !joins && random.percent(40)).collect();
            let op = Did {
                from: at,
                outputs,
                next: random.below(INPUTS + 1),
                joins,
                ..Did::default()
            };
            let f = if joins { "S" } else { "t" };
            words.push(format!("{f}{process}:{}", value(&op, did.len(), false)));
            open.push((process, did.len()));
            did.push(op);
        }
    }
    let sent =
        (did.iter().enumerate()).flat_map(|(which, op)| op.outputs.iter().map(move |input| (which, *input)));
    let polled: Vec<(usize, u64)> = sent.filter(|_| random.percent(60)).collect();
    let pairs: Vec<String> = (polled.iter())
        .map(|(which, input)| format!("[{},{}]", place(*which, *input), output(*input, *which)))
        .collect();
    words.push("p9:[[\"poll\"]]".to_owned());
    words.push(format!("+9:[[\"poll\",{{\"out\":[{}]}}]]", pairs.join(",")));
    (words.join(" "), did, polled)
}

/// Where an output lies.
fn place(which: usize, input: u64) -> u64 {
    which as u64 * INPUTS + input
}

fn value(op: &Did, which: usize, answered: bool) -> String {
    let offsets = format!("\"group\":\"g\",\"offsets\":{{\"in\":{}}}", op.next);
    match (op.joins, answered) {
        (true, false) => "[[\"join\",{\"group\":\"g\",\"partitions\":[\"in\"]}]]".to_owned(),
        (true, true) => format!("[[\"join\",{{{offsets},\"partitions\":[\"in\"]}}]]"),
        (false, _) => {
            let send = |input: &u64| match answered {
                true => format!(
                    "[\"send\",\"out\",[{},{}]],",
                    place(which, *input),
                    output(*input, which)
                ),
                false => format!("[\"send\",\"out\",{}],", output(*input, which)),
            };
            let sends: String = op.outputs.iter().map(send).collect();
            format!("[{sends}[\"commit\",{{{offsets}}}]]")
        }
    }
}

/// What ought to be found, by its name.
fn oracle(did: &[Did], polled: &[(usize, u64)]) -> BTreeMap<Anomaly, u64> {
    let shown = |which: usize| polled.iter().any(|(other, _)| *other == which);
    let committed = |which: usize| did[which].how == "+" || did[which].how == "?" && shown(which);
    let all = || did.iter().enumerate();
    // Only who makes outputs is of the group that is judged; here that is everybody, as soon as somebody does.
    let makes = all().any(|(_, op)| !op.outputs.is_empty());
    let last = (all().filter(|(which, _)| committed(*which)))
        .flat_map(|(_, op)| op.outputs.iter().copied())
        .max();
    let mut found = BTreeMap::new();
    let mut add = |anomaly: Anomaly, count: usize| {
        if count > 0 {
            found.insert(anomaly, count as u64);
        }
    };
    let (mut passed_by, mut missing, mut twice) = (0, 0, 0);
    // Without an output that counts there is no pipeline.
    for input in (0..INPUTS).filter(|_| last.is_some()) {
        let of = |op: &Did| op.outputs.contains(&input);
        let made = all().filter(|(which, op)| of(op) && committed(*which)).count();
        twice += usize::from(made > 1);
        if made > 0 {
            continue;
        }
        let unknown: Vec<&Did> = (all().filter(|(which, op)| of(op) && op.how == "?" && !committed(*which)))
            .map(|(_, op)| op)
            .collect();
        let evidence = |op: &&Did| makes && op.how == "+" && op.next > input;
        let sure = |evidence: &Did| {
            let behind = |which: usize, op: &Did| committed(which) && shown(which) && op.from > evidence.to;
            unknown.is_empty() || all().any(|(which, op)| behind(which, op))
        };
        match did.iter().filter(evidence).any(sure) {
            true => passed_by += 1,
            false => missing += usize::from(unknown.is_empty() && Some(input) < last),
        }
    }
    add(Anomaly::CommittedWithoutOutput, passed_by);
    add(Anomaly::MissingOutput, missing);
    add(Anomaly::DuplicateOutput, twice);
    let kept = |commit: &Did| {
        let told =
            |join: &Did| join.joins && join.how == "+" && commit.to < join.from && join.next < commit.next;
        !did.iter().any(told)
    };
    let commits = (did.iter()).filter(|op| op.how == "+" && !op.outputs.is_empty() && last.is_some());
    add(
        Anomaly::OutputWithoutCommit,
        commits.filter(|commit| !kept(commit)).count(),
    );
    let failed = polled.iter().filter(|(which, _)| did[*which].how == "-").count();
    add(Anomaly::G1a, failed);
    found
}

#[test]
fn groups_are_judged_as_by_their_definitions() {
    let histories = rounds();
    let mut seen: BTreeMap<Anomaly, u64> = BTreeMap::new();
    for seed in 0..histories {
        let (text, did, polled) = random(seed);
        let mut found = findings(&history(&text), Order::None, Until::Delivered).counts;
        let judged_here = oracle(&did, &polled);
        let about_groups = [
            Anomaly::CommittedWithoutOutput,
            Anomaly::MissingOutput,
            Anomaly::DuplicateOutput,
            Anomaly::OutputWithoutCommit,
            Anomaly::G1a,
        ];
        found.retain(|anomaly, _| about_groups.contains(anomaly));
        assert_eq!(found, judged_here, "seed {seed}: {text}");
        for anomaly in judged_here.into_keys() {
            *seen.entry(anomaly).or_default() += 1;
        }
    }
    // Each was there, or this compares nothing.
    assert!(
        seen.len() == 5 && seen.values().all(|&seen| seen * 100 > histories),
        "{seen:?}"
    );
}
