//! Every model of the table on arbitrary operations.

use std::sync::Arc;

use duress_checker::generate::Random;
use duress_checker::history::Val;
use duress_checker::object::counter::{Counter, CounterOp};
use duress_checker::object::kv::{Kv, KvOp, Pieces, Print, Stored};
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

use super::{fuzz, fuzz_with, value};

#[test]
fn cas_register() {
    fuzz(&Register { cas: true }, |random, unknown| match random.below(5) {
        0 | 1 if !unknown => RegisterOp::Read(value(random, 2)),
        2 if !unknown => RegisterOp::Mismatch(value(random, 2)),
        0..=3 => RegisterOp::Write(value(random, 2)),
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
        match random.below(7) {
            0..=2 if !unknown => RegisterOp::Read(seen),
            3 if !unknown => RegisterOp::Mismatch(seen),
            0..=4 => RegisterOp::Write(written),
            _ => RegisterOp::Cas(seen, written),
        }
    });
}

#[test]
fn versioned_register() {
    fuzz(&VersionedRegister, |random, unknown| VersionedOp {
        version: (!unknown && random.percent(60)).then(|| random.below(4) as i64),
        what: match random.below(4) {
            0 if !unknown => Versioned::Read(value(random, 1)),
            1 if !unknown => Versioned::Mismatch(value(random, 1)),
            2 => Versioned::Cas(value(random, 1), value(random, 1)),
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
    fuzz_with(&Kv, None, |random, unknown| {
        let text = ["a", "b", "aa", "ab"][random.below(4) as usize];
        let content = match random.below(6) {
            0 => Stored::Absent,
            _ => Stored::Text(Print::of(text)),
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
