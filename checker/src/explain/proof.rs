//! What some operations of a part prove.
//!
//! Operations are left out of a proof one by one, and what is left must prove as much as the whole. A read is told its
//! value by a write that stays, so it does not matter who else wrote. But an operation that [did not
//! find](Words::denies) a value says that some other one was there, and that may be the doing of any operation that is
//! left out. So whichever of those may have been the last before it stays in the proof as a write of [some other
//! value](Words::other_value). If the operations are impossible even so, then so is the whole: take an order of the
//! whole, and leave out everything that changes nothing for those that stay.

use std::collections::HashSet;

use crate::history::{NEVER, Val};
use crate::model::{Model, Operation, Part, Words};

/// What may be left out of a core, and what has to stand for it.
pub(super) struct Proof<Op> {
    /// By the row of an operation that did not find a value: what stands for each operation that may be why.
    others: Vec<(u32, Operation<Op>)>,
}

impl<Op: Clone> Proof<Op> {
    /// For cores of a part that have no operations but these.
    pub fn new<M: Model<Op = Op>>(model: &M, part: &[Operation<Op>], core: &[Operation<Op>]) -> Proof<Op> {
        let words = model.words();
        let denied =
            |operation: &Operation<Op>| words.denies(&operation.op).filter(|_| operation.ret != NEVER);
        let mut others = Vec::new();
        let deniers: Vec<(&Operation<Op>, Val)> = (core.iter())
            .filter_map(|operation| Some((operation, denied(operation)?)))
            .collect();
        let Some(other) = words.other_value().filter(|_| !deniers.is_empty()) else {
            return Proof { others };
        };
        let writes: Vec<&Operation<Op>> = (part.iter())
            .filter(|operation| !words.produces(&operation.op).is_empty())
            .collect();
        let (unknown, known): (Vec<_>, Vec<_>) = writes.iter().partition(|write| write.ret == NEVER);
        let overwritten = Overwritten::new(&known);
        for (denier, value) in &deniers {
            let differs = |write: &&&Operation<Op>| words.produces(&write.op).iter().any(|new| new != value);
            let begun = |write: &&&Operation<Op>| write.invoke < denier.ret;
            // They are alike, so one for each that may need one is enough.
            let unknown = unknown
                .iter()
                .take_while(begun)
                .filter(differs)
                .take(deniers.len());
            let last = overwritten.last_before(&known, denier.invoke, denier.ret);
            others.extend(unknown.chain(last.iter().filter(differs)).map(|write| {
                let stand_in = Operation {
                    op: other.clone(),
                    invoke: write.invoke,
                    ret: write.ret,
                    row: write.row,
                };
                (denier.row, stand_in)
            }));
        }
        Proof { others }
    }

    /// What is to be judged in the place of a core.
    pub fn of(&self, core: &[Operation<Op>]) -> Part<Op> {
        let mut part = core.to_vec();
        if self.others.is_empty() {
            return part;
        }
        let stays: HashSet<u32> = core.iter().map(|operation| operation.row).collect();
        let mut rows = stays.clone();
        let needed = (self.others.iter()).filter(|(denier, _)| stays.contains(denier));
        part.extend(
            needed
                .filter(|(_, other)| rows.insert(other.row))
                .map(|(_, other)| other.clone()),
        );
        part.sort_by_key(|operation| operation.invoke);
        part
    }
}

/// Writes that are known to have happened, in order of invocation, as far as it must be known which were overwritten.
struct Overwritten {
    /// Completions in order, with the latest invocation up to each.
    completed: Vec<(u32, u32)>,
    /// The latest completion of each and those before it.
    ret_max: Vec<u32>,
}

impl Overwritten {
    fn new<Op>(writes: &[&Operation<Op>]) -> Overwritten {
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

    /// The writes that may be the last before some moment of an interval: not those after which another one certainly
    /// came before it.
    fn last_before<'a, Op>(
        &self,
        writes: &[&'a Operation<Op>],
        invoke: u32,
        ret: u32,
    ) -> Vec<&'a Operation<Op>> {
        let before = self
            .completed
            .partition_point(|(completed, _)| *completed < invoke);
        let over = before.checked_sub(1).map_or(0, |last| self.completed[last].1);
        let end = writes.partition_point(|write| write.invoke < ret);
        let open = (0..end).rev().take_while(|&at| self.ret_max[at] >= over);
        let mut last: Vec<_> = open
            .map(|at| writes[at])
            .filter(|write| write.ret >= over)
            .collect();
        last.reverse();
        last
    }
}

/// The value that an operation did not find.
pub(super) fn denied<M: Model>(model: &M, operation: &Operation<M::Op>) -> Option<Val> {
    model.words().denies(&operation.op)
}
