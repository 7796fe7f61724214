//! Partitions.

use std::collections::BTreeSet;
use std::net::IpAddr;

use async_trait::async_trait;
use duress_cluster::{Node, Place};
use serde_json::{Value, json};

use super::nemesis::Shared;
use super::{Outcome, Technique};
use crate::agent::AgentError;
use crate::agent::protocol::{Command, Dropped, Link, Point, Reachability, Rule, Took};
use crate::journal::Entry;
use crate::kind::{Kind, RoleSelector, Selector, Shape};
use crate::targets::{Cut, links};

/// What probes call the place where clients' requests come from. No cluster calls a node so: names of nodes are
/// hostnames, and these have no space.
const CLIENTS: &str = "the clients";
const OBSERVERS: &str = "the observers";

pub(crate) struct Partition {
    id: u64,
    shape: Shape,
    selector: Option<Selector>,
    seed: u64,
    cut: Cut,
    rules: Vec<Rule>,
}

impl Partition {
    pub fn new(id: u64, shape: Shape, selector: Option<Selector>, seed: u64) -> Partition {
        Partition {
            id,
            shape,
            selector,
            seed,
            cut: Cut::default(),
            rules: Vec::new(),
        }
    }

    fn needs_leader(&self) -> bool {
        self.shape == Shape::Leader || self.selector == Some(Selector::Role(RoleSelector::Leader))
    }

    /// The links as probes name them.
    fn links(&self) -> BTreeSet<(String, String)> {
        let clients = self
            .cut
            .deaf_to_clients
            .iter()
            .map(|node| (CLIENTS.to_owned(), node.clone()));
        self.cut.links.iter().cloned().chain(clients).collect()
    }

    async fn probe(&self, shared: &Shared) -> Result<Reachability, AgentError> {
        let (places, _) = shared.places().await;
        let mut points: Vec<Point> = places
            .into_iter()
            .map(|place| Point {
                name: place.name.clone(),
                addresses: addresses(&place, shared.cluster.nodes()),
                place: Some(place),
            })
            .collect();
        let observers = shared.cluster.observer_addresses().unwrap_or_default();
        for (name, addresses) in [
            (CLIENTS, shared.cluster.client_addresses()),
            (OBSERVERS, observers),
        ] {
            if !addresses.is_empty() {
                points.push(Point {
                    name: name.to_owned(),
                    place: None,
                    addresses,
                });
            }
        }
        shared.agent.call(Command::Probe { points }).await
    }
}

