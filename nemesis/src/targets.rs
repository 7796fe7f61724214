//! Whom a fault is about: by name, or by their part in the cluster, drawn when the fault is injected.
//!
//! ```json
//! "leader"
//! ["n1","n3"]
//! ```

use std::collections::BTreeSet;

use duress_cluster::Roles;
use serde::{Deserialize, Serialize};

use crate::dice::Dice;

/// What can stand for [`Selector`], for catalogues.
pub const SELECTORS: &str = "leader, follower, majority, minority, all, one, or a list of names";

/// Which nodes a fault is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "leader, follower, majority, minority, all, one, or a list of names of nodes"
)]
pub enum Selector {
    /// By their part in the cluster, drawn when the fault is injected.
    Role(RoleSelector),
    /// By name.
    Names(Vec<String>),
}

/// Which nodes, by their part in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleSelector {
    /// The one that leads when the fault is injected.
    Leader,
    /// Any one that follows.
    Follower,
    /// Any smallest majority.
    Majority,
    /// Any largest minority.
    Minority,
    /// Every node.
    All,
    /// Any one.
    One,
}

impl Default for Selector {
    /// Any one node.
    fn default() -> Selector {
        Selector::Role(RoleSelector::One)
    }
}

impl Selector {
    /// Whether it takes a leader to choose.
    pub fn needs_leader(&self) -> bool {
        *self == Selector::Role(RoleSelector::Leader)
    }

    /// Whether nodes have to tell their roles for it to mean anybody.
    pub fn names_role(&self) -> bool {
        matches!(
            self,
            Selector::Role(RoleSelector::Leader | RoleSelector::Follower)
        )
    }

    /// Whether it always means a single node.
    pub fn is_single(&self) -> bool {
        match self {
            Selector::Role(role) => matches!(
                role,
                RoleSelector::Leader | RoleSelector::Follower | RoleSelector::One
            ),
            Selector::Names(names) => names.len() == 1,
        }
    }

    /// Says what is wrong with it for these nodes, if anything is.
    pub fn check(&self, nodes: &[String]) -> Result<(), String> {
        match self {
            Selector::Names(names) if names.is_empty() => {
                Err("the list is empty; name nodes, or leave it out for any one".to_owned())
            }
            Selector::Names(names) => {
                if let Some(unknown) = names.iter().find(|name| !nodes.contains(name)) {
                    return Err(format!("no node {unknown:?}; there are {}", nodes.join(", ")));
                }
                let mut seen = BTreeSet::new();
                match names.iter().find(|name| !seen.insert(*name)) {
                    Some(twice) => Err(format!("{twice:?} is named twice")),
                    None => Ok(()),
                }
            }
            Selector::Role(RoleSelector::Minority) if nodes.len() < 3 => {
                Err(format!("{} nodes have no minority", nodes.len()))
            }
            Selector::Role(_) => Ok(()),
        }
    }
}

/// Whether a fault is about the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AboutLeader {
    /// It is about any node.
    No,
    /// Where nodes tell who leads, what it does depends on that.
    WhereThereIsOne,
    /// It is about nobody else.
    Yes,
}

impl AboutLeader {
    /// Of a fault with targets of its own, if it has any.
    pub fn of(selector: Option<&Selector>) -> AboutLeader {
        match selector.is_some_and(Selector::needs_leader) {
            true => AboutLeader::Yes,
            false => AboutLeader::No,
        }
    }

    /// Whether these roles tell what such a fault has to know.
    pub(crate) fn is_clear(self, roles: &Roles) -> bool {
        match self {
            AboutLeader::No => true,
            AboutLeader::WhereThereIsOne => roles.leader.is_some() || !roles.told,
            AboutLeader::Yes => roles.leader.is_some(),
        }
    }
}

/// Why nobody, or nothing, can be hit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoTarget {
    /// A leader is asked for and none is known.
    #[error("no leader is known at this moment")]
    NoLeader,
    /// A follower is asked for and none is known.
    #[error("no follower is known at this moment")]
    NoFollower,
    /// Too few nodes.
    #[error("{nodes} nodes are too few for {what}")]
    TooFew {
        /// What was asked for.
        what: &'static str,
        /// How many there are.
        nodes: usize,
    },
}

