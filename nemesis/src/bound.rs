//! How many nodes a run hurts at a time, and how many it damages at all.
//!
//! ```toml
//! [faults]
//! hurt-max = 2      # nodes that faults are about at the same time; as many as there are, if it does not say
//! damage-max = 1    # nodes whose data a run damages for good, by all of its faults together
//! ```
//!
//! A system says how many of its nodes may fail before it may fail: a run that goes beyond that shows nothing. (TigerBeetle's
//! simulator has a "fault atlas" for this, `testing/storage.zig`.) Who is hit is known when a fault is injected, and not before. So the
//! bound is kept there: of a fault's nodes those are left out that would be too many, and where none is left, or the fault can't do with
//! fewer, it is skipped with the reason, and the run does without it. A node counts until the fault is proven to be healed; one that is
//! damaged counts to the end.

use std::collections::{BTreeMap, BTreeSet};

use duress_checker::history::Effect;
use serde::{Deserialize, Serialize};

use crate::dice::Dice;

/// Bounds of a run; `None` is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Nodes that are hurt at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hurt_max: Option<usize>,
    /// Nodes that are damaged in the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage_max: Option<usize>,
}

impl Limits {
    /// Whether there is no bound.
    pub fn is_none(&self) -> bool {
        *self == Limits::default()
    }
}

/// Who is hurt now, and by which fault.
#[derive(Debug, Default)]
pub struct Bound {
    limits: Limits,
    effects: BTreeMap<u64, Effect>,
    hurt: BTreeMap<u64, BTreeSet<String>>,
    damaged: BTreeSet<String>,
    refused: BTreeSet<u64>,
}

/// Who may be hit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// In the order in which they were asked for.
    pub nodes: Vec<String>,
    /// Who is left out, and by which bound; empty where nobody is.
    pub spared: String,
}

/// Whether a fault can do with fewer nodes than it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fewer {
    /// It can.
    Can,
    /// It is about all of them or about none.
    Cannot,
}

impl Bound {
    /// From now on these are the bounds. Who is hurt stays so.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// A fault with this effect is about to choose its nodes.
    pub fn begins(&mut self, fault: u64, effect: Effect) {
        self.effects.insert(fault, effect);
    }

    /// Lets a fault that has begun hit `nodes`, or those of them that may be; from now on they are hurt. Who is hurt already goes first,
    /// and the others in an order drawn from `seed`.
    pub fn admit(&mut self, fault: u64, nodes: &[String], fewer: Fewer, seed: u64) -> Admitted {
        let damages = self.effects.get(&fault) == Some(&Effect::Damages);
        let mut hurt: BTreeSet<String> = self.hurt.values().flatten().cloned().collect();
        hurt.extend(self.damaged.iter().cloned());
        let mut damaged = self.damaged.clone();
        let mut order = nodes.to_vec();
        Dice::new(seed).shuffle(&mut order);
        order.sort_by_key(|node| (damages && !damaged.contains(node), !hurt.contains(node)));
        let room = |counted: &BTreeSet<String>, node: &String, most: Option<usize>| {
            counted.contains(node) || most.is_none_or(|most| counted.len() < most)
        };
        let mut spared: Vec<String> = Vec::new();
        let mut why = BTreeSet::new();
        let count = nodes.len();
        for node in order {
            if !room(&hurt, &node, self.limits.hurt_max) {
                why.extend(self.limits.hurt_max.map(|most| format!("hurt-max = {most}")));
            } else if damages && !room(&damaged, &node, self.limits.damage_max) {
                why.extend(self.limits.damage_max.map(|most| format!("damage-max = {most}")));
            } else {
                hurt.insert(node.clone());
                if damages {
                    damaged.insert(node);
                }
                continue;
            }
            spared.push(node);
        }
        let none = spared.len() == count || (fewer == Fewer::Cannot && !spared.is_empty());
        let admitted: Vec<String> = match none {
            true => Vec::new(),
            false => (nodes.iter().filter(|node| !spared.contains(node)))
                .cloned()
                .collect(),
        };
        if none && count > 0 {
            self.refused.insert(fault);
        } else {
            if damages {
                self.damaged.extend(admitted.iter().cloned());
            }
            self.hurt.insert(fault, admitted.iter().cloned().collect());
        }
        spared.sort();
        let why: Vec<String> = why.into_iter().collect();
        Admitted {
            nodes: admitted,
            spared: match spared.is_empty() {
                true => String::new(),
                false => format!("spared by {}: {}", why.join(" and "), spared.join(", ")),
            },
        }
    }

    /// Whether a fault was not let hit anybody.
    pub fn refused(&self, fault: u64) -> bool {
        self.refused.contains(&fault)
    }

