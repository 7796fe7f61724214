//! Clusters on this machine, without a daemon: each node is a process tree in its own network, mount, PID and UTS
//! namespaces, on a bridge that lives in a private network namespace of the controller.
//!
//! Nothing touches the host's network, and everything vanishes when the controller dies, even by SIGKILL. In the
//! controller's `main`, before any thread is started:
//!
//! ```no_run
//! # use duress_cluster::{Cluster, NodeProgram, local};
//! let isolation = local::isolate()?;
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let program = NodeProgram { name: "n1".into(), argv: vec!["sleep".into(), "60".into()], env: Default::default() };
//! let spec = local::LocalSpec::new(vec![program], "results/runs/latest/nodes");
//! let cluster = local::LocalCluster::deploy(isolation, spec).await?;
//! cluster.start("n1").await?;
//! cluster.down().await
//! # })?; Ok::<(), duress_cluster::ClusterError>(())
//! ```
//!
//! A node `n1` leaves `n1/log` (what its program wrote) and `n1/data` (its working and data directory) in the spec's
//! folder. The program must exist to answer `sandbox`: see [`sandbox::main`].

mod cluster;
mod isolation;
mod keeper;
mod network;
mod on_host;
mod protocol;
pub mod sandbox;
mod start;

pub use cluster::{LocalCluster, LocalSpec, plan_nodes};
pub use isolation::{Isolation, isolate};

pub(crate) use keeper::Heard;
pub(crate) use on_host::{ATTACH, NOBODY};
pub(crate) use protocol::{Order, StartOrder};
pub(crate) use sandbox::ON_HOST;
