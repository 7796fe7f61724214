//! What certifies an answer, against what it should mean.

use std::time::Duration;

use duress_checker::certify::{brute_force, impossible, order_holds};
use duress_checker::generate::{Random, small};
use duress_checker::history::{NEVER, Val};
use duress_checker::limits::Limits;
use duress_checker::model::{Model, Part};
use duress_checker::object::register::{Register, RegisterOp};
use duress_checker::object::shared::element_op::ElementOp;
use duress_checker::object::unordered_queue::UnorderedQueue;
use duress_checker::search::{Outcome, wgl};
use duress_checker::verdict::Budget;

use crate::against_brute_force::{rounds, value};

/// Whether operations are possible one after another.
fn legal<M: Model>(model: &M, state: &M::State, order: &[&M::Op]) -> bool {
    let Some((op, rest)) = order.split_first() else {
        return true;
    };
    let mut next = Vec::new();
    model.step(state, op, &mut next);
    next.iter().any(|state| legal(model, state, rest))
}

/// The definition, pair by pair.
fn explains<M: Model>(model: &M, part: &Part<M::Op>, order: &[u32]) -> bool {
    let taken = |at: usize| order.iter().filter(|&&other| other as usize == at).count();
    let complete = (part.iter().enumerate()).all(|(at, operation)| match taken(at) {
        0 => operation.ret == NEVER,
        count => count == 1,
    });
    let known: Vec<_> = (order.iter()).filter_map(|&at| part.get(at as usize)).collect();
    let in_time = (known.iter().enumerate())
        .all(|(at, before)| known[at..].iter().all(|after| after.ret >= before.invoke));
    let ops: Vec<&M::Op> = known.iter().map(|operation| &operation.op).collect();
    complete && known.len() == order.len() && in_time && legal(model, &model.initial(), &ops)
}

/// An order that may be right, with what a mistake would make of it.
fn bend(random: &mut Random, order: &mut Vec<u32>, length: usize) {
    let (from, to) = (
        random.below(length as u64) as usize,
        random.below(length as u64) as usize,
    );
    match random.below(6) {
        0 if from < order.len() => drop(order.remove(from)),
        1 => order.insert(to.min(order.len()), from as u32),
        2 => order.push(length as u32),
        3 | 4 if from.max(to) < order.len() => order.swap(from, to),
        _ => {}
    }
}

fn certified<M: Model>(model: &M, mut op: impl FnMut(&mut Random, bool) -> M::Op) {
    let limits = Limits {
        budget: Budget::default(),
        elapsed: &|| Duration::ZERO,
    };
    let (mut right, mut wrong) = (0, 0);
    for seed in 0..rounds() {
        let mut random = Random::new(seed);
        let (length, width) = (1 + random.below(6), 1 + random.below(4));
        let info = [0, 30][random.below(2) as usize];
        let part = small(&mut random, length, width, info, &mut op);
        assert_eq!(
            impossible(model, &part, limits),
            Some(!brute_force(model, &part)),
            "seed {seed}: {part:#?}"
        );
        let mut order: Vec<u32> = match wgl::search(model, &part, limits) {
            Outcome::Order(order) => order,
            _ => (0..part.len() as u32).collect(),
        };
        for _ in 0..4 {
            let holds = explains(model, &part, &order);
            assert_eq!(
                order_holds(model, &part, &order),
                holds,
                "seed {seed}: {order:?}: {part:#?}"
            );
            if holds {
                right += 1;
            } else {
                wrong += 1;
            }
            bend(&mut random, &mut order, part.len());
        }
    }
    assert!(
        right > rounds() / 2 && wrong > rounds() / 2,
        "{right} right, {wrong} wrong"
    );
}

#[test]
fn orders_of_a_register() {
    certified(&Register { cas: true }, |random, unknown| match random.below(4) {
        0 if !unknown => RegisterOp::Read(value(random, 2)),
        1 if !unknown => RegisterOp::Mismatch(value(random, 2)),
        0..=2 => RegisterOp::Write(value(random, 2)),
        _ => RegisterOp::Cas(value(random, 2), value(random, 2)),
    });
}

/// One state leads to several, and operations take effect in place.
#[test]
fn orders_of_an_unordered_queue() {
    certified(&UnorderedQueue, |random, unknown| {
        let element = Val::int(random.below(2)).unwrap();
        match random.below(6) {
            0..=2 => ElementOp::Put(element),
            _ if unknown => ElementOp::TakeAny,
            3 => ElementOp::Empty,
            _ => ElementOp::Take(element),
        }
    });
}
