//! The agent's half of packet faults: which are in force where, how they get there and go away, and what they do.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::Instant;

use duress_cluster::Place;
use duress_cluster::clock_offset::Offset;
use serde_json::Value;

use super::effects::Effects;
use super::kept::Kept;
use super::node::{Applied, Node};
use super::order::{At, Exchange, Exchanged, Healed, Measured, Order, Probe, Question, Seen, Took, Traffic};
use super::probe::Sockets;
use super::rules::{Present, TABLE};
use super::server::Server;
use super::tracks;
use crate::agent::chains::Family;
use crate::agent::firewall::{
    Backend, Firewall, check_number, has_ipv6, netns_written_down, open_netns, open_others_netns, within,
};
use crate::agent::nfqueue::Queue;
use crate::agent::part::{AgentPart, Injected, read, write};
use crate::agent::probe::session_number;
use crate::agent::protocol::Mark;
use crate::agent::spread::Listening;
use crate::kinds::kind::{InForceAt, Undone, json};

/// All that is done to packets.
pub struct Packets {
    firewall: Firewall,
    /// By inode of the network namespace.
    nodes: BTreeMap<u64, Node>,
    /// What was written down of faults that are over, by fault and node.
    recorded: Kept,
    /// Sockets that were opened for a session and are not used yet, the oldest first.
    opened: VecDeque<(u64, Sockets)>,
}

/// Of those that are never used, the oldest are closed.
const OPENED_MAX: usize = 4;

impl Packets {
    /// Nothing is in force yet. Chains will be named after `mark`.
    pub fn new(mark: Mark) -> Packets {
        Packets {
            firewall: Firewall::new(mark),
            nodes: BTreeMap::new(),
            recorded: Kept::default(),
            opened: VecDeque::new(),
        }
    }

    /// The node at a place, whose queue is served.
    fn node(&mut self, place: &Place) -> io::Result<&mut Node> {
        let (inode, netns) = open_others_netns(place)?;
        match self.nodes.entry(inode) {
            std::collections::btree_map::Entry::Occupied(there) => Ok(there.into_mut()),
            std::collections::btree_map::Entry::Vacant(free) => {
                let server = Server::start(&netns)?;
                Ok(free.insert(Node {
                    name: place.name.clone(),
                    netns,
                    server,
                    faults: BTreeMap::new(),
                }))
            }
        }
    }

    /// Of links that have both ends here.
    fn probe(&self, Probe { points, traffic }: Probe) -> io::Result<Measured> {
        let sockets = Sockets::open(points);
        let Listening { opened, unprobed } = sockets.listening();
        let asked = Exchange {
            session: session_number(),
            ends: opened,
            traffic,
        };
        let told = self.exchange(&sockets, &asked)?;
        let one_clock = |_: &str| Some(Offset::default());
        Ok(tracks::measured(&asked.traffic, &told, unprobed, one_clock))
    }

    fn exchange(&self, sockets: &Sockets, asked: &Exchange) -> io::Result<Exchanged> {
        let traffic = &asked.traffic;
        // What other faults hold is later still.
        let others = self.nodes.values().flat_map(|node| &node.faults);
        let others = others.filter(|(other, _)| **other != traffic.fault);
        let longest = others.map(|(fault, applied)| (*fault, applied.effects.longest_us()));
        let longest: BTreeMap<u64, u64> = longest.collect();
        let mut told = sockets.exchange(asked, longest.values().sum())?;
        for heard in &mut told.heard {
            heard.others = self.others(traffic, heard.track);
        }
        Ok(told)
    }

    /// What other faults than that on whose behalf it is measured do to a track.
    fn others(&self, traffic: &Traffic, track: u32) -> Vec<Effects> {
        let Some((from, to)) = traffic.links.get(tracks::link_of(track)) else {
            return Vec::new();
        };
        let ends_there = self.nodes.values().filter(|node| node.name == *to);
        let of_link = |applied: &Applied| applied.from.iter().any(|sender| sender.name == *from);
        ends_there
            .flat_map(|node| &node.faults)
            .filter(|(other, applied)| **other != traffic.fault && of_link(applied))
            .map(|(_, applied)| applied.effects)
            .collect()
    }

    /// The sockets that were opened for an exchange between machines, whose agents each have some.
    fn take(&mut self, session: u64) -> Option<Sockets> {
        let at = self.opened.iter().position(|(other, _)| *other == session)?;
        self.opened.remove(at).map(|(_, sockets)| sockets)
    }

    /// What is left of a fault, in words.
    fn left(&mut self, fault: u64, places: &[Place]) -> io::Result<Vec<String>> {
        let mut left = Vec::new();
        for place in places {
            let (_, netns) = open_netns(place)?;
            let backend = self.firewall.backend(&netns)?;
            let chains = within(&netns, || chains_of(&backend, fault))?;
            left.extend(
                chains
                    .into_iter()
                    .map(|family| format!("{}: a chain of {family}", place.name)),
            );
        }
        Ok(left)
    }
}

/// The programs that have a chain of the fault.
fn chains_of(backend: &Backend, fault: u64) -> io::Result<Vec<&'static str>> {
    let mut there = Vec::new();
    for (family, name) in [(Family::V4, "iptables"), (Family::V6, "ip6tables")] {
        if family == Family::V6 && !has_ipv6() {
            continue;
        }
        let present = Present::parse(backend.names(), &backend.save_table(family, TABLE)?);
        there.extend(present.has(backend.names(), fault).then_some(name));
    }
    Ok(there)
}

