//! The end: every producer begins a session, so that no transaction is open; then every partition is polled from its beginning to its end.

use std::collections::BTreeMap;

use serde_json::Value;

use super::names::Name;
use super::step::{Step, polled};
use super::{init, op};
use crate::op::Op;

/// Messages of a poll, at most.
const POLL_MAX: u64 = 100;

#[derive(Debug)]
pub(super) struct Closing {
    /// Producers that may have something open, with who is at it.
    open: BTreeMap<Name, Option<u64>>,
    /// Partitions whose end was not seen, with who reads them.
    unread: BTreeMap<String, Option<u64>>,
    /// How far each process that reads one has come.
    next: BTreeMap<u64, u64>,
}

impl Closing {
    pub fn new(producers: impl Iterator<Item = Name>, partitions: Vec<String>) -> Self {
        Closing {
            open: producers.map(|name| (name, None)).collect(),
            unread: partitions.into_iter().map(|name| (name, None)).collect(),
            next: BTreeMap::new(),
        }
    }

    /// What this process does next; `None`: others are at all that is left.
    pub fn next(&mut self, process: u64) -> Option<Op> {
        if let Some(name) = claimed(&mut self.open, process) {
            return Some(init(name));
        }
        // Behind an open transaction nothing is shown, so who waits for the others begins a session once more.
        if let Some(name) = self.open.keys().next() {
            return Some(init(*name));
        }
        let partition = claimed(&mut self.unread, process)?;
        let next = *self.next.entry(process).or_default();
        let from = BTreeMap::from([(partition, next)]);
        Some(op("poll", &[Step::Poll(from, POLL_MAX)]))
    }

    pub fn observe(&mut self, process: u64, op: &Op, result: &Value) {
        match (op.f, polled(result).last()) {
            ("init", _) => done(&mut self.open, process),
            ("poll", Some((_, offset))) => drop(self.next.insert(process, offset + 1)),
            ("poll", None) => {
                done(&mut self.unread, process);
                self.next.remove(&process);
            }
            _ => {}
        }
    }

    /// Somebody else may do what this process was at, which is no more.
    pub fn lost(&mut self, process: u64) {
        let theirs = |owner: &&mut Option<u64>| **owner == Some(process);
        let (open, unread) = (self.open.values_mut(), self.unread.values_mut());
        open.chain(unread).filter(theirs).for_each(|owner| *owner = None);
        self.next.remove(&process);
    }
}

/// What a process is at, or is to be at now: one that nobody is at.
fn claimed<K: Ord + Clone>(all: &mut BTreeMap<K, Option<u64>>, process: u64) -> Option<K> {
    let mine = |owner: &Option<u64>| *owner == Some(process);
    let is_mine = all.values().any(mine);
    let (key, owner) = all.iter_mut().find(|(_, owner)| match is_mine {
        true => mine(owner),
        false => owner.is_none(),
    })?;
    *owner = Some(process);
    Some(key.clone())
}

fn done<K: Ord>(all: &mut BTreeMap<K, Option<u64>>, process: u64) {
    all.retain(|_, owner| *owner != Some(process));
}
