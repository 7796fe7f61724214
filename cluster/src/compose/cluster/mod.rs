//! A cluster that is up: what can be asked of it and done to it.

mod deploy;
mod ready;
mod services;

pub(super) use deploy::make_folder;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::additions::{Additions, DataFolder};
use super::config::{ComposeConfig, Reach};
use super::container::{data_on_host, node_of, program_state};
use super::engine::Engine;
use super::engine::address::EngineAddress;
use super::helper::{self, Helper, WithHelper};
use super::mark::Mark;
use super::member;
use super::override_file;
use super::plan::no_image;
use super::resolved::Resolved;
use super::sweep;
use super::tool::{Project, Tool, UP_TIME_MAX};
use crate::{
    Cluster, ClusterError, FileEnd, LogFile, LogPath, Node, NodeAddresses, NodeFiles, Place, ProgramState,
    ReplaceImage, ServicePrograms,
};

/// A deployed compose project.
#[derive(Debug)]
pub struct ComposeCluster {
    mark: Mark,
    config: ComposeConfig,
    tool: Tool,
    project: Project,
    resolved: Resolved,
    /// What the override file is made from; images change with [`ReplaceImage`].
    additions: Mutex<Additions>,
    engine: Engine,
    nodes: Vec<Node>,
    gateways: Vec<IpAddr>,
    /// Container of each node. A replaced node has another one.
    containers: Mutex<BTreeMap<String, String>>,
    is_down: AtomicBool,
}

impl ComposeCluster {
    /// The folders that are the nodes' data directories, where they are the run's.
    pub fn data_folders(&self) -> Vec<(String, PathBuf)> {
        let additions = self.additions.lock().expect("no panic while it is held");
        let folder = |(node, folder): (&String, &DataFolder)| (node.clone(), folder.outside.clone());
        additions.data.iter().map(folder).collect()
    }

    /// What tells the engine from all others.
    pub(super) async fn engine_id(&self) -> Result<String, ClusterError> {
        self.engine.id().await
    }

    /// As users know the engine.
    pub(super) fn engine_name(&self) -> String {
        self.config.engine.to_string()
    }

    /// Whether the engine runs on this machine, with processes and mounts that are the same as ours, as far as its socket tells.
    pub fn shares_this_machine(&self) -> bool {
        let EngineAddress::Unix(socket) = &self.config.engine else {
            return false;
        };
        let Ok(socket) = std::os::unix::net::UnixStream::connect(socket) else {
            return false;
        };
        // Whoever listens: the engine, or the program that starts it. None that can be seen from here: not ours.
        let Ok(peer) = nix::sys::socket::getsockopt(&socket, nix::sys::socket::sockopt::PeerCredentials)
        else {
            return false;
        };
        let same = |which: &str| {
            let inode =
                |pid: &str| std::fs::metadata(format!("/proc/{pid}/ns/{which}")).map(|found| found.ino());
            let theirs = inode(&peer.pid().to_string());
            matches!((theirs, inode("self")), (Ok(theirs), Ok(ours)) if theirs == ours)
        };
        same("pid") && same("mnt")
    }

    /// The override file as it is now.
    pub fn override_yaml(&self) -> String {
        let additions = self.additions.lock().expect("no panic while it is held");
        override_file::text(&additions, &self.resolved, self.tool.generation)
    }

    /// The engine's name of the network that nodes are addressed by.
    pub(super) fn shared_network(&self) -> Result<String, ClusterError> {
        let nodes = self.config.cluster();
        let key = self
            .resolved
            .shared_network(nodes, self.config.network.as_deref())?;
        Ok(self.resolved.network_on_engine(key, &self.project.name))
    }

    /// The address of the engine's machine, where nodes are reached by the ports that they publish there.
    pub(super) fn machine(&self) -> Option<Ipv4Addr> {
        match self.config.reach {
            Reach::Addresses => None,
            Reach::Ports => self.engine.machine(),
        }
    }

    /// Whether a node is one of several replicas of a service.
    pub(super) fn is_replica(&self, node: &str) -> bool {
        let member = self.resolved.member(node);
        member.is_some_and(|member| member.replica.is_some())
    }

    fn container_of(&self, node: &str) -> Result<String, ClusterError> {
        let containers = self.containers.lock().expect("no panic while it is held");
        let container = containers.get(node).cloned();
        container.ok_or_else(|| ClusterError::UnknownNode {
            name: node.to_owned(),
            known: self.config.nodes.join(", "),
        })
    }
}

#[async_trait]
impl WithHelper for ComposeCluster {
    async fn start_helper(&self, arguments: &[&str]) -> Result<Helper, ClusterError> {
        helper::start(&self.engine, &self.mark, arguments).await
    }

    fn id_on_engine(&self, node: &str) -> Result<String, ClusterError> {
        self.container_of(node)
    }
}

