//! The one way to heal a fault, from plain data: for what the agent remembers and for what a journal tells
//! ([`from_journal`]).
//!
//! [`Kind::heal`]: crate::kinds::Kind::heal

mod from_journal;

use std::io;
use std::thread;

use duress_cluster::procfs::living;
use serde_json::Value;

use crate::agent::protocol::Identity;
use crate::in_force::InForce;
use crate::kinds::{Healer, InForceAt, KindRef, Undone};

pub use from_journal::{HealReport, heal_from_journal};

/// How healing went at one node.
#[derive(Debug)]
pub struct HealedNode {
    /// Its name.
    pub node: String,
    /// A sentence and the kind's answer, or why something may still be in force there.
    pub result: io::Result<Undone>,
}

/// Undoes fault `number` at all nodes at once, with what its kind does at one ([`Kind::heal`]). Nodes where that fails are still there afterwards, so it can be repeated.
pub fn heal(fault: &mut InForce, number: u64, healer: Healer<'_>) -> Vec<HealedNode> {
    let kind = KindRef::named(&fault.kind);
    let held = fault.held.as_deref();
    let heal = |node: &Identity| {
        if living(node.place.pid).is_none_or(|stat| stat.started != node.started) {
            let said = format!("process {} is gone, and what it lived in", node.place.pid);
            let answer = Value::Null;
            return Ok(Undone { said, answer });
        }
        let kind = kind.clone().map_err(io::Error::other)?;
        kind.heal(&InForceAt {
            fault: number,
            node,
            held,
            healer,
        })
    };
    let results: Vec<io::Result<Undone>> = thread::scope(|scope| {
        let heal = &heal;
        let workers: Vec<_> = (fault.nodes.iter())
            .map(|node| scope.spawn(move || heal(node)))
            .collect();
        let join = |worker: thread::ScopedJoinHandle<'_, io::Result<Undone>>| {
            let panicked = |_| Err(io::Error::other("the thread that heals panicked"));
            worker.join().unwrap_or_else(panicked)
        };
        workers.into_iter().map(join).collect()
    });
    let nodes = std::mem::take(&mut fault.nodes);
    let mut healed = Vec::new();
    for (node, result) in nodes.into_iter().zip(results) {
        healed.push(HealedNode {
            node: node.place.name.clone(),
            result,
        });
        if healed.last().is_some_and(|last| last.result.is_err()) {
            fault.nodes.push(node);
        }
    }
    healed
}
