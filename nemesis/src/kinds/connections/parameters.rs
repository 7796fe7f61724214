//! Parameters of faults that end connections: between which nodes, as packet faults have it.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ending::Ending;
use super::steps::ConnectionSteps;
use crate::kinds::family;
use crate::kinds::kind::{Parameter, ParameterError, Parameters};
use crate::kinds::packets::{LinksWritten, parameters_of_links};
use crate::life::technique::Technique;

/// None beside those of links.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Own {}

/// For a catalogue.
pub fn parameters() -> Vec<Parameter> {
    parameters_of_links().into()
}

/// Reads the parameters of one fault.
pub fn read<E: Ending>(written: Value) -> Result<Arc<dyn Parameters>, ParameterError> {
    let (links, Own {}): (LinksWritten, Own) = family::read(written, &[], &parameters())?;
    links.check_shape()?;
    Ok(Arc::new(Between::<E> {
        links,
        ending: PhantomData,
    }))
}

/// Between which nodes.
#[derive(Debug)]
struct Between<E> {
    links: LinksWritten,
    ending: PhantomData<E>,
}

impl<E: Ending> Parameters for Between<E> {
    fn to_json(&self) -> Value {
        family::write(&self.links, &Own {})
    }

    fn check(&self, nodes: &[String]) -> Result<(), (&'static str, String)> {
        self.links.check(nodes)
    }

    fn names_role(&self) -> Option<&'static str> {
        self.links.names_role()
    }

    fn technique(&self, id: u64, seed: u64, _length: Duration) -> Box<dyn Technique> {
        Box::new(ConnectionSteps::new(
            id,
            E::NAME,
            E::TOLD,
            self.links.clone(),
            seed,
        ))
    }
}
