//! Every search against trying all orders, on random small histories.
//!
//! `DURESS_FUZZ=100000` sets how many a model.

use std::sync::Arc;
use std::time::Duration;

use duress_checker::certify::{brute_force, explains, order_holds};
use duress_checker::generate::{Random, small};
use duress_checker::history::{Val, Values};
use duress_checker::limits::Limits;
use duress_checker::model::{Decision, Model, Operation, Part, Shortcuts};
use duress_checker::object::counter::{Counter, CounterOp};
use duress_checker::object::kv::{Content, Kv, KvOp, Pieces, Print};
use duress_checker::object::lock::{Lock, LockOp};
use duress_checker::object::log::{Log, LogOp};
use duress_checker::object::multi_register::{Micro, MultiRegister};
use duress_checker::object::queue::Queue;
use duress_checker::object::register::{Register, RegisterOp};
use duress_checker::object::semaphore::{Permits, Semaphore};
use duress_checker::object::set::{Set, SetOp};
use duress_checker::object::shared::element_op::ElementOp;
use duress_checker::object::stack::Stack;
use duress_checker::object::unordered_queue::UnorderedQueue;
use duress_checker::object::versioned_register::{Versioned, VersionedOp, VersionedRegister};
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

#[test]
fn cas_register() {
    fuzz(&Register { cas: true }, |random, unknown| match random.below(4) {
        0 | 1 if !unknown => RegisterOp::Read(value(random, 2)),
        0..=2 => RegisterOp::Write(value(random, 2)),
        _ => RegisterOp::Cas(value(random, 2), value(random, 2)),
    });
}

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
        for pace in [Pace::USUAL, NARROWEST, STUCK] {
            match jit::search_at(model, &part, limits, pace) {
                Outcome::Order(order) => {
                    assert!(
                        truth && order_holds(model, &part, &order),
                        "seed {seed}: {order:?} {part:#?}"
                    );
                }
                Outcome::Impossible { at, since } => {
                    assert!(!truth, "seed {seed}: {part:#?}");
                    let mut window = duress_checker::model::prefix(&part, part[at as usize].ret);
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
            let kind = random.below(5);
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

#[test]
fn versioned_register() {
    fuzz(&VersionedRegister, |random, unknown| VersionedOp {
        version: (!unknown && random.percent(60)).then(|| random.below(4) as i64),
        what: match random.below(3) {
            0 if !unknown => Versioned::Read(value(random, 1)),
            1 => Versioned::Cas(value(random, 1), value(random, 1)),
            _ => Versioned::Write(value(random, 1)),
        },
    });
}

#[test]
fn multi_register() {
    fuzz(&MultiRegister, |random, unknown| {
        let steps = 1 + random.below(2);
        let micro = |_| {
            let register = Val::int(random.below(2)).unwrap();
            let value = Val::int(random.below(2)).unwrap();
            if unknown || random.percent(50) {
                Micro::Write(register, value)
            } else {
                Micro::Read(register, value)
            }
        };
        (0..steps).map(micro).collect()
    });
}

#[test]
fn kv() {
    fuzz(&Kv, |random, unknown| {
        let text = ["a", "b", "aa", "ab"][random.below(4) as usize];
        let content = match random.below(6) {
            0 => Content::Absent,
            _ => Content::Text(Print::of(text)),
        };
        match random.below(6) {
            0..=2 if !unknown => KvOp::Get(content, Val::NIL, Pieces::Unknown),
            0..=3 => KvOp::Append(Print::of(&text[..1]), Val::NIL),
            4 => KvOp::Put(content, Val::NIL),
            _ => KvOp::Delete,
        }
    });
}

#[test]
fn set() {
    fuzz(&Set, |random, unknown| {
        let element = Val::int(random.below(3)).unwrap();
        match random.below(6) {
            0 | 1 if !unknown => SetOp::Contains(element, random.percent(50)),
            2 if !unknown => SetOp::Read(Arc::new(
                (0..3)
                    .filter_map(|at| Val::int(at).filter(|_| random.percent(40)))
                    .collect(),
            )),
            0..=3 => SetOp::Add(element),
            _ => SetOp::Remove(element),
        }
    });
}

#[test]
fn set_of_elements() {
    fuzz(&Set, |random, unknown| {
        let element = Val::int(random.below(2)).unwrap();
        match random.below(4) {
            0 | 1 if !unknown => SetOp::Contains(element, random.percent(50)),
            0..=2 => SetOp::Add(element),
            _ => SetOp::Remove(element),
        }
    });
}

/// Elements that come again.
fn some_queue_op(random: &mut Random, unknown: bool) -> ElementOp {
    let element = Val::int(random.below(2)).unwrap();
    match random.below(7) {
        0..=3 => ElementOp::Put(element),
        _ if unknown => ElementOp::TakeAny,
        6 => ElementOp::Empty,
        _ => ElementOp::Take(element),
    }
}

/// Elements that are all different, most of them taken about in order.
fn fresh_queue_op(taken: &mut u64, put: &mut u64, random: &mut Random, unknown: bool) -> ElementOp {
    match random.below(8) {
        0..=3 => {
            *put += 1;
            ElementOp::Put(Val::int(*put).unwrap())
        }
        _ if unknown => ElementOp::TakeAny,
        7 => ElementOp::Empty,
        _ => {
            // Never the same twice, mostly one that was put.
            *taken += 1;
            ElementOp::Take(Val::int(*taken ^ u64::from(random.percent(15))).unwrap())
        }
    }
}

#[test]
fn queue() {
    fuzz(&Queue, some_queue_op);
}

#[test]
fn queue_of_different_elements() {
    let (mut taken, mut put) = (0, 0);
    fuzz(&Queue, |random, unknown| {
        if put > 3 {
            (taken, put) = (0, 0);
        }
        fresh_queue_op(&mut taken, &mut put, random, unknown)
    });
}

#[test]
fn unordered_queue() {
    fuzz(&UnorderedQueue, some_queue_op);
}

#[test]
fn stack() {
    fuzz(&Stack, some_queue_op);
}

#[test]
fn locks() {
    for lock in [Lock::Mutex, Lock::Owner, Lock::Fenced] {
        fuzz(&lock, |random, unknown| {
            let owner = if lock == Lock::Mutex { 0 } else { random.below(2) };
            let token = (lock == Lock::Fenced && !unknown).then(|| random.below(4) as i64);
            if random.percent(60) {
                LockOp::Acquire(owner, token)
            } else {
                LockOp::Release(owner)
            }
        });
    }
}

#[test]
fn semaphore() {
    fuzz(&Semaphore { permits: 3 }, |random, _| {
        Permits::take(random.below(5) as i64 - 2)
    });
}

#[test]
fn counter() {
    fuzz(&Counter, |random, unknown| match random.below(2) {
        0 if !unknown => CounterOp::Read(random.below(4) as i64),
        _ => CounterOp::Add(random.below(4) as i64 - 1),
    });
}

#[test]
fn log() {
    fuzz(&Log, |random, unknown| {
        let element = |random: &mut Random| Val::int(random.below(2)).unwrap();
        match random.below(3) {
            0 if !unknown => LogOp::Read((0..random.below(4)).map(|_| element(random)).collect()),
            _ => LogOp::Append(
                element(random),
                (!unknown && random.percent(40)).then(|| random.below(3) as i64),
            ),
        }
    });
}