/// The nodes that a selector means, in the cluster's order.
pub fn resolve(
    selector: &Selector,
    nodes: &[String],
    roles: &Roles,
    seed: u64,
) -> Result<Vec<String>, NoTarget> {
    let mut dice = Dice::new(seed);
    let count = nodes.len();
    let mut any = |size: usize, what| {
        let mut drawn: Vec<&String> = nodes.iter().collect();
        dice.shuffle(&mut drawn);
        if size == 0 || size > count {
            return Err(NoTarget::TooFew { what, nodes: count });
        }
        Ok(drawn.into_iter().take(size).cloned().collect::<Vec<_>>())
    };
    let chosen = match selector {
        Selector::Names(names) => names.clone(),
        Selector::Role(RoleSelector::Leader) => vec![roles.leader.clone().ok_or(NoTarget::NoLeader)?],
        Selector::Role(RoleSelector::Follower) => {
            let followers: Vec<&String> = nodes
                .iter()
                .filter(|node| roles.followers.contains(node))
                .collect();
            let drawn = dice.below(followers.len() as u64) as usize;
            vec![(*followers.get(drawn).ok_or(NoTarget::NoFollower)?).clone()]
        }
        Selector::Role(RoleSelector::Majority) => any(count / 2 + 1, "a majority")?,
        Selector::Role(RoleSelector::Minority) => any(count.saturating_sub(1) / 2, "a minority")?,
        Selector::Role(RoleSelector::One) => any(1, "one node")?,
        Selector::Role(RoleSelector::All) => nodes.to_vec(),
    };
    Ok(nodes
        .iter()
        .filter(|node| chosen.contains(node))
        .cloned()
        .collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nodes(count: usize) -> Vec<String> {
        (1..=count).map(|number| format!("n{number}")).collect()
    }

    fn roles() -> Roles {
        Roles {
            leader: Some("n2".to_owned()),
            followers: vec!["n1".to_owned(), "n3".to_owned()],
            ..Roles::default()
        }
    }

    proptest! {
        #[test]
        fn selectors_choose_what_they_say(count in 3..10usize, seed: u64) {
            let nodes = nodes(count);
            let of = |role| resolve(&Selector::Role(role), &nodes, &roles(), seed).unwrap();
            prop_assert_eq!(of(RoleSelector::Leader), ["n2"]);
            prop_assert!(["n1", "n3"].contains(&of(RoleSelector::Follower)[0].as_str()));
            prop_assert_eq!(of(RoleSelector::Majority).len(), count / 2 + 1);
            prop_assert_eq!(of(RoleSelector::Minority).len(), (count - 1) / 2);
            prop_assert_eq!(of(RoleSelector::All), nodes.clone());
            prop_assert_eq!(of(RoleSelector::One).len(), 1);
        }
    }

    #[test]
    fn a_leader_is_waited_for_where_there_will_be_one() {
        let between_two = Roles {
            told: true,
            ..Roles::default()
        };
        for (about, clear) in [
            (AboutLeader::No, [true, true, true]),
            (AboutLeader::WhereThereIsOne, [true, false, true]),
            (AboutLeader::Yes, [true, false, false]),
        ] {
            let seen = [&roles(), &between_two, &Roles::default()].map(|roles| about.is_clear(roles));
            assert_eq!(seen, clear, "{about:?}");
        }
    }

    #[test]
    fn every_node_gets_its_turn() {
        let nodes = nodes(5);
        let ones: BTreeSet<_> = (0..200)
            .map(|seed| resolve(&Selector::Role(RoleSelector::One), &nodes, &roles(), seed).unwrap())
            .collect();
        assert_eq!(ones.len(), 5);
    }

    #[test]
    fn without_a_leader_there_is_none_to_hit() {
        let nobody = Roles::default();
        let leader = Selector::Role(RoleSelector::Leader);
        assert_eq!(resolve(&leader, &nodes(3), &nobody, 1), Err(NoTarget::NoLeader));
        let follower = Selector::Role(RoleSelector::Follower);
        assert_eq!(
            resolve(&follower, &nodes(3), &nobody, 1),
            Err(NoTarget::NoFollower)
        );
    }
}
