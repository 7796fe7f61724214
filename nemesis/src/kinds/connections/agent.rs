//! The agent's half of faults that end connections.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use duress_cluster::Place;
use serde_json::Value;

use super::order::{At, Closed, Ended, Established, Order, Question, RulesSeen};
use crate::agent::chains::Family;
use crate::agent::firewall::{Backend, Firewall, netns_written_down, open_netns, open_others_netns, within};
use crate::agent::part::{AgentPart, Injected, read, write};
use crate::agent::procfs::{self, sockets};
use crate::agent::protocol::Mark;
use crate::agent::tcp::{Connection, destroy, established};
use crate::kinds::kind::{InForceAt, Undone, json};

/// Ends connections, and keeps it from their other ends.
pub struct Breaker {
    told: bool,
    firewall: Firewall,
    /// Keeping nodes, by fault.
    keeping: BTreeMap<u64, Vec<Keeping>>,
}

/// A node that is spared segments with RST.
struct Keeping {
    node: String,
    netns: File,
    /// Of IPv4, and of IPv6.
    rules: [Vec<String>; 2],
}

impl Breaker {
    /// Nothing is in force yet. Chains will be named after `mark`.
    pub fn new(mark: Mark, told: bool) -> Breaker {
        Breaker {
            told,
            firewall: Firewall::new(mark),
            keeping: BTreeMap::new(),
        }
    }

    /// Keeps the ends that these connections have at a node from hearing that the others are gone.
    fn keep_from_hearing(&mut self, fault: u64, At { place, connections }: &At) -> io::Result<()> {
        let (_, netns) = open_others_netns(place)?;
        let backend = self.firewall.backend(&netns)?;
        let rules = Family::ALL.map(|family| {
            let of_family = (connections.iter()).filter(|ended| family.has(&ended.here.local.ip()));
            of_family.map(|ended| rule(&ended.here)).collect::<Vec<_>>()
        });
        // Remembered first: whatever comes of it, some may be in force.
        let keeping = self.keeping.entry(fault).or_default();
        keeping.push(Keeping {
            node: place.name.clone(),
            netns: netns.try_clone()?,
            rules: rules.clone(),
        });
        within(&netns, || {
            for (family, rules) in Family::ALL.into_iter().zip(&rules) {
                if !rules.is_empty() {
                    backend.fill(fault, family, rules)?;
                }
            }
            Ok(())
        })
        .map_err(|error| io::Error::other(format!("keep segments with RST from {}: {error}", place.name)))
    }

    fn look_at_rules(&self, fault: u64) -> io::Result<Vec<RulesSeen>> {
        let Some(backend) = self.firewall.found() else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        for keeping in self.keeping.get(&fault).into_iter().flatten() {
            let mut seen = RulesSeen {
                node: keeping.node.clone(),
                missing: Vec::new(),
                dropped: 0,
            };
            for (family, rules) in Family::ALL.into_iter().zip(&keeping.rules) {
                if !rules.is_empty() {
                    let chain = within(&keeping.netns, || {
                        backend.look_at_chain(fault, family, rules.len())
                    })?;
                    seen.missing.extend(chain.missing);
                    seen.dropped += chain.dropped;
                }
            }
            all.push(seen);
        }
        Ok(all)
    }
}

/// Drops what tells this end of a connection that the other is gone.
fn rule(here: &Connection) -> String {
    format!(
        "-s {} -d {} -p tcp -m tcp --sport {} --dport {} --tcp-flags RST RST -j DROP",
        here.remote.ip(),
        here.local.ip(),
        here.remote.port(),
        here.local.port()
    )
}

fn established_at(place: &Place) -> io::Result<Vec<Connection>> {
    let (_, netns) = open_netns(place)?;
    let named =
        |error: io::Error| io::Error::other(format!("list the connections of {}: {error}", place.name));
    let mut all = within(&netns, established).map_err(named)?;
    if place.machine != 0 {
        // The network is that of the host, with all that other programs have open there, sshd among them.
        let own = sockets(&procfs::members(place).map_err(named)?);
        all.retain(|connection| own.contains(&connection.inode));
    }
    Ok(all)
}