impl AgentPart for Packets {
    /// Opens a queue there, and closes it.
    fn can(&mut self, place: &Place) -> io::Result<()> {
        let (_, netns) = open_netns(place)?;
        self.firewall.backend(&netns)?;
        within(&netns, || Queue::open().map(drop))
    }

    fn inject(&mut self, fault: u64, order: Value, _kept: &[Value]) -> io::Result<Injected> {
        let began = Instant::now();
        let Order {
            effects,
            seed,
            record,
            at,
        } = read(order)?;
        check_number(fault)?;
        for At { place, from } in at {
            let (_, netns) = open_netns(&place)?;
            let backend = self.firewall.backend(&netns)?;
            let applied = Applied {
                effects,
                seed,
                record,
                from,
            };
            self.node(&place)?.put_in_force(&backend, fault, applied)?;
        }
        let micros = began.elapsed().as_micros() as u64;
        Ok(Injected {
            answer: write(&Took { micros })?,
            held: Value::Null,
        })
    }

    fn look(&mut self, fault: u64) -> io::Result<Value> {
        let Some(backend) = self.firewall.found() else {
            return write(&Vec::<Seen>::new());
        };
        let here = self
            .nodes
            .values()
            .filter_map(|node| Some((node, node.faults.get(&fault)?)));
        let seen = here.map(|(node, applied)| {
            node.look(backend, fault, applied)
                .map_err(|error| io::Error::other(format!("look at the rules of {}: {error}", node.name)))
        });
        write(&seen.collect::<io::Result<Vec<Seen>>>()?)
    }

    fn ask(&mut self, question: Value) -> io::Result<Value> {
        match read(question)? {
            Question::Probe(question) => write(&self.probe(question)?),
            Question::Open { session, points } => {
                let sockets = Sockets::open(points);
                let listening = sockets.listening();
                self.opened.push_back((session, sockets));
                if self.opened.len() > OPENED_MAX {
                    self.opened.pop_front();
                }
                write(&listening)
            }
            Question::Exchange(asked) => match self.take(asked.session) {
                Some(sockets) => write(&self.exchange(&sockets, &asked)?),
                // None of the points is here.
                None => write(&Exchanged::default()),
            },
            Question::Left { fault, places } => write(&self.left(fault, &places)?),
            Question::Recorded { fault, node } => write(&self.recorded.take(fault, node)),
        }
    }

    fn follow(&mut self, place: &Place) -> io::Result<Vec<u64>> {
        let (inode, netns) = open_netns(place)?;
        if self.nodes.contains_key(&inode) {
            return Ok(Vec::new());
        }
        let was = self
            .nodes
            .iter()
            .find(|(_, node)| node.name == place.name)
            .map(|(inode, _)| *inode);
        let Some(was) = was else {
            return Ok(Vec::new());
        };
        let backend = self.firewall.backend(&netns)?;
        let Some(before) = self.nodes.remove(&was) else {
            return Ok(Vec::new());
        };
        for fault in before.faults.keys() {
            self.recorded.keep(*fault, &before);
        }
        let node = self.node(place)?;
        for (fault, applied) in &before.faults {
            node.put_in_force(&backend, *fault, applied.clone())?;
        }
        Ok(before.faults.into_keys().collect())
    }

    fn cease(&mut self, fault: u64) {
        for node in self.nodes.values() {
            node.server.remove(fault);
            self.recorded.keep(fault, node);
        }
    }

    fn forget(&mut self, fault: u64, node: &str) {
        for there in self.nodes.values_mut().filter(|there| there.name == node) {
            there.faults.remove(&fault);
        }
        self.nodes.retain(|_, node| !node.faults.is_empty());
    }
}

/// Removes the rules of a fault from a node: the agent's way, and that of `duress heal`.
pub fn heal(at: &InForceAt<'_>) -> io::Result<Undone> {
    at.check_apart("net", at.node.net)?;
    let removed = match netns_written_down(at.node)? {
        Some(netns) => within(&netns, || {
            remove_chains(&Backend::find(at.healer.mark.clone())?, at.fault)
        })?,
        None => None,
    };
    let Some(packets) = removed else {
        return Ok(Undone {
            said: "no rules were left".to_owned(),
            answer: Value::Null,
        });
    };
    let node = at.node.place.name.clone();
    Ok(Undone {
        said: format!("removed the rules, which had met {packets} packets"),
        answer: json(&Healed { node, packets }),
    })
}

/// `None` if there was nothing to remove.
fn remove_chains(backend: &Backend, fault: u64) -> io::Result<Option<u64>> {
    let mut removed = None;
    for family in Family::ALL {
        if family == Family::V6 && !has_ipv6() {
            continue;
        }
        let names = backend.names();
        let present = Present::parse(names, &backend.save_table(family, TABLE)?);
        if let Some((script, packets)) = present.script_to_remove(names, fault) {
            backend.write(family, &script)?;
            removed = Some(removed.unwrap_or(0) + packets);
        }
    }
    Ok(removed)
}
