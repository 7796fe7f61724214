//! The lab's nodes as a cluster.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use async_trait::async_trait;
use duress_cluster::{Cluster, ClusterError, Node, Place, ProgramState};

use super::lab::{CLIENTS, Lab, OBSERVERS, wait_until};
use super::talk::{peers, talker};

/// The lab's nodes as a cluster; each runs a small tree of processes, one of which talks to all others. So do clients.
pub struct LabCluster {
    pub lab: Lab,
    /// Nodes' programs write here, each in a folder of its own name.
    pub disks: Option<tempfile::TempDir>,
    nodes: Vec<Node>,
    programs: Mutex<BTreeMap<String, Child>>,
    /// A talker on the hub, unless nobody talks here.
    clients: Option<Child>,
}

impl LabCluster {
    pub fn new(count: u8, talks: bool) -> LabCluster {
        LabCluster::begin(LabCluster::idle(count, talks))
    }

    pub fn begin(cluster: LabCluster) -> LabCluster {
        for node in &cluster.nodes {
            cluster.run(&node.name);
        }
        cluster
    }

    /// Nothing runs yet.
    pub fn idle(count: u8, talks: bool) -> LabCluster {
        let node = |number: u8| {
            let ipv6 = format!("fd09::{number}").parse().unwrap();
            Node::new(format!("n{number}"), Ipv4Addr::new(10, 9, 0, number), Some(ipv6))
        };
        let lab = Lab::new(count);
        let mut clients = Command::new("setpriv");
        clients
            .args(["--pdeathsig", "KILL", "nsenter", "-t", &lab.hub_pid(), "-n"])
            .args(talker());
        peers(&mut clients, count)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let clients = talks.then(|| clients.spawn().unwrap());
        LabCluster {
            lab,
            disks: None,
            clients,
            nodes: (1..=count).map(node).collect(),
            programs: Mutex::default(),
        }
    }

    fn number(&self, node: &str) -> usize {
        self.nodes.iter().position(|other| other.name == node).unwrap() + 1
    }

    /// Four processes: two sleep, one forks all the time, one talks.
    pub fn run(&self, node: &str) {
        let pid = self.lab.place(self.number(node)).pid.to_string();
        let talker = match self.clients {
            Some(_) => format!("'{}'", talker().join("' '")),
            None => "sleep 1000".to_owned(),
        };
        let work = match &self.disks {
            Some(disks) => {
                let file = disks.path().join(node).join("data");
                // More than a sector at once, and never the same.
                format!("printf %02048d $RANDOM > {0}; sync {0}", file.display())
            }
            None => String::new(),
        };
        let program = format!("sleep 1000 & {talker} & while :; do sleep 0.01; {work}\ndone");
        let mut command = Command::new("setpriv");
        let child = peers(&mut command, self.nodes.len() as u8)
            .args([
                "--pdeathsig",
                "KILL",
                "nsenter",
                "-t",
                &pid,
                "-n",
                "-p",
                "bash",
                "-c",
                &program,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let before = self.programs.lock().unwrap().insert(node.to_owned(), child);
        if let Some(mut before) = before {
            // nsenter stops with what it started, and nobody wakes it.
            let _ = before.kill();
            before.wait().unwrap();
        }
        wait_until("a node's program", || {
            (self.lab.pids(self.number(node)).len() >= 3).then_some(())
        });
    }
}

impl Drop for LabCluster {
    fn drop(&mut self) {
        for child in (self.programs.get_mut().unwrap().values_mut()).chain(&mut self.clients) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[async_trait]
impl Cluster for LabCluster {
    fn kind(&self) -> &'static str {
        "lab"
    }

    fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    fn client_addresses(&self) -> Vec<IpAddr> {
        vec![CLIENTS.parse().unwrap()]
    }

    fn observer_addresses(&self) -> Option<Vec<IpAddr>> {
        Some(vec![OBSERVERS.parse().unwrap()])
    }

    async fn place(&self, node: &str) -> Result<Place, ClusterError> {
        Ok(self.lab.place(self.number(node)))
    }

    async fn start(&self, node: &str) -> Result<(), ClusterError> {
        if self.lab.pids(self.number(node)).is_empty() {
            self.run(node);
        }
        Ok(())
    }

    async fn state(&self, node: &str) -> Result<ProgramState, ClusterError> {
        Ok(match self.lab.pids(self.number(node)).is_empty() {
            false => ProgramState::Running,
            true => ProgramState::Stopped {
                how: "ended".to_owned(),
            },
        })
    }

    async fn log_tail(&self, _node: &str, _lines_max: usize) -> String {
        String::new()
    }

    async fn down(&self) -> Result<(), ClusterError> {
        Ok(())
    }
}
