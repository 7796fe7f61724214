//! [`UnitCluster`]: nodes that are units of systemd on hosts.
//!
//! They are there already, and were started before or not; systemd starts and stops them, and knows which processes they have by their control
//! group. Duress gives them nothing of its own and takes nothing away: when the run is over, those that ran before run.

use std::net::IpAddr;
use std::sync::OnceLock;

use async_trait::async_trait;

use super::machines::{Machine, Machines};
use super::unit::Unit;
use super::{OnHosts, files};
use crate::{Cluster, ClusterError, FileEnd, LogFile, Node, NodeFiles, Place, ProgramState};

/// As much is kept of what a unit wrote to the journal: the last bytes.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// A unit of this name on each host.
pub struct UnitCluster {
    machines: Machines,
    nodes: Vec<Node>,
    unit: String,
    found: Vec<Found>,
}

/// How a unit was found.
struct Found {
    ran: bool,
    /// Known once it has run.
    group: OnceLock<String>,
    /// What the clock of its host said, in seconds: where the journal of the run begins.
    since: String,
}

impl UnitCluster {
    /// Looks at all of them, and starts none. Fails where one can't be a node.
    pub async fn find(machines: Machines, unit: &str) -> Result<UnitCluster, ClusterError> {
        let unit = match unit.contains('.') {
            true => unit.to_owned(),
            false => format!("{unit}.service"),
        };
        let mut found = Vec::new();
        for Machine { host, .. } in &machines.all {
            let looked = Unit::look(host, &unit).await?;
            if let Some(why) = looked.refusal(&unit) {
                return Err(host.error(&format!("use the unit {unit}"), why));
            }
            found.push(Found {
                ran: looked.state() == ProgramState::Running,
                group: OnceLock::new(),
                since: host.run("date +%s").await?.trim().to_owned(),
            });
        }
        Ok(UnitCluster {
            nodes: machines.nodes(),
            machines,
            unit,
            found,
        })
    }

    fn at(&self, node: &str) -> Result<(u32, &Machine, &Found), ClusterError> {
        let (number, machine) = self.machines.of_node(node)?;
        Ok((number, machine, &self.found[number as usize - 1]))
    }

    /// A log that can't be had changes no verdict: not every systemd keeps one.
    async fn keep_log(&self, machine: &Machine, since: &str) -> Result<(), ClusterError> {
        let Machine { host, node, .. } = machine;
        let script = format!(
            "command -v journalctl >/dev/null && journalctl --unit={} --since=@{since} --output=short-precise --no-pager | tail -c {LOG_BYTES_MAX}",
            self.unit
        );
        let (bytes, end) = host.bytes(&host.script_as_root(&script), LOG_BYTES_MAX).await?;
        if end.status != Some(0) {
            return Ok(());
        }
        self.machines.keep_log(node, &bytes)
    }

    async fn left_as_found(&self, machine: &Machine, found: &Found) -> Result<(), ClusterError> {
        let order = if found.ran { "start" } else { "stop" };
        let ordered = machine.host.as_root(["systemctl", order, &self.unit]);
        machine.host.run(&ordered).await?;
        self.keep_log(machine, &found.since).await?;
        machine.remove_run().await
    }
}

#[async_trait]
impl OnHosts for UnitCluster {
    fn machines(&self) -> &Machines {
        &self.machines
    }

    /// Units have nothing to do with connections.
    async fn until_up(&self, _machine: u32) -> Result<(), ClusterError> {
        Ok(())
    }
}

#[async_trait]
impl Cluster for UnitCluster {
    fn kind(&self) -> &'static str {
        "ssh"
    }

    fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    fn client_addresses(&self) -> Vec<IpAddr> {
        self.machines.from.clone()
    }

    fn observer_addresses(&self) -> Option<Vec<IpAddr>> {
        None
    }

    fn node_files(&self) -> Option<&dyn NodeFiles> {
        Some(self)
    }

    /// Its network is that of the host, and so of the first process; its processes are those in its group, whichever they are.
    async fn place(&self, node: &str) -> Result<Place, ClusterError> {
        let (number, machine, found) = self.at(node)?;
        let group = found.group.get();
        let group =
            group.ok_or_else(|| machine.host.error(&format!("find {}", self.unit), "it never ran"))?;
        Ok(Place {
            name: node.to_owned(),
            pid: 1,
            keeper: true,
            addresses: vec![IpAddr::V4(machine.node.ipv4)],
            data: None,
            group: Some(group.clone()),
            machine: number,
        })
    }

    async fn start(&self, node: &str) -> Result<(), ClusterError> {
        let (_, Machine { host, .. }, found) = self.at(node)?;
        // Whoever was killed often has to wait otherwise (StartLimitBurst=).
        host.ended(&host.as_root(["systemctl", "reset-failed", &self.unit]))
            .await?;
        host.run(&host.as_root(["systemctl", "start", &self.unit]))
            .await?;
        if found.group.get().is_none()
            && let Some(group) = Unit::look(host, &self.unit).await?.group()
        {
            found.group.get_or_init(|| group.to_owned());
        }
        Ok(())
    }

    async fn state(&self, node: &str) -> Result<ProgramState, ClusterError> {
        let (_, Machine { host, .. }, _) = self.at(node)?;
        Ok(Unit::look(host, &self.unit).await?.state())
    }

    async fn log_tail(&self, node: &str, lines_max: usize) -> String {
        let Ok((_, Machine { host, .. }, _)) = self.at(node) else {
            return String::new();
        };
        let (unit, lines) = (format!("--unit={}", self.unit), format!("--lines={lines_max}"));
        let read = host.as_root(["journalctl", &unit, &lines, "--output=cat", "--no-pager"]);
        host.ended(&read).await.map(|(said, _)| said).unwrap_or_default()
    }

    async fn down(&self) -> Result<(), ClusterError> {
        let mut failed = None;
        for (machine, found) in self.machines.all.iter().zip(&self.found) {
            if let Err(error) = self.left_as_found(machine, found).await {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

#[async_trait]
impl NodeFiles for UnitCluster {
    async fn read_end(&self, node: &str, file: &LogFile, bytes_max: u64) -> Result<FileEnd, ClusterError> {
        let (_, Machine { host, .. }, _) = self.at(node)?;
        files::read_end(host, file, None, bytes_max).await
    }
}
