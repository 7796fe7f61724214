//! [`LocalCluster`]: deploys sandboxes, cables them up, and speaks for them as a [`Cluster`].

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::isolation::Isolation;
use super::keeper::{Heard, Keeper, Line, SandboxSpec};
use super::network::{NODES_MAX, Network};
use super::protocol::{Order, StartOrder};
use crate::folder::Folder;
use crate::{
    Cluster, ClusterError, FileEnd, LogFile, LogPath, Node, NodeFiles, NodeProgram, Place, ProgramState,
    files, limits,
};

/// For what takes milliseconds on an idle machine. A loaded one with fifty nodes may need seconds.
const STEP_LIMIT: Duration = Duration::from_secs(20);
/// Between asking programs to end and making them.
const STOP_GRACE: Duration = Duration::from_millis(500);
/// A node name is a hostname, a file name, and part of `name=address` lists.
const NAME_LENGTH_MAX: usize = 63;

/// What to deploy.
#[derive(Clone, Debug)]
pub struct LocalSpec {
    /// What each node runs, in order.
    pub nodes: Vec<NodeProgram>,
    /// Gets a folder per node, with `log` and `data`.
    pub dir: PathBuf,
    /// The command line that ends up in [`super::sandbox::main`] when the node's name is added to it.
    pub sandbox_exe: Vec<OsString>,
    /// Which network the nodes are in: 10.77.`subnet`.0/24. Clusters that share an isolation must differ in it.
    pub subnet: u8,
}

impl LocalSpec {
    /// In subnet 0, with this very program as the sandboxes' init, called with the argument `sandbox`.
    pub fn new(nodes: Vec<NodeProgram>, dir: impl Into<PathBuf>) -> LocalSpec {
        let sandbox_exe = vec!["/proc/self/exe".into(), "sandbox".into()];
        LocalSpec {
            nodes,
            dir: dir.into(),
            sandbox_exe,
            subnet: 0,
        }
    }

    /// Where the node keeps its data.
    pub fn data_dir(&self, node: &str) -> PathBuf {
        self.dir.join(node).join("data")
    }
}

/// Which addresses nodes of these names would get, so that command lines can be made before the nodes are.
pub fn plan_nodes<'a>(
    names: impl IntoIterator<Item = &'a str>,
    subnet: u8,
) -> Result<Vec<Node>, ClusterError> {
    let names: Vec<&str> = names.into_iter().collect();
    check_names(&names)?;
    let network = Network::detect(subnet);
    let node = |(index, name): (usize, &&str)| {
        let (ipv4, ipv6) = network.node(index);
        Node::new(*name, ipv4, ipv6)
    };
    Ok(names.iter().enumerate().map(node).collect())
}

fn check_names(names: &[&str]) -> Result<(), ClusterError> {
    let invalid = |what: String, why: &str| {
        Err(ClusterError::Invalid {
            what,
            why: why.into(),
        })
    };
    if names.is_empty() || names.len() > NODES_MAX {
        return invalid(format!("{} nodes", names.len()), "a local cluster has 1 to 200");
    }
    let mut seen = BTreeSet::new();
    for name in names {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > NAME_LENGTH_MAX || name.starts_with('-') || !name.bytes().all(fits)
        {
            return invalid(
                format!("node name {name:?}"),
                "it must be a hostname: up to 63 of a-z, 0-9 and -",
            );
        }
        if !seen.insert(name) {
            return invalid(format!("node name {name:?}"), "two nodes have it");
        }
    }
    Ok(())
}

/// Sandboxes on this machine, up until it is dropped.
pub struct LocalCluster {
    nodes: Vec<Node>,
    programs: Vec<NodeProgram>,
    /// Absolute: the sandboxes change their working directory.
    dir: PathBuf,
    network: Network,
    keeper: Keeper,
    starts: AtomicU64,
}

