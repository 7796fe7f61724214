//! The running program once more, in a container beside the nodes: for controllers that may talk to the engine and do
//! nothing else on its machine.
//!
//! The image is made of this very program (see [`super::pack`]), once for each build of it, and stays: `duress-agent`,
//! tagged by its content, labelled `duress.agent`. The container carries the labels of the run, so that whatever removes
//! the run's nodes removes it too; it shares the host's PID namespace and has no network.
//!
//! **Its input ends when the controller does**: the engine closes it when the connection that is attached to it goes
//! away. A program that exits then (as the agent does, after healing) leaves nothing behind, not even its container.
//!
//! It is not `privileged`: it gets the capabilities that faults need, by name ([`CAPABILITIES`]). Engines that are
//! themselves short of one can't start privileged containers at all, and there is no reason to ask for more than is used.

use std::future::Future;

use async_trait::async_trait;
use bollard::container::LogOutput;
use bollard::errors::Error as BollardError;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, CreateImageOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use futures_util::StreamExt;
use tokio::io::{AsyncWriteExt, DuplexStream};

use super::engine::{Engine, Labels, engine_error};
use super::mark::{Mark, project_name};
use super::member;
use super::pack::{self, LIBRARIES, PROGRAM, Packed};
use crate::{Cluster, ClusterError};

const IMAGE: &str = "duress-agent";
const IMAGE_LABEL: &str = "duress.agent";

/// What the agent does as root in the host's PID namespace, and what for.
const CAPABILITIES: [&str; 13] = [
    // Enters namespaces of nodes, and the engine's mount namespace for its iptables.
    "SYS_ADMIN",
    "SYS_CHROOT",
    "SYS_PTRACE",
    // Changes the nodes' packet filters.
    "NET_ADMIN",
    "NET_RAW",
    // Stops and ends processes of any user.
    "KILL",
    // The lock file of iptables and data directories may belong to any user.
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    // Does to files, for a node, whatever that may do to its own.
    "CHOWN",
    "FOWNER",
    "FSETID",
    "MKNOD",
    "SETFCAP",
];

/// Bytes on their way to or from the helper; more wait in the engine.
const PIPE_BYTES_MAX: usize = 64 * 1024;
/// Of what the helper complains about, the end is kept for the error.
const COMPLAINT_BYTES_MAX: usize = 2000;

/// Containers, and a helper beside them where the controller can't do its work itself.
#[async_trait]
pub trait WithHelper: Cluster {
    /// Runs this program with these arguments in a container of its own, in the PID namespace of the machine that the engine
    /// runs on, as root. It goes down with the cluster.
    async fn start_helper(&self, arguments: &[&str]) -> Result<Helper, ClusterError>;

