//! Docker Compose: a cluster from a compose file that knows nothing of Duress.
//!
//! Nodes are services of the user's file, which is taken as it is. What Duress adds stands in an override file, generated
//! by pure functions, kept in the run's directory and shown by [`preview`]. From then on the engine is spoken to directly,
//! by its unix socket. A project name that no other run has keeps parallel runs apart.
//!
//! - A node's [`Place`](crate::Place) is the container's first process, in numbers of the machine that the engine runs on; it changes
//!   with every start. While a container is stopped it has no namespaces, and so no place.
//! - Clients come from this machine's address on the network that nodes share, its gateway. So does whoever else looks
//!   from this machine: the two can't be told apart, and [`Cluster::observer_addresses`](crate::Cluster::observer_addresses) is `None`. (A second address on
//!   the bridge would tell them apart, at the price of changing the host's network.)
//! - Nodes' restart policy is overridden with `no`: a node that was killed stays down until Duress starts it. While the
//!   cluster comes up, nodes whose file wants restarts are started again by Duress instead.
//! - [`Cluster::down`](crate::Cluster::down), an error while deploying, a drop, and [`heal`] after a crash all remove in the same way.
//! - [`WithHelper::start_helper`] runs this very program next to the nodes, for users who are not root there. What it does
//!   there, and all faults, are left to others.
//! - [`RunningContainers`] are a cluster that somebody else started, and that stays when Duress is done.
//! - Services that are no nodes come up with the others and are left in peace. A client's programs may run in one of them, by
//!   [`Cluster::service_programs`](crate::Cluster::service_programs).

mod additions;
mod addresses;
mod cluster;
mod config;
mod container;
mod describe;
mod doctor;
mod engine;
mod entries;
mod file;
mod helper;
mod many;
mod mark;
mod member;
mod override_file;
mod pack;
mod plan;
mod published;
mod resolved;
mod running;
mod service_program;
mod spread;
mod stack;
mod subnet;
mod sweep;
mod tool;

pub use self::cluster::ComposeCluster;
pub use self::config::{ComposeConfig, Part, Reach};
pub use self::describe::{Description, PROFILES_VARIABLE, Service, describe};
pub use self::doctor::examine;
pub use self::engine::address::{DEFAULT_SOCKET, EngineAddress, SshWay};
pub use self::file::{FileProblem, look, look_for_service};
pub use self::helper::{Helper, WithHelper};
pub use self::many::{EnginesCluster, OnEngines};
pub use self::plan::preview;
pub use self::running::{Found, RunningConfig, RunningContainers};
pub use self::stack::StackCluster;
pub use self::sweep::{Healed, Scope, heal};