impl LocalCluster {
    /// Creates the nodes and connects them. Their programs don't run yet: see [`Cluster::start`].
    ///
    /// Must be called from a thread that is isolated, or was started by one that is.
    pub async fn deploy(isolation: Isolation, spec: LocalSpec) -> Result<LocalCluster, ClusterError> {
        let network = Network::detect(spec.subnet);
        let nodes = plan_nodes(
            spec.nodes.iter().map(|program| program.name.as_str()),
            spec.subnet,
        )?;
        let dir = prepare_folders(&spec.dir, &nodes)?;
        let sandboxes = nodes.iter().map(|node| SandboxSpec {
            name: node.name.clone(),
            log: dir.join(&node.name).join("log"),
        });
        let keeper = Keeper::start(isolation, spec.sandbox_exe, sandboxes.collect()).await?;
        let cluster = LocalCluster {
            nodes,
            programs: spec.nodes,
            dir,
            network,
            keeper,
            starts: AtomicU64::new(0),
        };
        cluster.connect().await?;
        Ok(cluster)
    }

    async fn connect(&self) -> Result<(), ClusterError> {
        let mut pids = Vec::new();
        for index in 0..self.nodes.len() {
            pids.push(self.hear(index, "create the sandbox", |heard| heard.pid).await?);
        }
        self.keeper.ip(self.network.lines_up(&pids), false).await?;
        for (index, node) in self.nodes.iter().enumerate() {
            let hosts = self.dir.join(&node.name).join("hosts");
            self.order(
                index,
                &Order::Network {
                    lines: self.network.lines_node(index),
                    hosts,
                },
            )?;
        }
        for index in 0..self.nodes.len() {
            self.hear(index, "give the node its addresses", |heard| {
                heard.networked.then_some(())
            })
            .await?;
        }
        Ok(())
    }

