//! Operations that are impossible together, from what a search says about a part.

use std::collections::HashSet;
use std::mem;

use crate::history::values::{FastBuild, FastMap};
use crate::history::{NEVER, Val};
use crate::model::{Hints, Model, Operation, Part, Words, prefix, put_in_order};

/// Operations that are impossible together, where a search [found](super::Outcome::Impossible) that the one at a
/// position of the part can't complete, whatever completed before a position of the history.
pub fn suspects<M: Model>(model: &M, part: &[Operation<M::Op>], at: u32, since: u32) -> Part<M::Op> {
    window(model, prefix(part, part[at as usize].ret), since)
}

/// What is left of operations that are impossible together whatever completed before a position: without that, but for
/// the last that brought in each value, so that nobody has to wonder who wrote it. In which order these came, and what
/// they found, does not matter: all of them are open until right before the position. Of what only
/// [overwrites](Hints::overwrites) and is not asked for, one is enough. Unknown operations go that brought in what nobody
/// asks for; without any unknown one, the rest is still impossible.
fn window<M: Model>(model: &M, part: Part<M::Op>, since: u32) -> Part<M::Op> {
    let words = model.words();
    let (before, mut rest): (Vec<_>, Vec<_>) = part.into_iter().partition(|operation| operation.ret < since);
    let mut last: FastMap<Val, u32> = FastMap::default();
    for operation in &before {
        for &value in words.produces(&operation.op) {
            let ret = last.entry(value).or_default();
            *ret = operation.ret.max(*ret);
        }
    }
    let asked_for = needed(model, &rest);
    let mut overwritten = false;
    for mut operation in before.into_iter().rev() {
        let values = words.produces(&operation.op);
        if !(values.iter()).any(|value| last.get(value) == Some(&operation.ret)) {
            continue;
        }
        let brings = match values {
            &[value] => words.bringing(value).filter(|op| model.hints().overwrites(op)),
            _ => None,
        };
        match brings {
            Some(_)
                if !values.iter().any(|value| asked_for.contains(value))
                    && mem::replace(&mut overwritten, true) =>
            {
                continue;
            }
            Some(op) => operation.op = op,
            None => operation.ret = since - 1,
        }
        rest.push(operation);
    }
    let mut part = rest;
    put_in_order(&mut part);
    loop {
        let before = part.len();
        let asked_for = needed(model, &part);
        part.retain(|operation| {
            let values = words.produces(&operation.op);
            operation.ret != NEVER
                || values.is_empty()
                || values.iter().any(|value| asked_for.contains(value))
        });
        if part.len() == before {
            return part;
        }
    }
}

/// The values that some operations need.
fn needed<M: Model>(model: &M, part: &[Operation<M::Op>]) -> HashSet<Val, FastBuild> {
    let needs = |operation: &Operation<M::Op>| model.words().needs(&operation.op).to_vec();
    part.iter().flat_map(needs).collect()
}
