//! Every search against trying all orders, on random small histories.
//!
//! `DURESS_FUZZ=100000` sets how many a model.

mod longer;
mod objects;

use duress_checker::generate::{Random, small};
use duress_checker::history::{Val, Values};
use duress_checker::laws::{Looked, check_part};
use duress_checker::model::{Model, Part};
use duress_checker::search::jit::Pace;

/// So narrow that it has to go back, to widen and to prove dead ends soon.
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

/// Everything that judges the part says what trying all orders says.
pub fn agree<M: Model>(model: &M, part: &Part<M::Op>, seed: u64) -> Looked {
    let looked = check_part(model, part, &Values::default(), &mut Random::new(!seed));
    looked.unwrap_or_else(|wrong| panic!("{}, seed {seed}: {wrong}", model.name()))
}

pub fn fuzz<M: Model>(model: &M, mut op: impl FnMut(&mut Random, bool) -> M::Op) {
    let (mut held, mut broken) = (0, 0);
    for seed in 0..rounds() {
        let mut random = Random::new(seed);
        let (length, width) = (1 + random.below(8), 1 + random.below(5));
        let info = [0, 10, 30][random.below(3) as usize];
        let part = small(&mut random, length, width, info, &mut op);
        if agree(model, &part, seed).holds {
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
