//! The paths without search on the histories that they are for: made by an object that works, then now and then bent.
//!
//! Random results, as in `against_brute_force`, are mostly nonsense; a path that takes a wrong turn on something nearly
//! right is found here.

use std::cell::Cell;
use std::sync::Arc;

use duress_checker::certify::explains;
use duress_checker::generate::{Random, small};
use duress_checker::history::{NEVER, Val, Values};
use duress_checker::model::{Decision, Model, Part, Shortcuts};
use duress_checker::object::counter::{Counter, CounterOp};
use duress_checker::object::kv::{Content, Kv, KvOp, Pieces, Print};
use duress_checker::object::lock::{Lock, LockOp};
use duress_checker::object::log::{Log, LogOp};
use duress_checker::object::semaphore::{Permits, Semaphore};
use duress_checker::object::set::{Set, SetOp};
use duress_checker::object::shared::element_op::ElementOp;
use duress_checker::object::stack::Stack;
use duress_checker::object::unordered_queue::UnorderedQueue;
use duress_checker::object::versioned_register::{Versioned, VersionedOp, VersionedRegister};

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

#[test]
fn counter_of_equal_steps() {
    paths(&Counter, 100, |random| {
        let (length, width, info) = shape(random);
        let step = [1, 1, 3, -2][random.below(4) as usize];
        let mut part = small(random, length, width, info, |random, unknown| {
            match random.below(9) {
                0..=3 if !unknown => CounterOp::Read(0),
                4 => CounterOp::Add(0),
                _ => CounterOp::Add(step),
            }
        });
        let mut sum = 0;
        simulate(random, &mut part, |random, op, _| match op {
            CounterOp::Add(by) => sum += *by,
            CounterOp::Read(found) => *found = sum + if random.percent(12) { step } else { 0 },
        });
        part
    });
}

#[test]
fn counter_of_any_steps() {
    paths(&Counter, 20, |random| {
        let (length, width, info) = shape(random);
        let mut part = small(random, length, width, info, |random, unknown| {
            match random.below(2) {
                0 if !unknown => CounterOp::Read(0),
                _ => CounterOp::Add(random.below(7) as i64 - 3),
            }
        });
        let mut sum = 0;
        simulate(random, &mut part, |random, op, _| match op {
            CounterOp::Add(by) => sum += *by,
            CounterOp::Read(found) => {
                *found = sum
                    + if random.percent(20) {
                        random.below(9) as i64 - 4
                    } else {
                        0
                    }
            }
        });
        part
    });
}

/// A log whose answers have offsets always, sometimes or never.
#[test]
fn log_of_different_values() {
    paths(&Log, 100, |random| {
        let (length, width, info) = shape(random);
        let offsets = [0, 50, 100][random.below(3) as usize];
        let mut fresh = 0;
        let mut part = small(random, length, width, info, |random, unknown| {
            fresh += 1;
            match random.below(5) {
                0 | 1 if !unknown => LogOp::Read(Box::default()),
                _ => LogOp::Append(int(fresh), None),
            }
        });
        let mut log = Vec::new();
        simulate(random, &mut part, |random, op, unknown| match op {
            LogOp::Append(value, offset) => {
                let bent = i64::from(random.percent(4));
                *offset = (!unknown && random.percent(offsets)).then(|| log.len() as i64 + bent);
                log.push(*value);
            }
            LogOp::Read(found) => {
                let mut seen = log.clone();
                if random.percent(8) {
                    seen.pop();
                }
                if random.percent(4) && seen.len() > 1 {
                    let at = random.below(seen.len() as u64 - 1) as usize;
                    seen.swap(at, at + 1);
                }
                *found = seen.into();
            }
        });
        part
    });
}

#[test]
fn versions() {
    paths(&VersionedRegister, 70, |random| {
        let (length, width, info) = shape(random);
        let values = 1 + random.below(3);
        let mut part = small(random, length, width, info, |random, unknown| VersionedOp {
            version: None,
            what: match random.below(5) {
                0 | 1 if !unknown => Versioned::Read(Val::NIL),
                2 => Versioned::Cas(int(random.below(values)), int(random.below(values))),
                _ => Versioned::Write(int(random.below(values))),
            },
        });
        let (mut version, mut value) = (0, Val::NIL);
        simulate(random, &mut part, |random, op, unknown| {
            match &mut op.what {
                Versioned::Read(found) => {
                    *found = if random.percent(5) {
                        int(random.below(values))
                    } else {
                        value
                    };
                }
                Versioned::Write(new) => (version, value) = (version + 1, *new),
                // One that does not find what it asks for fails and is no part of a history: let it ask for what is.
                Versioned::Cas(old, new) if unknown => {
                    if *old == value {
                        (version, value) = (version + 1, *new);
                    }
                }
                Versioned::Cas(old, new) => {
                    *old = if random.percent(5) {
                        int(random.below(values))
                    } else {
                        value
                    };
                    (version, value) = (version + 1, *new);
                }
            }
            let bent = i64::from(random.percent(5));
            op.version = (!unknown).then_some(version + bent);
        });
        part
    });
}

