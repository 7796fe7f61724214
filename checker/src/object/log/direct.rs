//! Logs whose values are all different: reads and offsets say where each stands.
//!
//! Every read is a beginning of the longest one, or two of them contradict each other. A value that was read stands
//! where it was read, one whose offset was answered stands there, and that is a [`line`](crate::object::shared::line):
//! exact. What was appended without an offset and never read takes an open slot (one below a known offset) or stands at
//! the end; if nobody knows whether it was appended at all, it may be left out.

use super::op::LogOp;
use crate::history::{NEVER, Val};
use crate::model::Decision;
use crate::model::{Operation, Part};
use crate::object::shared::line::{Conflict, Line, arrange};
use crate::object::shared::lookup::{Lookup, NOBODY, tidy};

/// Decides a part; `None` if a value was appended twice.
pub fn decide(part: &[Operation<LogOp>]) -> Option<Decision> {
    let appended = part.iter().filter_map(|operation| match &operation.op {
        LogOp::Append(value, _) => Some(*value),
        LogOp::Read(_) => None,
    });
    let mut append_of = Lookup::new(appended, part.len());
    for (position, operation) in part.iter().enumerate() {
        let LogOp::Append(value, offset) = &operation.op else {
            continue;
        };
        // That of an append that was cut off says where it would stand, not that it does.
        if append_of.get(*value) != NOBODY || (operation.ret == NEVER && offset.is_some()) {
            return None;
        }
        append_of.set(*value, position as u32);
    }
    Some(match arrange_all(part, &append_of) {
        Ok(order) => Decision::Order(order),
        Err(core) => Decision::Core(tidy(core)),
    })
}

fn arrange_all(part: &[Operation<LogOp>], append_of: &Lookup) -> Result<Vec<u32>, Vec<u32>> {
    let mut reads: Vec<(&[Val], u32)> = (part.iter().zip(0..))
        .filter_map(|(operation, at)| match &operation.op {
            LogOp::Read(found) if operation.ret != NEVER => Some((&**found, at)),
            _ => None,
        })
        .collect();
    reads.sort_by_key(|(found, _)| found.len());
    for pair in reads.windows(2) {
        let ((shorter, one), (longer, other)) = (pair[0], pair[1]);
        if let Some(at) = (0..shorter.len()).find(|&at| shorter[at] != longer[at]) {
            return Err(vec![
                one,
                other,
                append_of.get(shorter[at]),
                append_of.get(longer[at]),
            ]);
        }
    }
    let (longest, reader) = reads.last().copied().unwrap_or((&[], NOBODY));
    let mut line = Line {
        observed: reads
            .iter()
            .map(|(found, at)| (found.len() as u32, *at))
            .collect(),
        ..Line::default()
    };
    let mut in_line = vec![false; part.len()];
    for &value in longest {
        let at = append_of.get(value);
        // Nobody appended it, or it was read twice.
        if at == NOBODY || std::mem::replace(&mut in_line[at as usize], true) {
            return Err(vec![reader, at]);
        }
        line.slots.push(at);
    }
    // Operations that show that what was read and what was answered differ: it takes all that was read to see it.
    let displaced = |at: u32| {
        let appends = longest.iter().map(|&value| append_of.get(value));
        Err(appends.chain([reader, at]).collect())
    };
    for (position, operation) in part.iter().enumerate() {
        let (at, LogOp::Append(_, offset)) = (position as u32, &operation.op) else {
            continue;
        };
        let Some(offset) = *offset else {
            if !in_line[position] {
                line.free.push(at);
            }
            continue;
        };
        let slot = usize::try_from(offset).unwrap_or(usize::MAX);
        if slot >= part.len() {
            return Err((0..part.len() as u32)
                .filter(|&at| began_before(part, at, position))
                .collect());
        }
        line.slots.resize(line.slots.len().max(slot + 1), NOBODY);
        let other = std::mem::replace(&mut line.slots[slot], at);
        match other {
            NOBODY if in_line[position] => return displaced(at),
            NOBODY => {}
            other if other == at => {}
            other if slot >= longest.len() => return Err(vec![other, at]),
            _ => return displaced(at),
        }
    }
    arrange(part, &line).map_err(|conflict| match conflict {
        Conflict::Pair(late, early) => separated(part, late, early, reader, append_of),
        Conflict::Starved(early) => (0..part.len() as u32)
            .filter(|&at| began_before(part, at, early as usize))
            .collect(),
        Conflict::Crowded(..) => (0..part.len() as u32).collect(),
    })
}

fn began_before(part: &[Operation<LogOp>], at: u32, end: usize) -> bool {
    part[at as usize].invoke < part[end].ret
}

/// What shows that `late` stands before `early`, which had completed when `late` was invoked. It suffices for a log of
/// these values alone.
fn separated(part: &[Operation<LogOp>], late: u32, early: u32, longest: u32, append_of: &Lookup) -> Vec<u32> {
    match (&part[late as usize].op, &part[early as usize].op) {
        (LogOp::Append(_, Some(_)), LogOp::Append(_, Some(_))) => vec![late, early],
        (LogOp::Append(..), LogOp::Append(..)) => vec![late, early, longest],
        (LogOp::Read(less), LogOp::Read(more)) => {
            // What the later one did not find any more.
            let lost = more.get(less.len()).map_or(NOBODY, |&value| append_of.get(value));
            vec![late, early, lost]
        }
        (LogOp::Read(_), LogOp::Append(..)) | (LogOp::Append(..), LogOp::Read(_)) => vec![late, early],
    }
}

/// The log of the values that are appended in it alone: reads without the others, and offsets among them, if all are
/// known. If a log of different values is linearizable, so is that of some of its values.
pub fn focus(core: &[Operation<LogOp>]) -> Part<LogOp> {
    let mut values = Vec::new();
    let mut offsets = Vec::new();
    for operation in core {
        if let LogOp::Append(value, offset) = &operation.op {
            values.push(*value);
            offsets.push(*offset);
        }
    }
    values.sort_unstable();
    let mut known: Vec<i64> = offsets.iter().flatten().copied().collect();
    known.sort_unstable();
    known.dedup();
    let all_known = offsets.iter().all(Option::is_some);
    let among = |offset: i64| known.binary_search(&offset).map_or(0, |rank| rank as i64);
    let focused = core.iter().map(|operation| {
        let op = match &operation.op {
            LogOp::Append(value, offset) => LogOp::Append(*value, offset.filter(|_| all_known).map(among)),
            LogOp::Read(found) => LogOp::Read(
                found
                    .iter()
                    .copied()
                    .filter(|value| values.binary_search(value).is_ok())
                    .collect(),
            ),
        };
        Operation {
            op,
            ..operation.clone()
        }
    });
    focused.collect()
}
