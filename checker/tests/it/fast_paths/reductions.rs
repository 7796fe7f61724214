//! What is dropped, split or put together before it is judged changes no answer; and where it does, that is found.

use std::sync::Arc;

use duress_checker::generate::{Random, small};
use duress_checker::history::{NEVER, Val, Values};
use duress_checker::laws::check_part;
use duress_checker::model::{Call, Decision, Model, Operation, Part, Shortcuts};
use duress_checker::object::log::{Log, LogOp};
use duress_checker::object::multi_register::{Micro, MultiRegister, Txn};
use duress_checker::object::register::{Register, RegisterOp};
use duress_checker::object::set::{Set, SetOp};
use duress_checker::object::versioned_register::{Versioned, VersionedOp, VersionedRegister};

use super::{AtLeast, int, looked_at, shape, simulate};

/// Elements that are added and removed, once and again; now and then one is found that is not there.
fn elements(random: &mut Random) -> Part<SetOp> {
    let (length, width, info) = shape(random);
    let mut part = small(random, length, width, info, |random, unknown| {
        let element = int(random.below(3));
        match random.below(5) {
            0 | 1 if !unknown => SetOp::Contains(element, false),
            2 => SetOp::Remove(element),
            _ => SetOp::Add(element),
        }
    });
    let mut inside: Vec<Val> = Vec::new();
    simulate(random, &mut part, |random, op, _| match op {
        SetOp::Add(value) if !inside.contains(value) => inside.push(*value),
        SetOp::Remove(value) => inside.retain(|other| other != value),
        SetOp::Contains(value, found) => *found = inside.contains(value) ^ random.percent(10),
        SetOp::Add(_) | SetOp::Read(_) => {}
    });
    part
}

/// Elements that are added once, and reads of all.
fn growing(random: &mut Random) -> Part<SetOp> {
    let (length, width, info) = shape(random);
    let mut fresh = 0;
    let mut part = small(random, length, width, info, |random, unknown| {
        fresh += 1;
        match random.below(3) {
            0 if !unknown => SetOp::Read(Arc::default()),
            _ => SetOp::Add(int(fresh)),
        }
    });
    let mut inside = Vec::new();
    simulate(random, &mut part, |random, op, _| match op {
        SetOp::Add(value) => inside.push(*value),
        SetOp::Read(found) => {
            let mut seen: Vec<Val> = inside.iter().copied().filter(|_| !random.percent(6)).collect();
            seen.sort_unstable();
            *found = Arc::new(seen);
        }
        SetOp::Remove(_) | SetOp::Contains(..) => {}
    });
    part
}

/// Transactions of which many are unknown.
fn transactions(random: &mut Random) -> Part<Txn> {
    let (length, width) = (3 + random.below(5), 2 + random.below(3));
    small(random, length, width, 40, |random, unknown| {
        let register = int(random.below(2));
        let value = int(1 + random.below(3));
        let micro = match unknown || random.percent(40) {
            true => Micro::Write(register, value),
            false => Micro::Read(register, value),
        };
        [micro].into_iter().collect()
    })
}

/// A register that is deleted now and then; some reads return what was there before.
fn deleted(random: &mut Random) -> Part<RegisterOp> {
    let (length, width, info) = shape(random);
    let mut fresh = 0;
    let mut part = small(random, length, width, info, |random, unknown| {
        fresh += 1;
        match random.below(7) {
            0 | 1 if !unknown => RegisterOp::Read(Val::NIL),
            2 if !unknown => RegisterOp::Mismatch(int(1 + random.below(3))),
            3 => RegisterOp::Cas(Val::NIL, int(fresh)),
            4 => RegisterOp::Cas(int(fresh), Val::NIL),
            5 => RegisterOp::Write(Val::NIL),
            _ => RegisterOp::Write(int(fresh)),
        }
    });
    let (mut before, mut value) = (Val::NIL, Val::NIL);
    simulate(random, &mut part, |random, op, _| {
        let seen = if random.percent(20) { before } else { value };
        match op {
            RegisterOp::Read(found) => *found = seen,
            RegisterOp::Write(new) => (before, value) = (value, *new),
            RegisterOp::Cas(old, new) => {
                *old = seen;
                (before, value) = (value, *new);
            }
            RegisterOp::Mismatch(_) => {}
        }
    });
    part
}

#[test]
fn what_was_written_once_is_told_without_what_was_written_again() {
    let at_least = AtLeast {
        contradicted: 4,
        ..AtLeast::default()
    };
    looked_at(&Register { cas: true }, &at_least, deleted);
}

