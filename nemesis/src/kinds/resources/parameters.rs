//! Parameters of faults of resources: which nodes, and what the kind has for itself.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::resource::Resource;
use super::steps::ResourceSteps;
use crate::kinds::kind::{About, ParameterError, Parameters};
use crate::kinds::{at_nodes, family};
use crate::life::technique::Technique;
use crate::targets::Selector;

/// What all of the kinds take.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Common {
    #[serde(default)]
    targets: Selector,
}

/// For a catalogue: what the kind says, and what all have in common.
pub fn about<R: Resource>() -> About {
    About {
        description: R::DESCRIPTION,
        parameters: R::own().into_iter().chain([at_nodes::parameter()]).collect(),
        verified_by: R::VERIFIED_BY,
    }
}

/// Reads the parameters of one fault.
pub fn read<R: Resource>(parameters: Value) -> Result<Arc<dyn Parameters>, ParameterError> {
    let (common, resource): (Common, R) = family::read(parameters, &R::own(), &about::<R>().parameters)?;
    resource
        .check()
        .map_err(|(key, what)| ParameterError::at(key, what))?;
    Ok(Arc::new(AtResource { common, resource }))
}

/// Which nodes, and what they are left of what.
#[derive(Debug)]
struct AtResource<R> {
    common: Common,
    resource: R,
}

impl<R: Resource> Parameters for AtResource<R> {
    fn to_json(&self) -> Value {
        family::write(&self.common, &self.resource)
    }

    fn check(&self, nodes: &[String]) -> Result<(), (&'static str, String)> {
        at_nodes::check(&self.common.targets, nodes)
    }

    fn technique(&self, id: u64, seed: u64, _length: Duration) -> Box<dyn Technique> {
        let (targets, resource) = (self.common.targets.clone(), self.resource.clone());
        Box::new(ResourceSteps::new(id, targets, seed, resource))
    }
}
