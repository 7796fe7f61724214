//! What nodes say of themselves: how they are asked ([`StatusRequest`]), where it stands in the answer ([`Answer`]), and who
//! leads by all their words ([`Roles`]).

mod answer;
mod node;
mod probe;
mod request;

pub use answer::{Answer, Facts, Pointer};
pub use node::{NodeStatus, Role, Roles};
pub use probe::{AskStatus, StatusProbe};
pub use request::{Method, StatusAsk, StatusRequest};