    /// A fault is over, and healed as far as it can be.
    pub fn ends(&mut self, fault: u64) {
        self.effects.remove(&fault);
        self.hurt.remove(&fault);
    }

    /// Nodes that are hurt now, those that are damaged included.
    pub fn hurt(&self) -> BTreeSet<&String> {
        self.hurt.values().flatten().chain(&self.damaged).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nodes(count: usize) -> Vec<String> {
        (1..=count).map(|number| format!("n{number}")).collect()
    }

    /// A fault begins at some of the nodes, or one that began before ends.
    #[derive(Clone, Debug)]
    enum Step {
        Begins {
            at: u8,
            damages: bool,
            fewer: bool,
            seed: u64,
        },
        Ends(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let begins = (any::<u8>(), any::<bool>(), any::<bool>(), any::<u64>());
        prop_oneof![
            3 => begins.prop_map(|(at, damages, fewer, seed)| Step::Begins { at, damages, fewer, seed }),
            2 => any::<usize>().prop_map(Step::Ends),
        ]
    }

    proptest! {
        #[test]
        fn at_any_time_no_more_are_hurt_than_may_be(
            count in 1..8usize,
            hurt_max in proptest::option::of(1..8usize),
            damage_max in proptest::option::of(0..4usize),
            steps in proptest::collection::vec(step(), 0..60),
        ) {
            let all = nodes(count);
            let mut bound = Bound::default();
            bound.limit(Limits { hurt_max, damage_max });
            let (mut open, mut damaged) = (Vec::new(), BTreeSet::new());
            for (fault, step) in (0..).zip(steps) {
                match step {
                    Step::Ends(which) if !open.is_empty() => {
                        let ended: u64 = open.swap_remove(which % open.len());
                        bound.ends(ended);
                    }
                    Step::Ends(_) => {}
                    Step::Begins { at, damages, fewer, seed } => {
                        let asked: Vec<String> =
                            (all.iter().enumerate()).filter(|(i, _)| at >> i & 1 == 1).map(|(_, node)| node.clone()).collect();
                        let before = bound.hurt().len();
                        bound.begins(fault, if damages { Effect::Damages } else { Effect::Cuts });
                        let fewer = if fewer { Fewer::Can } else { Fewer::Cannot };
                        let admitted = bound.admit(fault, &asked, fewer, seed);
                        prop_assert!(admitted.nodes.iter().all(|node| asked.contains(node)));
                        prop_assert!(fewer == Fewer::Can || admitted.nodes.is_empty() || admitted.nodes == asked);
                        prop_assert_eq!(admitted.nodes == asked, admitted.spared.is_empty());
                        prop_assert_eq!(bound.refused(fault), admitted.nodes.is_empty() && !asked.is_empty());
                        // Nobody is spared for nothing.
                        if fewer == Fewer::Can && !damages && admitted.nodes.len() < asked.len() {
                            prop_assert_eq!(Some(bound.hurt().len()), hurt_max.map(|most| most.max(before)));
                        }
                        if damages {
                            damaged.extend(admitted.nodes.iter().cloned());
                        }
                        match admitted.nodes.is_empty() {
                            true => bound.ends(fault),
                            false => open.push(fault),
                        }
                    }
                }
                prop_assert!(hurt_max.is_none_or(|most| bound.hurt().len() <= most));
                prop_assert!(damage_max.is_none_or(|most| damaged.len() <= most));
                prop_assert!(damaged.iter().all(|node| bound.hurt().contains(node)));
            }
        }
    }

    #[test]
    fn who_is_hurt_already_goes_first_and_who_is_spared_is_told() {
        let all = nodes(3);
        let mut bound = Bound::default();
        bound.limit(Limits {
            hurt_max: Some(2),
            damage_max: Some(1),
        });
        bound.begins(1, Effect::Damages);
        let damaged = bound.admit(1, &all[..2], Fewer::Can, 7);
        assert_eq!(damaged.nodes.len(), 1);
        assert!(
            damaged.spared.starts_with("spared by damage-max = 1: "),
            "{damaged:?}"
        );
        bound.ends(1);
        bound.begins(2, Effect::Restarts);
        let hit = bound.admit(2, &all, Fewer::Can, 8);
        assert_eq!(hit.nodes.len(), 2);
        assert!(hit.nodes.contains(&damaged.nodes[0]), "{hit:?}");
        bound.begins(3, Effect::Cuts);
        let cut = bound.admit(3, &all, Fewer::Cannot, 9);
        assert_eq!(cut.nodes, Vec::<String>::new());
        assert!(
            bound.refused(3) && cut.spared.starts_with("spared by hurt-max = 2: "),
            "{cut:?}"
        );
    }
}