#[async_trait]
impl Cluster for ComposeCluster {
    fn kind(&self) -> &'static str {
        "compose"
    }

    fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    fn client_addresses(&self) -> Vec<IpAddr> {
        self.gateways.clone()
    }

    fn observer_addresses(&self) -> Option<Vec<IpAddr>> {
        None
    }

    fn node_addresses(&self) -> Option<&dyn NodeAddresses> {
        Some(self)
    }

    fn node_files(&self) -> Option<&dyn NodeFiles> {
        Some(self)
    }

    fn images(&self) -> Option<&dyn ReplaceImage> {
        Some(self)
    }

    fn service_programs(&self) -> Option<&dyn ServicePrograms> {
        Some(self)
    }

    async fn place(&self, node: &str) -> Result<Place, ClusterError> {
        let container = self.engine.container(&self.container_of(node)?).await?;
        let place = member::place(&container, node)?;
        // A folder of the run is named as itself: an engine with mounts of its own, as one without root has, mounts it
        // where only the engine sees it.
        let own = {
            let additions = self.additions.lock().expect("no panic while it is held");
            additions.data.get(node).map(|folder| folder.outside.clone())
        };
        let inside = self.config.data.as_deref();
        let data = own.or_else(|| Some(data_on_host(&container, inside?, place.pid)));
        Ok(Place {
            data,
            machine: self.config.machine(),
            ..place
        })
    }

    async fn start(&self, node: &str) -> Result<(), ClusterError> {
        member::start(
            &self.engine,
            &self.container_of(node)?,
            node,
            self.config.machine(),
        )
        .await
    }

    async fn state(&self, node: &str) -> Result<ProgramState, ClusterError> {
        let container = self.engine.container(&self.container_of(node)?).await?;
        Ok(program_state(&container.state.unwrap_or_default()))
    }

    async fn log_tail(&self, node: &str, lines_max: usize) -> String {
        match self.container_of(node) {
            Ok(container) => self.engine.log_tail(&container, lines_max).await,
            Err(error) => error.to_string(),
        }
    }

    async fn down(&self) -> Result<(), ClusterError> {
        if self.is_down.load(Ordering::Acquire) {
            return Ok(());
        }
        sweep::sweep(&self.engine, &self.mark).await?;
        self.is_down.store(true, Ordering::Release);
        Ok(())
    }
}

/// Addresses that Duress chose, or the file fixes, stay; on networks whose addresses are managed elsewhere they may not.
#[async_trait]
impl NodeAddresses for ComposeCluster {
    async fn current(&self, node: &str) -> Result<Node, ClusterError> {
        let container = self.engine.container(&self.container_of(node)?).await?;
        node_of(&container, node, &self.shared_network()?, self.machine())
    }
}

#[async_trait]
impl NodeFiles for ComposeCluster {
    async fn read_end(&self, node: &str, file: &LogFile, bytes_max: u64) -> Result<FileEnd, ClusterError> {
        let path = match (file.path(), self.config.data.as_deref()) {
            (LogPath::Root(path), _) => path.to_owned(),
            (LogPath::Data(below), Some(data)) => format!("{}/{below}", data.trim_end_matches('/')),
            (LogPath::Data(below), None) => {
                return Err(ClusterError::Invalid {
                    what: format!("read {below} of {node}"),
                    why: "the system has no data directory; name one with compose.data in system.toml"
                        .to_owned(),
                });
            }
        };
        self.engine
            .read_end(&self.container_of(node)?, &path, bytes_max)
            .await
    }
}

#[async_trait]
impl ReplaceImage for ComposeCluster {
    async fn replace_image(&self, node: &str, image: &str) -> Result<(), ClusterError> {
        let old = self.container_of(node)?;
        if self.is_replica(node) {
            return Err(ClusterError::Unsupported {
                what: format!("give {node} another image"),
                why: "it is one of several replicas of a service, which all have the same".to_owned(),
            });
        }
        if !self.engine.has_image(image).await? {
            return Err(no_image(image, node, "it is not here"));
        }
        self.additions
            .lock()
            .expect("no panic while it is held")
            .images
            .insert(node.to_owned(), image.to_owned());
        self.write_override().await?;
        sweep::save_log(&self.engine, &old, &self.mark, node).await?;
        // Compose carries named and anonymous volumes over to the new container.
        let call = ["up", "--detach", "--no-deps", "--no-build", node];
        self.tool.run(&self.project, &call, UP_TIME_MAX).await?;
        self.find_containers().await
    }
}

impl Drop for ComposeCluster {
    fn drop(&mut self) {
        if self.is_down.load(Ordering::Acquire) {
            return;
        }
        sweep_on_drop(self.config.engine.clone(), self.mark.clone());
    }
}

/// A drop can't wait for futures of the runtime that it may be in, so the sweep gets a thread and a runtime of its own. If it fails,
/// `heal` is left.
pub(super) fn sweep_on_drop(engine: EngineAddress, mark: Mark) {
    let sweeper = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = runtime {
            let _ = runtime.block_on(async { sweep::sweep(&Engine::connect(&engine).await?, &mark).await });
        }
    });
    let _ = sweeper.join();
}
