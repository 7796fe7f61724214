//! The agent's half: arms the layers, and says what they have met.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread;

use duress_cluster::Place;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::probe::probe;
use super::report::{NodeCounts, NodeSamples, Order, Question};
use crate::agent::part::{AgentPart, Injected, read, write};
use crate::agent::processes::signal;
use crate::agent::procfs::layers;
use crate::agent::storage::{Layer, layer};
use crate::kinds::kind::{InForceAt, Undone, json as to_json};
use crate::layer::call::{Ask, Counts, Rule};
use crate::layer::mounts::{is_mounted_in, source};

/// Arms layers.
#[derive(Default)]
pub struct Armer {
    /// By fault, its nodes.
    armed: BTreeMap<u64, Vec<String>>,
}

fn counts(layer: &Layer, fault: u64) -> io::Result<Option<Counts>> {
    layer.ask(&Ask::Count { fault })
}

/// The layer of a node. Fails where the node's programs would go another way to their disk.
pub fn reaches_layer(place: &Place) -> io::Result<Arc<Layer>> {
    let layer = layer(&place.name)?;
    let mounts = format!("/proc/{}/mountinfo", place.pid);
    match is_mounted_in(mounts.as_ref(), &layer.source)? {
        true => Ok(layer),
        false => Err(io::Error::other(
            "its data directory is not on the layer that was put under it",
        )),
    }
}

impl AgentPart for Armer {
    fn can(&mut self, place: &Place) -> io::Result<()> {
        reaches_layer(place).map(drop)
    }

    fn inject(&mut self, fault: u64, order: Value, _kept: &[Value]) -> io::Result<Injected> {
        let Order { places, rule } = read(order)?;
        let names: Vec<String> = places.iter().map(|place| place.name.clone()).collect();
        self.armed.insert(fault, names);
        let mut processes = Vec::new();
        for (number, place) in (0..).zip(&places) {
            let (name, layer) = (&place.name, layer(&place.name)?);
            let rule = Rule {
                fault,
                // Another stream for each node.
                seed: rule
                    .seed
                    .wrapping_add(number)
                    .wrapping_add(u64::from(place.machine)),
                ..rule.clone()
            };
            layer.ask::<()>(&Ask::Arm { rule })?;
            processes.push(json!({"node": name, "layer": layer.pid()}));
        }
        Ok(Injected {
            answer: json!(processes),
            held: processes.into(),
        })
    }

    fn look(&mut self, fault: u64) -> io::Result<Value> {
        let nodes = self.armed.get(&fault).cloned().unwrap_or_default();
        let of_node = |node: String| {
            let counts = counts(&*layer(&node)?, fault)?;
            Ok(NodeCounts { node, counts })
        };
        write(&nodes.into_iter().map(of_node).collect::<io::Result<Vec<_>>>()?)
    }

    fn ask(&mut self, question: Value) -> io::Result<Value> {
        let Question { nodes, calls, times } = read(question)?;
        // At all nodes at once: calls may be slow.
        let samples = thread::scope(|scope| {
            let calls = &calls;
            let workers: Vec<_> = nodes
                .into_iter()
                .map(|Place { name: node, .. }| {
                    scope.spawn(move || {
                        let samples = probe(&layer(&node)?.directory, calls, times)
                            .map_err(|error| io::Error::other(format!("{node}: {error}")))?;
                        Ok(NodeSamples { node, samples })
                    })
                })
                .collect();
            let join = |worker: thread::ScopedJoinHandle<'_, io::Result<NodeSamples>>| {
                worker
                    .join()
                    .unwrap_or_else(|_| Err(io::Error::other("a probe panicked")))
            };
            workers.into_iter().map(join).collect::<io::Result<Vec<_>>>()
        });
        write(&samples?)
    }

    /// The layer is the node's wherever it comes back.
    fn follow(&mut self, place: &Place) -> io::Result<Vec<u64>> {
        let here = self.armed.iter().filter(|(_, nodes)| nodes.contains(&place.name));
        Ok(here.map(|(fault, _)| *fault).collect())
    }

    fn cease(&mut self, fault: u64) {
        // Also where the node is gone: it is to find its disk as it should be.
        for node in self.armed.get(&fault).into_iter().flatten() {
            let _ = layer(node).and_then(|layer| layer.ask::<Value>(&Ask::Disarm { fault }));
        }
    }

    fn forget(&mut self, fault: u64, node: &str) {
        if let Some(nodes) = self.armed.get_mut(&fault) {
            nodes.retain(|other| other != node);
        }
        self.armed.retain(|_, nodes| !nodes.is_empty());
    }
}

/// Disarms the layer of a node. Where the agent is not the one that heals, the layer is told by a signal: it disarmed itself if the
/// agent is dead.
pub fn heal(at: &InForceAt<'_>) -> io::Result<Undone> {
    let node = at.node.place.name.clone();
    let fault = at.fault;
    if let Ok(layer) = layer(&node) {
        layer.ask::<Value>(&Ask::Disarm { fault })?;
        if counts(&layer, fault)?.is_some() {
            return Err(io::Error::other("its layer is still armed"));
        }
    } else {
        for process in layers(&source(at.healer.mark.as_str(), &node))? {
            signal(&process, Signal::USR1)?;
        }
    }
    Ok(Undone {
        said: "its disk does as it is told again".to_owned(),
        answer: to_json(&node),
    })
}
