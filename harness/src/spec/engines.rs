//! Which engines a compose cluster is deployed on, where that is not the one of the environment.

use std::path::PathBuf;

use duress_cluster::ClusterError;
use duress_cluster::compose::{EngineAddress, Reach};
use serde::{Deserialize, Serialize};

use super::ComposeSpec;

/// One of several engines: `[[cluster.compose.engines]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EngineSpec {
    /// An address, or the name of a docker context.
    pub engine: String,
    /// The folder with `ca.pem`, `cert.pem` and `key.pem`, for one that is reached by TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<PathBuf>,
    /// The nodes that live there. None in a stack: the Swarm decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
}

/// How nodes are reached from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReachSpec {
    /// At their own addresses where the engine is on this machine, else at the ports that they publish.
    #[default]
    Auto,
    /// At their own addresses.
    Addresses,
    /// At the ports that they publish on their engine's machine.
    Ports,
}

impl ReachSpec {
    /// What that means for this engine.
    pub fn of(self, engine: &EngineAddress) -> Reach {
        match self {
            ReachSpec::Addresses => Reach::Addresses,
            ReachSpec::Ports => Reach::Ports,
            ReachSpec::Auto if engine.is_here() => Reach::Addresses,
            ReachSpec::Auto => Reach::Ports,
        }
    }
}

impl ComposeSpec {
    /// The engines, each with the nodes that live there: what is written, or what the environment names. Contexts are looked up.
    pub fn engine_addresses(&self) -> Result<Vec<(EngineAddress, Vec<String>)>, ClusterError> {
        let named = |text: &str, certificates: &Option<PathBuf>| {
            EngineAddress::named(text, certificates.as_deref()).map_err(|why| ClusterError::Invalid {
                what: format!("the engine {text:?} of the spec"),
                why,
            })
        };
        if let Some(engine) = &self.engine {
            return Ok(vec![(named(engine, &self.certificates)?, self.nodes.clone())]);
        }
        if self.engines.is_empty() {
            return Ok(vec![(EngineAddress::of_environment()?, self.nodes.clone())]);
        }
        let one = |one: &EngineSpec| Ok((named(&one.engine, &one.certificates)?, one.nodes.clone()));
        self.engines.iter().map(one).collect()
    }
}
