//! What the steps of a partition do.

use std::net::IpAddr;

use async_trait::async_trait;
use duress_cluster::{Node, Place};
use serde_json::{Value, json};

use super::links::{Counters, Links, judge_cut, judge_healed, judge_still_cut, pairs};
use super::order::{Dropped, Met, Question, Rule, RulesSeen, Took};
use super::shape::{Cut, Shape, links};
use crate::agent::ends::AgentError;
use crate::agent::protocol::{Identity, Point, Reachability};
use crate::bound::Fewer;
use crate::life::shared::Shared;
use crate::life::spread::probe;
use crate::life::technique::{StepOutcome, Technique};
use crate::targets::Selector;

/// As in specs, schedules and histories.
pub const KIND: &str = "partition";

/// What probes call the place where clients' requests come from. No cluster calls a node so: names of nodes are
/// hostnames, and these have no space.
const CLIENTS: &str = "the clients";
const OBSERVERS: &str = "the observers";

pub(crate) struct PartitionSteps {
    id: u64,
    shape: Shape,
    selector: Option<Selector>,
    seed: u64,
    cut: Cut,
    rules: Vec<Rule>,
    nodes: Vec<Identity>,
    counters: Counters,
}

impl PartitionSteps {
    pub fn new(id: u64, shape: Shape, selector: Option<Selector>, seed: u64) -> PartitionSteps {
        PartitionSteps {
            id,
            shape,
            selector,
            seed,
            cut: Cut::default(),
            rules: Vec::new(),
            nodes: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// The links as probes name them.
    fn links(&self) -> Links {
        let clients = self
            .cut
            .deaf_to_clients
            .iter()
            .map(|node| (CLIENTS.to_owned(), node.clone()));
        self.cut.links.iter().cloned().chain(clients).collect()
    }

    async fn see_cut(&self, shared: &Shared) -> Result<StepOutcome, AgentError> {
        let (places, _) = shared.places().await;
        let mut able = shared.able(&places).await?;
        able.insert(CLIENTS.to_owned());
        let seen = self.probe(shared).await?;
        Ok(judge_cut(&seen, &self.links(), &able))
    }

    /// Looks at the rules, and adds up what they dropped.
    async fn count(&mut self, shared: &Shared) -> Result<(), String> {
        let seen = shared.agent.look::<Vec<RulesSeen>>(KIND, self.id).await;
        let nodes: Vec<String> = self.rules.iter().map(|rule| rule.place.name.clone()).collect();
        self.counters
            .add(&nodes, &seen.map_err(|error| error.to_string())?)
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
        if shared.agent.has_hosts() {
            return between_machines(shared, points).await;
        }
        shared.agent.ask(KIND, &points).await
    }
}

/// Each machine's agent sees only its own end of a link.
async fn between_machines(shared: &Shared, points: Vec<Point>) -> Result<Reachability, AgentError> {
    let places: Vec<Place> = points.iter().filter_map(|point| point.place.clone()).collect();
    probe(&shared.agent, points, |sent| {
        let met = sent.iter().filter_map(|sent| {
            Some(Met {
                place: places.iter().find(|place| place.name == sent.to)?.clone(),
                from: sent.from,
                sent: sent.count,
            })
        });
        let question = Question::Met { met: met.collect() };
        async move { shared.agent.ask(KIND, &question).await }
    })
    .await
}

/// What others reach the node by: where it is now. What it had when the cluster came up may be another's by now, and
/// counts only while nothing better is known.
pub fn addresses(place: &Place, nodes: &[Node]) -> Vec<IpAddr> {
    if !place.addresses.is_empty() {
        return place.addresses.clone();
    }
    let node = nodes.iter().find(|node| node.name == place.name);
    node.map(addresses_of).unwrap_or_default()
}

fn addresses_of(node: &Node) -> Vec<IpAddr> {
    [Some(IpAddr::V4(node.ipv4)), node.ipv6.map(IpAddr::V6)]
        .into_iter()
        .flatten()
        .collect()
}

#[async_trait]
impl Technique for PartitionSteps {
    fn targets(&self) -> Vec<String> {
        self.cut.targets.clone()
    }

    async fn prepare(&mut self, shared: &Shared) -> StepOutcome {
        let roles = shared
            .roles(self.shape.about_leader(self.selector.as_ref()))
            .await;
        match links(
            self.shape,
            self.selector.as_ref(),
            &shared.names(),
            &roles,
            self.seed,
        ) {
            Ok(cut) => self.cut = cut,
            Err(error) => return StepOutcome::skipped(error.to_string()),
        }
        let hurt = self.cut.hurt(&shared.names());
        let may = shared.bound().admit(self.id, &hurt, Fewer::Cannot, self.seed);
        if !may.spared.is_empty() {
            return StepOutcome::skipped(may.spared);
        }
        let clients = shared.cluster.client_addresses();
        if self.shape == Shape::Clients {
            let observers = shared.cluster.observer_addresses();
            if clients.is_empty() {
                return StepOutcome::skipped("this cluster does not say where its clients are");
            }
            if observers.is_none() {
                return StepOutcome::skipped(
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
            return StepOutcome::skipped(format!(
                "no node is there whose links could be cut; {}",
                absent.join("; ")
            ));
        }
        if let Err(error) = shared.agent.can(KIND, &self.rules[0].place).await {
            return StepOutcome::skipped(error.to_string());
        }
        let at = self.rules.iter().map(|rule| rule.place.clone()).collect();
        match shared.open_in_journal(self.id, KIND, at).await {
            Ok(nodes) => self.nodes = nodes,
            Err(why) => return StepOutcome::skipped(why),
        }
        let parameters = json!({"shape": self.shape, "links": pairs(&links), "absent": absent});
        StepOutcome::installed(format!("{} directed links to cut", links.len()), parameters)
    }

    async fn by_hand(&mut self, _shared: &Shared) -> Vec<String> {
        let drop_from = |rule: &Rule, from: &IpAddr| {
            let tool = if from.is_ipv4() { "iptables" } else { "ip6tables" };
            let Place { name, pid, .. } = &rule.place;
            format!(
                "nsenter --target {pid} --net {tool} --insert INPUT --source {from} --jump DROP  # at {name}"
            )
        };
        let lines = self
            .rules
            .iter()
            .flat_map(|rule| rule.drop_from.iter().map(move |from| drop_from(rule, from)));
        lines.collect()
    }

    async fn inject(&mut self, shared: &Shared) -> StepOutcome {
        let took = shared
            .agent
            .inject::<Took>(KIND, self.id, &self.nodes, &self.rules)
            .await;
        StepOutcome::of(took.map(|took| {
            StepOutcome::installed(
                format!("rules are in force at {} nodes", self.rules.len()),
                json!({"micros": took.micros}),
            )
        }))
    }

    async fn verify(&mut self, shared: &Shared) -> StepOutcome {
        StepOutcome::of(self.see_cut(shared).await)
    }

    async fn look(&mut self, shared: &Shared) -> StepOutcome {
        match self.count(shared).await {
            Ok(()) => StepOutcome::installed("the rules are there", Value::Null),
            Err(why) => StepOutcome::indeterminate(why, Value::Null),
        }
    }

    async fn recheck(&mut self, shared: &Shared) -> StepOutcome {
        // Counters first: what the probes add to them is known, but proves nothing.
        if let Err(why) = self.count(shared).await {
            return StepOutcome::indeterminate(why, Value::Null);
        }
        let seen = self.probe(shared).await;
        StepOutcome::of(seen.map(|seen| judge_still_cut(&seen, &self.links(), &self.counters)))
    }

    async fn heal(&mut self, shared: &Shared) -> StepOutcome {
        let dropped = shared.agent.heal::<Dropped>(KIND, self.id).await;
        StepOutcome::of(dropped.map(|nodes| {
            let packets: u64 = nodes.iter().map(|node| node.packets).sum();
            StepOutcome::installed(
                format!("the rules had dropped {packets} packets, probes included"),
                json!({"dropped": nodes}),
            )
        }))
    }

    async fn verify_healed(&mut self, shared: &Shared) -> StepOutcome {
        StepOutcome::of(
            self.probe(shared)
                .await
                .map(|seen| judge_healed(&seen, &self.links())),
        )
    }
}