#[test]
fn a_set_is_divided_by_its_elements() {
    let at_least = AtLeast {
        divided: 60,
        ..AtLeast::default()
    };
    looked_at(&Set, &at_least, elements);
}

#[test]
fn unknown_transactions_that_nobody_saw_are_left_out() {
    let at_least = AtLeast {
        resolved: 40,
        ..AtLeast::default()
    };
    looked_at(&MultiRegister, &at_least, transactions);
}

#[test]
fn some_operations_are_focused_on() {
    let at_least = AtLeast {
        focused: 30,
        ..AtLeast::default()
    };
    looked_at(&Set, &at_least, growing);
    looked_at(&Log, &at_least, |random| {
        let (length, width, info) = shape(random);
        let mut fresh = 0;
        let mut part = small(random, length, width, info, |random, unknown| {
            fresh += 1;
            match random.below(3) {
                0 if !unknown => LogOp::Read(Box::default()),
                _ => LogOp::Append(int(fresh), None),
            }
        });
        let mut log = Vec::new();
        simulate(random, &mut part, |random, op, _| match op {
            LogOp::Append(value, _) => log.push(*value),
            LogOp::Read(found) => {
                let cut = usize::from(random.percent(12)).min(log.len());
                *found = log[..log.len() - cut].into();
            }
        });
        part
    });
    looked_at(&VersionedRegister, &at_least, |random| {
        let (length, width, info) = shape(random);
        let mut fresh = 0;
        let mut part = small(random, length, width, info, |random, unknown| {
            fresh += 1;
            let what = match random.below(3) {
                0 if !unknown => Versioned::Read(Val::NIL),
                _ => Versioned::Write(int(fresh)),
            };
            VersionedOp { version: None, what }
        });
        let (mut version, mut value) = (0, Val::NIL);
        simulate(random, &mut part, |random, op, unknown| {
            match &mut op.what {
                Versioned::Read(found) => *found = value,
                Versioned::Write(new) => (version, value) = (version + 1, *new),
                Versioned::Cas(..) | Versioned::Mismatch(_) => {}
            }
            op.version = (!unknown).then_some(version + i64::from(random.percent(5)));
        });
        part
    });
}

/// A set that does one of these things wrongly.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Divide,
    Resolve,
    Focus,
    Decide,
}

impl Model for Wrong {
    type Op = SetOp;
    type State = Vec<Val>;

    fn name(&self) -> &'static str {
        "wrong"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<SetOp>, String> {
        Set.operation(call)
    }

    fn initial(&self) -> Vec<Val> {
        Set.initial()
    }

    fn step(&self, state: &Vec<Val>, op: &SetOp, next: &mut Vec<Vec<Val>>) {
        Set.step(state, op, next);
    }

    fn shortcuts(&self) -> &impl Shortcuts<SetOp> {
        self
    }
}

impl Shortcuts<SetOp> for Wrong {
    fn resolve(&self, part: &mut Part<SetOp>, _values: &Values) {
        if *self == Wrong::Resolve {
            part.retain(|operation| operation.ret != NEVER);
        }
    }

    fn divide(&self, part: &[Operation<SetOp>]) -> Option<Vec<Part<SetOp>>> {
        let mut parts = Set.shortcuts().divide(part)?;
        parts.pop().filter(|_| *self == Wrong::Divide)?;
        Some(parts)
    }

    fn decide(&self, part: &[Operation<SetOp>]) -> Option<Decision> {
        match Set.shortcuts().decide(part)? {
            // The last of a core is needed.
            Decision::Core(mut core) if *self == Wrong::Decide => {
                core.pop();
                Some(Decision::Core(core))
            }
            found => Some(found),
        }
    }

    fn focus(&self, core: &[Operation<SetOp>]) -> Option<Part<SetOp>> {
        (*self == Wrong::Focus).then(|| {
            let added = core
                .iter()
                .filter(|operation| !matches!(operation.op, SetOp::Add(_)));
            added.cloned().collect()
        })
    }
}

#[test]
fn what_is_reduced_wrongly_is_found_out() {
    for (wrong, judge, make) in [
        (
            Wrong::Divide,
            "divide",
            elements as fn(&mut Random) -> Part<SetOp>,
        ),
        (Wrong::Resolve, "resolve", elements),
        (Wrong::Focus, "focus", growing),
        (Wrong::Decide, "decide", growing),
    ] {
        let found = (0..2_000).find_map(|seed| {
            let mut random = Random::new(seed);
            let part = make(&mut random);
            check_part(&wrong, &part, Some(&Values::default()), &mut random).err()
        });
        assert_eq!(found.expect("nothing is wrong").judge, judge);
    }
}
