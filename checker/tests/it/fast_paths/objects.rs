//! Objects of numbers and of elements.

use std::cell::Cell;
use std::sync::Arc;

use duress_checker::generate::{Random, small};
use duress_checker::history::Val;
use duress_checker::model::{Model, Part};
use duress_checker::object::counter::{Counter, CounterOp};
use duress_checker::object::lock::{Lock, LockOp};
use duress_checker::object::log::{Log, LogOp};
use duress_checker::object::register::{Register, RegisterOp};
use duress_checker::object::semaphore::{Permits, Semaphore};
use duress_checker::object::set::{Set, SetOp};
use duress_checker::object::shared::element_op::ElementOp;
use duress_checker::object::stack::Stack;
use duress_checker::object::unordered_queue::UnorderedQueue;
use duress_checker::object::versioned_register::{Versioned, VersionedOp, VersionedRegister};

use super::{int, paths, shape, simulate};

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

/// Each value is written once; compare-and-sets ask for what is there, or are refused.
#[test]
fn register_of_different_values() {
    paths(&Register { cas: true }, 90, |random| {
        let (length, width, info) = shape(random);
        let mut fresh = 0;
        let mut part = small(random, length, width, info, |random, unknown| {
            fresh += 1;
            match random.below(6) {
                0 | 1 if !unknown => RegisterOp::Read(Val::NIL),
                2 | 3 if !unknown => RegisterOp::Mismatch(Val::NIL),
                4 => RegisterOp::Cas(Val::NIL, int(fresh)),
                _ => RegisterOp::Write(int(fresh)),
            }
        });
        let (mut value, mut before) = (Val::NIL, Val::NIL);
        simulate(random, &mut part, |random, op, _| {
            let bent = random.percent(8);
            let (seen, other) = if bent { (before, value) } else { (value, before) };
            match op {
                RegisterOp::Read(found) => *found = seen,
                RegisterOp::Mismatch(wanted) => *wanted = if other == seen { int(99) } else { other },
                RegisterOp::Write(new) => (before, value) = (value, *new),
                RegisterOp::Cas(old, new) => {
                    *old = seen;
                    if *old == value {
                        (before, value) = (value, *new);
                    }
                }
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
            what: match random.below(6) {
                0 | 1 if !unknown => Versioned::Read(Val::NIL),
                5 if !unknown => Versioned::Mismatch(int(random.below(values))),
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
                Versioned::Mismatch(other) => {
                    if *other == value && !random.percent(10) {
                        *other = int(99);
                    }
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
            let refused = matches!(op.what, Versioned::Mismatch(_));
            op.version = (!unknown && !refused).then_some(version + bent);
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
            // Operations go to owners that are not busy; each acquires and releases in turn.
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
            // Many of these are impossible, since operations complete that had not taken effect in turn; both kinds are wanted.
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
