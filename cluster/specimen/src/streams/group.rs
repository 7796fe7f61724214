//! One consumer group: who is in it, who reads what, and how far each partition has been read.
//!
//! ```text
//! c1 joins for in0, in1       generation 1: c1 has in0 and in1
//! c2 joins for in0, in1       generation 2: c1 has in0, c2 has in1
//! c1 commits, generation 1    declined: it learns of generation 2 when it joins again
//! c1 commits in0: 18          whoever has in0 next begins at 18
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::op::{Declined, Progress, Share};

/// Members of a group, at most.
pub(super) const MEMBERS_MAX: usize = 64;

/// Partitions of which a group keeps how far they have been read, at most.
const OFFSETS_MAX: usize = 1024;

/// A consumer group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Group {
    generation: u64,
    members: BTreeMap<String, Member>,
    /// By partition: the next offset to read.
    offsets: BTreeMap<String, u64>,
}

/// A member. When it has been silent for too long is for the leader to say: see [`crate::overdue`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Member {
    partitions: BTreeSet<String>,
    /// How long it may be silent.
    pub session_ms: u64,
    /// The number of its last join among all that is watched by the leader: see [`super::Watched`].
    pub stamp: u64,
}

impl Group {
    /// The members, by name.
    pub fn members(&self) -> &BTreeMap<String, Member> {
        &self.members
    }

    /// Takes a member in, or renews its session; its share.
    pub fn join(
        &mut self,
        name: &str,
        partitions: &[String],
        session_ms: u64,
        stamp: u64,
    ) -> Result<Share, Declined> {
        if !self.members.contains_key(name) && self.members.len() >= MEMBERS_MAX {
            return Err(Declined::Full);
        }
        let member = Member {
            partitions: partitions.iter().cloned().collect(),
            session_ms,
            stamp,
        };
        let wants = |member: &Member| member.partitions.clone();
        let now = wants(&member);
        let before = self.members.insert(name.to_owned(), member);
        if before.as_ref().map(wants) != Some(now) {
            self.generation += 1;
        }
        let assigned = self.assigned(name);
        let next = |partition: &String| (partition.clone(), self.next(partition));
        Ok(Share {
            generation: self.generation,
            offsets: assigned.iter().map(next).collect(),
            assigned,
        })
    }

    /// Ends a membership; whether there was one.
    pub fn leave(&mut self, name: &str) -> bool {
        let left = self.members.remove(name).is_some();
        self.generation += u64::from(left);
        left
    }

    /// Whether this may be noted: who says so is a member, and knows who the others are.
    pub fn admits(&self, progress: &Progress) -> Result<(), Declined> {
        let Progress {
            generation, member, ..
        } = progress;
        if *generation != self.generation || !self.members.contains_key(member) {
            let generation = self.generation;
            return Err(Declined::Rebalanced { generation });
        }
        let new = progress
            .offsets
            .keys()
            .filter(|partition| !self.offsets.contains_key(*partition));
        let fits = self.offsets.len() + new.count() <= OFFSETS_MAX;
        fits.then_some(()).ok_or(Declined::Full)
    }

    /// Notes how far partitions have been read. Never back: what comes late says less than is known.
    pub fn advance(&mut self, offsets: &BTreeMap<String, u64>) {
        for (partition, next) in offsets {
            let known = self.offsets.entry(partition.clone()).or_default();
            *known = (*known).max(*next);
        }
    }

    /// The next offset to read.
    fn next(&self, partition: &str) -> u64 {
        self.offsets.get(partition).copied().unwrap_or(0)
    }

    /// Each partition goes to one of the members that want it, in turn.
    fn assigned(&self, name: &str) -> Vec<String> {
        let wanted: BTreeSet<&String> = self
            .members
            .values()
            .flat_map(|member| &member.partitions)
            .collect();
        let has = |(turn, partition): &(usize, &String)| {
            let candidates = self
                .members
                .iter()
                .filter(|(_, member)| member.partitions.contains(*partition));
            let candidates: Vec<_> = candidates.map(|(candidate, _)| candidate).collect();
            candidates[turn % candidates.len()] == name
        };
        let assigned = wanted.into_iter().enumerate().filter(has);
        assigned.map(|(_, partition)| partition.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(group: &mut Group, member: &str, partitions: &[&str]) -> (u64, Vec<String>) {
        let partitions: Vec<String> = partitions.iter().map(|name| (*name).to_owned()).collect();
        let share = group.join(member, &partitions, 1000, 1).unwrap();
        (share.generation, share.assigned)
    }

    fn progress(generation: u64, member: &str, next: u64) -> Progress {
        Progress {
            group: "g".into(),
            generation,
            member: member.into(),
            offsets: BTreeMap::from([("a".to_owned(), next)]),
        }
    }

    #[test]
    fn each_partition_has_one_reader_among_those_that_want_it() {
        let mut group = Group::default();
        assert_eq!(
            join(&mut group, "x", &["a", "b", "c"]),
            (1, vec!["a".into(), "b".into(), "c".into()])
        );
        assert_eq!(join(&mut group, "y", &["a", "b", "c"]), (2, vec!["b".into()]));
        assert_eq!(
            join(&mut group, "x", &["a", "b", "c"]),
            (2, vec!["a".into(), "c".into()])
        );
        assert_eq!(
            join(&mut group, "z", &["c"]),
            (3, vec!["c".into()]),
            "the third of x, y and z"
        );
        assert_eq!(
            join(&mut group, "y", &["a", "b"]),
            (4, vec!["b".into()]),
            "it wants less"
        );
        assert!(group.leave("x") && !group.leave("x"));
        assert_eq!(
            join(&mut group, "y", &["a", "b"]),
            (5, vec!["a".into(), "b".into()])
        );
    }

    #[test]
    fn only_current_members_move_the_group_and_never_back() {
        let mut group = Group::default();
        join(&mut group, "x", &["a"]);
        let stranger = group.admits(&progress(1, "y", 5));
        assert_eq!(stranger, Err(Declined::Rebalanced { generation: 1 }));
        assert_eq!(group.admits(&progress(1, "x", 5)), Ok(()));
        for (next, known) in [(5, 5), (3, 5), (6, 6)] {
            group.advance(&progress(1, "x", next).offsets);
            assert_eq!(group.next("a"), known);
        }
        join(&mut group, "y", &["a"]);
        let late = group.admits(&progress(1, "x", 7));
        assert_eq!(late, Err(Declined::Rebalanced { generation: 2 }));
        group.leave("x");
        let share = group.join("y", &["a".to_owned()], 1000, 2).unwrap();
        assert_eq!(share.offsets["a"], 6);
    }

    #[test]
    fn groups_are_bounded() {
        let mut group = Group::default();
        for member in 0..MEMBERS_MAX {
            join(&mut group, &format!("m{member}"), &[]);
        }
        assert_eq!(group.join("one more", &[], 1000, 1), Err(Declined::Full));
        assert!(group.join("m0", &[], 1000, 1).is_ok(), "it has its place");
        let offsets = (0..=OFFSETS_MAX).map(|partition| (format!("p{partition}"), 1));
        let progress = Progress {
            offsets: offsets.collect(),
            ..progress(MEMBERS_MAX as u64, "m0", 1)
        };
        assert_eq!(group.admits(&progress), Err(Declined::Full));
    }
}
