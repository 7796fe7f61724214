//! Which links a partition cuts: from its shape to names and links, drawn when it is injected. Pure.

use std::collections::BTreeSet;

use duress_cluster::Roles;
use serde::{Deserialize, Serialize};

use crate::dice::Dice;
use crate::targets::{AboutLeader, NoTarget, RoleSelector, Selector, resolve};

/// Which links a partition cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// One node from all others.
    One,
    /// Two halves from each other.
    Halves,
    /// The largest minority from the rest.
    MajorityMinority,
    /// The leader from all others.
    Leader,
    /// Every node hears a majority, and no two the same one (Jepsen's `majorities-ring`).
    MajoritiesRing,
    /// Two halves from each other, but for one node that hears, and is heard by, all; it is not the leader, where one is
    /// known.
    Bridge,
    /// One node from all others, in one direction only.
    OneWay,
    /// Clients from nodes: requests don't arrive. Nodes hear each other, and what they send to clients still leaves.
    Clients,
}

impl Shape {
    /// Every shape.
    pub const ALL: [Shape; 8] = [
        Shape::One,
        Shape::Halves,
        Shape::MajorityMinority,
        Shape::Leader,
        Shape::MajoritiesRing,
        Shape::Bridge,
        Shape::OneWay,
        Shape::Clients,
    ];

    /// As in specs.
    pub fn name(self) -> &'static str {
        match self {
            Shape::One => "one",
            Shape::Halves => "halves",
            Shape::MajorityMinority => "majority-minority",
            Shape::Leader => "leader",
            Shape::MajoritiesRing => "majorities-ring",
            Shape::Bridge => "bridge",
            Shape::OneWay => "one-way",
            Shape::Clients => "clients",
        }
    }

    /// True for shapes that are about particular nodes.
    pub fn has_targets(self) -> bool {
        matches!(self, Shape::One | Shape::OneWay | Shape::Clients)
    }

    /// Whether it is about the leader, when it has these targets.
    pub(crate) fn about_leader(self, targets: Option<&Selector>) -> AboutLeader {
        match self {
            Shape::Leader => AboutLeader::Yes,
            Shape::Bridge => AboutLeader::WhereThereIsOne,
            _ => AboutLeader::of(targets),
        }
    }

    /// With fewer nodes it cuts nothing.
    pub fn nodes_min(self) -> usize {
        match self {
            Shape::Clients => 1,
            Shape::One | Shape::Halves | Shape::Leader | Shape::OneWay => 2,
            Shape::MajorityMinority | Shape::MajoritiesRing | Shape::Bridge => 3,
        }
    }
}

/// What a partition cuts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Directed links between nodes, `(from, to)`.
    pub links: BTreeSet<(String, String)>,
    /// Nodes that don't hear clients.
    pub deaf_to_clients: BTreeSet<String>,
    /// The nodes that it is about: those that are cut off, or all.
    pub targets: Vec<String>,
}

impl Cut {
    /// Of `nodes` those that can't do their part: they are without a majority, or without clients.
    pub fn hurt(&self, nodes: &[String]) -> Vec<String> {
        let mut hurt = without_majority(&self.links, nodes);
        for node in &self.deaf_to_clients {
            if !hurt.contains(node) {
                hurt.push(node.clone());
            }
        }
        hurt
    }
}

impl Cut {
    fn both_ways(&mut self, one: &str, other: &str) {
        self.one_way(one, other);
        self.one_way(other, one);
    }

    fn one_way(&mut self, from: &str, to: &str) {
        self.links.insert((from.to_owned(), to.to_owned()));
    }

    fn between(&mut self, side: &[String], other: &[String]) {
        for one in side {
            for two in other {
                self.both_ways(one, two);
            }
        }
    }
}

/// Nodes that can't speak, both ways, with as many as make up a majority with them, while these links are cut.
pub fn without_majority<'a>(
    links: impl IntoIterator<Item = &'a (String, String)>,
    nodes: &[String],
) -> Vec<String> {
    let cut: BTreeSet<(&str, &str)> = links
        .into_iter()
        .map(|(from, to)| (from.as_str(), to.as_str()))
        .collect();
    let heard = |one: &str, other: &str| !cut.contains(&(one, other)) && !cut.contains(&(other, one));
    let mut alone = nodes.to_vec();
    alone.retain(|node| nodes.iter().filter(|other| heard(node, other)).count() * 2 <= nodes.len());
    alone
}

