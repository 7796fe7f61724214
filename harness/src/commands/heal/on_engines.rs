//! Removes from container engines what dead runs left there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use duress_cluster::compose::{self, EngineAddress, Healed, Scope};
use duress_cluster::{ClusterError, Key};
use tokio::runtime::Builder;

use crate::ad_hoc;

/// Engines that were looked at.
#[derive(Default)]
pub struct Engines {
    /// As journals call them.
    looked_at: BTreeSet<String>,
}

impl Engines {
    /// Looks at the engine of the environment, and at those that are named. Where there is no engine, nothing can be left on it; one that is named
    /// has to be there.
    pub fn heal(
        named: &[String],
        certificates: Option<&Path>,
        key: &Key,
    ) -> Result<(Engines, Vec<Healed>), ClusterError> {
        let mut addresses = Vec::new();
        match EngineAddress::of_environment()? {
            EngineAddress::Unix(socket) if !socket.exists() => {}
            address => addresses.push(address),
        }
        for name in named {
            let tls = certificates.filter(|_| name.starts_with("tcp://"));
            addresses.push(
                EngineAddress::named(name, tls).map_err(|why| ClusterError::Invalid {
                    what: format!("--engine {name}"),
                    why,
                })?,
            );
        }
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| ClusterError::Io {
            what: "start a runtime".to_owned(),
            source,
        })?;
        let (mut healed, mut looked_at) = (Vec::new(), BTreeSet::new());
        for address in addresses {
            healed.extend(runtime.block_on(compose::heal(&address, key, &Scope::Dead))?);
            looked_at.insert(address.to_string());
        }
        Ok((Engines { looked_at }, healed))
    }

    /// What there is to say of faults that were in force on an engine, if this machine of a journal is one: they went with their containers, unless
    /// these are somebody else's.
    pub fn faults_on(&self, run: &Path, host: &str) -> Option<Result<Vec<String>, String>> {
        if !host.contains("://") {
            return None;
        }
        let are_theirs = run
            .parent()
            .is_some_and(|parent| parent.ends_with(ad_hoc::root(&PathBuf::new())));
        Some(match (are_theirs, self.looked_at.contains(host)) {
            (false, true) => Ok(vec!["what was in force went with its containers".to_owned()]),
            (false, false) => Err(format!(
                "faults were in force on the engine {host}; `duress heal --engine {host}` removes what the run left there"
            )),
            (true, _) => Err(format!(
                "faults were in force on containers of the engine {host}, whose agent heals them when it hears nothing for 15 s; if it was killed as \
                 well, restart these containers there"
            )),
        })
    }
}
