//! The agent's half of faults that end connections.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use duress_cluster::Place;
use serde_json::Value;

use super::order::{Closed, Ended, Established, Order, Pair, Question, RulesSeen};
use crate::agent::chains::Family;
use crate::agent::firewall::{Backend, Firewall, open_netns, open_others_netns, within};
use crate::agent::part::{AgentPart, Injected, read, write};
use crate::agent::protocol::Mark;
use crate::agent::tcp::{Connection, destroy, established};
use crate::kinds::kind::{InForceAt, Undone, json};

/// With more, a look at the rules would take longer than the time between two looks.
const CONNECTIONS_MAX: usize = 1000;

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

    /// Keeps the ends of these connections from hearing that the others are gone.
    fn keep_from_hearing(&mut self, fault: u64, pairs: &[Pair], ended: &[Ended]) -> io::Result<()> {
        let keeps: BTreeMap<&str, &Place> = pairs
            .iter()
            .map(|pair| (pair.keeps.name.as_str(), &pair.keeps))
            .collect();
        for (name, place) in keeps {
            let (_, netns) = open_others_netns(place)?;
            let backend = self.firewall.backend(&netns)?;
            let here = || ended.iter().filter(|ended| ended.kept == name);
            let rules = Family::ALL.map(|family| {
                let of_family = here().filter(|ended| family.has(&ended.here.local.ip()));
                of_family.map(|ended| rule(&ended.here)).collect::<Vec<_>>()
            });
            // Remembered first: whatever comes of it, some may be in force.
            let keeping = self.keeping.entry(fault).or_default();
            keeping.push(Keeping {
                node: name.to_owned(),
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
            .map_err(|error| io::Error::other(format!("keep segments with RST from {name}: {error}")))?;
        }
        Ok(())
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
    within(&netns, established)
        .map_err(|error| io::Error::other(format!("list the connections of {}: {error}", place.name)))
}

/// The connections between two nodes that both know.
fn between(pair: &Pair) -> io::Result<Vec<Ended>> {
    let here = established_at(&pair.keeps)?;
    let to_it = |there: &Connection| pair.addresses.contains(&there.remote.ip());
    let there = established_at(&pair.forgets)?.into_iter().filter(to_it);
    let both = there.filter_map(|there| {
        let here = here.iter().find(|here| here.is_other_end_of(&there))?;
        Some(Ended {
            forgot: pair.forgets.name.clone(),
            there,
            kept: pair.keeps.name.clone(),
            here: *here,
        })
    });
    Ok(both.collect())
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
        let Order { pairs } = read(order)?;
        let mut ended = Vec::new();
        for pair in &pairs {
            ended.extend(between(pair)?);
        }
        if ended.len() > CONNECTIONS_MAX {
            return Err(io::Error::other(format!(
                "{} connections are established, and {CONNECTIONS_MAX} can be ended at once",
                ended.len()
            )));
        }
        if !self.told {
            self.keep_from_hearing(fault, &pairs, &ended)?;
        }
        for pair in &pairs {
            let (_, netns) = open_others_netns(&pair.forgets)?;
            let of_pair = |ended: &&Ended| ended.forgot == pair.forgets.name && ended.kept == pair.keeps.name;
            within(&netns, || {
                let mut there = ended.iter().filter(of_pair).map(|ended| &ended.there);
                there.try_for_each(|there| destroy(there).map(drop))
            })?;
        }
        Ok(Injected {
            answer: write(&ended)?,
            held: if self.told { Value::Null } else { write(&ended)? },
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
    let (inode, netns) = open_netns(&at.node.place)?;
    let nothing = || Undone {
        said: "no rules and no half-open connections were left".to_owned(),
        answer: Value::Null,
    };
    if inode != at.node.net {
        return Ok(nothing());
    }
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
