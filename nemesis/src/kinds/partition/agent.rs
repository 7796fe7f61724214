//! The agent's half of a partition: which rules are in force where, how they get there and go away.
//!
//! A namespace that has rules is kept open, so that they can be looked at even if all its processes have died.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::thread;
use std::time::Instant;

use duress_cluster::Place;
use serde_json::Value;

use super::order::{DroppedFrom, Met, Question, Rule, RulesSeen, Took};
use crate::agent::firewall::{Backend, Firewall, netns_written_down, open_netns, open_others_netns, within};
use crate::agent::part::{AgentPart, Injected, read, write};
use crate::agent::protocol::{Link, Mark, Point, Reachability};
use crate::agent::rules::Seen;
use crate::agent::{outside, probe};
use crate::kinds::kind::InForceAt;

/// All that partitions did to networks.
pub struct Network {
    firewall: Firewall,
    /// By inode of the network namespace.
    nodes: BTreeMap<u64, Broken>,
}

struct Broken {
    name: String,
    netns: File,
    /// What each fault has dropped here.
    faults: BTreeMap<u64, Cut>,
}

/// The rules of one fault in one network namespace.
#[derive(Clone, Debug, Default)]
struct Cut {
    drop_from: Vec<IpAddr>,
    /// Packets that we sent ourselves while the rules were in force, by source.
    probes: BTreeMap<IpAddr, u64>,
}

impl Cut {
    fn new(drop_from: &[IpAddr]) -> Cut {
        Cut {
            drop_from: drop_from.to_vec(),
            probes: BTreeMap::new(),
        }
    }
}

impl Network {
    /// Nothing is cut yet. Chains will be named after `mark`.
    pub fn new(mark: Mark) -> Network {
        Network {
            firewall: Firewall::new(mark),
            nodes: BTreeMap::new(),
        }
    }

    /// Fails where no iptables is to be had.
    fn can_cut(&mut self, place: &Place) -> io::Result<()> {
        let (_, netns) = open_netns(place)?;
        self.firewall.backend(&netns).map(drop)
    }

    /// Puts the rules in force, at all nodes at once. When it fails, some may be: heal the fault.
    fn cut(&mut self, fault: u64, rules: &[Rule]) -> io::Result<()> {
        let mut opened = Vec::new();
        for rule in rules {
            let (inode, netns) = open_others_netns(&rule.place)?;
            opened.push((inode, netns, rule));
        }
        let Some((_, netns, _)) = opened.first() else {
            return Ok(());
        };
        let backend = self.firewall.backend(netns)?;
        let results: Vec<io::Result<()>> = thread::scope(|scope| {
            let workers: Vec<_> = opened
                .iter()
                .map(|(_, netns, rule)| {
                    let backend = &backend;
                    scope.spawn(move || {
                        within(netns, || backend.drop_from(fault, &rule.drop_from)).map_err(|error| {
                            io::Error::other(format!("cut links at {}: {error}", rule.place.name))
                        })
                    })
                })
                .collect();
            workers.into_iter().map(join).collect()
        });
        // Remembered whatever came of it: where the answer was an error, rules may be in force all the same.
        for (inode, netns, rule) in opened {
            let node = self.nodes.entry(inode).or_insert_with(|| Broken {
                name: rule.place.name.clone(),
                netns,
                faults: BTreeMap::new(),
            });
            node.faults.insert(fault, Cut::new(&rule.drop_from));
        }
        results.into_iter().collect()
    }

    /// Puts every rule of a node in force in the namespace where it is now, and forgets the one where it was.
    fn put_back(&mut self, place: &Place) -> io::Result<Vec<u64>> {
        let (inode, netns) = open_netns(place)?;
        if self.nodes.contains_key(&inode) {
            return Ok(Vec::new());
        }
        let Some(was) = self
            .nodes
            .iter()
            .find(|(_, node)| node.name == place.name)
            .map(|(inode, _)| *inode)
        else {
            return Ok(Vec::new());
        };
        let backend = self.firewall.backend(&netns)?;
        let Some(before) = self.nodes.remove(&was) else {
            return Ok(Vec::new());
        };
        // Counters begin anew there, and so does what we sent.
        let faults: BTreeMap<u64, Cut> = (before.faults.into_iter())
            .map(|(fault, cut)| (fault, Cut::new(&cut.drop_from)))
            .collect();
        let result = within(&netns, || {
            faults
                .iter()
                .try_for_each(|(fault, cut)| backend.drop_from(*fault, &cut.drop_from))
        });
        let numbers = faults.keys().copied().collect();
        self.nodes.insert(
            inode,
            Broken {
                name: place.name.clone(),
                netns,
                faults,
            },
        );
        result.map(|()| numbers)
    }

