//! What some operations of a part prove.
//!
//! Operations are left out of a proof one by one, and what is left must prove as much as the whole. A read is told its
//! value by a write that stays, so it does not matter who else wrote. But an operation that [did not
//! find](Words::denies) a value says that some other one was there, and that may be the doing of any operation that is
//! left out. So whichever of those may have been the last before it stays in the proof as a write of [some other
//! value](Words::bringing). If the operations are impossible even so, then so is the whole: take an order of the
//! whole, and leave out everything that changes nothing for those that stay.

use std::collections::HashSet;

use super::statement::Statement;
use crate::history::{NEVER, Val};
use crate::model::{Model, Operation, Part, Words, put_in_order};

/// What may be left out of a core, and what has to stand for it.
pub(super) struct Proof<Op> {
    /// A write of some other value, if the object has one.
    other: Option<Op>,
    /// What it stands for in a proof that has one of these operations that did not find a value.
    others: Vec<Other>,
}

/// An operation that may be why another one did not find a value.
struct Other {
    /// The row of that other one.
    denier: u32,
    row: u32,
    invoke: u32,
    ret: u32,
}

impl<Op: Clone> Proof<Op> {
    /// For cores of a part that have no operations but these.
    pub fn new<M: Model<Op = Op>>(model: &M, part: &[Operation<Op>], core: &[Operation<Op>]) -> Proof<Op> {
        let words = model.words();
        let denies =
            |operation: &&Operation<Op>| operation.ret != NEVER && words.denies(&operation.op).is_some();
        let deniers = core.iter().filter(denies);
        let deniers: Vec<Statement<'_>> = deniers.map(|denier| Statement::new(model, denier)).collect();
        let other = words.bringing(Val::NONE).filter(|_| !deniers.is_empty());
        let others = match &other {
            Some(_) => {
                let writes = part
                    .iter()
                    .filter(|operation| !words.produces(&operation.op).is_empty());
                others(writes.map(|write| Statement::new(model, write)), &deniers)
            }
            None => Vec::new(),
        };
        Proof { other, others }
    }

    /// What is to be judged in the place of a core.
    pub fn of(&self, core: Part<Op>) -> Part<Op> {
        let mut part = core;
        let Some(other) = self.other.as_ref().filter(|_| !self.others.is_empty()) else {
            return part;
        };
        let stays: HashSet<u32> = part.iter().map(|operation| operation.row).collect();
        let mut rows = stays.clone();
        let needed = self.others.iter().filter(|other| stays.contains(&other.denier));
        for &Other { row, invoke, ret, .. } in needed {
            if rows.insert(row) {
                let op = other.clone();
                part.push(Operation { op, invoke, ret, row });
            }
        }
        put_in_order(&mut part);
        part
    }
}

/// Of all that bring in values, in order of invocation: each that may be why one of these did not find one.
fn others<'a>(writes: impl Iterator<Item = Statement<'a>>, deniers: &[Statement<'_>]) -> Vec<Other> {
    let (unknown, known): (Vec<_>, Vec<_>) = writes.partition(|write| write.ret == NEVER);
    let overwritten = Overwritten::new(&known);
    let mut others = Vec::new();
    for denier in deniers {
        let differs = |write: &&Statement<'_>| write.produces.iter().any(|new| Some(*new) != denier.denies);
        let begun = |write: &&Statement<'_>| write.invoke < denier.ret;
        // They are alike, so one for each that may need one is enough.
        let unknown = unknown
            .iter()
            .take_while(begun)
            .filter(differs)
            .take(deniers.len());
        let last = overwritten.last_before(&known, denier.invoke, denier.ret);
        let last = last.into_iter().map(|at| &known[at]).filter(differs);
        others.extend(unknown.chain(last).map(|write| Other {
            denier: denier.row,
            row: write.row,
            invoke: write.invoke,
            ret: write.ret,
        }));
    }
    others
}

