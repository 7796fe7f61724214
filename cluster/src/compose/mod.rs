//! Docker Compose: a cluster from a compose file that knows nothing of Duress.
//!
//! Nodes are services of the user's file, which is taken as it is. What Duress adds stands in an override file, generated
//! by pure functions in [`file`], kept in the run's directory and shown by [`preview`]. From then on the engine is spoken
//! to directly, by its unix socket. A project name that no other run has keeps parallel runs apart.
//!
//! - A node's [`Place`] is the container's first process, in numbers of the machine that the engine runs on; it changes
//!   with every start. While a container is stopped it has no namespaces, and so no place.
//! - Clients come from this machine's address on the network that nodes share, its gateway. So does whoever else looks from this machine: the
//!   two can't be told apart, and [`Cluster::observer_addresses`] is `None`. (A second address on the bridge would tell
//!   them apart, at the price of changing the host's network.)
//! - Nodes' restart policy is overridden with `no`: a node that was killed stays down until Duress starts it. While the
//!   cluster comes up, nodes whose file wants restarts are started again by Duress instead.
//! - [`Cluster::down`], an error while deploying, a drop, and [`heal`] after a crash all remove by the same [`sweep`].
//!
//! - [`ComposeCluster::start_helper`] runs this very program beside the nodes, for who is not root there. What it does
//!   there, and all faults, are left to others.

mod container;
mod engine;
pub mod file;
mod helper;
mod pack;
mod plan;
pub mod subnet;
mod sweep;
pub mod tool;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use self::container::{data_on_host, endpoints, is_network, source_address};
pub use self::engine::Kind;
use self::engine::{Engine, program_state};
use self::file::{Additions, Resolved};
pub use self::helper::Helper;
use self::plan::{absolute, ensure_images, no_image, plan, resolve};
pub use self::sweep::{CONTROLLER_LABEL, DIRECTORY_LABEL, Healed, NODE_LABEL, RUN_LABEL, Scope, heal};
use self::tool::{Project, Tool};
use crate::procfs::living;
use crate::{Cluster, ClusterError, Node, Place, ProgramState, Readiness, wait_ready};

/// Where the engine listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// What to deploy, and how.
#[derive(Clone, Debug)]
pub struct ComposeConfig {
    /// The user's compose file.
    pub file: PathBuf,
    /// Services that are nodes, in order.
    pub nodes: Vec<String>,
    /// Name of the run: lower-case letters, digits and `-`. No other run on the engine may have it.
    pub run: String,
    /// The run's directory: the override file, logs, and data directories where asked for.
    pub directory: PathBuf,
    /// Variables for the `${…}` of the compose file, e.g. `ETCD=3.5.1`.
    pub variables: BTreeMap<String, String>,
    /// How to tell that a node is ready. `None`: by the file's own healthcheck, and where there is none, by the
    /// container's running.
    pub readiness: Option<Readiness>,
    /// How long the whole cluster may take to become ready.
    pub ready_within: Duration,
    /// The network to address nodes by, where they share several.
    pub network: Option<String>,
    /// The nodes' data directory, as seen in their containers.
    pub data: Option<String>,
    /// Whether the data directory shall be a folder of the run's directory, as disk faults need.
    pub own_data: bool,
    /// The engine's socket.
    pub socket: PathBuf,
}

impl ComposeConfig {
    /// A cluster of these services, ready when the file's own healthchecks say so.
    pub fn new(file: &Path, nodes: &[&str], run: &str, directory: &Path) -> Self {
        ComposeConfig {
            file: file.to_owned(),
            nodes: nodes.iter().map(|&node| node.to_owned()).collect(),
            run: run.to_owned(),
            directory: directory.to_owned(),
            variables: BTreeMap::new(),
            readiness: None,
            ready_within: Duration::from_secs(60),
            network: None,
            data: None,
            own_data: false,
            socket: DEFAULT_SOCKET.into(),
        }
    }

