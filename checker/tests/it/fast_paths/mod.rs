//! The paths without search on the histories that they are for: made by an object that works, then now and then bent.
//!
//! Random results, as in `against_brute_force`, are mostly nonsense; a path that takes a wrong turn on something nearly
//! right is found here.

mod objects;
mod reductions;
mod texts;

use duress_checker::generate::Random;
use duress_checker::history::{NEVER, Val, Values};
use duress_checker::laws::Looked;
use duress_checker::model::{Model, Part};

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

/// So many in a hundred histories have an answer without search, and so many are divided, resolved or focused on.
#[derive(Default)]
struct AtLeast {
    /// Those who make them have resolved them.
    resolved_before: bool,
    decided: u64,
    contradicted: u64,
    divided: u64,
    resolved: u64,
    focused: u64,
}

/// Everything agrees on these histories, of which enough hold and enough don't, and the path has an answer often enough.
fn paths<M: Model>(model: &M, decided_percent_min: u64, make: impl FnMut(&mut Random) -> Part<M::Op>) {
    let at_least = AtLeast {
        decided: decided_percent_min,
        ..AtLeast::default()
    };
    looked_at(model, &at_least, make);
}

fn looked_at<M: Model>(model: &M, at_least: &AtLeast, mut make: impl FnMut(&mut Random) -> Part<M::Op>) {
    let mut all = Vec::new();
    for seed in 0..rounds() {
        let part = make(&mut Random::new(seed));
        let values = (!at_least.resolved_before).then(Values::default);
        all.push(agree(model, &part, values.as_ref(), seed));
    }
    let count = |is: fn(&Looked) -> bool| all.iter().filter(|looked| is(looked)).count() as u64;
    let (total, held) = (rounds(), count(|looked| looked.holds));
    assert!(
        held * 10 > total && (total - held) * 20 > total,
        "{held} of {total} held"
    );
    for (what, found, percent_min) in [
        ("decided", count(|looked| looked.decided), at_least.decided),
        (
            "contradicted",
            count(|looked| looked.contradicted),
            at_least.contradicted,
        ),
        ("divided", count(|looked| looked.divided), at_least.divided),
        ("resolved", count(|looked| looked.resolved), at_least.resolved),
        ("focused", count(|looked| looked.focused), at_least.focused),
    ] {
        assert!(
            found * 100 >= total * percent_min,
            "{found} of {total} were {what}"
        );
    }
}

/// Shapes: how many operations, how many at a time, how many in a hundred unknown.
fn shape(random: &mut Random) -> (u64, u64, u64) {
    (
        2 + random.below(7),
        1 + random.below(4),
        [0, 15, 40][random.below(3) as usize],
    )
}
