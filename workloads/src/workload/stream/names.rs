//! Which process works under which name: producers outlive processes.
//!
//! A process whose operation has no known outcome is replaced; its producer is not. Whoever takes the name over begins a new session, which
//! ends what the former one left open. So names are few, and one that is given up is taken again before a new one is made.

use std::collections::{BTreeMap, BTreeSet};

/// The name of a producer, and so what a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// Consumes, transforms, produces; a member of the group.
    Worker(u64),
    /// Sends and polls.
    Sender(u64),
}

impl std::fmt::Display for Name {
    /// As systems know it: `t1`, `s3`.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Name::Worker(number) => write!(formatter, "t{number}"),
            Name::Sender(number) => write!(formatter, "s{number}"),
        }
    }
}

/// All names.
#[derive(Debug)]
pub(super) struct Names {
    /// Who took each last.
    owners: BTreeMap<Name, u64>,
    vacant: BTreeSet<Name>,
    senders: u64,
}

impl Names {
    /// So many workers, which nobody is yet.
    pub fn new(workers: u64) -> Self {
        Names {
            owners: BTreeMap::new(),
            vacant: (0..workers).map(Name::Worker).collect(),
            senders: 0,
        }
    }

    /// One for a process that has none: a worker's, if there is any.
    pub fn take(&mut self, process: u64) -> Name {
        let name = self.vacant.pop_first().unwrap_or_else(|| {
            self.senders += 1;
            Name::Sender(self.senders - 1)
        });
        self.owners.insert(name, process);
        name
    }

    /// That of a worker for a sender, in exchange.
    pub fn take_over(&mut self, process: u64, name: Name) -> Option<Name> {
        let vacant = matches!(self.vacant.first(), Some(Name::Worker(_)));
        if !vacant || !matches!(name, Name::Sender(_)) {
            return None;
        }
        let taken = self.take(process);
        self.vacant.insert(name);
        Some(taken)
    }

    /// Lets another have it, if it is still that process'. Who goes on under it is a zombie as soon as another has.
    pub fn leave(&mut self, process: u64, name: Name) {
        if self.owners.get(&name) == Some(&process) {
            self.vacant.insert(name);
        }
    }

    /// Whether another took it meanwhile.
    pub fn is_zombie(&self, process: u64, name: Name) -> bool {
        self.owners.get(&name) != Some(&process)
    }

    /// Every name that some process ever had.
    pub fn used(&self) -> impl Iterator<Item = Name> {
        self.owners.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_given_up_is_taken_before_a_new_one_is_made() {
        let mut names = Names::new(1);
        assert_eq!(names.take(1), Name::Worker(0));
        assert_eq!(names.take(2), Name::Sender(0));
        assert_eq!(names.take_over(2, Name::Sender(0)), None, "nobody left");
        names.leave(1, Name::Worker(0));
        assert!(!names.is_zombie(1, Name::Worker(0)), "nobody took it yet");
        assert_eq!(names.take_over(2, Name::Sender(0)), Some(Name::Worker(0)));
        assert!(names.is_zombie(1, Name::Worker(0)) && !names.is_zombie(2, Name::Worker(0)));
        names.leave(1, Name::Worker(0));
        assert_eq!(names.take(1), Name::Sender(0), "a zombie has nothing to give up");
        assert_eq!(names.take(3), Name::Sender(1));
        let used: Vec<String> = names.used().map(|name| name.to_string()).collect();
        assert_eq!(used, ["t0", "s0", "s1"]);
    }
}