/// Aborts the ends that these connections have at a node. Those that have ended by themselves are left out.
fn abort(At { place, connections }: At) -> io::Result<Vec<Ended>> {
    let (_, netns) = open_others_netns(&place)?;
    within(&netns, || {
        let mut aborted = Vec::new();
        for ended in connections {
            if destroy(&ended.there)? {
                aborted.push(ended);
            }
        }
        Ok(aborted)
    })
}

impl AgentPart for Breaker {
    fn can(&mut self, place: &Place) -> io::Result<()> {
        let (_, netns) = open_others_netns(place)?;
        match self.told {
            true => Ok(()),
            false => self.firewall.backend(&netns).map(drop),
        }
    }

    fn inject(&mut self, fault: u64, order: Value, _kept: &[Value]) -> io::Result<Injected> {
        let Order { spare, abort: at } = read(order)?;
        for at in &spare {
            self.keep_from_hearing(fault, at)?;
        }
        let mut ended = Vec::new();
        for at in at {
            ended.extend(abort(at)?);
        }
        Ok(Injected {
            answer: write(&ended)?,
            held: Value::Null,
        })
    }

    fn look(&mut self, fault: u64) -> io::Result<Value> {
        write(&self.look_at_rules(fault)?)
    }

    fn ask(&mut self, question: Value) -> io::Result<Value> {
        match read(question)? {
            Question::Established { places } => {
                let at = |place: &Place| {
                    Ok(Established {
                        node: place.name.clone(),
                        connections: established_at(place)?,
                    })
                };
                write(&places.iter().map(at).collect::<io::Result<Vec<_>>>()?)
            }
            Question::Left { fault, places } => {
                let mut left = Vec::new();
                for place in places {
                    let (_, netns) = open_netns(&place)?;
                    let backend = self.firewall.backend(&netns)?;
                    if within(&netns, || backend.has(fault))? {
                        left.push(format!("{}: a chain", place.name));
                    }
                }
                write(&left)
            }
        }
    }

    fn forget(&mut self, fault: u64, node: &str) {
        if let Some(keeping) = self.keeping.get_mut(&fault) {
            keeping.retain(|keeping| keeping.node != node);
        }
        self.keeping.retain(|_, keeping| !keeping.is_empty());
    }
}

/// Takes away the rules at a node, and ends there what is half-open still: the agent's way, and that of `duress heal`.
pub fn heal(at: &InForceAt<'_>) -> io::Result<Undone> {
    at.check_apart("net", at.node.net)?;
    let node = &at.node.place.name;
    let nothing = || Undone {
        said: "no rules and no half-open connections were left".to_owned(),
        answer: Value::Null,
    };
    let Some(netns) = netns_written_down(at.node)? else {
        return Ok(nothing());
    };
    let ended: Vec<Ended> = at.held.cloned().map_or(Ok(Vec::new()), read)?;
    let here: Vec<Connection> = (ended.iter())
        .filter(|ended| ended.kept == *node)
        .map(|ended| ended.here)
        .collect();
    let (dropped, connections) = within(&netns, || {
        let dropped = Backend::find(at.healer.mark.clone())?.remove(at.fault)?;
        // By its socket: another one may have the same addresses by now.
        let still = established()?;
        let mut connections = 0;
        for connection in still.iter().filter(|connection| here.contains(connection)) {
            connections += usize::from(destroy(connection)?);
        }
        Ok((dropped, connections))
    })?;
    if dropped.is_none() && connections == 0 {
        return Ok(nothing());
    }
    let closed = Closed {
        node: node.clone(),
        dropped: dropped.unwrap_or(0),
        connections,
    };
    Ok(Undone {
        said: format!(
            "removed the rules, which had dropped {} segments, and ended {connections} half-open connections",
            closed.dropped
        ),
        answer: json(&closed),
    })
}
