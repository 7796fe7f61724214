//! Every search against trying all orders, on random small histories.
//!
//! `DURESS_FUZZ=100000` sets how many a model.

mod longer;
mod objects;

use std::time::Duration;

use duress_checker::certify::{brute_force, explains, order_holds};
use duress_checker::generate::{Random, small};
use duress_checker::history::{Val, Values};
use duress_checker::limits::Limits;
use duress_checker::model::{Decision, Model, Part, Shortcuts};
use duress_checker::search::jit::{self, Pace};
use duress_checker::search::{Outcome, wgl};
use duress_checker::verdict::Budget;

/// So narrow that it has to go back, to widen and to prove dead ends even on a handful of operations.
const NARROWEST: Pace = Pace {
    width: 1,
    work: 1,
    layers_between_checkpoints: 1,
    layers_back: Some(1),
};

/// Never goes back far enough, so that it ends with a look at everything.
const STUCK: Pace = Pace {
    layers_back: Some(0),
    ..NARROWEST
};

pub fn rounds() -> u64 {
    std::env::var("DURESS_FUZZ")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(3_000)
}

pub fn value(random: &mut Random, bound: u64) -> Val {
    match random.below(bound + 1) {
        0 => Val::NIL,
        number => Val::int(number).unwrap(),
    }
}

pub fn agree<M: Model>(model: &M, part: &Part<M::Op>, seed: u64) -> bool {
    let budget = Budget {
        memory_bytes_max: 64 << 20,
        ..Budget::default()
    };
    let limits = Limits {
        budget,
        elapsed: &|| Duration::ZERO,
    };
    let truth = brute_force(model, part);
    for (name, outcome) in [
        ("wgl", wgl::search(model, part, limits)),
        ("jit", jit::search(model, part, limits)),
        ("narrow", jit::search_at(model, part, limits, NARROWEST)),
        ("stuck", jit::search_at(model, part, limits, STUCK)),
    ] {
        match outcome {
            Outcome::Order(order) => {
                assert!(
                    truth,
                    "{name}, seed {seed}: an order of the impossible: {part:#?}"
                );
                assert!(
                    order_holds(model, part, &order),
                    "{name}, seed {seed}: {order:?} does not hold: {part:#?}"
                );
            }
            Outcome::Impossible { at, since } => {
                assert!(
                    !truth,
                    "{name}, seed {seed}: impossible, though there is an order: {part:#?}"
                );
                let prefix = duress_checker::model::prefix(part, part[at as usize].ret);
                assert!(
                    !brute_force(model, &prefix),
                    "{name}, seed {seed}: the prefix is possible: {part:#?}"
                );
                let window: Part<M::Op> = (prefix.into_iter())
                    .filter(|operation| operation.ret >= since)
                    .collect();
                assert!(
                    !brute_force(model, &window),
                    "{name}, seed {seed}: possible since {since}: {part:#?}"
                );
            }
            Outcome::Exhausted(reason) => panic!("{name}, seed {seed}: {reason}"),
        }
    }
    if let Some(parts) = model.shortcuts().divide(part) {
        let each = parts
            .iter()
            .enumerate()
            .map(|(at, part)| agree(model, part, seed * 1000 + at as u64));
        let all = each.fold(true, |all, holds| all & holds);
        assert_eq!(all, truth, "divided, seed {seed}: {part:#?}");
    }
    let mut resolved = part.clone();
    model.shortcuts().resolve(&mut resolved, &Values::default());
    if resolved.len() < part.len() {
        assert_eq!(
            brute_force(model, &resolved),
            truth,
            "resolved, seed {seed}: {resolved:#?} of {part:#?}"
        );
    }
    no_search(model, part, truth, seed);
    own_search(model, part, truth, seed, limits);
    // What becomes of a part while a witness is made small: reads lose writes, and so on.
    let mut random = Random::new(!seed);
    let some: Part<M::Op> = part.iter().filter(|_| random.percent(60)).cloned().collect();
    no_search(model, &some, brute_force(model, &some), seed);
    if truth
        && model.shortcuts().decide(part).is_some()
        && let Some(focused) = model.shortcuts().focus(&some)
    {
        // What is said of some of the operations must be true of them too.
        assert!(
            brute_force(model, &focused),
            "focus, seed {seed}: {focused:#?} is impossible, {part:#?} is not"
        );
    }
    truth
}

/// What is said without search is true, and a core is one whatever else happens.
fn no_search<M: Model>(model: &M, part: &Part<M::Op>, truth: bool, seed: u64) {
    match model.shortcuts().decide(part) {
        Some(Decision::Core(core)) => {
            assert!(!truth, "no search, seed {seed}: {core:?} is possible: {part:#?}");
            let mut random = Random::new(seed);
            for percent in [0, 30, 60] {
                let kept = |at: u32, random: &mut Random| core.contains(&at) || random.percent(percent);
                let more: Part<M::Op> = (part.iter().zip(0..))
                    .filter(|(_, at)| kept(*at, &mut random))
                    .map(|(operation, _)| operation.clone())
                    .collect();
                assert!(
                    !brute_force(model, &more),
                    "no search, seed {seed}: the core {core:?} of {part:#?} is possible with others: {more:#?}"
                );
            }
        }
        Some(found) => {
            assert!(
                truth,
                "no search, seed {seed}: an order of the impossible: {part:#?}"
            );
            assert!(
                explains(model, part, &found),
                "no search, seed {seed}: {found:?} does not hold: {part:#?}"
            );
            let order = found.order().unwrap();
            assert!(
                order_holds(model, part, order),
                "no search, seed {seed}: {order:?} does not hold without choices: {part:#?}"
            );
        }
        None => {}
    }
}

/// What a model's own search says is true, and its core is one.
fn own_search<M: Model>(model: &M, part: &Part<M::Op>, truth: bool, seed: u64, limits: Limits<'_>) {
    match model.shortcuts().search(part, limits) {
        None => {}
        Some(Ok(Decision::Core(core))) => {
            assert!(
                !truth,
                "own search, seed {seed}: impossible, though there is an order: {part:#?}"
            );
            let core: Part<M::Op> = core.iter().map(|&at| part[at as usize].clone()).collect();
            assert!(
                !brute_force(model, &core),
                "own search, seed {seed}: the core {core:#?} is possible: {part:#?}"
            );
        }
        Some(Ok(found)) => {
            assert!(
                truth,
                "own search, seed {seed}: an order of the impossible: {part:#?}"
            );
            assert!(
                explains(model, part, &found),
                "own search, seed {seed}: {found:?} does not hold: {part:#?}"
            );
        }
        Some(Err(reason)) => panic!("own search, seed {seed}: {reason}"),
    }
}

pub fn fuzz<M: Model>(model: &M, mut op: impl FnMut(&mut Random, bool) -> M::Op) {
    let (mut held, mut broken) = (0, 0);
    for seed in 0..rounds() {
        let mut random = Random::new(seed);
        let (length, width) = (1 + random.below(8), 1 + random.below(5));
        let info = [0, 10, 30][random.below(3) as usize];
        let part = small(&mut random, length, width, info, &mut op);
        if agree(model, &part, seed) {
            held += 1
        } else {
            broken += 1
        }
    }
    // A fuzz that sees one side only tests nothing.
    assert!(
        held * 20 > rounds() && broken * 20 > rounds(),
        "{held} held, {broken} broken"
    );
}
