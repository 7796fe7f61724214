//! What breaks: the fault catalogue, the schedule, and the agent that does the breaking.
//!
//! ```text
//! spec ──plan──▶ schedule ──▶ fault (six steps, driven by Nemesis) ──JSON lines──▶ agent ──▶ the nodes
//!                               └── journal: what is in force, for when all else is dead
//! ```
//!
//! - [`kind`]: the catalogue. What faults there are, what they take, what proves them.
//! - [`spec`]: what a spec's TOML says of faults. [`schedule`]: what is drawn from it, pure and replayable.
//! - [`targets`]: roles and shapes to nodes and links, pure.
//! - [`fault`]: a fault's life in six steps, and [`Nemesis`], which runs a schedule.
//! - [`agent`]: the process that acts on nodes, and the line to it.
//! - [`journal`]: what `duress heal` works from.
//!
//! Where nodes live is the cluster's business, what faults mean for a verdict the checker's.

pub mod agent;
mod dice;
pub mod fault;
pub mod journal;
pub mod kind;
pub mod schedule;
pub mod spec;
pub mod targets;

pub use agent::{AgentClient, AgentEnd, AgentError};
pub use fault::{EventSink, Nemesis, NemesisError, Readiness};
pub use journal::{Journal, heal_from_journal};
pub use kind::catalogue;
pub use schedule::{Schedule, plan};
pub use spec::FaultsSpec;
pub use targets::Roles;