    /// Names become parts of labels, of names on the engine and of file names.
    fn check(&self) -> Result<(), ClusterError> {
        let refuse = |what: &str, why: &str| {
            Err(ClusterError::Unsupported {
                what: what.to_owned(),
                why: why.to_owned(),
            })
        };
        if self.nodes.is_empty() {
            return refuse(
                "deploy a cluster without nodes",
                "name at least one service of the compose file",
            );
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.run.is_empty() || !self.run.chars().all(plain) {
            return refuse(
                &format!("name a run {:?}", self.run),
                "the engine takes lower-case letters, digits and hyphens only",
            );
        }
        if self.own_data && self.data.is_none() {
            return refuse(
                "take over the nodes' data directories",
                "it is not said where they are in the containers; add the system's `data`",
            );
        }
        Ok(())
    }

    fn project(&self) -> Project {
        Project {
            name: sweep::project_name(&self.run),
            file: self.file.clone(),
            additions: None,
            variables: self.variables.clone(),
            socket: self.socket.clone(),
        }
    }
}

/// Name of the override file in the run's directory.
const OVERRIDE_FILE: &str = "compose.override.yaml";
/// Bringing a project up may mean building its images.
const UP_TIME_MAX: Duration = Duration::from_secs(600);
const HEALTH_PAUSE: Duration = Duration::from_millis(100);
/// Before a node that ended while it came up is started again.
const RESTART_PAUSE: Duration = Duration::from_millis(500);
/// Parallel runs that look for a free subnet at the same time may find the same one; the engine gives it to one of them.
const SUBNET_TRIES_MAX: u32 = 8;
/// Until the engine has noticed that a container's program is dead.
const NOTICE_TIME_MAX: Duration = Duration::from_secs(5);
const NOTICE_PAUSE: Duration = Duration::from_millis(10);
const LOG_LINES_IN_ERRORS: usize = 15;

/// A deployed compose project.
#[derive(Debug)]
pub struct ComposeCluster {
    config: ComposeConfig,
    tool: Tool,
    project: Project,
    resolved: Resolved,
    /// What the override file is made from; images change with [`ComposeCluster::replace_image`].
    additions: Mutex<Additions>,
    engine: Engine,
    nodes: Vec<Node>,
    gateways: Vec<IpAddr>,
    /// Container of each node. A replaced node has another one.
    containers: Mutex<BTreeMap<String, String>>,
    is_down: AtomicBool,
}

/// The override file that a deployment would use now.
pub async fn preview(config: &ComposeConfig) -> Result<String, ClusterError> {
    config.check()?;
    let engine = Engine::connect(&config.socket).await?;
    let tool = Tool::find().await?;
    let resolved = resolve(&tool, config).await?;
    let additions = plan(&engine, config, &resolved, 0).await?;
    Ok(file::to_yaml(&file::additions(
        &resolved,
        tool.generation,
        &additions,
    )))
}

impl ComposeCluster {
    /// Brings the cluster up and waits until every node is ready. After an error nothing of it is left.
    pub async fn deploy(config: ComposeConfig) -> Result<Self, ClusterError> {
        config.check()?;
        let engine = Engine::connect(&config.socket).await?;
        let tool = Tool::find().await?;
        let resolved = resolve(&tool, &config).await?;
        let directory = absolute(&config.directory)?;
        let mut project = config.project();
        ensure_images(&engine, &tool, &project, &resolved).await?;
        project.additions = Some(directory.join(OVERRIDE_FILE));
        let mut cluster = ComposeCluster {
            config: ComposeConfig { directory, ..config },
            tool,
            project,
            resolved,
            additions: Mutex::default(),
            engine,
            nodes: Vec::new(),
            gateways: Vec::new(),
            containers: Mutex::default(),
            is_down: AtomicBool::new(false),
        };
        let deployed = match cluster.up().await {
            Ok(()) => cluster.await_ready().await,
            Err(error) => Err(error),
        };
        match deployed {
            Ok(()) => Ok(cluster),
            Err(error) => {
                // What went wrong first is what the user needs to know.
                let _ = cluster.down().await;
                Err(error)
            }
        }
    }

    /// Runs this program with these arguments in a container of the run's, in the PID namespace of the machine that the
    /// engine runs on, as root. It goes down with the cluster.
    pub async fn start_helper(&self, arguments: &[&str]) -> Result<Helper, ClusterError> {
        let run = &self.config.run;
        let labels = helper::labels(run, sweep::this_controller(), &self.config.directory);
        let name = format!("{}-agent", sweep::project_name(run));
        helper::start(&self.engine, &name, labels, arguments).await
    }

