//! Every search against trying all orders, on random small histories.
//!
//! `DURESS_FUZZ=100000` sets how many a model.

use std::time::Duration;

use duress_checker::certify::{brute_force, order_holds};
use duress_checker::fast::Fast;
use duress_checker::generate::{Random, small};
use duress_checker::history::Val;
use duress_checker::model::register::{Register, RegisterOp};
use duress_checker::model::{Model, Part};
use duress_checker::search::{Limits, Outcome, jit, wgl};
use duress_checker::verdict::Budget;

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

fn agree<M: Model>(model: &M, part: &Part<M::Op>, seed: u64) -> bool {
    let limits = Limits {
        budget: Budget::default(),
        elapsed: &|| Duration::ZERO,
    };
    let truth = brute_force(model, part);
    for (name, outcome) in [
        ("wgl", wgl::search(model, part, limits)),
        ("jit", jit::search(model, part, limits)),
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
            Outcome::Impossible { at } => {
                assert!(
                    !truth,
                    "{name}, seed {seed}: impossible, though there is an order: {part:#?}"
                );
                let prefix = duress_checker::explain::prefix(part, part[at as usize].ret);
                assert!(
                    !brute_force(model, &prefix),
                    "{name}, seed {seed}: the prefix is possible: {part:#?}"
                );
            }
            Outcome::Exhausted(reason) => panic!("{name}, seed {seed}: {reason}"),
        }
    }
    match model.decide(part) {
        Some(Fast::Order(order)) => {
            assert!(
                truth,
                "no search, seed {seed}: an order of the impossible: {part:#?}"
            );
            assert!(
                order_holds(model, part, &order),
                "no search, seed {seed}: {order:?} does not hold: {part:#?}"
            );
        }
        Some(Fast::Core(core)) => {
            assert!(!truth, "no search, seed {seed}: {core:?} is possible: {part:#?}");
            let core: Part<M::Op> = core.iter().map(|&at| part[at as usize].clone()).collect();
            assert!(
                !brute_force(model, &core),
                "no search, seed {seed}: the core {core:#?} is possible: {part:#?}"
            );
        }
        None => {}
    }
    truth
}

fn fuzz<M: Model>(model: &M, mut op: impl FnMut(&mut Random, bool) -> M::Op) {
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

#[test]
fn cas_register() {
    fuzz(&Register { cas: true }, |random, unknown| match random.below(4) {
        0 | 1 if !unknown => RegisterOp::Read(value(random, 2)),
        0..=2 => RegisterOp::Write(value(random, 2)),
        _ => RegisterOp::Cas(value(random, 2), value(random, 2)),
    });
}

#[test]
fn register() {
    fuzz(&Register { cas: false }, |random, unknown| {
        match random.below(2) {
            0 if !unknown => RegisterOp::Read(value(random, 3)),
            _ => RegisterOp::Write(value(random, 3)),
        }
    });
}

#[test]
fn cas_register_of_different_values() {
    let mut fresh = 0;
    fuzz(&Register { cas: true }, |random, unknown| {
        fresh = fresh % 9 + 1;
        let written = Val::int(fresh).unwrap();
        // Around the values that are being written, so that some of it is possible.
        let mut near = || match (fresh + random.below(4)).saturating_sub(2) {
            0 => Val::NIL,
            number => Val::int(number).unwrap(),
        };
        let seen = near();
        match random.below(6) {
            0..=2 if !unknown => RegisterOp::Read(seen),
            0..=3 => RegisterOp::Write(written),
            _ => RegisterOp::Cas(seen, written),
        }
    });
}
