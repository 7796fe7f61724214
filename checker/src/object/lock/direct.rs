//! Locks and semaphores of single permits: a sweep over the completions.
//!
//! **Anonymous** ([`balance`]: `mutex`, `semaphore` with one permit at a time). All acquisitions are alike, and so are
//! all releases. Nothing takes effect before something has to complete; then, if it is not possible in this state, one
//! pending operation of the other kind goes first: the one that completes first, an unknown one last. Proof, in the
//! manner of [`crate::search::jit`]:
//!
//! 1. Of two alike that are pending, the one that completes first goes first: swap them in any order.
//! 2. A pending acquisition and a pending release can be done at this moment, in one order or the other, and leave the
//!    state as it is (with at least one permit in all). So having both still pending is at least as good as having done
//!    both, and a run before a completion needs at most one operation besides.
//!
//! So if it is impossible here, it is impossible.
//!
//! **With owners** ([`holds`]: `owner-mutex`, `fenced-lock`), if each owner does one thing at a time. Then its operations
//! alternate, or it is impossible, and each hold lasts at least from the completion of its acquisition to the invocation
//! of its release. If two of these certain times overlap, the history is impossible. If none do, let each acquisition
//! take effect right before its completion and each release right after its invocation. The order of the holds is that of
//! their certain times, whatever is done; so fencing tokens must grow along it. An unknown operation is the last of its
//! owner (else: no answer): an unknown release ends a hold at any time, and an unknown acquisition had better not
//! happened.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::history::NEVER;
use crate::history::values::FastMap;
use crate::model::Operation;
use crate::model::shortcuts::Fast;
use crate::object::lock::LockOp;
use crate::object::shared::lookup::NOBODY;

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
pub fn balance<Op>(part: &[Operation<Op>], permits: i64, acquires: impl Fn(&Op) -> bool) -> Fast {
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
                return Fast::Core(
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
    Fast::Order(order)
}

/// From an acquisition to the release that ends it.
#[derive(Clone, Copy)]
struct Hold {
    acquire: u32,
    release: u32,
    /// It certainly lasts from here…
    from: u32,
    /// …to here.
    to: u32,
}

/// Decides a lock with owners; `None` if one of them does two things at a time.
pub fn holds(part: &[Operation<LockOp>], fenced: bool) -> Option<Fast> {
    let mut busy_until: FastMap<u64, u32> = FastMap::default();
    for operation in part {
        let before = busy_until.insert(owner(operation), operation.ret);
        if before.is_some_and(|before| before > operation.invoke) {
            return None;
        }
    }
    let mut last_of: FastMap<u64, u32> = FastMap::default();
    let mut hold_of: Vec<u32> = vec![NOBODY; part.len()];
    let mut holds: Vec<Hold> = Vec::with_capacity(part.len() / 2);
    for (operation, at) in part.iter().zip(0u32..) {
        let before = last_of.insert(owner(operation), at);
        let before = before.filter(|&before| matches!(part[before as usize].op, LockOp::Acquire(..)));
        match (operation.op, before) {
            // If it may be left out, so it is.
            (LockOp::Acquire(..), _) if operation.ret == NEVER => {}
            (LockOp::Release(_), None) if operation.ret == NEVER => {}
            // Twice in a row; a release without anything to be released.
            (LockOp::Acquire(..), Some(before)) => return Some(Fast::Core(vec![before, at])),
            (LockOp::Release(_), None) => return Some(Fast::Core(of_owner(part, at))),
            (LockOp::Acquire(..), None) => {
                hold_of[at as usize] = holds.len() as u32;
                holds.push(Hold {
                    acquire: at,
                    release: NOBODY,
                    from: operation.ret,
                    to: NEVER,
                });
            }
            (LockOp::Release(_), Some(before)) => {
                let hold = &mut holds[hold_of[before as usize] as usize];
                hold.release = at;
                hold.to = operation.invoke;
            }
        }
    }
    holds.sort_unstable_by_key(|hold| hold.from);
    let mut token_before = None;
    let mut steps: Vec<(u32, u32)> = Vec::with_capacity(part.len());
    for (turn, hold) in holds.iter().enumerate() {
        let before = turn.checked_sub(1).map(|before| holds[before]);
        let LockOp::Acquire(_, token) = part[hold.acquire as usize].op else {
            return None;
        };
        let token = token.filter(|_| fenced);
        let wrong = token.is_some() && token <= token_before;
        if let Some(before) = before
            && (before.to > hold.from || wrong)
        {
            let mut core = vec![before.acquire, before.release, hold.acquire, hold.release];
            core.retain(|&at| at != NOBODY);
            core.sort_unstable();
            return Some(Fast::Core(core));
        }
        // An acquisition that was cut off has a token that nobody knows, above the last.
        token_before = match token {
            Some(token) => Some(token),
            None if fenced => return None,
            None => None,
        };
        steps.push((hold.from, hold.acquire));
        if hold.release != NOBODY {
            steps.push((hold.to, hold.release));
        }
    }
    steps.sort_unstable();
    Some(Fast::Order(steps.into_iter().map(|(_, at)| at).collect()))
}

fn owner(operation: &Operation<LockOp>) -> u64 {
    match operation.op {
        LockOp::Acquire(owner, _) | LockOp::Release(owner) => owner,
    }
}

/// What the owner of an operation did up to it.
fn of_owner(part: &[Operation<LockOp>], end: u32) -> Vec<u32> {
    let theirs = |at: &u32| owner(&part[*at as usize]) == owner(&part[end as usize]);
    (0..=end).filter(theirs).collect()
}