    fn index(&self, node: &str) -> Result<usize, ClusterError> {
        self.nodes
            .iter()
            .position(|known| known.name == node)
            .ok_or_else(|| ClusterError::UnknownNode {
                name: node.into(),
                known: self
                    .nodes
                    .iter()
                    .map(|node| node.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }

    fn line(&self, index: usize) -> &Line {
        self.keeper.line(index)
    }

    fn order(&self, index: usize, order: &Order) -> Result<(), ClusterError> {
        self.line(index).order(order).map_err(|source| {
            let why = self.line(index).heard.borrow().ended.clone();
            let why = why.map_or(String::new(), |why| format!(" ({why})"));
            ClusterError::Io {
                what: format!("order the sandbox of {}{why}", self.nodes[index].name),
                source,
            }
        })
    }

    /// Waits until the sandbox has said what `wanted` looks for, or has ended.
    async fn hear<T>(
        &self,
        index: usize,
        what: &str,
        wanted: impl Fn(&Heard) -> Option<T>,
    ) -> Result<T, ClusterError> {
        let mut heard = self.line(index).heard.clone();
        let settled = heard.wait_for(|heard| wanted(heard).is_some() || heard.ended.is_some());
        let what = format!("{what} of {}", self.nodes[index].name);
        let Ok(settled) = tokio::time::timeout(STEP_LIMIT, settled).await else {
            let limit_ms = u64::try_from(STEP_LIMIT.as_millis()).unwrap_or(u64::MAX);
            return Err(ClusterError::Timeout {
                what,
                limit_ms,
                detail: String::new(),
            });
        };
        let found = settled.ok().map(|heard| (wanted(&heard), heard.ended.clone()));
        match found {
            Some((Some(value), _)) => Ok(value),
            Some((None, Some(why))) => Err(ClusterError::Io {
                what,
                source: std::io::Error::other(why),
            }),
            _ => Err(ClusterError::Io {
                what,
                source: std::io::Error::other("its listener ended"),
            }),
        }
    }
}

/// Makes the nodes' folders, with the `hosts` file that lets nodes find each other by name. Returns `dir` absolute.
fn prepare_folders(dir: &Path, nodes: &[Node]) -> Result<PathBuf, ClusterError> {
    let failed = |path: &Path| {
        let what = format!("prepare {}", path.display());
        move |source| ClusterError::Io { what, source }
    };
    let mut hosts = String::from("127.0.0.1 localhost\n::1 localhost\n");
    for node in nodes {
        let _ = writeln!(hosts, "{} {}", node.ipv4, node.name);
        if let Some(address) = node.ipv6 {
            let _ = writeln!(hosts, "{address} {}", node.name);
        }
    }
    for node in nodes {
        let data = dir.join(&node.name).join("data");
        fs::create_dir_all(&data).map_err(failed(&data))?;
        let path = dir.join(&node.name).join("hosts");
        fs::write(&path, &hosts).map_err(failed(&path))?;
    }
    fs::canonicalize(dir).map_err(failed(dir))
}

#[async_trait]
impl Cluster for LocalCluster {
    fn kind(&self) -> &'static str {
        "local"
    }

    fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    fn client_addresses(&self) -> Vec<IpAddr> {
        self.network.clients()
    }

    fn observer_addresses(&self) -> Option<Vec<IpAddr>> {
        Some(self.network.observer())
    }

    fn node_files(&self) -> Option<&dyn NodeFiles> {
        Some(self)
    }

    async fn place(&self, node: &str) -> Result<Place, ClusterError> {
        let index = self.index(node)?;
        let pid = self.hear(index, "find the sandbox", |heard| heard.pid).await?;
        let Node { name, ipv4, ipv6, .. } = self.nodes[index].clone();
        let addresses = std::iter::once(IpAddr::V4(ipv4))
            .chain(ipv6.map(IpAddr::V6))
            .collect();
        Ok(Place {
            data: Some(self.dir.join(&name).join("data")),
            group: None,
            name,
            pid,
            keeper: true,
            addresses,
            machine: 0,
        })
    }

    async fn start(&self, node: &str) -> Result<(), ClusterError> {
        let index = self.index(node)?;
        let id = self.starts.fetch_add(1, Ordering::Relaxed) + 1;
        let program = self.programs[index].clone();
        self.order(
            index,
            &Order::Start(StartOrder {
                id,
                argv: program.argv,
                env: program.env,
                directory: self.dir.join(node).join("data"),
                log: self.dir.join(node).join("log"),
                open_files: limits::open_files_of_nodes(),
            }),
        )?;
        // Answers come in order; that of a later start, by someone else, is as good.
        let answer = |heard: &Heard| heard.answer.clone().filter(|(answered, _)| *answered >= id);
        match self.hear(index, "start the program", answer).await? {
            (_, Ok(())) => Ok(()),
            (_, Err(why)) => Err(ClusterError::Io {
                what: format!("start {:?} on {node}", self.programs[index].argv),
                source: std::io::Error::other(why),
            }),
        }
    }

    async fn state(&self, node: &str) -> Result<ProgramState, ClusterError> {
        Ok(self.line(self.index(node)?).heard.borrow().program.clone())
    }

    async fn log_tail(&self, node: &str, lines_max: usize) -> String {
        files::tail(&self.dir.join(node).join("log"), lines_max)
    }

    async fn down(&self) -> Result<(), ClusterError> {
        let running = |index: &usize| self.line(*index).heard.borrow().program == ProgramState::Running;
        let asked: Vec<usize> = (0..self.nodes.len()).filter(running).collect();
        let grace_ms = u64::try_from(STOP_GRACE.as_millis()).unwrap_or(u64::MAX);
        for index in &asked {
            // One that can't be asked is ended below.
            let _ = self.order(*index, &Order::Stop { grace_ms });
        }
        for index in asked {
            let stopped = |heard: &Heard| (heard.program != ProgramState::Running).then_some(());
            let _ = self.hear(index, "stop the program", stopped).await;
        }
        // While the nodes' namespaces are there, so that no interface lingers until the kernel has cleaned up. What a
        // deployment that failed half-way didn't create can't be removed.
        let _ = self
            .keeper
            .ip(self.network.lines_down(self.nodes.len()), true)
            .await;
        self.keeper.end(STEP_LIMIT).await
    }
}

#[async_trait]
impl NodeFiles for LocalCluster {
    async fn read_end(&self, node: &str, file: &LogFile, bytes_max: u64) -> Result<FileEnd, ClusterError> {
        self.index(node)?;
        match file.path() {
            LogPath::Data(below) => {
                let opened = Folder::open(&self.dir.join(node).join("data"))?.read(below)?;
                files::end(opened, bytes_max).map_err(|source| ClusterError::Io {
                    what: format!("read {below} of {node}"),
                    source,
                })
            }
            LogPath::Root(path) => Err(ClusterError::Unsupported {
                what: format!("read {path} of {node}"),
                why: "a sandbox shares the files of this machine; only what is below {data} is its own"
                    .to_owned(),
            }),
        }
    }
}