    /// Whether the nodes' processes have the numbers here that the engine knows them by: not from inside another
    /// container, nor where the engine runs on another machine.
    pub async fn sees_processes(&self) -> Result<bool, ClusterError> {
        for node in &self.nodes {
            let id = self.container_of(&node.name)?;
            let pid = self.place(&node.name).await?.pid;
            // Engines name control groups after containers.
            let groups = tokio::fs::read_to_string(format!("/proc/{pid}/cgroup")).await;
            if !groups.is_ok_and(|groups| groups.contains(&id)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The override file as it is now.
    pub fn override_yaml(&self) -> String {
        let additions = self.additions.lock().expect("no panic while it is held");
        file::to_yaml(&file::additions(&self.resolved, self.tool.generation, &additions))
    }

    /// Stops a node and starts it again from another image, on the same data, under the same address. Returns when it
    /// runs, not when it is ready.
    pub async fn replace_image(&self, node: &str, image: &str) -> Result<(), ClusterError> {
        let old = self.container_of(node)?;
        if !self.engine.has_image(image).await? {
            return Err(no_image(image, node, "it is not here"));
        }
        let log = self
            .engine
            .container(&old)
            .await?
            .config
            .and_then(|config| sweep::log_file(&config.labels?));
        self.additions
            .lock()
            .expect("no panic while it is held")
            .images
            .insert(node.to_owned(), image.to_owned());
        self.write_override().await?;
        if let Some(log) = log {
            make_folder(log.parent().unwrap_or(&log)).await?;
            self.engine.save_log(&old, &log).await?;
        }
        // Compose carries named and anonymous volumes over to the new container.
        let call = ["up", "--detach", "--no-deps", "--no-build", node];
        self.tool.run(&self.project, &call, UP_TIME_MAX).await?;
        self.find_containers().await
    }

    /// Resolves once a node is ready, or fails when it has ended or the time is over. A node that ends while it comes up
    /// is started again if the file says so: members that need each other may count on that.
    pub async fn await_node(&self, node: &str, deadline: Instant) -> Result<(), ClusterError> {
        loop {
            let waited = match &self.config.readiness {
                Some(readiness) => wait_ready(self, node, readiness, deadline).await,
                None => self.await_health(node, deadline).await,
            };
            let Err(error) = waited else { return Ok(()) };
            let ProgramState::Stopped { how } = self.state(node).await? else {
                return Err(error);
            };
            if !self.resolved.restarts(node) || Instant::now() >= deadline {
                return Err(self.ended_early(node, &how, error).await);
            }
            tokio::time::sleep(RESTART_PAUSE).await;
            self.start(node).await?;
        }
    }

    /// A node that ended before it could even be looked at still gets its last lines into the error.
    async fn ended_early(&self, node: &str, how: &str, error: ClusterError) -> ClusterError {
        if matches!(error, ClusterError::Timeout { .. }) {
            return error;
        }
        let log = self.log_tail(node, LOG_LINES_IN_ERRORS).await;
        ClusterError::Unsupported {
            what: format!("wait until {node} is ready"),
            why: format!("its program has ended: {how}; it wrote last:\n{}", log.trim_end()),
        }
    }

    /// Waits for the file's own healthcheck.
    async fn await_health(&self, node: &str, deadline: Instant) -> Result<(), ClusterError> {
        let began = Instant::now();
        loop {
            let container = self.engine.container(&self.container_of(node)?).await?;
            let state = container.state.unwrap_or_default();
            let health = state.health.as_ref().and_then(|health| health.status);
            let why = match (
                program_state(&state),
                health.map(|health| health.to_string()).as_deref(),
            ) {
                (ProgramState::Running, None | Some("" | "none" | "healthy")) => return Ok(()),
                (ProgramState::Running, Some(health)) => format!("its healthcheck says {health}"),
                (ProgramState::Stopped { how }, _) => format!("its program has ended: {how}"),
            };
            if state.running != Some(true) || Instant::now() >= deadline {
                let log = self.log_tail(node, LOG_LINES_IN_ERRORS).await;
                return Err(ClusterError::Timeout {
                    what: format!("wait until {node} is ready"),
                    limit_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                    detail: format!(": {why}; it wrote last:\n{}", log.trim_end()),
                });
            }
            tokio::time::sleep(HEALTH_PAUSE).await;
        }
    }

    async fn up(&mut self) -> Result<(), ClusterError> {
        make_folder(&self.config.directory).await?;
        let mut last_error = None;
        for attempt in 0..SUBNET_TRIES_MAX {
            let additions = plan(&self.engine, &self.config, &self.resolved, attempt).await?;
            for folder in additions.data.iter().flat_map(|(_, folders)| folders.values()) {
                make_folder(folder).await?;
            }
            *self.additions.get_mut().expect("no panic while it is held") = additions;
            self.write_override().await?;
            match self
                .tool
                .run(&self.project, &["up", "--detach"], UP_TIME_MAX)
                .await
            {
                Ok(_) => return self.find_nodes().await,
                Err(error) if is_overlap(&error) => {
                    last_error = Some(error);
                    sweep::sweep(&self.engine, &self.config.run).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(last_error.expect("the loop ends early unless a subnet was refused"))
    }

    async fn write_override(&self) -> Result<(), ClusterError> {
        let path = self.config.directory.join(OVERRIDE_FILE);
        let written = tokio::fs::write(&path, self.override_yaml()).await;
        written.map_err(|source| ClusterError::Io {
            what: format!("write {}", path.display()),
            source,
        })
    }

    /// Learns addresses from the engine, and makes sure that the override did what it was for.
    async fn find_nodes(&mut self) -> Result<(), ClusterError> {
        self.find_containers().await?;
        let shared = self
            .resolved
            .shared_network(&self.config.nodes, self.config.network.as_deref())?;
        for name in self.config.nodes.clone() {
            let container = self.engine.container(&self.container_of(&name)?).await?;
            let policy = container
                .host_config
                .as_ref()
                .and_then(|host| host.restart_policy.as_ref()?.name);
            if policy.is_some_and(|policy| !matches!(policy.as_ref(), "" | "no")) {
                return Err(ClusterError::Unsupported {
                    what: format!("keep {name} down once it is killed"),
                    why: format!("its container has restart policy {policy:?} in spite of the override"),
                });
            }
            let on_shared =
                endpoints(&container).find(|(network, _)| is_network(network, &shared, &self.project));
            let (_, endpoint) = on_shared.ok_or_else(|| ClusterError::Unsupported {
                what: format!("address {name}"),
                why: format!("its container is not on the network {shared}"),
            })?;
            let parse = |address: &Option<String>| {
                address
                    .as_ref()
                    .and_then(|address| address.parse::<IpAddr>().ok())
            };
            let Some(IpAddr::V4(ipv4)) = parse(&endpoint.ip_address) else {
                let why = format!("its container has no IPv4 address on the network {shared}");
                return Err(ClusterError::Unsupported {
                    what: format!("address {name}"),
                    why,
                });
            };
            let ipv6 = match parse(&endpoint.global_ipv6_address) {
                Some(IpAddr::V6(ipv6)) => Some(ipv6),
                _ => None,
            };
            for address in std::iter::once(ipv4.into()).chain(ipv6.map(IpAddr::from)) {
                let source = source_address(address)?;
                if !self.gateways.contains(&source) {
                    self.gateways.push(source);
                }
            }
            self.nodes.push(Node { name, ipv4, ipv6 });
        }
        Ok(())
    }

    async fn find_containers(&self) -> Result<(), ClusterError> {
        let label = format!("{RUN_LABEL}={}", self.config.run);
        let mut found = BTreeMap::new();
        for thing in self.engine.list(Kind::Container, &label).await? {
            if let Some(service) = sweep::service_of(&thing.labels)
                && found.insert(service.to_owned(), thing.id).is_some()
                && self.config.nodes.iter().any(|node| node == service)
            {
                return Err(ClusterError::Unsupported {
                    what: format!("use service {service} as a node"),
                    why: "it has several containers; a node is one".to_owned(),
                });
            }
        }
        for node in &self.config.nodes {
            if !found.contains_key(node) {
                return Err(ClusterError::Unsupported {
                    what: format!("use service {node} as a node"),
                    why: "Compose made no container for it; is it behind a profile that is not active?"
                        .to_owned(),
                });
            }
        }
        *self.containers.lock().expect("no panic while it is held") = found;
        Ok(())
    }

    async fn await_ready(&self) -> Result<(), ClusterError> {
        let deadline = Instant::now() + self.config.ready_within;
        let waits = self
            .config
            .nodes
            .iter()
            .map(|node| self.await_node(node, deadline));
        futures_util::future::try_join_all(waits).await.map(drop)
    }

    fn container_of(&self, node: &str) -> Result<String, ClusterError> {
        let containers = self.containers.lock().expect("no panic while it is held");
        let is_node = self.config.nodes.iter().any(|known| known == node);
        containers
            .get(node)
            .filter(|_| is_node)
            .cloned()
            .ok_or_else(|| self.unknown(node))
    }

    fn unknown(&self, node: &str) -> ClusterError {
        ClusterError::UnknownNode {
            name: node.to_owned(),
            known: self.config.nodes.join(", "),
        }
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

    async fn place(&self, node: &str) -> Result<Place, ClusterError> {
        let container = self.engine.container(&self.container_of(node)?).await?;
        let state = container.state.clone().unwrap_or_default();
        let pid = match (program_state(&state), state.pid) {
            (ProgramState::Running, Some(pid @ 1..)) => pid as u32,
            (state, _) => {
                let how = match state {
                    ProgramState::Stopped { how } => how,
                    ProgramState::Running => "on its way".to_owned(),
                };
                return Err(ClusterError::Unsupported {
                    what: format!("find the place of {node}"),
                    why: format!(
                        "its container does not run ({how}), so it has no namespaces; start it first"
                    ),
                });
            }
        };
        let addresses = endpoints(&container)
            .flat_map(|(_, endpoint)| {
                [
                    endpoint.ip_address.as_deref(),
                    endpoint.global_ipv6_address.as_deref(),
                ]
            })
            .filter_map(|address| address?.parse().ok())
            .collect();
        let data = self
            .config
            .data
            .as_deref()
            .map(|path| data_on_host(&container, path, pid));
        Ok(Place {
            name: node.to_owned(),
            pid,
            keeper: false,
            addresses,
            data,
        })
    }

    async fn start(&self, node: &str) -> Result<(), ClusterError> {
        let id = self.container_of(node)?;
        let deadline = Instant::now() + NOTICE_TIME_MAX;
        // Right after a kill the engine may not have noticed yet, and takes the container for running.
        while let Some(state) = self.engine.container(&id).await?.state
            && state.running == Some(true)
            && state.pid.and_then(|pid| living(pid as u32)).is_none()
            && Instant::now() < deadline
        {
            tokio::time::sleep(NOTICE_PAUSE).await;
        }
        self.engine.start(&id, node).await
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
        sweep::sweep(&self.engine, &self.config.run).await?;
        self.is_down.store(true, Ordering::Release);
        Ok(())
    }
}

impl Drop for ComposeCluster {
    fn drop(&mut self) {
        if self.is_down.load(Ordering::Acquire) {
            return;
        }
        // A drop can't wait for futures of the runtime that it may be in, so the sweep gets a thread and a runtime of
        // its own. If it fails, `heal` is left.
        let (socket, run) = (self.config.socket.clone(), self.config.run.clone());
        let sweeper = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                let _ = runtime.block_on(heal(&socket, &Scope::Run(run)));
            }
        });
        let _ = sweeper.join();
    }
}

/// The engine's words for "somebody else has this subnet", by several versions.
fn is_overlap(error: &ClusterError) -> bool {
    let said = std::error::Error::source(error).map(|source| source.to_string().to_lowercase());
    said.is_some_and(|said| said.contains("overlap") || said.contains("conflicts with network"))
}

async fn make_folder(folder: &Path) -> Result<(), ClusterError> {
    let made = tokio::fs::create_dir_all(folder).await;
    made.map_err(|source| ClusterError::Io {
        what: format!("make the folder {}", folder.display()),
        source,
    })
}
