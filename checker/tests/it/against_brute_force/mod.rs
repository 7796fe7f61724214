//! Every search against trying all orders, on random small histories.
//!
//! `DURESS_FUZZ=100000` sets how many a model.

mod longer;
mod objects;

use duress_checker::generate::{Random, small};
use duress_checker::history::{Val, Values};
use duress_checker::laws::{Looked, check_part};
use duress_checker::model::{Model, Part};

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

/// Everything that judges the part says what trying all orders says.
pub fn agree<M: Model>(model: &M, part: &Part<M::Op>, values: Option<&Values>, seed: u64) -> Looked {
    let looked = check_part(model, part, values, &mut Random::new(!seed));
    looked.unwrap_or_else(|wrong| panic!("{}, seed {seed}: {wrong}", model.name()))
}

pub fn fuzz<M: Model>(model: &M, op: impl FnMut(&mut Random, bool) -> M::Op) {
    fuzz_with(model, Some(&Values::default()), op);
}

/// The same, of operations whose values are in this table; without, they are not resolved.
pub fn fuzz_with<M: Model>(
    model: &M,
    values: Option<&Values>,
    mut op: impl FnMut(&mut Random, bool) -> M::Op,
) {
    let (mut held, mut broken) = (0, 0);
    for seed in 0..rounds() {
        let mut random = Random::new(seed);
        let (length, width) = (1 + random.below(8), 1 + random.below(5));
        let info = [0, 10, 30][random.below(3) as usize];
        let part = small(&mut random, length, width, info, &mut op);
        if agree(model, &part, values, seed).holds {
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
