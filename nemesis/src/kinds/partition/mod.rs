//! `partition`: links between nodes, or between clients and nodes, are cut.
//!
//! ```toml
//! kind = "partition"
//! shape = "one"          # see [`Shape`]
//! targets = "leader"     # with shapes one, one-way (a single node) and clients
//! ```

mod agent;
mod links;
mod needs;
pub mod order;
mod shape;
mod steps;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use duress_checker::history::Effect;
use duress_cluster::doctor::Requirement;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kind::{About, InForceAt, Kind, Parameter, ParameterError, Parameters, Undone, gone, json, typed};
use crate::agent::part::AgentPart;
use crate::agent::protocol::Mark;
use crate::life::technique::Technique;
use crate::targets::Selector;

use agent::{Network, remove_chain};
pub(super) use links::reasons;
pub(super) use needs::{IP6TABLES, IPTABLES};
use order::Dropped;
pub use shape::Shape;
pub(super) use shape::{links as links_of_shape, without_majority};
pub(super) use steps::addresses;

/// The kind.
#[derive(Clone, Copy, Debug)]
pub struct Partition;

/// Which links.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartitionParameters {
    shape: Shape,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    targets: Option<Selector>,
}

impl Kind for Partition {
    fn name(&self) -> &'static str {
        steps::KIND
    }

    fn effect(&self) -> Effect {
        Effect::Cuts
    }

    fn about(&self) -> About {
        About {
            description: "cuts links between nodes, or between clients and nodes, by dropping packets where they arrive",
            parameters: vec![
                Parameter {
                    name: "shape",
                    values: shapes(),
                },
                Parameter {
                    name: "targets",
                    values: "with shapes one, one-way (a single node) and clients".to_owned(),
                },
            ],
            verified_by: "packets between every pair of nodes, both ways, IPv4 and IPv6: those links that are cut are silent for at \
             least 100 ms, all others are heard, and both ends of one of them could have used it; at its end the same, with the rules \
             still there, which have dropped packets of the system and not only probes; healed when all are heard again",
        }
    }

    fn read(&self, parameters: Value) -> Result<Arc<dyn Parameters>, ParameterError> {
        if parameters.get("shape").is_none() {
            let what = format!("a partition needs a shape: one of {}", shapes());
            return Err(ParameterError::whole(what));
        }
        let parameters: PartitionParameters = typed(parameters)?;
        let shape = parameters.shape;
        let name = shape.name();
        if parameters.targets.is_some() && !shape.has_targets() {
            let what = format!(
                "shape {name:?} draws its own nodes; targets go with shapes one, one-way and clients"
            );
            return Err(ParameterError::at("targets", what));
        }
        let single = parameters.targets.as_ref().is_none_or(Selector::is_single);
        if matches!(shape, Shape::One | Shape::OneWay) && !single {
            let what = format!(
                "shape {name:?} is about a single node: targets may be leader, follower, one, or a list of one name"
            );
            return Err(ParameterError::at("targets", what));
        }
        Ok(Arc::new(parameters))
    }

    fn needs(&self) -> &'static [&'static Requirement] {
        static NEEDS: [&Requirement; 2] = [&IPTABLES, &IP6TABLES];
        &NEEDS
    }

    fn agent(&self, mark: &Mark) -> Option<Box<dyn AgentPart>> {
        Some(Box::new(Network::new(mark.clone())))
    }

    fn spans_machines(&self) -> bool {
        true
    }

    /// The rules of a host outlive what ran there.
    fn heal_after(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        match at.node.place.machine {
            0 => Ok(gone(at)),
            _ => self.heal(at),
        }
    }

    fn heal(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        let Some(packets) = remove_chain(at)? else {
            return Ok(Undone {
                said: "no rules were left".to_owned(),
                answer: Value::Null,
            });
        };
        Ok(Undone {
            said: format!("removed the rules, which had dropped {packets} packets"),
            answer: json(&Dropped {
                node: at.node.place.name.clone(),
                packets,
            }),
        })
    }
}

impl Parameters for PartitionParameters {
    fn to_json(&self) -> Value {
        json(self)
    }

    fn check(&self, nodes: &[String]) -> Result<(), (&'static str, String)> {
        let (name, min, count) = (self.shape.name(), self.shape.nodes_min(), nodes.len());
        if count < min {
            let what = format!("a partition of shape {name:?} needs {min} nodes; there are {count}");
            return Err(("shape", what));
        }
        let checked = self
            .targets
            .as_ref()
            .map_or(Ok(()), |targets| targets.check(nodes));
        checked.map_err(|what| ("targets", what))
    }

    fn names_role(&self) -> Option<&'static str> {
        match &self.targets {
            Some(targets) if targets.names_role() => Some("targets"),
            _ => (self.shape == Shape::Leader).then_some("shape"),
        }
    }

    fn technique(&self, id: u64, seed: u64, _length: Duration) -> Box<dyn Technique> {
        Box::new(steps::PartitionSteps::new(
            id,
            self.shape,
            self.targets.clone(),
            seed,
        ))
    }
}

fn shapes() -> String {
    Shape::ALL.map(Shape::name).join(", ")
}
