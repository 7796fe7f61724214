//! [`SshCluster`]: speaks for hosts as a [`Cluster`].

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::keeper::Keeper;
use super::machines::{Machine, Machines};
use super::{OnHosts, files};
use crate::local::{Heard, Order, StartOrder};
use crate::{Cluster, ClusterError, FileEnd, LogFile, Node, NodeFiles, NodeProgram, Place, ProgramState};

/// For what takes milliseconds on an idle machine, and two round trips.
const STEP_LIMIT: Duration = Duration::from_secs(20);
/// Between asking programs to end and making them.
const STOP_GRACE: Duration = Duration::from_millis(500);
/// As much is kept of what a node's program wrote: its last bytes.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// Nodes on hosts, up until it is dropped.
pub struct SshCluster {
    machines: Machines,
    nodes: Vec<Node>,
    programs: Vec<NodeProgram>,
    keepers: Vec<Keeper>,
    starts: AtomicU64,
}

impl SshCluster {
    /// Makes the nodes. Their programs don't run yet: see [`Cluster::start`]. `programs` is what each runs, in order.
    pub async fn deploy(machines: Machines, programs: Vec<NodeProgram>) -> Result<SshCluster, ClusterError> {
        let mut keepers = Vec::new();
        for machine in &machines.all {
            keepers.push(Keeper::start(machine).await?);
        }
        let cluster = SshCluster {
            nodes: machines.nodes(),
            machines,
            programs,
            keepers,
            starts: AtomicU64::new(0),
        };
        for index in 0..cluster.nodes.len() {
            cluster.hear(index, "make the node", |heard| heard.pid).await?;
        }
        Ok(cluster)
    }

    fn index(&self, node: &str) -> Result<usize, ClusterError> {
        self.machines.of_node(node).map(|(number, _)| number as usize - 1)
    }

    /// Waits until the keeper has said what `wanted` looks for, or has ended.
    async fn hear<T>(
        &self,
        index: usize,
        what: &str,
        wanted: impl Fn(&Heard) -> Option<T>,
    ) -> Result<T, ClusterError> {
        let mut heard = self.keepers[index].heard.clone();
        let settled = heard.wait_for(|heard| wanted(heard).is_some() || heard.ended.is_some());
        let host = &self.machines.all[index].host;
        let what = format!("{what} {}", self.nodes[index].name);
        let Ok(settled) = tokio::time::timeout(STEP_LIMIT, settled).await else {
            return Err(ClusterError::Timeout {
                what: format!("{what} on {}", host.name),
                limit_ms: STEP_LIMIT.as_millis() as u64,
                detail: String::new(),
            });
        };
        match settled.ok().map(|heard| (wanted(&heard), heard.ended.clone())) {
            Some((Some(value), _)) => Ok(value),
            Some((None, Some(why))) => Err(host.error(&what, why)),
            _ => Err(host.error(&what, "its listener ended")),
        }
    }

    async fn order(&self, index: usize, order: &Order) -> Result<(), ClusterError> {
        let ordered = self.keepers[index].order(order).await;
        ordered.map_err(|error| {
            let ended = self.keepers[index].heard.borrow().ended.clone();
            let why = ended.unwrap_or(error);
            let what = format!("order the keeper of {}", self.nodes[index].name);
            self.machines.all[index].host.error(&what, why)
        })
    }

    /// Keeps what the node's program wrote.
    async fn fetch_log(&self, index: usize) -> Result<(), ClusterError> {
        let Machine {
            host, node, folder, ..
        } = &self.machines.all[index];
        let read = host.as_root(["tail", "-c", &LOG_BYTES_MAX.to_string(), &format!("{folder}/log")]);
        let (bytes, _) = host.bytes(&read, LOG_BYTES_MAX).await?;
        self.machines.keep_log(node, &bytes)
    }
}

#[async_trait]
impl OnHosts for SshCluster {
    fn machines(&self) -> &Machines {
        &self.machines
    }