/// Writes that are known to have happened, in order of invocation, as far as it must be known which were overwritten.
struct Overwritten {
    /// Completions in order, with the latest invocation up to each.
    completed: Vec<(u32, u32)>,
    /// The latest completion of each and those before it.
    ret_max: Vec<u32>,
}

impl Overwritten {
    fn new(writes: &[Statement<'_>]) -> Overwritten {
        let mut completed: Vec<(u32, u32)> = writes.iter().map(|write| (write.ret, write.invoke)).collect();
        completed.sort_unstable();
        let mut latest = 0;
        for (_, invoke) in &mut completed {
            latest = latest.max(*invoke);
            *invoke = latest;
        }
        let mut ret_max = 0;
        let ret_max = writes.iter().map(|write| {
            ret_max = ret_max.max(write.ret);
            ret_max
        });
        Overwritten {
            ret_max: ret_max.collect(),
            completed,
        }
    }

    /// Positions of the writes that may be the last before some moment of an interval: not those after which another one certainly
    /// came before it.
    fn last_before(&self, writes: &[Statement<'_>], invoke: u32, ret: u32) -> Vec<usize> {
        let before = self
            .completed
            .partition_point(|(completed, _)| *completed < invoke);
        let over = before.checked_sub(1).map_or(0, |last| self.completed[last].1);
        let end = writes.partition_point(|write| write.invoke < ret);
        let open = (0..end).rev().take_while(|&at| self.ret_max[at] >= over);
        let mut last: Vec<usize> = open.filter(|&at| writes[at].ret >= over).collect();
        last.reverse();
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certify::brute_force;
    use crate::generate::{Random, small};
    use crate::object::register::{Register, RegisterOp};

    /// Some of the operations, and all that bring in what these need.
    fn some(part: &Part<RegisterOp>, model: &Register, random: &mut Random) -> Part<RegisterOp> {
        let mut stays: Vec<bool> = part.iter().map(|_| random.percent(40)).collect();
        loop {
            let needed: Vec<Val> = (part.iter().zip(&stays))
                .filter(|(_, stays)| **stays)
                .flat_map(|(operation, _)| model.words().needs(&operation.op).iter().copied())
                .collect();
            let brings = |operation: &Operation<RegisterOp>| {
                let mut values = model.words().produces(&operation.op).iter();
                values.any(|value| needed.contains(value))
            };
            let missing =
                (part.iter().zip(&stays)).position(|(operation, stays)| !stays && brings(operation));
            match missing {
                Some(at) => stays[at] = true,
                None => break,
            }
        }
        let kept = part.iter().zip(stays).filter(|(_, stays)| *stays);
        kept.map(|(operation, _)| *operation).collect()
    }

    #[test]
    fn what_is_possible_is_never_proven_impossible() {
        let model = Register { cas: true };
        let (mut proofs, mut with_others) = (0, 0);
        for seed in 0..30_000 {
            let mut random = Random::new(seed);
            let info = [0, 25][random.below(2) as usize];
            let part = small(&mut random, 6, 3, info, |random, unknown| {
                let value = |random: &mut Random| match random.below(3) {
                    0 => Val::NIL,
                    number => Val(number as u32),
                };
                match random.below(5) {
                    0 if !unknown => RegisterOp::Read(value(random)),
                    1 | 2 if !unknown => RegisterOp::Mismatch(value(random)),
                    3 => RegisterOp::Cas(value(random), value(random)),
                    _ => RegisterOp::Write(value(random)),
                }
            });
            if !brute_force(&model, &part) {
                continue;
            }
            let some = some(&part, &model, &mut random);
            let proof = Proof::new(&model, &part, &part).of(some.clone());
            assert!(
                brute_force(&model, &proof),
                "seed {seed}: {proof:#?} of {some:#?} of {part:#?}"
            );
            proofs += 1;
            with_others += u64::from(proof.len() > some.len());
        }
        assert!(proofs > 1000 && with_others > 300, "{with_others} of {proofs}");
    }
}
