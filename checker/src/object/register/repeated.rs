//! Registers some of whose values are written more than once: those that are written once are judged without the others.
//!
//! A legal order of the whole stays legal if all that has to do with certain values is left out: a read of any other value
//! still comes right after the same write. What overwrote a left-out value is then a plain write, and what a left-out
//! value overwrote was only read. So what is impossible among the values written once is impossible. Deletions are the
//! usual case: each writes `null`.

use super::op::RegisterOp;
use super::zones;
use crate::history::Val;
use crate::model::{Operation, Part};
use crate::object::shared::lookup::{Lookup, NOBODY};

/// How often a value was written.
const ONCE: u32 = 1;
const REPEATED: u32 = 2;

/// Operations that are impossible together, whatever else there was; `None` if there are none that show it by
/// themselves, which says nothing of the whole.
pub(super) fn contradiction(part: &[Operation<RegisterOp>]) -> Option<Vec<u32>> {
    let written = |operation: &Operation<RegisterOp>| match operation.op {
        RegisterOp::Write(value) => Some(value),
        RegisterOp::Cas(old, new) if old != new => Some(new),
        RegisterOp::Cas(..) | RegisterOp::Read(_) | RegisterOp::Mismatch(_) => None,
    };
    // The register begins with one of them.
    let all = || part.iter().filter_map(written).chain([Val::NIL]);
    let mut writes = Lookup::new(all(), part.len());
    for value in all() {
        let before = writes.get(value);
        writes.set(value, if before == NOBODY { ONCE } else { REPEATED });
    }
    let once = |value: Val| writes.get(value) != REPEATED;
    let without_others = |op: RegisterOp| match op {
        RegisterOp::Cas(old, new) => match (once(old), once(new)) {
            (true, true) => Some(op),
            (false, true) => Some(RegisterOp::Write(new)),
            (true, false) => Some(RegisterOp::Read(old)),
            (false, false) => None,
        },
        RegisterOp::Read(value) | RegisterOp::Write(value) | RegisterOp::Mismatch(value) => {
            once(value).then_some(op)
        }
    };
    let mut positions = Vec::with_capacity(part.len());
    let mut rest: Part<RegisterOp> = Vec::with_capacity(part.len());
    for (operation, at) in part.iter().zip(0..) {
        if let Some(op) = without_others(operation.op) {
            positions.push(at);
            rest.push(Operation { op, ..*operation });
        }
    }
    let core = zones::contradiction(&rest)?;
    let core: Vec<u32> = core.iter().map(|&at| positions[at as usize]).collect();
    let as_they_are = |&at: &u32| without_others(part[at as usize].op) == Some(part[at as usize].op);
    core.iter().all(as_they_are).then_some(core)
}
