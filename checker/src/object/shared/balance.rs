//! Permits that are taken and given back one by one, by anyone: a sweep over the completions.
//!
//! That is a `mutex`, and a `semaphore` of one permit at a time. All acquisitions are alike, and so are all releases.
//! Nothing takes effect before something has to complete; then, if it is not possible in this state, one pending
//! operation of the other kind goes first: the one that completes first, an unknown one last. Proof, in the manner of
//! [`crate::search::jit`]:
//!
//! 1. Of two alike that are pending, the one that completes first goes first: swap them in any order.
//! 2. A pending acquisition and a pending release can be done at this moment, in one order or the other, and leave the
//!    state as it is (with at least one permit in all). So having both still pending is at least as good as having done
//!    both, and a run before a completion needs at most one operation besides.
//!
//! So if it is impossible here, it is impossible.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::history::NEVER;
use crate::model::{Decision, Operation};

/// The completions of a part in order of time: position and completion.
fn completions<Op>(part: &[Operation<Op>]) -> Vec<(u32, u32)> {
    let known = part
        .iter()
        .zip(0u32..)
        .filter(|(operation, _)| operation.ret != NEVER);
    let mut completions: Vec<(u32, u32)> = known.map(|(operation, at)| (operation.ret, at)).collect();
    completions.sort_unstable();
    completions
}

/// Decides a lock of some permits, of which each operation takes one or gives back one.
pub(crate) fn balance<Op>(part: &[Operation<Op>], permits: i64, acquires: impl Fn(&Op) -> bool) -> Decision {
    let mut arriving = part.iter().zip(0u32..).peekable();
    // Those that are pending, by what they do, the one that completes first on top.
    let mut pending: [BinaryHeap<Reverse<(u32, u32)>>; 2] = Default::default();
    let mut done = vec![false; part.len()];
    let mut used = 0;
    let mut order = Vec::with_capacity(part.len());
    for (ret, at) in completions(part) {
        while let Some((operation, new)) = arriving.next_if(|(operation, _)| operation.invoke < ret) {
            pending[usize::from(acquires(&operation.op))].push(Reverse((operation.ret, new)));
        }
        if done[at as usize] {
            continue;
        }
        let acquisition = acquires(&part[at as usize].op);
        let possible = if acquisition { used < permits } else { used > 0 };
        if !possible {
            let others = &mut pending[usize::from(!acquisition)];
            let helper = loop {
                match others.pop() {
                    Some(Reverse((_, helper))) if done[helper as usize] => {}
                    other => break other,
                }
            };
            let Some(Reverse((_, helper))) = helper else {
                return Decision::Core(
                    (0..part.len() as u32)
                        .filter(|&at| part[at as usize].invoke < ret)
                        .collect(),
                );
            };
            done[helper as usize] = true;
            order.push(helper);
            used += if acquisition { -1 } else { 1 };
        }
        done[at as usize] = true;
        order.push(at);
        used += if acquisition { 1 } else { -1 };
    }
    Decision::Order(order)
}
