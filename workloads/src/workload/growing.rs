//! Objects that grow, a few at a time: one that has grown for long enough is given up for a fresh one.

use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use serde_json::{Value, json};

use crate::op::Op;

/// The objects of a workload: `l0`, `l1`…
#[derive(Debug)]
pub(super) struct Growing {
    /// What keys begin with.
    prefix: char,
    /// Changes of one before it is given up.
    length: u64,
    /// Number and changes so far of each in use.
    in_use: Vec<(u64, u64)>,
    next: u64,
}

impl Growing {
    pub fn new(prefix: char, at_a_time: u64, length: u64) -> Self {
        Growing {
            prefix,
            length,
            in_use: (0..at_a_time).map(|number| (number, 0)).collect(),
            next: at_a_time,
        }
    }

    /// An operation on one of them: a read, so often out of one, or else a change of this name with what `value` gives.
    pub fn next(
        &mut self,
        rng: &mut ChaCha12Rng,
        read: f64,
        change: &'static str,
        value: impl FnOnce() -> Value,
    ) -> Op {
        let position = rng.random_range(0..self.in_use.len());
        if rng.random_bool(read) {
            return self.read(self.in_use[position].0);
        }
        let (object, changes) = &mut self.in_use[position];
        if *changes == self.length {
            (*object, *changes) = (self.next, 0);
            self.next += 1;
        }
        *changes += 1;
        let object = *object;
        Op {
            key: self.key(object),
            ..Op::changing(change, value())
        }
    }

    /// A read of each that there ever was.
    pub fn reads(&self) -> Vec<Op> {
        (0..self.next).map(|object| self.read(object)).collect()
    }

    fn read(&self, object: u64) -> Op {
        Op {
            key: self.key(object),
            ..Op::observing("read")
        }
    }

    fn key(&self, object: u64) -> Option<Value> {
        Some(json!(format!("{}{object}", self.prefix)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::SeedableRng;

    use super::*;

    #[test]
    fn objects_are_given_up_when_they_have_grown_and_all_are_read_at_the_end() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let mut growing = Growing::new('l', 3, 10);
        let mut changes: BTreeMap<String, u64> = BTreeMap::new();
        for _ in 0..1000 {
            let op = growing.next(&mut rng, 0.3, "append", || json!(1));
            assert_eq!(op.idempotent, op.f == "read");
            if op.f == "append" {
                *changes.entry(op.key.expect("a key").to_string()).or_default() += 1;
            }
        }
        assert!(changes.len() > 60 && changes.values().all(|count| *count <= 10));
        let read: Vec<String> = (growing.reads().iter())
            .filter_map(|op| op.key.as_ref().map(ToString::to_string))
            .collect();
        assert!(changes.keys().all(|key| read.contains(key)));
    }
}