/// The links that a shape means.
pub fn links(
    shape: Shape,
    targets: Option<&Selector>,
    nodes: &[String],
    roles: &Roles,
    seed: u64,
) -> Result<Cut, NoTarget> {
    if nodes.len() < shape.nodes_min() {
        return Err(NoTarget::TooFew {
            what: "this shape of partition",
            nodes: nodes.len(),
        });
    }
    let one = Selector::Role(RoleSelector::One);
    let chosen = || resolve(targets.unwrap_or(&one), nodes, roles, seed);
    // Another stream than the one that the targets come from.
    let mut dice = Dice::new(!seed);
    let mut ring = nodes.to_vec();
    dice.shuffle(&mut ring);
    let mut cut = Cut::default();
    let others = |of: &[String]| {
        nodes
            .iter()
            .filter(|node| !of.contains(node))
            .cloned()
            .collect::<Vec<_>>()
    };
    match shape {
        Shape::One => {
            cut.targets = chosen()?;
            cut.between(&cut.targets.clone(), &others(&cut.targets));
        }
        Shape::Leader => {
            cut.targets = resolve(&Selector::Role(RoleSelector::Leader), nodes, roles, seed)?;
            cut.between(&cut.targets.clone(), &others(&cut.targets));
        }
        Shape::Halves | Shape::MajorityMinority => {
            let size = if shape == Shape::Halves {
                nodes.len() / 2
            } else {
                (nodes.len() - 1) / 2
            };
            let (side, other) = ring.split_at(size);
            cut.between(side, other);
            cut.targets = side.to_vec();
        }
        Shape::Bridge => {
            // Followers say little to each other: a leader that hears all would be missed by nobody.
            if ring.first() == roles.leader.as_ref() {
                ring.rotate_left(1);
            }
            let (bridge, rest) = ring.split_at(1);
            let (side, other) = rest.split_at(rest.len() / 2);
            cut.between(side, other);
            cut.targets = others(bridge);
        }
        Shape::MajoritiesRing => {
            majorities_ring(&mut cut, &ring);
            cut.targets = nodes.to_vec();
        }
        Shape::OneWay => {
            cut.targets = chosen()?;
            let deaf = dice.below(2) == 0;
            let rest = others(&cut.targets);
            for target in cut.targets.clone() {
                for other in &rest {
                    if deaf {
                        cut.one_way(other, &target)
                    } else {
                        cut.one_way(&target, other)
                    }
                }
            }
        }
        Shape::Clients => {
            cut.targets = chosen()?;
            cut.deaf_to_clients = cut.targets.iter().cloned().collect();
        }
    }
    cut.targets
        .sort_by_key(|target| nodes.iter().position(|node| node == target));
    Ok(cut)
}

