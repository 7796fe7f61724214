//! Waits until nodes are ready to be used.
//!
//! ```json
//! {"http": {"path": "/status", "port": 8080, "true-field": "ready"}}
//! {"tcp": {"port": 2379}}
//! {"command": {"argv": ["pg_isready"]}}
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use duress_http::{Client, RequestError, cut, local_cause};
use serde::{Deserialize, Serialize};
use tokio::net::TcpSocket;
use tokio::time::{Instant, sleep, timeout};

use crate::{Cluster, ClusterError, ProgramState, exec, http};

/// Between tries that failed at once. A node that is up is noticed a few milliseconds later.
const POLL: Duration = Duration::from_millis(15);
/// For a single try over the network. Starting programs are slow to answer; dead ones must not use up the deadline.
const TRY_LIMIT: Duration = Duration::from_millis(500);
/// For a single run of a command: some are scripts around a virtual machine that takes seconds to start.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);
/// What a try gets however late it is, so that there always is a reason to tell.
const TRY_LIMIT_MIN: Duration = Duration::from_millis(100);
const LOG_LINES: usize = 20;

/// How a node shows that it is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Readiness {
    /// It answers a GET with success and, if a field is named, with a JSON object in which that is true.
    #[serde(rename_all = "kebab-case")]
    Http {
        /// E.g. `/health`.
        path: String,
        /// On the node's first address.
        port: u16,
        /// E.g. `ready`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        true_field: Option<String>,
    },
    /// It accepts connections.
    Tcp {
        /// On the node's first address.
        port: u16,
    },
    /// A command that is run in the node succeeds.
    Command {
        /// The program, searched for as in the node, and its arguments.
        argv: Vec<String>,
    },
}

/// Starts every node and waits until all are ready. All are started first: the members of a replicated system need each
/// other to become so.
pub async fn bring_up(
    cluster: &dyn Cluster,
    readiness: &Readiness,
    deadline: Instant,
) -> Result<(), ClusterError> {
    for node in cluster.nodes() {
        cluster.start(&node.name).await?;
    }
    for node in cluster.nodes() {
        wait_ready(cluster, &node.name, readiness, deadline).await?;
    }
    Ok(())
}

/// Waits until the node is ready, it has ended, or it is too late. The error says what the last try met and what the
/// program wrote last.
pub async fn wait_ready(
    cluster: &dyn Cluster,
    node: &str,
    readiness: &Readiness,
    deadline: Instant,
) -> Result<(), ClusterError> {
    let began = Instant::now();
    let probe = Probe::new(cluster, node, readiness).await?;
    loop {
        // The state is read before the try: a program that ends between them is tried once more.
        let state = cluster.state(node).await?;
        let left = deadline
            .saturating_duration_since(Instant::now())
            .max(TRY_LIMIT_MIN);
        let why = match probe.try_once(left).await {
            Ok(()) => return Ok(()),
            Err(Missed::NotReady(why)) => why,
            Err(Missed::Local(why)) => {
                return Err(ClusterError::Local {
                    what: format!("wait until {node} is ready"),
                    why,
                });
            }
        };
        let why = match state {
            ProgramState::Stopped { how } => format!("its program has ended: {how}"),
            ProgramState::Running if Instant::now() >= deadline => why,
            ProgramState::Running => {
                sleep(POLL).await;
                continue;
            }
        };
        let log = cluster.log_tail(node, LOG_LINES).await;
        let log = if log.is_empty() {
            "; it wrote nothing".into()
        } else {
            format!("; it wrote last:\n{log}")
        };
        return Err(ClusterError::Timeout {
            what: format!("wait until {node} is ready"),
            limit_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            detail: format!(": {why}{log}"),
        });
    }
}

/// Tries once whether the node is ready, for at most half a second, or ten for a command. The error says why it is not;
/// [`ClusterError::Local`] says nothing of the node.
pub async fn try_ready(cluster: &dyn Cluster, node: &str, readiness: &Readiness) -> Result<(), ClusterError> {
    let what = || format!("see whether {node} is ready");
    let probe = Probe::new(cluster, node, readiness).await?;
    probe
        .try_once(COMMAND_LIMIT)
        .await
        .map_err(|missed| match missed {
            Missed::Local(why) => ClusterError::Local { what: what(), why },
            Missed::NotReady(why) => ClusterError::Io {
                what: what(),
                source: std::io::Error::other(why),
            },
        })
}

