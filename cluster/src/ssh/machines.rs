//! Hosts that somebody is logged in to, that have the program, and on which nothing runs yet.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::connection::Connection;
use super::login::Login;
use super::program::{Brought, Program};
use super::{Host, RemoteChannel, SILENCE_MAX, SshHosts, session};
use crate::{ClusterError, Node};

/// What an agent may take to heal, once it has heard nothing for too long.
const AGENT_END_MARGIN: Duration = Duration::from_secs(10);
/// Between two looks at whether it has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Which hosts are to be nodes.
#[derive(Clone, Debug)]
pub struct SshConfig {
    /// The hosts, and how to log in.
    pub hosts: SshHosts,
    /// A name for the node on each.
    pub names: Vec<String>,
    /// By what others reach each, where that is not what it is logged in to by. Empty: that.
    pub addresses: Vec<Ipv4Addr>,
    /// Where Duress keeps its things there, relative to the home of the user who logs in.
    pub folder: String,
    /// Tells the run from others: a folder's name.
    pub run: String,
    /// Gets a folder per node, here.
    pub dir: PathBuf,
}

/// One of them.
#[derive(Clone)]
pub(super) struct Machine {
    pub host: Host,
    pub node: Node,
    /// Of the program there.
    pub duress: String,
    /// Of the node: `log`, `data`.
    pub folder: String,
}

impl Machine {
    /// Removes all that the run has there but the program.
    pub async fn remove_run(&self) -> Result<(), ClusterError> {
        let run = self.folder.rsplit_once('/').map_or(&*self.folder, |(run, _)| run);
        let remove = self.host.as_root(["rm", "-rf", "--one-file-system", run]);
        self.host.run(&remove).await.map(drop)
    }
}

/// All of them.
pub struct Machines {
    pub(super) config: SshConfig,
    pub(super) all: Vec<Machine>,
    /// The addresses that this machine speaks to them from.
    pub(super) from: Vec<IpAddr>,
    /// Ports of sshd on all of them, and on the way there.
    ssh_ports: BTreeSet<u16>,
}

impl Machines {
    /// Logs in to all of them at once, and brings the program there. Nothing is started.
    pub async fn prepare(config: SshConfig) -> Result<Machines, ClusterError> {
        let program = Arc::new(Program::this().await?);
        let mut preparing = JoinSet::new();
        let mut ssh_ports = BTreeSet::new();
        for (index, address) in config.hosts.hosts.iter().enumerate() {
            let login = Login::of(address, &config.hosts)?;
            ssh_ports.extend(login.ports());
            let (program, config) = (Arc::clone(&program), config.clone());
            preparing.spawn(async move { (index, prepare(login, &program, &config, index).await) });
        }
        let mut all = Vec::new();
        while let Some(prepared) = preparing.join_next().await {
            let (index, machine) = prepared.map_err(|error| ClusterError::Io {
                what: "prepare a host".to_owned(),
                source: std::io::Error::other(error),
            })?;
            all.push((index, machine?));
        }
        all.sort_by_key(|(index, _)| *index);
        let all: Vec<Machine> = all.into_iter().map(|(_, machine)| machine).collect();
        check_apart(&all)?;
        let mut from: Vec<IpAddr> = all
            .iter()
            .filter_map(|machine| from_here(machine.node.ipv4))
            .collect();
        from.sort_unstable();
        from.dedup();
        Ok(Machines {
            config,
            all,
            from,
            ssh_ports,
        })
    }

    /// The nodes that will be.
    pub fn nodes(&self) -> Vec<Node> {
        self.all.iter().map(|machine| machine.node.clone()).collect()
    }

    /// The machine of the node with this name, and its number.
    pub(super) fn of_node(&self, node: &str) -> Result<(u32, &Machine), ClusterError> {
        let mut numbered = (1..).zip(&self.all);
        let found = numbered.find(|(_, machine)| machine.node.name == node);
        found.ok_or_else(|| {
            let names: Vec<&str> = self
                .all
                .iter()
                .map(|machine| machine.node.name.as_str())
                .collect();
            ClusterError::UnknownNode {
                name: node.to_owned(),
                known: names.join(", "),
            }
        })
    }

    /// Keeps what a node wrote, here.
    pub(super) fn keep_log(&self, node: &Node, bytes: &[u8]) -> Result<(), ClusterError> {
        let dir = self.config.dir.join(&node.name);
        let written = fs::create_dir_all(&dir).and_then(|()| fs::write(dir.join("log"), bytes));
        written.map_err(|source| ClusterError::Io {
            what: format!("keep the log of {}", node.name),
            source,
        })
    }

