//! Heals on hosts what dead runs left there: by an agent of its own, from the run's journal, which is here.

use std::collections::BTreeMap;
use std::path::Path;

use duress_cluster::ClusterError;
use duress_cluster::ssh::{HostAddress, OneHost};
use duress_nemesis::InForce;
use duress_nemesis::journal::{HostEntry, RunEntry};
use tokio::runtime::Runtime;

use crate::commands::hosts::{HostArgs, runtime};
use crate::runs::deploy::run_name_of;
use crate::runs::hosts::greet;

/// Hosts that somebody is logged in to.
pub struct Hosts {
    runtime: Option<Runtime>,
    reached: Vec<OneHost>,
}

impl Hosts {
    /// Logs in to all of them.
    pub fn reach(addresses: &[HostAddress], how: &HostArgs) -> Result<Hosts, ClusterError> {
        let mut hosts = Hosts {
            runtime: None,
            reached: Vec::new(),
        };
        if addresses.is_empty() {
            return Ok(hosts);
        }
        let runtime = runtime()?;
        for address in addresses {
            hosts.reached.push(runtime.block_on(how.reach(address))?);
        }
        hosts.runtime = Some(runtime);
        Ok(hosts)
    }

    /// Heals what a run left on a host, as far as it is one of these.
    pub fn heal(
        &mut self,
        dir: &Path,
        run: &RunEntry,
        entry: &HostEntry,
        faults: &BTreeMap<u64, InForce>,
    ) -> Result<Vec<String>, String> {
        let name = &entry.host;
        let found = self.reached.iter().find(|host| host.name() == name);
        let (Some(host), Some(runtime)) = (found, &self.runtime) else {
            return Err(format!(
                "faults were in force on {name}, whose agent heals them when it hears nothing for 15 s; `duress heal --on {name}` sees to it"
            ));
        };
        runtime.block_on(async {
            let mut done = healed(host, run, entry, faults)
                .await
                .map_err(|why| format!("{name}: {why}"))?;
            let left = host.remove_run(&run_name_of(dir, run.controller.pid)).await;
            if left.map_err(|error| error.to_string())? {
                done.push("removed the run's folder".to_owned());
            }
            Ok(done)
        })
    }

    /// What is left on them of runs whose journals are not here, by host.
    pub fn left(&self) -> Result<Vec<(String, Vec<String>)>, ClusterError> {
        let mut left = Vec::new();
        for host in &self.reached {
            let Some(runtime) = &self.runtime else { break };
            let marks = runtime.block_on(host.marks())?;
            let said = |mark: String| {
                format!(
                    "there are chains DURESS-{mark} in its packet filter: of a run that lives, or whose journal is elsewhere; run \
                     `duress heal --on` where that run was started"
                )
            };
            if !marks.is_empty() {
                left.push((host.name().to_owned(), marks.into_iter().map(said).collect()));
            }
        }
        Ok(left)
    }
}

async fn healed(
    host: &OneHost,
    run: &RunEntry,
    entry: &HostEntry,
    faults: &BTreeMap<u64, InForce>,
) -> Result<Vec<String>, String> {
    let started = host.start_agent().await.map_err(|error| error.to_string())?;
    let greeted = greet(started, &run.mark).await;
    let agent = greeted.map_err(|error| error.to_string())?;
    let done = if agent.hello().boot == entry.boot {
        agent.heal_left(faults).await.map_err(|error| error.to_string())?
    } else {
        vec!["the machine was restarted since".to_owned()]
    };
    agent.close().await.map_err(|error| error.to_string())?;
    Ok(done)
}
