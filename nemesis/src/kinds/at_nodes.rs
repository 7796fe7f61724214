//! Parameters of kinds that are about nodes as a whole, and say nothing but which.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kind::{Parameter, ParameterError, Parameters, json, typed};
use crate::life::technique::Technique;
use crate::targets::{SELECTORS, Selector};

/// What the steps of fault `id` do to the nodes that are chosen; see [`Parameters::technique`].
pub type Make = fn(u64, Selector, u64, Duration) -> Box<dyn Technique>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    targets: Selector,
}

/// Which nodes, and what is done to them.
struct AtNodes {
    written: Written,
    make: Make,
}

/// For a catalogue.
pub fn parameter() -> Parameter {
    Parameter {
        name: "targets",
        values: format!("{SELECTORS}; default one"),
    }
}

/// Says what is wrong with the parameter for these nodes, if anything is, as [`Parameters::check`].
pub fn check(targets: &Selector, nodes: &[String]) -> Result<(), (&'static str, String)> {
    targets.check(nodes).map_err(|what| ("targets", what))
}

/// Reads which nodes; `make` does the rest.
pub fn read(parameters: Value, make: Make) -> Result<Arc<dyn Parameters>, ParameterError> {
    let written = typed(parameters)?;
    Ok(Arc::new(AtNodes { written, make }))
}

impl fmt::Debug for AtNodes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.targets.fmt(formatter)
    }
}

impl Parameters for AtNodes {
    fn to_json(&self) -> Value {
        json(&self.written)
    }

    fn check(&self, nodes: &[String]) -> Result<(), (&'static str, String)> {
        check(&self.written.targets, nodes)
    }

    fn technique(&self, id: u64, seed: u64, length: Duration) -> Box<dyn Technique> {
        (self.make)(id, self.written.targets.clone(), seed, length)
    }
}
