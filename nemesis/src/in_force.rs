//! What is needed to heal a fault, as plain data, and the one way to heal it.
//!
//! The agent remembers an [`InForce`] for each fault before it touches anything; the journal tells the same of a run that is
//! dead. Either is healed by [`InForce::heal`], node by node, with what the kind does at one ([`Kind::heal`]).
//!
//! [`Kind::heal`]: crate::kinds::Kind::heal

use std::io;
use std::thread;

use duress_cluster::procfs::living;
use serde_json::Value;

use crate::agent::protocol::{Identity, Process};
use crate::kinds::{Healed, Healer, KindRef, Left};

/// A fault that is, or may be, in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Its kind.
    pub kind: KindRef,
    /// Where it acts.
    pub nodes: Vec<Identity>,
    /// All processes that it stopped, at all nodes. `None`: it was cut off while it stopped them.
    pub held: Option<Vec<Process>>,
}

/// How healing went at one node.
#[derive(Debug)]
pub struct HealedNode {
    /// Its name.
    pub node: String,
    /// A sentence and the kind's answer, or why something may still be in force there.
    pub result: io::Result<Healed>,
}

impl InForce {
    /// Before anything is touched.
    pub fn new(kind: KindRef, nodes: Vec<Identity>) -> Self {
        InForce {
            kind,
            nodes,
            held: None,
        }
    }

    /// Undoes fault `number` at all nodes at once. Nodes where that fails are still there afterwards, so it can be repeated.
    pub fn heal(&mut self, number: u64, healer: Healer<'_>) -> Vec<HealedNode> {
        let (kind, held) = (self.kind, self.held.as_deref());
        let heal = |node: &Identity| {
            if living(node.place.pid).is_none_or(|stat| stat.started != node.started) {
                let said = format!("process {} is gone, and what it lived in", node.place.pid);
                let answer = Value::Null;
                return Ok(Healed { said, answer });
            }
            kind.heal(&Left {
                fault: number,
                node,
                held,
                healer,
            })
        };
        let results: Vec<io::Result<Healed>> = thread::scope(|scope| {
            let heal = &heal;
            let workers: Vec<_> = (self.nodes.iter())
                .map(|node| scope.spawn(move || heal(node)))
                .collect();
            let join = |worker: thread::ScopedJoinHandle<'_, io::Result<Healed>>| {
                let panicked = |_| Err(io::Error::other("the thread that heals panicked"));
                worker.join().unwrap_or_else(panicked)
            };
            workers.into_iter().map(join).collect()
        });
        let nodes = std::mem::take(&mut self.nodes);
        let mut healed = Vec::new();
        for (node, result) in nodes.into_iter().zip(results) {
            healed.push(HealedNode {
                node: node.place.name.clone(),
                result,
            });
            if healed.last().is_some_and(|last| last.result.is_err()) {
                self.nodes.push(node);
            }
        }
        healed
    }
}
