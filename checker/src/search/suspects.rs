//! Operations that are impossible together, from what a search says about a part.

use std::collections::HashSet;

use crate::history::values::{FastBuild, FastMap};
use crate::history::{NEVER, Val};
use crate::model::{Model, Operation, Part, Words, prefix};

/// Operations that are impossible together, where a search [found](super::Outcome::Impossible) that the one at a
/// position of the part can't complete, whatever completed before a position of the history.
pub fn suspects<M: Model>(model: &M, part: &[Operation<M::Op>], at: u32, since: u32) -> Part<M::Op> {
    window(model, prefix(part, part[at as usize].ret), since)
}

/// What is left of operations that are impossible together whatever completed before a position: without that, but for
/// the last that brought in each value, so that nobody has to wonder who wrote it. In which order these came, and what
/// they found, does not matter: all of them are open until right before the position. Unknown operations go that brought in what nobody
/// asks for; without any unknown one, the rest is still impossible.
fn window<M: Model>(model: &M, part: Part<M::Op>, since: u32) -> Part<M::Op> {
    let words = model.words();
    let mut last: FastMap<Val, u32> = FastMap::default();
    for operation in part.iter().filter(|operation| operation.ret < since) {
        for &value in words.produces(&operation.op) {
            let ret = last.entry(value).or_default();
            *ret = operation.ret.max(*ret);
        }
    }
    let brings = |operation: &Operation<M::Op>| {
        let mut values = words.produces(&operation.op).iter();
        values.any(|value| last.get(value) == Some(&operation.ret))
    };
    let mut part = part;
    part.retain(|operation| operation.ret >= since || brings(operation));
    for before in part.iter_mut().filter(|operation| operation.ret < since) {
        before.ret = since - 1;
        if let [value] = *words.produces(&before.op)
            && let Some(op) = words.bringing(value)
        {
            before.op = op;
        }
    }
    loop {
        let before = part.len();
        let needed: HashSet<Val, FastBuild> = (part.iter())
            .flat_map(|operation| words.needs(&operation.op).iter().copied())
            .collect();
        part.retain(|operation| {
            let values = words.produces(&operation.op);
            operation.ret != NEVER || values.is_empty() || values.iter().any(|value| needed.contains(value))
        });
        if part.len() == before {
            return part;
        }
    }
}
