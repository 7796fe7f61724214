//! What breaks: the fault catalogue, the schedule, and the agent that does the breaking.
//!
//! ```text
//! spec ──plan──▶ schedule ──▶ fault (its steps, driven by Nemesis) ──JSON lines──▶ agent ──▶ the nodes
//!                               └── journal: what is in force, for when all else is dead
//! ```
//!
//! - [`kinds`]: what faults there are, a folder each: what they take, what they do in each step, what proves them.
//! - [`spec`]: what a spec's TOML says of faults. [`schedule`]: what is drawn from it, pure and replayable.
//! - [`targets`]: from parts in the cluster to nodes, pure. [`bound`]: how many of them are hurt at a time, pure.
//! - `life`: a fault's life in steps. [`Nemesis`] runs a schedule.
//! - [`agent`]: the process that acts on nodes, and the line to it.
//! - `in_force`: what it takes to heal a fault; `heal`: how it is done; [`journal`]: the same on disk, for `duress heal`.
//!
//! - [`storage`]: what is put under data directories before nodes start; [`layer`]: the one that is ours.
//!
//! Where nodes live is the cluster's business, what faults mean for a verdict the checker's.

pub mod agent;
pub mod bound;
mod dice;
mod duration_range;
mod heal;
mod in_force;
pub mod journal;
pub mod kinds;
pub mod layer;
mod life;
mod nemesis;
pub mod schedule;
pub mod spec;
mod spec_error;
pub mod storage;
pub mod targets;

pub use agent::client::AgentClient;
pub use agent::ends::{AgentEnd, AgentError};
pub use agent::fleet::Agents;
pub use agent::member::Regain;
pub use duration_range::DurationRange;
pub use heal::{HealOnHost, HealReport, heal_from_journal, heal_with_hosts};
pub use in_force::InForce;
pub use journal::Journal;
pub use kinds::catalogue;
pub use life::clients::{ClientFault, ClientsSeen, Misleading, Misstep};
pub use life::shared::{AwaitReady, EventSink};
pub use life::stage::Rehearsal;
pub use nemesis::{Nemesis, NemesisError, put_storage};
pub use schedule::{Schedule, plan};
pub use spec::FaultsSpec;
pub use spec_error::{SpecError, Spot};
