//! One partition: messages by offset, and how far they may be shown.
//!
//! ```text
//! offset     0   1   2   3   4   5
//! message    a   -   b   c   d   e      - was aborted
//! open                   3              a transaction that is open has sent c first
//! shown      a       b                  the last stable offset is 3
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::op::Declined;

/// Partitions, at most.
const PARTITIONS_MAX: usize = 64;

/// All partitions, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Partitions(BTreeMap<String, Partition>);

/// A log of messages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Partition {
    /// By offset. `None`: it was aborted.
    messages: Vec<Option<Value>>,
    /// The first offset of each transaction that is open here.
    open: BTreeSet<u64>,
}

/// What a poll shows of a partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Messages with their offsets.
    pub messages: Vec<(u64, Value)>,
    /// The next offset to read.
    pub next: u64,
}

impl Partitions {
    /// Whether a partition takes one more message, of which it may have `max`.
    pub fn has_room(&self, name: &str, max: u64) -> Result<(), Declined> {
        let fits = match self.0.get(name) {
            Some(partition) => partition.len() < max,
            None => self.0.len() < PARTITIONS_MAX,
        };
        fits.then_some(()).ok_or(Declined::Full)
    }

    /// Puts a message at the end of a partition; its offset.
    pub fn append(&mut self, name: &str, value: Value) -> u64 {
        self.0.entry(name.to_owned()).or_default().append(value)
    }

    /// The message at `first` is the first of a transaction in a partition: nothing from there on is shown before that is decided.
    pub fn begin(&mut self, name: &str, first: u64) {
        if let Some(partition) = self.0.get_mut(name) {
            partition.open.insert(first);
        }
    }

    /// The transaction that has sent these, by partition and in order of their offsets, is decided.
    pub fn decide(&mut self, sent: &BTreeMap<String, Vec<u64>>, committed: bool) {
        for (name, offsets) in sent {
            if let Some(partition) = self.0.get_mut(name) {
                partition.decide(offsets, committed);
            }
        }
    }

    /// At most `max` messages of a partition from offset `from` on.
    pub fn poll(&self, name: &str, from: u64, max: usize) -> Shown {
        let partition = self.0.get(name);
        partition.map_or_else(|| Shown::nothing(from), |partition| partition.poll(from, max))
    }

    /// How many partitions there are, and how many messages in all of them.
    pub fn counts(&self) -> (usize, u64) {
        (self.0.len(), self.0.values().map(Partition::len).sum())
    }
}

impl Shown {
    fn nothing(from: u64) -> Self {
        Shown {
            messages: Vec::new(),
            next: from,
        }
    }
}

impl Partition {
    /// How many messages there are, aborted ones and those of open transactions included.
    fn len(&self) -> u64 {
        self.messages.len() as u64
    }

    fn append(&mut self, value: Value) -> u64 {
        self.messages.push(Some(value));
        self.len() - 1
    }

    fn decide(&mut self, offsets: &[u64], committed: bool) {
        if let Some(first) = offsets.first() {
            self.open.remove(first);
        }
        if committed {
            return;
        }
        for offset in offsets {
            self.messages[*offset as usize] = None;
        }
    }

    /// The last stable offset: everything before it is decided.
    fn stable(&self) -> u64 {
        self.open.first().copied().unwrap_or(self.len())
    }

    fn poll(&self, from: u64, max: usize) -> Shown {
        let mut shown = Shown::nothing(from);
        for offset in from..self.stable() {
            if shown.messages.len() == max {
                break;
            }
            if let Some(value) = &self.messages[offset as usize] {
                shown.messages.push((offset, value.clone()));
            }
            shown.next = offset + 1;
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown from an offset on, at most so many, in the letters of the module's example; and what is next.
    fn shown(partition: &Partition, from: u64, max: usize) -> (String, u64) {
        let Shown { messages, next } = partition.poll(from, max);
        let letters = messages.iter().filter_map(|(_, value)| value.as_str());
        (letters.collect(), next)
    }

    #[test]
    fn nothing_behind_the_first_open_transaction_is_shown_and_nothing_aborted() {
        let mut partition = Partition::default();
        for letter in ["a", "x", "b", "c", "d", "e"] {
            partition.append(letter.into());
        }
        partition.open.insert(1);
        partition.open.insert(3);
        assert_eq!(shown(&partition, 0, 9), ("a".into(), 1));
        partition.decide(&[1], false);
        assert_eq!(shown(&partition, 0, 9), ("ab".into(), 3));
        assert_eq!(shown(&partition, 1, 9), ("b".into(), 3));
        assert_eq!(
            shown(&partition, 4, 9),
            (String::new(), 4),
            "it stays where it is"
        );
        partition.decide(&[3, 5], true);
        assert_eq!(shown(&partition, 0, 9), ("abcde".into(), 6));
        assert_eq!(shown(&partition, 0, 2), ("ab".into(), 3));
        assert_eq!(shown(&partition, 9, 9), (String::new(), 9), "beyond the end");
        assert_eq!(partition.len(), 6);
    }

    #[test]
    fn of_two_open_transactions_the_later_may_be_decided_first() {
        let mut partition = Partition::default();
        for letter in ["a", "b", "c"] {
            partition.append(letter.into());
        }
        partition.open.insert(0);
        partition.open.insert(1);
        partition.decide(&[1], true);
        assert_eq!(shown(&partition, 0, 9), (String::new(), 0));
        partition.decide(&[0, 2], false);
        assert_eq!(shown(&partition, 0, 9), ("b".into(), 3));
    }
}