#[test]
fn set_that_grows() {
    paths(&Set, 100, |random| {
        let (length, width, info) = shape(random);
        let mut fresh = 0;
        let mut part = small(random, length, width, info, |random, unknown| {
            fresh += 1;
            match random.below(5) {
                0 | 1 if !unknown => SetOp::Read(Arc::default()),
                _ => SetOp::Add(int(fresh)),
            }
        });
        let mut set = Vec::new();
        simulate(random, &mut part, |random, op, _| match op {
            SetOp::Read(found) => {
                *found = Arc::new(set.iter().copied().filter(|_| !random.percent(6)).collect());
            }
            SetOp::Add(value) => {
                set.push(*value);
                set.sort_unstable();
            }
            SetOp::Remove(_) | SetOp::Contains(..) => {}
        });
        part
    });
}

/// Different elements that go in and out; `take` says which one comes out.
fn different_elements(
    model: impl Model<Op = ElementOp>,
    answered_percent_min: u64,
    take: impl Fn(&mut Random, &mut Vec<Val>) -> Option<Val>,
) {
    paths(&model, answered_percent_min, |random| {
        let (length, width, info) = shape(random);
        let mut fresh = 0;
        let mut part = small(random, length, width, info, |random, unknown| {
            fresh += 1;
            match random.below(2) {
                0 if unknown => ElementOp::TakeAny,
                0 => ElementOp::Empty,
                _ => ElementOp::Put(int(fresh)),
            }
        });
        let mut inside = Vec::new();
        simulate(random, &mut part, |random, op, _| match op {
            ElementOp::Put(value) => inside.push(*value),
            ElementOp::TakeAny => drop(take(random, &mut inside)),
            ElementOp::Empty | ElementOp::Take(_) => {
                *op = take(random, &mut inside).map_or(ElementOp::Empty, ElementOp::Take);
            }
        });
        part
    });
}

#[test]
fn stack_of_different_elements() {
    different_elements(Stack, 60, |random, inside| {
        let bottom = random.percent(60) && !inside.is_empty();
        if bottom {
            Some(inside.remove(0))
        } else {
            inside.pop()
        }
    });
}

#[test]
fn bag_of_different_elements() {
    different_elements(UnorderedQueue, 100, |random, inside| {
        let blind = random.percent(15) || inside.is_empty();
        (!blind).then(|| inside.swap_remove(random.below(inside.len() as u64) as usize))
    });
}

/// More unknown takes than others, and elements that stay, for them to have taken.
#[test]
fn bag_of_which_nobody_knows_what_was_taken() {
    paths(&UnorderedQueue, 100, |random| {
        let (length, width) = (4 + random.below(5), 2 + random.below(3));
        let mut fresh = 0;
        let mut part = small(random, length, width, 35, |random, unknown| {
            fresh += 1;
            match random.below(3) {
                _ if unknown => ElementOp::TakeAny,
                0 => ElementOp::Empty,
                _ => ElementOp::Put(int(fresh)),
            }
        });
        let mut inside = Vec::new();
        simulate(random, &mut part, |random, op, _| match op {
            ElementOp::Put(value) => inside.push(*value),
            ElementOp::TakeAny => drop(inside.pop()),
            ElementOp::Take(_) => {}
            ElementOp::Empty => {
                // One that finds nothing where there is something is what unknown ones have to make up for.
                if !inside.is_empty() && random.percent(60) {
                    *op = ElementOp::Take(inside.swap_remove(random.below(inside.len() as u64) as usize));
                }
            }
        });
        part
    });
}

/// Owners that do one thing at a time, as processes do; sometimes a lock lets two in.
#[test]
fn locks_with_owners() {
    for lock in [Lock::Owner, Lock::Fenced] {
        paths(&lock, 60, |random| {
            let (length, owners, info) = shape(random);
            let mut part: Part<LockOp> = small(random, length, owners, info, |_, _| LockOp::Release(0));
            // Each owner has every so manyth operation, if it is not busy; acquires and releases in turn.
            let mut state: Vec<(u32, bool)> = vec![(0, false); owners as usize + 2];
            part.retain_mut(|operation| {
                let from = random.below(state.len() as u64) as usize;
                let free = (0..state.len())
                    .map(|at| (from + at) % state.len())
                    .find(|&at| state[at].0 <= operation.invoke);
                let Some(owner) = free else { return false };
                let (busy, holds) = &mut state[owner];
                *busy = operation.ret;
                *holds = !*holds;
                operation.op = match *holds {
                    true => LockOp::Acquire(owner as u64, None),
                    false => LockOp::Release(owner as u64),
                };
                true
            });
            let token = Cell::new(0);
            simulate(random, &mut part, |random, op, unknown| {
                if let (LockOp::Acquire(_, token_of), Lock::Fenced, false) = (op, lock, unknown) {
                    token.set(token.get() + 1 - 2 * i64::from(random.percent(8)));
                    *token_of = Some(token.get());
                }
            });
            // What completed without having taken effect in turn makes most of them impossible; that is as well.
            part
        });
    }
}