/// A readiness with all that it takes to try it.
enum Probe<'a> {
    Http {
        client: Client,
        to: SocketAddr,
        path: &'a str,
        true_field: Option<&'a str>,
    },
    Tcp {
        from: Option<IpAddr>,
        to: SocketAddr,
    },
    Command {
        cluster: &'a dyn Cluster,
        node: &'a str,
        argv: &'a [String],
    },
}

/// Where ports of a node are reached from here, if not at its address.
async fn published(cluster: &dyn Cluster, node: &str) -> Result<BTreeMap<u16, SocketAddr>, ClusterError> {
    let known = cluster.nodes().iter().find(|known| known.name == node);
    let known = known.map(|node| node.published.clone()).unwrap_or_default();
    match cluster.node_addresses() {
        Some(addresses) if !known.is_empty() => Ok(addresses.current(node).await?.published),
        _ => Ok(known),
    }
}

/// Why a try did not show that the node is ready.
enum Missed {
    /// The node did not show it.
    NotReady(String),
    /// This machine could not ask.
    Local(String),
}

impl From<RequestError> for Missed {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Local(why) => Missed::Local(why),
            error => Missed::NotReady(error.to_string()),
        }
    }
}

impl<'a> Probe<'a> {
    async fn new(
        cluster: &'a dyn Cluster,
        node: &'a str,
        readiness: &'a Readiness,
    ) -> Result<Probe<'a>, ClusterError> {
        if let Readiness::Command { argv } = readiness {
            return Ok(Probe::Command { cluster, node, argv });
        }
        let place = cluster.place(node).await?;
        let Some(&address) = place.addresses.first() else {
            let (what, why) = (format!("wait until {node} is ready"), "it has no address".into());
            return Err(ClusterError::Invalid { what, why });
        };
        let published = published(cluster, node).await?;
        let at = |port: u16| {
            let published = published.get(&port).copied();
            published.unwrap_or_else(|| SocketAddr::new(address, port))
        };
        let family = |other: &IpAddr| other.is_ipv4() == address.is_ipv4();
        let from = cluster
            .observer_addresses()
            .unwrap_or_default()
            .into_iter()
            .find(family);
        Ok(match readiness {
            Readiness::Http {
                path,
                port,
                true_field,
            } => {
                let client = http::client(from, TRY_LIMIT)?;
                let true_field = true_field.as_deref();
                Probe::Http {
                    client,
                    to: at(*port),
                    path,
                    true_field,
                }
            }
            Readiness::Tcp { port } => Probe::Tcp { from, to: at(*port) },
            Readiness::Command { argv } => Probe::Command { cluster, node, argv },
        })
    }

    async fn try_once(&self, left: Duration) -> Result<(), Missed> {
        let late = |_| Err(Missed::NotReady("no answer in time".into()));
        match self {
            Probe::Http {
                client,
                to,
                path,
                true_field,
            } => {
                let tried = check_http(client, *to, path, *true_field);
                timeout(left.min(TRY_LIMIT), tried).await.unwrap_or_else(late)
            }
            Probe::Tcp { from, to } => {
                let tried = async {
                    connect(*from, *to)
                        .await
                        .map_err(|error| match local_cause(&error) {
                            Some(why) => Missed::Local(why),
                            None => Missed::NotReady(format!("connect to {to}: {error}")),
                        })
                };
                timeout(left.min(TRY_LIMIT), tried).await.unwrap_or_else(late)
            }
            Probe::Command { cluster, node, argv } => {
                let not_ready = |error: ClusterError| Missed::NotReady(error.to_string());
                let place = cluster.place(node).await.map_err(not_ready)?;
                match exec::run_in(&place, argv, left.min(COMMAND_LIMIT)).await {
                    Ok(ended) if ended.success => Ok(()),
                    Ok(ended) => {
                        let output = cut(ended.output.trim().to_owned());
                        Err(Missed::NotReady(format!("{argv:?}: {}: {output}", ended.how)))
                    }
                    Err(error) => Err(not_ready(error)),
                }
            }
        }
    }
}

async fn check_http(
    client: &Client,
    to: SocketAddr,
    path: &str,
    true_field: Option<&str>,
) -> Result<(), Missed> {
    let body = http::get(client, to, path).await?;
    match true_field {
        Some(field) if body.as_ref().and_then(|body| body[field].as_bool()) != Some(true) => Err(
            Missed::NotReady(format!("http://{to}{path} doesn't say that {field:?} is true")),
        ),
        _ => Ok(()),
    }
}

async fn connect(from: Option<IpAddr>, to: SocketAddr) -> std::io::Result<()> {
    let socket = if to.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(from) = from {
        socket.bind((from, 0).into())?;
    }
    socket.connect(to).await.map(drop)
}
