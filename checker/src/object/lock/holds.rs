//! Locks with owners: an `owner-mutex` and a `fenced-lock`, without search.
//!
//! If each owner does one thing at a time, its operations alternate, or it is impossible, and each hold lasts at least
//! from the completion of its acquisition to the invocation of its release. If two of these certain times overlap, the
//! history is impossible. If none do, let each acquisition take effect right before its completion and each release
//! right after its invocation. The order of the holds is that of their certain times, whatever is done; so fencing
//! tokens must grow along it. An unknown operation is the last of its owner (else: no answer): an unknown release ends
//! a hold at any time, and an unknown acquisition had better not happened.

use super::op::LockOp;
use crate::history::NEVER;
use crate::history::values::FastMap;
use crate::model::{Decision, Operation};
use crate::object::shared::lookup::NOBODY;

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
pub fn decide(part: &[Operation<LockOp>], fenced: bool) -> Option<Decision> {
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
            (LockOp::Acquire(..), Some(before)) => return Some(Decision::Core(vec![before, at])),
            (LockOp::Release(_), None) => return Some(Decision::Core(of_owner(part, at))),
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
            return Some(Decision::Core(core));
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
    Some(Decision::Order(steps.into_iter().map(|(_, at)| at).collect()))
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
