//! A handful of operations with arbitrary results.

use super::random::Random;
use crate::history::NEVER;
use crate::model::{Operation, Part};

/// Operations that overlap at random, up to `length` of them, each made by `op`; `info` percent never complete.
///
/// At most `width` are open at once, so that small histories are not all concurrent.
pub fn small<Op>(
    random: &mut Random,
    length: u64,
    width: u64,
    info: u64,
    mut op: impl FnMut(&mut Random, bool) -> Op,
) -> Part<Op> {
    let mut part: Part<Op> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut position = 0;
    while (part.len() as u64) < length || !open.is_empty() {
        let begin = (part.len() as u64) < length
            && (open.len() as u64) < width
            && (open.is_empty() || random.percent(55));
        if begin {
            let unknown = random.percent(info);
            if !unknown {
                open.push(part.len());
            }
            let op = op(random, unknown);
            part.push(Operation {
                op,
                invoke: position,
                ret: NEVER,
                row: part.len() as u32,
            });
        } else {
            let at = open.swap_remove(random.below(open.len() as u64) as usize);
            part[at].ret = position;
        }
        position += 1;
    }
    part
}
