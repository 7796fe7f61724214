//! What breaks: the fault catalogue, the schedule, and the agent that does the breaking.

pub mod agent;
mod dice;
pub mod kind;
pub mod schedule;
pub mod spec;
pub mod targets;

pub use kind::catalogue;
