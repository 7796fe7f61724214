//! The catalogue: which faults there are, what can be said of each, and what proves it.
//!
//! A fault, as a spec and a schedule have it:
//!
//! ```json
//! {"kind":"partition","shape":"majority-minority"}
//! {"kind":"pause","targets":"leader"}
//! {"kind":"kill","targets":["n1","n3"]}
//! ```
//!
//! A new kind is a variant of [`Fault`] and of [`Kind`]; the compiler then names what is missing: its entry in
//! [`catalogue`], and the technique in [`crate::fault`] that does its six steps.

use serde::{Deserialize, Serialize};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Links between nodes, or between clients and nodes, are cut.
    Partition,
    /// Programs are ended by SIGKILL, and started again.
    Kill,
    /// All processes of nodes are stopped, and go on.
    Pause,
    /// Programs are asked to end, and started again at once.
    Restart,
}

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
    /// Two halves from each other, but for one node that hears, and is heard by, all.
    Bridge,
    /// One node from all others, in one direction only.
    OneWay,
    /// Clients from nodes: requests don't arrive. Nodes hear each other, and what they send to clients still leaves.
    Clients,
}

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

/// One fault, with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// See [`Kind::Partition`].
    Partition {
        /// Which links.
        shape: Shape,
        /// Which nodes, for shapes that are about some.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        targets: Option<Selector>,
    },
    /// See [`Kind::Kill`].
    Kill {
        /// Which nodes.
        targets: Selector,
    },
    /// See [`Kind::Pause`].
    Pause {
        /// Which nodes.
        targets: Selector,
    },
    /// See [`Kind::Restart`].
    Restart {
        /// Which nodes.
        targets: Selector,
    },
}

impl Fault {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Fault::Partition { .. } => Kind::Partition,
            Fault::Kill { .. } => Kind::Kill,
            Fault::Pause { .. } => Kind::Pause,
            Fault::Restart { .. } => Kind::Restart,
        }
    }

    /// Which nodes it is about, if that is said.
    pub fn targets(&self) -> Option<&Selector> {
        match self {
            Fault::Partition { targets, .. } => targets.as_ref(),
            Fault::Kill { targets } | Fault::Pause { targets } | Fault::Restart { targets } => Some(targets),
        }
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 4] = [Kind::Partition, Kind::Kill, Kind::Pause, Kind::Restart];

    /// As in specs and histories.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Partition => "partition",
            Kind::Kill => "kill",
            Kind::Pause => "pause",
            Kind::Restart => "restart",
        }
    }
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

    /// With fewer nodes it cuts nothing.
    pub fn nodes_min(self) -> usize {
        match self {
            Shape::Clients => 1,
            Shape::One | Shape::Halves | Shape::Leader | Shape::OneWay => 2,
            Shape::MajorityMinority | Shape::MajoritiesRing | Shape::Bridge => 3,
        }
    }
}

/// What there is to know of a kind of fault before using it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CatalogueEntry {
    /// As in specs and histories.
    pub kind: &'static str,
    /// What it does.
    pub description: &'static str,
    /// What can be said of it in a spec, beside `length` and `weight`.
    pub parameters: Vec<Parameter>,
    /// What has to be seen before a step counts as `installed`.
    pub verified_by: &'static str,
}

/// One parameter of a kind of fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// As in specs.
    pub name: &'static str,
    /// Values, and what holds when it is not given.
    pub values: String,
}

const TARGETS: &str = "leader, follower, majority, minority, all, one, or a list of names";

/// Every kind of fault, for `duress faults` and the reference page.
pub fn catalogue() -> Vec<CatalogueEntry> {
    Kind::ALL.into_iter().map(entry).collect()
}

fn entry(kind: Kind) -> CatalogueEntry {
    let targets = || Parameter {
        name: "targets",
        values: format!("{TARGETS}; default one"),
    };
    let (description, parameters, verified_by) = match kind {
        Kind::Partition => (
            "cuts links between nodes, or between clients and nodes, by dropping packets where they arrive",
            vec![
                Parameter {
                    name: "shape",
                    values: Shape::ALL.map(Shape::name).join(", "),
                },
                Parameter {
                    name: "targets",
                    values: "with shapes one, one-way (a single node) and clients".to_owned(),
                },
            ],
            "packets between every pair of nodes, both ways, IPv4 and IPv6: those links that are cut are silent for at \
             least 100 ms, all others are heard, and both ends of one of them could have used it; at its end the same, with the rules \
             still there, which have dropped packets of the system and not only probes; healed when all are heard again",
        ),
        Kind::Kill => (
            "ends every process of a node by SIGKILL, and starts the program again when the fault ends",
            vec![targets()],
            "the processes are gone, and nothing runs there until it ends; healed when the program runs and is ready",
        ),
        Kind::Pause => (
            "stops every process of a node by SIGSTOP, and lets them go on when the fault ends",
            vec![targets()],
            "every process of the node is in state T, and at least one was not before; at its end they still are; healed when \
             none that was stopped still is",
        ),
        Kind::Restart => (
            "asks the program to end by SIGTERM, ends it by SIGKILL if it doesn't within the fault's length, and starts \
             it again at once",
            vec![targets()],
            "the processes are gone; healed when the program runs and is ready",
        ),
    };
    CatalogueEntry {
        kind: kind.name(),
        description,
        parameters,
        verified_by,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_format() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        for shape in Shape::ALL {
            assert_eq!(serde_json::to_value(shape).unwrap(), shape.name());
        }
    }
}