    /// Whether the nodes' processes have the numbers here that the engine knows them by: not from inside another
    /// container, nor where the engine runs on another machine.
    async fn sees_processes(&self) -> Result<bool, ClusterError> {
        for node in self.nodes() {
            let pid = self.place(&node.name).await?.pid;
            if !member::has_number_here(&self.id_on_engine(&node.name)?, pid).await {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What the engine is called, if it is on another machine: the agent there must not wait for an end of its input that never comes.
    fn engine_elsewhere(&self) -> Option<String> {
        None
    }

    /// The engine's id of the container that a node is.
    fn id_on_engine(&self, node: &str) -> Result<String, ClusterError>;
}

/// A helper that runs.
pub struct Helper {
    /// Its standard input. Dropping it is the end of the input.
    pub input: DuplexStream,
    /// Its standard output.
    pub output: DuplexStream,
    /// Its exit status, or in words why none is known. Watched from before the start, whether polled or not.
    pub ended: tokio::task::JoinHandle<Result<i64, String>>,
}

/// Starts `duress <arguments>` in a container of the run with this mark.
pub(super) async fn start(engine: &Engine, mark: &Mark, arguments: &[&str]) -> Result<Helper, ClusterError> {
    let name = format!("{}-agent", project_name(mark.run()));
    let labels = mark.labels().into_iter().collect();
    let failed = |what: &str| {
        let what = format!("{what} the helper container {name}");
        move |error| engine_error(what, error)
    };
    let image = ensure_image(engine).await?;
    let docker = engine.docker();
    let created = docker
        .create_container(
            Some(CreateContainerOptionsBuilder::new().name(&name).build()),
            container(image, labels, arguments),
        )
        .await
        .map_err(failed("create"))?;
    let id = created.id;
    let attach = AttachContainerOptionsBuilder::new()
        .stream(true)
        .stdin(true)
        .stdout(true)
        .stderr(true)
        .build();
    let attached = docker
        .attach_container(&id, Some(attach))
        .await
        .map_err(failed("attach to"))?;
    let status = tokio::spawn(exit_status(engine.clone(), id.clone()));
    docker.start_container(&id, None).await.map_err(failed("start"))?;

    let (input, mut from_us) = tokio::io::duplex(PIPE_BYTES_MAX);
    let (mut to_us, output) = tokio::io::duplex(PIPE_BYTES_MAX);
    let mut to_helper = attached.input;
    tokio::spawn(async move {
        // However this ends, the helper's input has to: the other half of the connection would keep it open.
        let _ = tokio::io::copy(&mut from_us, &mut to_helper).await;
        let _ = to_helper.shutdown().await;
    });
    let mut from_helper = attached.output;
    let said = tokio::spawn(async move {
        let mut complaint = Vec::new();
        while let Some(Ok(chunk)) = from_helper.next().await {
            match chunk {
                LogOutput::StdOut { message } => {
                    if to_us.write_all(&message).await.is_err() {
                        break;
                    }
                }
                other => {
                    complaint.extend_from_slice(other.as_ref());
                    let excess = complaint.len().saturating_sub(COMPLAINT_BYTES_MAX);
                    complaint.drain(..excess);
                }
            }
        }
        String::from_utf8_lossy(&complaint).into_owned()
    });
    let ended = tokio::spawn(async move {
        let status = flatten(status.await);
        let complaint = said.await.unwrap_or_default();
        match (status, complaint.trim()) {
            (Err(why), complaint) if !complaint.is_empty() => Err(format!("{why}; it said: {complaint}")),
            (status, _) => status,
        }
    });
    Ok(Helper { input, output, ended })
}

fn flatten(joined: Result<Result<i64, String>, tokio::task::JoinError>) -> Result<i64, String> {
    joined.unwrap_or_else(|error| Err(error.to_string()))
}

/// Waits for the container's next end. It removes itself right after, and then nobody could tell.
fn exit_status(engine: Engine, id: String) -> impl Future<Output = Result<i64, String>> {
    let options = WaitContainerOptionsBuilder::new().condition("next-exit").build();
    async move {
        match engine.docker().wait_container(&id, Some(options)).next().await {
            Some(Ok(ended)) => Ok(ended.status_code),
            Some(Err(BollardError::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("the engine does not say how it ended".to_owned()),
        }
    }
}

fn container(image: String, labels: Labels, arguments: &[&str]) -> ContainerCreateBody {
    let own = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
    let program = [&[PROGRAM], arguments].concat();
    ContainerCreateBody {
        image: Some(image),
        cmd: own(&program),
        env: Some(vec![
            format!("LD_LIBRARY_PATH={LIBRARIES}"),
            // For the programs of the engine's machine: in some distributions iptables is only in an sbin.
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        ]),
        labels: Some(labels),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        open_stdin: Some(true),
        // The input ends with the first connection that was attached to it.
        stdin_once: Some(true),
        tty: Some(false),
        host_config: Some(HostConfig {
            auto_remove: Some(true),
            cap_drop: own(&["ALL"]),
            cap_add: own(&CAPABILITIES),
            pid_mode: Some("host".to_owned()),
            // Groups of nodes are told by where they are on the machine, not by where they are from here.
            cgroupns_mode: Some(HostConfigCgroupnsModeEnum::HOST),
            network_mode: Some("none".to_owned()),
            readonly_rootfs: Some(true),
            // The profiles that engines apply by default forbid to enter namespaces and to look at other processes.
            security_opt: own(&["seccomp=unconfined", "apparmor=unconfined", "label=disable"]),
            // What it says goes to the controller; a copy on the engine's disk is of no use to anybody.
            log_config: Some(HostConfigLogConfig {
                typ: Some("none".to_owned()),
                config: None,
            }),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// Sends this program to the engine, if it isn't there yet. Returns the image's name.
async fn ensure_image(engine: &Engine) -> Result<String, ClusterError> {
    let packed = tokio::task::spawn_blocking(pack::pack_self).await;
    let Packed { archive, digest } = packed
        .map_err(std::io::Error::other)
        .and_then(|packed| packed)
        .map_err(|source| ClusterError::Io {
            what: "pack the running program for the helper container".to_owned(),
            source,
        })?;
    let name = format!("{IMAGE}:{digest}");
    if engine.has_image(&name).await? {
        return Ok(name);
    }
    let options = CreateImageOptionsBuilder::new()
        .from_src("-")
        .repo(IMAGE)
        .tag(&digest)
        .changes(vec![format!("LABEL {IMAGE_LABEL}={digest}")])
        .build();
    let body = bollard::body_full(archive.into());
    let mut progress = Box::pin(engine.docker().create_image(Some(options), Some(body), None));
    while let Some(step) = progress.next().await {
        step.map_err(|error| engine_error(format!("import the image {name}"), error))?;
    }
    Ok(name)
}
