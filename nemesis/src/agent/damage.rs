//! Which nodes have been damaged for good in this run, by whatever kind of fault.
//!
//! An agent works for one run, so this is the process'. What a system keeps must survive somewhere: the kinds whose damage stays count
//! together against what they may damage.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

static DAMAGED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Their names.
pub fn damaged() -> BTreeSet<String> {
    DAMAGED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Notes that this node is about to be damaged.
pub fn note(node: &str) {
    let mut damaged = DAMAGED.lock().unwrap_or_else(PoisonError::into_inner);
    damaged.insert(node.to_owned());
}