/// What others reach the node by, whether or not it is up to say so itself.
fn addresses(place: &Place, nodes: &[Node]) -> Vec<IpAddr> {
    let mut all = place.addresses.clone();
    let node = nodes.iter().find(|node| node.name == place.name);
    for address in node.into_iter().flat_map(addresses_of) {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    all
}

fn addresses_of(node: &Node) -> Vec<IpAddr> {
    [Some(IpAddr::V4(node.ipv4)), node.ipv6.map(IpAddr::V6)]
        .into_iter()
        .flatten()
        .collect()
}

#[async_trait]
impl Technique for Partition {
    fn targets(&self) -> Vec<String> {
        self.cut.targets.clone()
    }

    async fn prepare(&mut self, shared: &Shared) -> Outcome {
        let roles = shared.roles(self.needs_leader()).await;
        match links(
            self.shape,
            self.selector.as_ref(),
            &shared.names(),
            &roles,
            self.seed,
        ) {
            Ok(cut) => self.cut = cut,
            Err(error) => return Outcome::skipped(error.to_string()),
        }
        let clients = shared.cluster.client_addresses();
        if self.shape == Shape::Clients {
            let observers = shared.cluster.observer_addresses();
            if clients.is_empty() {
                return Outcome::skipped("this cluster does not say where its clients are");
            }
            if observers.is_none() {
                return Outcome::skipped(
                    "clients and the harness look alike here: cutting one would blind the other",
                );
            }
        }
        let (places, absent) = shared.places().await;
        let nodes = shared.cluster.nodes();
        let links = self.links();
        for place in &places {
            let heard_from = |from: &str| match from {
                CLIENTS => clients.clone(),
                node => {
                    let of_place = places.iter().find(|place| place.name == node);
                    let of_node = nodes.iter().find(|other| other.name == node);
                    of_place.map_or_else(
                        || of_node.map(addresses_of).unwrap_or_default(),
                        |place| addresses(place, nodes),
                    )
                }
            };
            let drop_from: Vec<IpAddr> = links
                .iter()
                .filter(|(_, to)| *to == place.name)
                .flat_map(|(from, _)| heard_from(from))
                .collect();
            if !drop_from.is_empty() {
                self.rules.push(Rule {
                    place: place.clone(),
                    drop_from,
                });
            }
        }
        if self.rules.is_empty() {
            return Outcome::skipped(format!(
                "no node is there whose links could be cut; {}",
                absent.join("; ")
            ));
        }
        let able = Command::CanCut {
            place: self.rules[0].place.clone(),
        };
        if let Err(error) = shared.agent.call::<()>(able).await {
            return Outcome::skipped(error.to_string());
        }
        let at = self.rules.iter().map(|rule| rule.place.clone()).collect();
        let identified = shared.identify(at).await;
        let journaled = match identified {
            Ok(nodes) => shared
                .journal(Entry::Open {
                    fault: self.id,
                    kind: Kind::Partition,
                    nodes,
                })
                .await
                .map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = journaled {
            return Outcome::skipped(why);
        }
        let parameters = json!({"shape": self.shape, "links": pairs(&links), "absent": absent});
        Outcome::installed(format!("{} directed links to cut", links.len()), parameters)
    }

    async fn inject(&mut self, shared: &Shared) -> Outcome {
        let command = Command::Cut {
            fault: self.id,
            rules: self.rules.clone(),
        };
        let took = shared.agent.call::<Took>(command).await;
        Outcome::of(took.map(|took| {
            Outcome::installed(
                format!("rules are in force at {} nodes", self.rules.len()),
                json!({"micros": took.micros}),
            )
        }))
    }

    async fn verify(&mut self, shared: &Shared) -> Outcome {
        Outcome::of(
            self.probe(shared)
                .await
                .map(|seen| judge_cut(&seen, &self.links())),
        )
    }

    async fn heal(&mut self, shared: &Shared) -> Outcome {
        let dropped = shared
            .agent
            .call::<Vec<Dropped>>(Command::Mend { fault: self.id })
            .await;
        Outcome::of(dropped.map(|nodes| {
            let packets: u64 = nodes.iter().map(|node| node.packets).sum();
            Outcome::installed(
                format!("the rules had dropped {packets} packets, probes included"),
                json!({"dropped": nodes}),
            )
        }))
    }

    async fn verify_healed(&mut self, shared: &Shared) -> Outcome {
        Outcome::of(
            self.probe(shared)
                .await
                .map(|seen| judge_healed(&seen, &self.links())),
        )
    }
}

fn pairs(links: &BTreeSet<(String, String)>) -> Vec<String> {
    links.iter().map(|(from, to)| format!("{from}>{to}")).collect()
}

fn name(link: &Link) -> String {
    format!("{}>{}/{}", link.from, link.to, link.family)
}

fn named<'a>(links: impl Iterator<Item = &'a Link>) -> Vec<String> {
    links.map(name).collect()
}

fn matrix(seen: &Reachability) -> Value {
    json!({
        "heard": named(seen.links.iter().filter(|link| link.heard > 0)),
        "silent": named(seen.links.iter().filter(|link| link.heard == 0)),
        "unprobed": seen.unprobed,
        "micros": seen.micros,
    })
}

/// Links that should be open, by all that is in force, and are silent.
fn lost(seen: &Reachability) -> Vec<String> {
    named(seen.links.iter().filter(|link| !link.cut && link.heard == 0))
}

/// What the probes say of a partition: every link that it cuts is silent, and no other but those of other faults.
fn judge_cut(seen: &Reachability, links: &BTreeSet<(String, String)>) -> Outcome {
    let mine = |link: &&Link| links.contains(&(link.from.clone(), link.to.clone()));
    let probed: BTreeSet<(String, String)> = seen
        .links
        .iter()
        .filter(mine)
        .map(|link| (link.from.clone(), link.to.clone()))
        .collect();
    let leaks = named(seen.links.iter().filter(mine).filter(|link| link.heard > 0));
    let unsent = named(seen.links.iter().filter(mine).filter(|link| link.sent == 0));
    let unprobed = pairs(&links.difference(&probed).cloned().collect());
    let why = if !leaks.is_empty() {
        format!(
            "these links are meant to be cut, and were heard: {}",
            leaks.join(", ")
        )
    } else if probed.is_empty() {
        format!("none of its links could be probed: {}", reasons(seen))
    } else if !unsent.is_empty() {
        format!(
            "silence proves nothing where nothing was sent: {}",
            unsent.join(", ")
        )
    } else if !lost(seen).is_empty() {
        format!(
            "no fault cuts these links, and they are silent: {}",
            lost(seen).join(", ")
        )
    } else {
        let gaps = if unprobed.is_empty() {
            String::new()
        } else {
            format!("; not probed: {} ({})", unprobed.join(", "), reasons(seen))
        };
        let detail = format!(
            "{} of {} directed links are cut, all others are heard{gaps}",
            probed.len(),
            links.len()
        );
        return Outcome::installed(detail, matrix(seen));
    };
    Outcome::indeterminate(why, matrix(seen))
}

/// What the probes say once it is healed: all is heard but what other faults cut.
fn judge_healed(seen: &Reachability, links: &BTreeSet<(String, String)>) -> Outcome {
    let lost = lost(seen);
    if seen.links.is_empty() && !links.is_empty() {
        return Outcome::indeterminate(
            format!("no link could be probed: {}", reasons(seen)),
            matrix(seen),
        );
    }
    if lost.is_empty() {
        return Outcome::installed("every link is heard that no other fault cuts", matrix(seen));
    }
    Outcome::indeterminate(format!("still silent: {}", lost.join(", ")), matrix(seen))
}

fn reasons(seen: &Reachability) -> String {
    let all: Vec<String> = seen
        .unprobed
        .iter()
        .map(|(point, why)| format!("{point}: {why}"))
        .collect();
    if all.is_empty() {
        "the nodes are not there".to_owned()
    } else {
        all.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use duress_checker::history::StepResult;

    use super::*;

    /// `a>b` heard; `a-b` silent and meant to be; `a!b` silent and not meant to be; `a~b` heard though meant to be cut.
    fn seen(text: &str) -> Reachability {
        let links = text
            .split(' ')
            .map(|link| {
                let sign = link.as_bytes()[1];
                Link {
                    from: link[..1].to_owned(),
                    to: link[2..].to_owned(),
                    family: 4,
                    cut: matches!(sign, b'-' | b'~'),
                    sent: 8,
                    heard: if matches!(sign, b'>' | b'~') { 8 } else { 0 },
                }
            })
            .collect();
        Reachability {
            links,
            ..Reachability::default()
        }
    }

    fn cut(text: &str) -> BTreeSet<(String, String)> {
        text.split(' ')
            .map(|link| (link[..1].to_owned(), link[2..].to_owned()))
            .collect()
    }

    #[test]
    fn only_what_was_seen_is_installed() {
        use StepResult::{Indeterminate, Installed};
        for (matrix, links, result, said) in [
            ("a-b b-a a>c c>a", "a-b b-a", Installed, "2 of 2"),
            ("a-b b~a a>c c>a", "a-b b-a", Indeterminate, "b>a/4"),
            ("a-b b-a a!c c>a", "a-b b-a", Indeterminate, "a>c/4"),
            ("a-b b>a a-c c>a", "a-b", Installed, "1 of 1"),
            ("a-b b>a", "a-b a-c", Installed, "not probed: a>c"),
            ("a>b b>a", "a-c", Indeterminate, "none of its links"),
            ("a>b b>a", "a-b", Indeterminate, "were heard: a>b/4"),
        ] {
            let outcome = judge_cut(&seen(matrix), &cut(links));
            assert_eq!(outcome.result, result, "{matrix} / {links}: {}", outcome.detail);
            assert!(outcome.detail.contains(said), "{}", outcome.detail);
        }
        let mut mute = seen("a-b b>a");
        mute.links[0].sent = 0;
        assert_eq!(judge_cut(&mute, &cut("a-b")).result, Indeterminate);
    }

    #[test]
    fn healed_means_heard() {
        assert_eq!(
            judge_healed(&seen("a>b b-a"), &cut("a-b")).result,
            StepResult::Installed
        );
        assert_eq!(
            judge_healed(&seen("a!b b>a"), &cut("a-b")).result,
            StepResult::Indeterminate
        );
    }
}