    async fn until_up(&self, machine: u32) -> Result<(), ClusterError> {
        let Machine { host, node, .. } = self.machines.machine(machine)?;
        let up = self.keepers[self.index(&node.name)?].until_up().await;
        up.map_err(|why| host.error(&format!("speak to the keeper of {}", node.name), why))
    }
}

#[async_trait]
impl Cluster for SshCluster {
    fn kind(&self) -> &'static str {
        "ssh"
    }

    fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    fn client_addresses(&self) -> Vec<IpAddr> {
        self.machines.from.clone()
    }

    /// The session comes from where clients' requests come from: cutting those would cut it.
    fn observer_addresses(&self) -> Option<Vec<IpAddr>> {
        None
    }

    fn node_files(&self) -> Option<&dyn NodeFiles> {
        Some(self)
    }

    async fn place(&self, node: &str) -> Result<Place, ClusterError> {
        let index = self.index(node)?;
        let pid = self.hear(index, "find the keeper of", |heard| heard.pid).await?;
        let Machine { node, folder, .. } = &self.machines.all[index];
        Ok(Place {
            name: node.name.clone(),
            pid,
            keeper: true,
            addresses: vec![IpAddr::V4(node.ipv4)],
            data: Some(PathBuf::from(format!("{folder}/data"))),
            group: None,
            machine: index as u32 + 1,
        })
    }

    async fn start(&self, node: &str) -> Result<(), ClusterError> {
        let index = self.index(node)?;
        let id = self.starts.fetch_add(1, Ordering::Relaxed) + 1;
        let program = &self.programs[index];
        let Machine { host, folder, .. } = &self.machines.all[index];
        let start = StartOrder {
            id,
            argv: program.argv.clone(),
            env: program.env.clone(),
            directory: format!("{folder}/data").into(),
            log: format!("{folder}/log").into(),
            open_files: None,
        };
        self.order(index, &Order::Start(start)).await?;
        // Answers come in order; that of a later start, by someone else, is as good.
        let answer = |heard: &Heard| heard.answer.clone().filter(|(answered, _)| *answered >= id);
        let (_, started) = self.hear(index, "start the program of", answer).await?;
        started.map_err(|why| host.error(&format!("start {:?}", program.argv), why))
    }

    async fn state(&self, node: &str) -> Result<ProgramState, ClusterError> {
        Ok(self.keepers[self.index(node)?].heard.borrow().program.clone())
    }

    async fn log_tail(&self, node: &str, lines_max: usize) -> String {
        let Ok(index) = self.index(node) else {
            return String::new();
        };
        let Machine { host, folder, .. } = &self.machines.all[index];
        let read = host.as_root(["tail", "-n", &lines_max.to_string(), &format!("{folder}/log")]);
        host.ended(&read).await.map(|(said, _)| said).unwrap_or_default()
    }

    async fn down(&self) -> Result<(), ClusterError> {
        let grace_ms = STOP_GRACE.as_millis() as u64;
        for index in 0..self.nodes.len() {
            // One that can't be asked ends with its keeper.
            let _ = self.order(index, &Order::Stop { grace_ms }).await;
        }
        let mut failed = None;
        for index in 0..self.nodes.len() {
            let stopped = |heard: &Heard| (heard.program != ProgramState::Running).then_some(());
            let _ = self.hear(index, "stop the program of", stopped).await;
            self.keepers[index].hang_up().await;
            let ended = |heard: &Heard| heard.ended.is_some().then_some(());
            let down = match self.hear(index, "take down", ended).await {
                Ok(()) => self.fetch_log(index).await,
                Err(error) => Err(error),
            };
            if let Err(error) = down {
                failed.get_or_insert(error);
            }
            if let Err(error) = self.machines.all[index].remove_run().await {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

#[async_trait]
impl NodeFiles for SshCluster {
    async fn read_end(&self, node: &str, file: &LogFile, bytes_max: u64) -> Result<FileEnd, ClusterError> {
        let index = self.index(node)?;
        let Machine { host, folder, .. } = &self.machines.all[index];
        files::read_end(host, file, Some(&format!("{folder}/data")), bytes_max).await
    }
}
