//! The paths without search on the histories that they are for: made by an object that works, then now and then bent.
//!
//! Random results, as in `against_brute_force`, are mostly nonsense; a path that takes a wrong turn on something nearly
//! right is found here.

mod objects;
mod texts;

use duress_checker::certify::explains;
use duress_checker::generate::Random;
use duress_checker::history::{NEVER, Val};
use duress_checker::model::{Decision, Model, Part, Shortcuts};

use crate::against_brute_force::{agree, rounds};

fn int(number: u64) -> Val {
    Val::int(number).unwrap()
}

/// Lets operations take effect at random points of their intervals, one after another, and asks for their results; an
/// unknown one may take effect or not.
fn simulate<Op>(
    random: &mut Random,
    part: &mut Part<Op>,
    mut effect: impl FnMut(&mut Random, &mut Op, bool),
) {
    let mut points: Vec<(u64, usize)> = Vec::new();
    let end = part.len() as u64 * 4;
    for (at, operation) in part.iter().enumerate() {
        let unknown = operation.ret == NEVER;
        if unknown && random.percent(50) {
            continue;
        }
        let ret = if unknown { end } else { u64::from(operation.ret) };
        let from = u64::from(operation.invoke) * 1000 + 1;
        points.push((
            from + random.below(ret.saturating_mul(1000).saturating_sub(from).max(1)),
            at,
        ));
    }
    points.sort_unstable();
    for (_, at) in points {
        let unknown = part[at].ret == NEVER;
        effect(random, &mut part[at].op, unknown);
    }
}

/// How many histories held, and for how many of all the path had an answer.
fn paths<M: Model>(model: &M, answered_percent_min: u64, mut make: impl FnMut(&mut Random) -> Part<M::Op>) {
    let (mut held, mut broken, mut answered) = (0, 0, 0);
    for seed in 0..rounds() {
        let part = make(&mut Random::new(seed));
        match agree(model, &part, seed) {
            true => held += 1,
            false => broken += 1,
        }
        answered += u64::from(match model.shortcuts().decide(&part) {
            Some(Decision::Core(_)) => true,
            Some(found) => explains(model, &part, &found),
            None => false,
        });
    }
    let total = rounds();
    assert!(
        held * 10 > total && broken * 20 > total,
        "{held} held, {broken} broken"
    );
    assert!(
        answered * 100 >= total * answered_percent_min,
        "{answered} of {total} answered"
    );
}

/// Shapes: how many operations, how many at a time, how many in a hundred unknown.
fn shape(random: &mut Random) -> (u64, u64, u64) {
    (
        2 + random.below(7),
        1 + random.below(4),
        [0, 15, 40][random.below(3) as usize],
    )
}
