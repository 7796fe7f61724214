//! What an engine says of itself.

use std::fmt;

use super::{Engine, engine_error};
use crate::ClusterError;

/// What there is to know of an engine before anything is deployed on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::compose) struct About {
    /// Its version, e.g. `26.1.4`.
    pub version: String,
    /// What its machine runs, e.g. `Debian GNU/Linux 12 (bookworm)`.
    pub name: String,
    /// `linux`, usually.
    pub system: String,
    /// Of the machine.
    pub kernel: String,
    /// Of the processor, e.g. `x86_64`.
    pub architecture: String,
    /// Version of its control groups.
    pub groups: String,
    /// Whether it manages a Swarm.
    pub manages: bool,
}

impl Engine {
    /// Asks for it.
    pub async fn about(&self) -> Result<About, ClusterError> {
        let failed = |error| engine_error("ask the engine what it is".to_owned(), error);
        let info = self.docker.info().await.map_err(failed)?;
        let swarm = info.swarm.unwrap_or_default();
        Ok(About {
            version: info.server_version.unwrap_or_default(),
            name: info.operating_system.unwrap_or_default(),
            system: info.os_type.unwrap_or_default(),
            kernel: info.kernel_version.unwrap_or_default(),
            architecture: info.architecture.unwrap_or_default(),
            groups: info
                .cgroup_version
                .map(|version| version.to_string())
                .unwrap_or_default(),
            manages: swarm.control_available.unwrap_or_default(),
        })
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let About {
            version,
            name,
            kernel,
            groups,
            ..
        } = self;
        write!(
            f,
            "{version} on {name}, kernel {kernel}, control groups version {groups}"
        )
    }
}