    /// For each node: what its host is called, where its data will be, and the program there.
    pub fn places(&self) -> impl Iterator<Item = MachinePlace<'_>> {
        (1..).zip(&self.all).map(|(machine, on)| MachinePlace {
            machine,
            host: &on.host.name,
            node: &on.node,
            folder: Path::new(&on.folder),
            duress: Path::new(&on.duress),
        })
    }

    /// Starts an agent on each, in order.
    pub async fn start_agents(&self) -> Result<Vec<(String, RemoteChannel)>, ClusterError> {
        let mut agents = Vec::new();
        for machine in &self.all {
            agents.push((
                machine.host.name.clone(),
                start_agent(&machine.host, &machine.duress, &self.ssh_ports).await?,
            ));
        }
        Ok(agents)
    }

    /// Starts another agent on a machine whose connection broke, or is silent: when there is a connection again, and the agent before, which
    /// has this process number, has healed and ended. The error says which of these did not come.
    pub async fn start_agent_again(
        &self,
        machine: u32,
        agent_before: u32,
    ) -> Result<RemoteChannel, ClusterError> {
        let Machine { host, duress, .. } = self.machine(machine)?;
        // A process that has ended may not have been waited for.
        let ended = format!("! grep -qs '^State:.[^XZ]' /proc/{agent_before}/status");
        let deadline = Instant::now() + SILENCE_MAX + AGENT_END_MARGIN;
        loop {
            let why = match host.ended(&ended).await {
                Ok((_, end)) if end.status == Some(0) => {
                    return start_agent(host, duress, &self.ssh_ports).await;
                }
                Ok(_) => {
                    let why = format!("process {agent_before} still runs, and may have faults in force");
                    host.error("see the end of the agent", why)
                }
                Err(error) => error,
            };
            if Instant::now() >= deadline {
                return Err(why);
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// Takes the connection to a machine for broken.
    pub async fn give_up(&self, machine: u32) {
        if let Ok(machine) = self.machine(machine) {
            machine.host.remote.give_up().await;
        }
    }

    pub(super) fn machine(&self, machine: u32) -> Result<&Machine, ClusterError> {
        let index = (machine as usize).checked_sub(1);
        let found = index.and_then(|index| self.all.get(index));
        found.ok_or_else(|| ClusterError::Invalid {
            what: format!("machine {machine}"),
            why: "there is none".to_owned(),
        })
    }
}

/// A host as the rest of Duress sees it.
#[derive(Clone, Copy, Debug)]
pub struct MachinePlace<'a> {
    /// Its number, as in [`crate::Place`].
    pub machine: u32,
    /// As users know it.
    pub host: &'a str,
    /// The node that lives there.
    pub node: &'a Node,
    /// The folder of the node there, with `data`.
    pub folder: &'a Path,
    /// The program there.
    pub duress: &'a Path,
}

/// Starts an agent, which ends, healing, when it hears nothing for [`SILENCE_MAX`], and whose rules never touch these ports: one host may be
/// the way to another.
pub(super) async fn start_agent(
    host: &Host,
    duress: &str,
    ssh_ports: &BTreeSet<u16>,
) -> Result<RemoteChannel, ClusterError> {
    let silence = SILENCE_MAX.as_millis().to_string();
    let ports: Vec<String> = ssh_ports.iter().map(u16::to_string).collect();
    let ports = ports.join(",");
    let mut words = vec![duress, "agent", "--silence-max-ms", &silence];
    if !ports.is_empty() {
        words.extend(["--spared-ports", &ports]);
    }
    host.remote.open(&host.as_root(words)).await
}

/// Logs in, and looks whether what is needed is there.
pub(super) async fn log_in(login: Login) -> Result<Host, ClusterError> {
    let name = login.name.clone();
    let connection = Connection::log_in(login).await?;
    let mut host = Host {
        name,
        remote: Arc::new(connection),
        sudo: false,
    };
    if host.run("id -u").await?.trim() == "0" {
        return Ok(host);
    }
    host.sudo = true;
    let (_, end) = host.ended("sudo -n true").await?;
    if end.status == Some(0) {
        return Ok(host);
    }
    let why = format!(
        "faults need root there, and `sudo -n` is refused ({}); log in as root, or let this user: `USER ALL=(root) NOPASSWD: ALL` in a file of \
         /etc/sudoers.d",
        end.how()
    );
    Err(host.error("become root", why))
}

async fn prepare(
    login: Login,
    program: &Program,
    config: &SshConfig,
    index: usize,
) -> Result<Machine, ClusterError> {
    let address = config.addresses.get(index).copied();
    let ipv4 = match address {
        Some(address) => address,
        None => address_of(login.clone()).await?,
    };
    let host = log_in(login).await?;
    let Brought { duress, folder } = program.bring(&host, &config.folder).await?;
    let name = config.names[index].clone();
    let folder = format!("{folder}/runs/{}/{name}", config.run);
    let data = format!("{folder}/data");
    host.run(&host.as_root(["mkdir", "-p", &data])).await?;
    Ok(Machine {
        host,
        node: Node::new(name, ipv4, None),
        duress,
        folder,
    })
}

/// The first address of IPv4 that its name stands for.
async fn address_of(login: Login) -> Result<Ipv4Addr, ClusterError> {
    let name = login.name.clone();
    let found = tokio::task::spawn_blocking(move || session::resolve(&login)).await;
    let found = found.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    let v4 = found.into_iter().find_map(|address| match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    });
    v4.ok_or_else(|| ClusterError::Unsupported {
        what: format!("find the address of {name}"),
        why: "it has none of IPv4, by which nodes are asked; name one by `addresses`".to_owned(),
    })
}

/// A node has the network of its host, so two can't share one.
fn check_apart(machines: &[Machine]) -> Result<(), ClusterError> {
    for (index, one) in machines.iter().enumerate() {
        let same = |other: &&Machine| other.node.ipv4 == one.node.ipv4;
        if let Some(other) = machines[..index].iter().find(same) {
            return Err(ClusterError::Invalid {
                what: format!("the hosts {} and {}", other.host.name, one.host.name),
                why: format!(
                    "both are reached at {}, and a node has the network of its host; name as many hosts as there are nodes, or tell them \
                     apart by `addresses`",
                    one.node.ipv4
                ),
            });
        }
    }
    Ok(())
}

/// The address that this machine would speak to that one from. Sends nothing.
fn from_here(to: Ipv4Addr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((to, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