/// In a ring, each node hears itself and its neighbours, as many as make a majority (Jepsen, `nemesis.clj`,
/// `majorities-ring-perfect`). Where a majority is an even number, a node hears one more on one side than on the other,
/// so some links are cut one way only.
fn majorities_ring(cut: &mut Cut, ring: &[String]) {
    let count = ring.len();
    let majority = count / 2 + 1;
    for (place, node) in ring.iter().enumerate() {
        let heard_first = place + count - majority / 2;
        for distance in majority..count {
            cut.one_way(&ring[(heard_first + distance) % count], node);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_those_of_the_format() {
        for shape in Shape::ALL {
            assert_eq!(serde_json::to_value(shape).unwrap(), shape.name());
        }
    }

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

    /// Whom a node hears, itself included.
    fn heard(cut: &Cut, nodes: &[String], node: &str) -> BTreeSet<String> {
        let silent = |from: &str| cut.links.contains(&(from.to_owned(), node.to_owned()));
        nodes.iter().filter(|from| !silent(from)).cloned().collect()
    }

    #[test]
    fn hurt_is_who_is_without_a_majority_or_without_clients() {
        for (shape, count, hurt) in [
            (Shape::One, 5, 1),
            (Shape::OneWay, 5, 1),
            (Shape::Leader, 5, 1),
            (Shape::Clients, 5, 1),
            (Shape::MajorityMinority, 5, 2),
            (Shape::Halves, 5, 2),
            // Neither half of four is a majority.
            (Shape::Halves, 4, 4),
            (Shape::MajoritiesRing, 5, 0),
        ] {
            let cut = links(shape, None, &nodes(count), &roles(), 7).unwrap();
            assert_eq!(cut.hurt(&nodes(count)).len(), hurt, "{shape:?} of {count}");
        }
    }

    fn symmetric(cut: &Cut) -> bool {
        cut.links
            .iter()
            .all(|(from, to)| cut.links.contains(&(to.clone(), from.clone())))
    }

    proptest! {
        #[test]
        fn each_shape_is_what_its_name_says(count in 3..10usize, seed: u64) {
            let nodes = nodes(count);
            let of = |shape| links(shape, None, &nodes, &roles(), seed).unwrap();
            let sizes = |cut: &Cut| nodes.iter().map(|node| heard(cut, &nodes, node).len()).collect::<Vec<_>>();
            let majority = count / 2 + 1;

            let one = of(Shape::One);
            prop_assert_eq!((one.targets.len(), one.links.len()), (1, 2 * (count - 1)));
            prop_assert_eq!(heard(&one, &nodes, &one.targets[0]).len(), 1);

            let leader = of(Shape::Leader);
            prop_assert_eq!(&leader.targets, &["n2"]);
            prop_assert_eq!(heard(&leader, &nodes, "n2").len(), 1);

            let halves = of(Shape::Halves);
            prop_assert!(sizes(&halves).iter().all(|size| *size == count / 2 || *size == count - count / 2));

            let minority = of(Shape::MajorityMinority);
            prop_assert_eq!(sizes(&minority).iter().filter(|size| **size < majority).count(), (count - 1) / 2);

            let ring = of(Shape::MajoritiesRing);
            prop_assert!(sizes(&ring).iter().all(|size| *size == majority));
            let views: BTreeSet<_> = nodes.iter().map(|node| heard(&ring, &nodes, node)).collect();
            prop_assert_eq!(views.len(), count, "no two hear the same majority");
            prop_assert!(majority % 2 == 0 || symmetric(&ring));

            let bridge = of(Shape::Bridge);
            let sizes = sizes(&bridge);
            prop_assert_eq!(sizes.iter().filter(|size| **size == count).count(), 1, "one node hears all");
            prop_assert!(sizes.iter().all(|size| *size == count || *size <= count / 2 + 1), "{:?}", sizes);
            prop_assert!(!bridge.links.is_empty());
            prop_assert!(heard(&bridge, &nodes, "n2").len() < count, "a leader that hears all is missed by nobody");

            let one_way = of(Shape::OneWay);
            prop_assert_eq!(one_way.links.len(), count - 1);
            prop_assert!(one_way.links.iter().all(|(from, to)| !one_way.links.contains(&(to.clone(), from.clone()))));

            let clients = of(Shape::Clients);
            prop_assert!(clients.links.is_empty() && clients.deaf_to_clients.len() == 1);

            for cut in [&one, &leader, &halves, &minority, &bridge] {
                prop_assert!(symmetric(cut));
            }
            for cut in [&one, &halves, &minority, &ring, &bridge, &one_way] {
                prop_assert!(cut.links.iter().all(|(from, to)| from != to));
            }
        }
    }

    #[test]
    fn a_bridge_has_to_know_the_leader_where_there_is_one() {
        assert_eq!(Shape::Bridge.about_leader(None), AboutLeader::WhereThereIsOne);
        assert_eq!(Shape::Leader.about_leader(None), AboutLeader::Yes);
        let leader = Selector::Role(RoleSelector::Leader);
        assert_eq!(Shape::OneWay.about_leader(Some(&leader)), AboutLeader::Yes);
        assert_eq!(Shape::Halves.about_leader(None), AboutLeader::No);
    }

    #[test]
    fn both_directions_get_their_turn() {
        let nodes = nodes(5);
        let ways: BTreeSet<_> = (0..200)
            .map(|seed| links(Shape::OneWay, None, &nodes, &roles(), seed).unwrap().links)
            .collect();
        assert_eq!(ways.len(), 10);
    }

    #[test]
    fn without_a_leader_there_is_none_to_cut_off() {
        let error = links(Shape::Leader, None, &nodes(3), &Roles::default(), 1).unwrap_err();
        assert_eq!(error, NoTarget::NoLeader);
    }
}