#[test]
fn mutex_and_semaphore() {
    paths(&Lock::Mutex, 100, |random| {
        let (length, width, info) = shape(random);
        let turn = Cell::new(false);
        small(random, length, width, info, |random, _| {
            turn.set(turn.get() ^ random.percent(85));
            if turn.get() {
                LockOp::Acquire(0, None)
            } else {
                LockOp::Release(0)
            }
        })
    });
    paths(&Semaphore { permits: 2 }, 100, |random| {
        let (length, width, info) = shape(random);
        small(random, length, width, info, |random, _| {
            Permits::take(if random.percent(60) { 1 } else { -1 })
        })
    });
}

/// A text as an operation has it.
fn text(values: &mut Values, text: &str) -> (Content, Val) {
    (Content::Text(Print::of(text)), values.text(text))
}

/// Puts and appends of different texts, and so many deletes of a hundred changes.
fn different_texts(answered_percent_min: u64, deletes_percent: u64) {
    paths(&Kv, answered_percent_min, |random| {
        let values = &mut Values::default();
        let (length, width, info) = shape(random);
        let mut fresh = 0;
        let mut part = small(random, length, width, info, |random, unknown| {
            fresh += 1;
            let (content, value) = text(values, &format!("{fresh}."));
            if random.percent(deletes_percent) {
                return KvOp::Delete;
            }
            match (random.below(6), content) {
                (0..=2, _) if !unknown => KvOp::Get(Content::Absent, Val::NIL, Pieces::Unknown),
                (3, _) => KvOp::Put(content, value),
                (_, Content::Text(print)) => KvOp::Append(print, value),
                _ => KvOp::Delete,
            }
        });
        let mut held: Vec<String> = Vec::new();
        let mut before: Vec<String> = Vec::new();
        simulate(random, &mut part, |random, op, _| match op {
            KvOp::Get(content, value, _) => {
                let mut seen = held.clone();
                match random.below(14) {
                    0 => seen.truncate(seen.len().saturating_sub(1)),
                    1 => seen.reverse(),
                    2 => seen.clone_from(&before),
                    3 if random.percent(20) => seen.push("?".to_owned()),
                    4 if !seen.is_empty() => drop(seen.remove(0)),
                    // As if what was put had been appended.
                    5 => drop(seen.splice(0..0, before.iter().cloned())),
                    _ => {}
                }
                if !seen.is_empty() {
                    (*content, *value) = text(values, &seen.concat());
                }
            }
            KvOp::Put(_, value) => {
                before = std::mem::take(&mut held);
                held.extend(values.str(*value).map(str::to_owned));
            }
            KvOp::Append(_, value) => held.extend(values.str(*value).map(str::to_owned)),
            KvOp::Delete => held.clear(),
        });
        Kv.shortcuts().resolve(&mut part, values);
        part
    });
}

#[test]
fn texts_that_can_be_told_apart() {
    different_texts(100, 0);
}

#[test]
fn texts_that_are_deleted() {
    different_texts(20, 20);
}

/// Texts of which one is the beginning of another, or none at all, and numbers, some of them more than once.
#[test]
fn texts_that_may_be_told_apart() {
    paths(&Kv, 20, |random| {
        let values = &mut Values::default();
        let (length, width, info) = shape(random);
        let texts = [
            &["a", "b", "ab", "ba", "aa", "bb"][..],
            &["a", "b", "cb", "ca", "cc", "da"],
            &["a.", "b.", "c.", "d.", ""],
            &[""],
        ][random.below(4) as usize];
        let mut fresh = random.below(9);
        let mut part = small(random, length, width, info, |random, unknown| {
            fresh += u64::from(random.percent(90));
            let (content, value) = text(values, texts[(fresh % texts.len() as u64) as usize]);
            match (random.below(8), content) {
                (0..=3, _) if !unknown => KvOp::Get(Content::Absent, Val::NIL, Pieces::Unknown),
                (4, _) => KvOp::Put(Content::Value(int(fresh % 5)), int(fresh % 5)),
                (5, _) => KvOp::Put(content, value),
                (_, Content::Text(print)) => KvOp::Append(print, value),
                _ => KvOp::Delete,
            }
        });
        let (mut held, mut number, mut before) = (String::new(), None, String::new());
        simulate(random, &mut part, |random, op, _| match op {
            KvOp::Get(content, value, _) => {
                (*content, *value) = match (number, random.below(12)) {
                    (_, 0) => text(values, &before),
                    (_, 1) if random.percent(30) => text(values, "?"),
                    (_, 1) => (Content::Value(int(fresh % 5)), int(fresh % 5)),
                    (Some(number), _) => (Content::Value(number), number),
                    (None, _) => text(values, &held),
                };
            }
            KvOp::Put(Content::Value(value), _) => number = Some(*value),
            KvOp::Put(_, value) => {
                number = None;
                before = std::mem::take(&mut held);
                held.extend(values.str(*value));
            }
            KvOp::Append(_, value) => {
                number = None;
                held.extend(values.str(*value));
            }
            KvOp::Delete => {}
        });
        Kv.shortcuts().resolve(&mut part, values);
        part
    });
}
