//! Which links packet faults are about, as a spec says it and as they are drawn.

use duress_cluster::Roles;
use serde::{Deserialize, Serialize};

use crate::kinds::kind::{Parameter, ParameterError};
use crate::kinds::partition::{Shape, links_of_shape};
use crate::targets::{AboutLeader, NoTarget, SELECTORS, Selector, resolve};

/// Which links.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinksWritten {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Selector>,
}

/// Directed links, `(from, to)`, and the nodes that it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    pub links: Vec<(String, String)>,
    pub targets: Vec<String>,
}

/// For a catalogue.
pub fn parameters() -> [Parameter; 2] {
    let shapes: Vec<&str> = Shape::ALL
        .iter()
        .filter(|shape| **shape != Shape::Clients)
        .map(|shape| shape.name())
        .collect();
    let shape = Parameter {
        name: "shape",
        values: format!(
            "links as a partition of this shape would cut them: {}; default: all from and to the targets",
            shapes.join(", ")
        ),
    };
    let targets = Parameter {
        name: "targets",
        values: format!(
            "{SELECTORS}; default one; with shapes one and one-way a single node, with others none"
        ),
    };
    [shape, targets]
}

impl LinksWritten {
    /// Says whether they go together.
    pub fn check_shape(&self) -> Result<(), ParameterError> {
        let Some(shape) = self.shape else { return Ok(()) };
        if shape == Shape::Clients {
            let what = "links are those between nodes; clients are none";
            return Err(ParameterError::at("shape", what));
        }
        let name = shape.name();
        match &self.targets {
            Some(_) if !shape.has_targets() => Err(ParameterError::at(
                "targets",
                format!(
                    "shape {name:?} draws its own nodes; targets go with shapes one and one-way, or with none"
                ),
            )),
            Some(targets) if !targets.is_single() => Err(ParameterError::at(
                "targets",
                format!(
                    "shape {name:?} is about a single node: targets may be leader, follower, one, or a list of one name"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Says what is wrong with them for these nodes, if anything is: the parameter, and what would be right.
    pub fn check(&self, nodes: &[String]) -> Result<(), (&'static str, String)> {
        let (min, count) = (self.shape.map_or(2, Shape::nodes_min), nodes.len());
        if count < min {
            let what = format!("links of this kind need {min} nodes; there are {count}");
            return Err(("shape", what));
        }
        let checked = self
            .targets
            .as_ref()
            .map_or(Ok(()), |targets| targets.check(nodes));
        checked.map_err(|what| ("targets", what))
    }

    /// The parameter that names a role, if one does.
    pub fn names_role(&self) -> Option<&'static str> {
        match &self.targets {
            Some(targets) if targets.names_role() => Some("targets"),
            _ => (self.shape == Some(Shape::Leader)).then_some("shape"),
        }
    }

    pub fn about_leader(&self) -> AboutLeader {
        match self.shape {
            Some(shape) => shape.about_leader(self.targets.as_ref()),
            None => AboutLeader::of(self.targets.as_ref()),
        }
    }

    /// Draws them. Without a shape: all links that begin or end at a target.
    pub fn choose(&self, nodes: &[String], roles: &Roles, seed: u64) -> Result<Chosen, NoTarget> {
        if let Some(shape) = self.shape {
            let cut = links_of_shape(shape, self.targets.as_ref(), nodes, roles, seed)?;
            return Ok(Chosen {
                links: cut.links.into_iter().collect(),
                targets: cut.targets,
            });
        }
        let targets = resolve(&self.targets.clone().unwrap_or_default(), nodes, roles, seed)?;
        let touches =
            |from: &String, to: &String| from != to && (targets.contains(from) || targets.contains(to));
        let from_all = nodes
            .iter()
            .flat_map(|from| nodes.iter().map(move |to| (from, to)));
        let links = from_all.filter(|(from, to)| touches(from, to));
        Ok(Chosen {
            links: links.map(|(from, to)| (from.clone(), to.clone())).collect(),
            targets,
        })
    }
}
