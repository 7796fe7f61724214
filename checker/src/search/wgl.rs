//! Wing and Gong's search with Lowe's memoisation.
//!
//! Wing and Gong, "Testing and Verifying Concurrent Objects" (JPDC 1993); Lowe, "Testing for Linearizability" (CCPE
//! 2017). Events stand in a list in time order. From its head up to the first completion, every invocation is a
//! candidate for the next operation; one that the model allows is taken, lifted out of the list with its completion,
//! and the search goes on from the head. At a completion there is no candidate left, so the last one taken is put
//! back. A pair (operations taken, state) that was seen before leads nowhere.
//!
//! An operation without completion is a candidate for ever and never required: the search ends when everything that
//! completed is taken. Memory grows with the square of the length, so this is for small parts and for testing the
//! other search.

use std::hash::BuildHasher;

use super::Outcome;
use crate::history::NEVER;
use crate::history::values::{FastBuild, FastMap};
use crate::limits::Limits;
use crate::model::{Hints, Model, Operation};

/// How often the budget is looked at.
const STEPS_BETWEEN_CHECKS: u64 = 1024;
const HEAD: usize = 0;

#[derive(Clone, Copy)]
struct Entry {
    part: u32,
    call: bool,
    next: usize,
    previous: usize,
}

struct Taken<State> {
    entry: usize,
    choice: usize,
    before: State,
}

/// Pairs (operations taken, state) by hash, compared in full.
type Seen<State> = FastMap<u64, Vec<(Box<[u64]>, State)>>;

/// Searches for an order of the part.
pub fn search<M: Model>(model: &M, part: &[Operation<M::Op>], limits: Limits<'_>) -> Outcome {
    let (mut list, returns) = entries(part);
    let mut left = part.iter().filter(|operation| operation.ret != NEVER).count();
    let mut state = model.initial();
    let mut taken: Vec<Taken<M::State>> = Vec::new();
    let mut done = vec![0u64; part.len().div_ceil(64)];
    let mut seen: Seen<M::State> = FastMap::default();
    let mut bytes = part.len() * 200;
    let mut steps = 0u64;
    let mut furthest = None;
    let mut next = Vec::new();
    let (mut at, mut choice) = (list[HEAD].next, 0);
    while left > 0 {
        steps += 1;
        if steps.is_multiple_of(STEPS_BETWEEN_CHECKS)
            && let Some(reason) = limits.exhausted(bytes)
        {
            return Outcome::Exhausted(reason);
        }
        if at != HEAD && list[at].call {
            let position = list[at].part as usize;
            next.clear();
            model.step(&state, &part[position].op, &mut next);
            let Some(after) = (choice < next.len()).then(|| next.swap_remove(choice)) else {
                (at, choice) = (list[at].next, 0);
                continue;
            };
            done[position / 64] |= 1 << (position % 64);
            let hash = FastBuild::default().hash_one((&done, &after));
            let same = seen.entry(hash).or_default();
            if same
                .iter()
                .any(|(mask, state)| **mask == *done && *state == after)
            {
                done[position / 64] &= !(1 << (position % 64));
                choice += 1;
                continue;
            }
            same.push((done.clone().into(), after.clone()));
            bytes += done.len() * 8 + size_of::<M::State>() + model.hints().heap_bytes(&after) + 64;
            unlink(&mut list, at);
            if returns[position] != HEAD {
                unlink(&mut list, returns[position]);
                left -= 1;
            }
            taken.push(Taken {
                entry: at,
                choice,
                before: std::mem::replace(&mut state, after),
            });
            (at, choice) = (list[HEAD].next, 0);
            continue;
        }
        // A completion, or the end of the list while something is left: what was taken last was wrong.
        if at != HEAD {
            let completing = (part[list[at].part as usize].ret, list[at].part);
            furthest = furthest.max(Some(completing));
        }
        let Some(last) = taken.pop() else {
            let at = furthest.map_or(0, |(_, position)| position);
            return Outcome::Impossible { at, since: 0 };
        };
        let position = list[last.entry].part as usize;
        done[position / 64] &= !(1 << (position % 64));
        state = last.before;
        if returns[position] != HEAD {
            relink(&mut list, returns[position]);
            left += 1;
        }
        relink(&mut list, last.entry);
        (at, choice) = (last.entry, last.choice + 1);
    }
    Outcome::Order(taken.iter().map(|taken| list[taken.entry].part).collect())
}

/// The events in time order, linked; and for each operation where its completion stands, or `HEAD`.
fn entries<Op>(part: &[Operation<Op>]) -> (Vec<Entry>, Vec<usize>) {
    let mut events: Vec<(u32, bool, u32)> = Vec::with_capacity(part.len() * 2);
    for (position, operation) in part.iter().enumerate() {
        events.push((operation.invoke, true, position as u32));
        if operation.ret != NEVER {
            events.push((operation.ret, false, position as u32));
        }
    }
    events.sort_unstable();
    let mut list = vec![Entry {
        part: 0,
        call: false,
        next: HEAD,
        previous: HEAD,
    }];
    let mut returns = vec![HEAD; part.len()];
    for (_, call, position) in events {
        let at = list.len();
        list.push(Entry {
            part: position,
            call,
            next: HEAD,
            previous: at - 1,
        });
        list[at - 1].next = at;
        if !call {
            returns[position as usize] = at;
        }
    }
    let last = list.len() - 1;
    list[HEAD].previous = last;
    (list, returns)
}

fn unlink(list: &mut [Entry], at: usize) {
    let Entry { next, previous, .. } = list[at];
    list[previous].next = next;
    list[next].previous = previous;
}

fn relink(list: &mut [Entry], at: usize) {
    let Entry { next, previous, .. } = list[at];
    list[previous].next = at;
    list[next].previous = at;
}