    /// What is there of a fault's rules, at every node that they are meant to be at.
    fn look_at_rules(&self, fault: u64) -> io::Result<Vec<RulesSeen>> {
        let Some(backend) = self.firewall.found() else {
            return Ok(Vec::new());
        };
        let nodes: Vec<(u64, &Broken, &Cut)> = (self.nodes.iter())
            .filter_map(|(inode, node)| Some((*inode, node, node.faults.get(&fault)?)))
            .collect();
        let looks: Vec<io::Result<Seen>> = thread::scope(|scope| {
            let workers: Vec<_> = (nodes.iter())
                .map(|(_, node, cut)| {
                    scope.spawn(|| {
                        within(&node.netns, || backend.look(fault, &cut.drop_from)).map_err(|error| {
                            io::Error::other(format!("look at the rules of {}: {error}", node.name))
                        })
                    })
                })
                .collect();
            workers.into_iter().map(join).collect()
        });
        let seen = |((net, node, cut), look): (&(u64, &Broken, &Cut), io::Result<Seen>)| {
            let look = look?;
            let dropped = look.dropped.into_iter().map(|(from, packets)| DroppedFrom {
                from,
                packets,
                probes: cut.probes.get(&from).copied().unwrap_or(0),
            });
            Ok(RulesSeen {
                node: node.name.clone(),
                net: *net,
                missing: look.missing,
                dropped: dropped.collect(),
            })
        };
        nodes.iter().zip(looks).map(seen).collect()
    }

    /// Measures who hears whom, and marks what is meant to be cut.
    fn probe(&mut self, points: &[Point]) -> io::Result<Reachability> {
        let inode_of = |point: &Point| {
            point
                .place
                .as_ref()
                .and_then(|place| open_netns(place).ok())
                .map(|(id, _)| id)
        };
        let cut = |source: &IpAddr, point: &Point| {
            inode_of(point)
                .and_then(|inode| self.nodes.get(&inode))
                .is_some_and(|node| (node.faults.values()).any(|cut| cut.drop_from.contains(source)))
        };
        let seen = probe::probe(
            points,
            |point| match &point.place {
                Some(place) => open_netns(place).map(|(_, netns)| Some(netns)),
                None => outside::network_with(&point.addresses),
            },
            cut,
        )?;
        for link in seen.links.iter().filter(|link| link.cut) {
            self.count_probes(points, link);
        }
        Ok(seen)
    }

    /// Remembers how many packets of probes from other machines the rules met. Gives the links that are meant to be cut.
    fn count_met(&mut self, met: &[Met]) -> Vec<(IpAddr, String)> {
        let mut meant = Vec::new();
        for Met { place, from, sent } in met {
            let Ok((inode, _)) = open_netns(place) else {
                continue;
            };
            let Some(node) = self.nodes.get_mut(&inode) else {
                continue;
            };
            let cuts = node
                .faults
                .values_mut()
                .filter(|cut| cut.drop_from.contains(from));
            let mut is_meant = false;
            for cut in cuts {
                *cut.probes.entry(*from).or_default() += u64::from(*sent);
                is_meant = true;
            }
            if is_meant {
                meant.push((*from, place.name.clone()));
            }
        }
        meant
    }

    /// Remembers how many of the packets that the rules met were ours.
    fn count_probes(&mut self, points: &[Point], link: &Link) {
        let point = |name: &str| points.iter().find(|point| point.name == name);
        let (Some(from), Some(to)) = (point(&link.from), point(&link.to)) else {
            return;
        };
        let sender = (from.addresses.iter()).find(|address| address.is_ipv4() == (link.family == 4));
        let receiver = to.place.as_ref().and_then(|place| open_netns(place).ok());
        if let (Some(sender), Some((inode, _))) = (sender, receiver)
            && let Some(node) = self.nodes.get_mut(&inode)
        {
            for cut in node
                .faults
                .values_mut()
                .filter(|cut| cut.drop_from.contains(sender))
            {
                *cut.probes.entry(*sender).or_default() += u64::from(link.sent);
            }
        }
    }
}

impl AgentPart for Network {
    fn can(&mut self, place: &Place) -> io::Result<()> {
        self.can_cut(place)
    }

    fn inject(&mut self, fault: u64, order: Value, _kept: &[Value]) -> io::Result<Injected> {
        let began = Instant::now();
        let rules: Vec<Rule> = read(order)?;
        self.cut(fault, &rules)?;
        let micros = began.elapsed().as_micros() as u64;
        Ok(Injected {
            answer: write(&Took { micros })?,
            held: Value::Null,
        })
    }

    fn look(&mut self, fault: u64) -> io::Result<Value> {
        write(&self.look_at_rules(fault)?)
    }

    fn ask(&mut self, question: Value) -> io::Result<Value> {
        match read(question)? {
            Question::Points(points) => write(&self.probe(&points)?),
            Question::Met { met } => write(&self.count_met(&met)),
        }
    }

    fn follow(&mut self, place: &Place) -> io::Result<Vec<u64>> {
        self.put_back(place)
    }

    fn forget(&mut self, fault: u64, node: &str) {
        for broken in self.nodes.values_mut().filter(|broken| broken.name == node) {
            broken.faults.remove(&fault);
        }
        self.nodes.retain(|_, broken| !broken.faults.is_empty());
    }
}

/// Removes the chain of a fault from a node's network namespace. Returns the packets that it had dropped, `None` if it was
/// not there.
pub fn remove_chain(at: &InForceAt<'_>) -> io::Result<Option<u64>> {
    at.check_apart("net", at.node.net)?;
    let Some(netns) = netns_written_down(at.node)? else {
        return Ok(None);
    };
    within(&netns, || Backend::find(at.healer.mark.clone())?.remove(at.fault))
}

fn join<T>(worker: thread::ScopedJoinHandle<'_, io::Result<T>>) -> io::Result<T> {
    worker
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("a thread of the agent panicked")))
}
