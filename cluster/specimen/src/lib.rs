//! The specimen: a replicated key-value store for Duress to break.

pub mod args;
mod console;
pub mod defect;
mod error;
mod http;
pub mod lease;
pub mod log_store;
pub mod machine;
mod members;
pub mod network;
mod node;
mod propose;
mod read;
pub mod refusal;
mod service;
pub mod state;
pub mod types;

pub use args::Args;
pub use defect::{Defect, UnknownDefect};
pub use error::SpecimenError;
pub use node::run;
