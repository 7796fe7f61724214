//! Longer histories: the searches against each other, and windows against the plain one.

use std::time::Duration;

use duress_checker::certify::order_holds;
use duress_checker::generate::{Random, small};
use duress_checker::history::Val;
use duress_checker::limits::Limits;
use duress_checker::model::{Model, Operation, Part, prefix};
use duress_checker::object::counter::{Counter, CounterOp};
use duress_checker::object::register::{Register, RegisterOp};
use duress_checker::object::semaphore::{Permits, Semaphore};
use duress_checker::search::jit::{self, Pace};
use duress_checker::search::{Outcome, wgl};
use duress_checker::verdict::Budget;

use super::{rounds, value};

/// Histories too long to try all orders, long enough for windows that begin in the middle.
///
/// What comes of them should be what was expected lately, so that much of it is possible.
fn longer<M: Model>(model: &M, mut make: impl FnMut(&mut Random) -> Part<M::Op>) {
    let limits = Limits {
        budget: Budget::default(),
        elapsed: &|| Duration::ZERO,
    };
    let (mut held, mut windows) = (0, 0);
    for seed in 0..rounds() {
        let part = make(&mut Random::new(seed));
        let truth = matches!(wgl::search(model, &part, limits), Outcome::Order(_));
        held += u64::from(truth);
        for pace in [Pace::USUAL, Pace::NARROWEST, Pace::STUCK] {
            match jit::search_at(model, &part, limits, pace) {
                Outcome::Order(order) => {
                    assert!(
                        truth && order_holds(model, &part, &order),
                        "seed {seed}: {order:?} {part:#?}"
                    );
                }
                Outcome::Impossible { at, since } => {
                    assert!(!truth, "seed {seed}: {part:#?}");
                    let mut window = prefix(&part, part[at as usize].ret);
                    window.retain(|operation| operation.ret >= since);
                    windows += u64::from(window.len() < 16);
                    let outcome = wgl::search(model, &window, limits);
                    assert!(
                        matches!(outcome, Outcome::Impossible { .. }),
                        "seed {seed}: possible since {since}: {part:#?}"
                    );
                }
                Outcome::Exhausted(reason) => panic!("seed {seed}: {reason}"),
            }
        }
    }
    assert!(
        held * 10 > rounds() && windows * 10 > rounds(),
        "{held} held, {windows} windows"
    );
}

/// Shapes of longer histories: how many at a time, how many in a hundred unknown.
fn long_shape(random: &mut Random) -> (u64, u64) {
    (2 + random.below(4), [0, 5, 15][random.below(3) as usize])
}

#[test]
fn longer_cas_register() {
    longer(&Register { cas: true }, |random| {
        let ((width, info), values) = (long_shape(random), 2 + random.below(2));
        let mut last = Val::NIL;
        small(random, 24, width, info, |random, unknown| {
            let kind = random.below(6);
            let seen = if random.percent(90) {
                last
            } else {
                value(random, values)
            };
            let written = value(random, values);
            match kind {
                0..=2 if !unknown => RegisterOp::Read(seen),
                4 => {
                    last = written;
                    RegisterOp::Cas(seen, written)
                }
                5 if !unknown && seen != written => RegisterOp::Mismatch(written),
                _ => {
                    last = written;
                    RegisterOp::Write(written)
                }
            }
        })
    });
}

/// Hardly anything overwrites, and many operations are equal.
#[test]
fn longer_cas_of_few_values() {
    longer(&Register { cas: true }, |random| {
        let (width, info) = long_shape(random);
        let mut last = Val::NIL;
        small(random, 18, width, info, |random, unknown| {
            let seen = if random.percent(85) {
                last
            } else {
                value(random, 2)
            };
            match random.below(20) {
                0..=7 if !unknown => RegisterOp::Read(seen),
                19 => RegisterOp::Write(last),
                _ => {
                    // In turns, as a lock is taken and given back.
                    last = if last.is_nil() { value(random, 1) } else { Val::NIL };
                    RegisterOp::Cas(seen, last)
                }
            }
        })
    });
}

#[test]
fn longer_semaphore() {
    longer(&Semaphore { permits: 2 }, |random| {
        let (width, info) = long_shape(random);
        let mut used = 0;
        small(random, 24, width, info, |random, _| {
            let fits = |by: &i64| (0..=2).contains(&(used + by));
            let by = [1, -1, 2, -2][random.below(4) as usize];
            let by = Some(by).filter(fits).unwrap_or(if used > 0 { -1 } else { 1 });
            used += by;
            Permits::take(if random.percent(95) { by } else { -by })
        })
    });
}

/// So much is open at once that a layer is cut before anybody looks for what can be spared.
#[test]
fn layers_beyond_the_width() {
    let limits = Limits {
        budget: Budget::default(),
        elapsed: &|| Duration::ZERO,
    };
    let pace = Pace {
        width: 1 << 11,
        work: 1 << 20,
        ..Pace::USUAL
    };
    for seed in 0..8 {
        let mut random = Random::new(seed);
        let (open, bit) = (13, |at: u32| 1 << at);
        let mut part: Part<CounterOp> = (0..open)
            .map(|at| Operation {
                op: CounterOp::Add(bit(at)),
                invoke: at,
                ret: open + 3 + at,
                row: at,
            })
            .collect();
        // The first completes, and a read finds it with any of the others; or without it, and then there is no order.
        part[0].ret = open;
        let possible = seed > 1;
        let found = random.below(1 << open) as i64 & !1 | i64::from(possible);
        part.push(Operation {
            op: CounterOp::Read(found),
            invoke: open + 1,
            ret: open + 2,
            row: open,
        });
        match jit::search_at(&Counter, &part, limits, pace) {
            Outcome::Order(order) => assert!(possible && order_holds(&Counter, &part, &order)),
            outcome => assert!(!possible, "seed {seed}: {outcome:?}"),
        }
    }
}
