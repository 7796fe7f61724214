//! What clients ask: generators of operations, clients of real systems, retries.
//!
//! Three parts meet here and know little of each other:
//!
//! - a [`Workload`] says which operations come next, e.g. `{f: "cas", key: "k3", value: [7, 8]}`; its catalogue entry
//!   names the model and the properties that judge them;
//! - a [`Service`] makes one attempt at one operation at one node of one system, and says what it proves;
//! - [`retry::Session`] is the client proper: it picks nodes, retries within a policy, records every attempt, and
//!   turns what the attempts prove into the outcome of the operation.
//!
//! Recording histories, pacing and threads are left to the harness; judging is left to `duress-checker`.

mod bounds;
pub mod clients;
mod endpoint;
mod generator;
mod op;
pub mod retry;
pub mod service;
pub mod workload;

pub use bounds::{Bound, SpecError};
pub use duress_http::RequestError;
pub use endpoint::{Endpoint, Endpoints};
pub use generator::{CatalogueEntry, Workload, WorkloadParameters};
pub use op::{Op, Operation};
pub use service::{Answer, Answered, Asker, Service, Token};
pub use workload::{WorkloadSpec, bounds, catalogue};
