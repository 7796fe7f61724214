//! Compare-and-sets that found another value than they asked for, where written values are all different.
//!
//! A value that is written once is held without interruption from its write until it is overwritten. So if some operation
//! that sees or writes it completed before a mismatch was invoked, and another that sees it was invoked after the mismatch
//! completed, the value was there all the time while the mismatch was open: impossible, whatever else happened.

use super::groups::{Checked, Groups, INITIAL, ancestry};
use super::op::RegisterOp;
use crate::history::{NEVER, Val};
use crate::model::Operation;
use crate::object::shared::lookup::NOBODY;

/// Those that completed, by position and in order of invocation, with the value that each did not find.
pub(super) fn mismatches(part: &[Operation<RegisterOp>]) -> impl Iterator<Item = (u32, Val)> {
    part.iter()
        .zip(0..)
        .filter_map(|(operation, at)| match operation.op {
            RegisterOp::Mismatch(value) if operation.ret != NEVER => Some((at, value)),
            _ => None,
        })
}

/// Looks for a mismatch whose value was there all the time.
pub(super) fn contradicted(part: &[Operation<RegisterOp>], groups: &Groups) -> Checked<()> {
    for (at, value) in mismatches(part) {
        let found = groups.of.get(value);
        let Some(group) = groups.all.get(found as usize) else {
            continue;
        };
        let mismatch = &part[at as usize];
        let writer = part.get(group.writer as usize);
        let early = group.read_ret_min.min(writer.map_or(NEVER, |writer| writer.ret));
        // Whoever put something in its place saw it as well.
        let successor = groups.all.get(group.after as usize);
        let successor = successor.map_or(NOBODY, |successor| successor.writer);
        let replaced = part
            .get(successor as usize)
            .map_or(0, |successor| successor.invoke);
        let late = group.read_invoke_max.max(replaced);
        if (found == INITIAL || early < mismatch.invoke) && mismatch.ret < late {
            let mut core = ancestry(groups, found);
            let ends = part.iter().zip(0..).filter(|(operation, _)| {
                operation.invoke == late || (operation.ret == early && early != NEVER)
            });
            core.extend(ends.map(|(_, end)| end).chain([at]));
            return Err(core);
        }
    }
    Ok(())
}
