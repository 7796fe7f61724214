//! What was written down of faults that are over, until somebody asks.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::node::Node;
use super::order::Recorded;
use super::record::Taken;

/// By fault and node.
#[derive(Default)]
pub struct Kept(BTreeMap<(u64, String), Vec<Taken>>);

impl Kept {
    /// Keeps what was written down of a fault at a node.
    pub fn keep(&mut self, fault: u64, node: &Node) {
        if let Some(taken) = node.server.take_record(fault) {
            let of_node = self.0.entry((fault, node.name.clone()));
            of_node.or_default().push(taken);
        }
    }

    /// Gives it away.
    pub fn take(&mut self, fault: u64, node: String) -> Vec<Recorded> {
        let taken = self.0.remove(&(fault, node)).unwrap_or_default();
        taken.into_iter().map(told).collect()
    }
}

fn told(taken: Taken) -> Recorded {
    let Taken {
        began_unix_us,
        decisions,
        decisions_left_out,
        capture,
        packets_left_out,
    } = taken;
    Recorded {
        began_unix_us,
        decisions,
        decisions_left_out,
        capture: capture.map(|file| BASE64_STANDARD.encode(file)),
        packets_left_out,
    }
}
