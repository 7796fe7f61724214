//! The one way to heal a fault, from plain data: for what the agent remembers and for what a journal tells
//! ([`from_journal`]).
//!
//! [`Kind::heal`]: crate::kinds::Kind::heal

mod from_journal;
mod report;
mod storage;

use std::io;
use std::thread;

use duress_cluster::procfs::living;

use crate::agent::protocol::Identity;
use crate::in_force::InForce;
use crate::kinds::{Healer, InForceAt, KindRef, Undone};

pub use from_journal::{HealOnHost, heal_from_journal, heal_with_hosts};
pub use report::HealReport;

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
    let held = fault.held.as_ref();
    let heal = |node: &Identity| {
        let kind = kind.clone().map_err(io::Error::other)?;
        let at = InForceAt {
            fault: number,
            node,
            held,
            healer,
        };
        match living(node.place.pid).is_some_and(|stat| stat.started == node.started) {
            true => kind.heal(&at),
            false => kind.heal_after(&at),
        }
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
