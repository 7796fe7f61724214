//! What the steps of a fault that ends connections do.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use duress_checker::history::StepResult;
use duress_cluster::Place;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::judge::{judge_ended, judge_half_open, judge_healed, judge_rules};
use super::order::{Closed, Ended, Established, Order, Question, RulesSeen};
use super::pairs::{Pair, at, established_between, forgetting};
use crate::agent::ends::AgentError;
use crate::agent::protocol::Identity;
use crate::journal::Entry;
use crate::kinds::packets::LinksWritten;
use crate::kinds::partition::addresses;
use crate::life::shared::Shared;
use crate::life::technique::{StepOutcome, Technique};

/// A segment that tells the other end takes no longer than this.
const TOLD_WAIT_MAX: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub struct ConnectionSteps {
    id: u64,
    kind: &'static str,
    told: bool,
    links: LinksWritten,
    seed: u64,
    targets: Vec<String>,
    pairs: Vec<Pair>,
    nodes: Vec<Identity>,
    /// What was established before anything was touched.
    before: Vec<Established>,
    ended: Vec<Ended>,
}

impl ConnectionSteps {
    pub fn new(id: u64, kind: &'static str, told: bool, links: LinksWritten, seed: u64) -> ConnectionSteps {
        ConnectionSteps {
            id,
            kind,
            told,
            links,
            seed,
            targets: Vec::new(),
            pairs: Vec::new(),
            nodes: Vec::new(),
            before: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// The places of all pairs, each once: those that keep rules, and those that forget.
    fn places(&self) -> (Vec<Place>, Vec<Place>) {
        let once = |places: &mut dyn Iterator<Item = &Place>| {
            let mut names = BTreeSet::new();
            let first = places.filter(|place| names.insert(place.name.clone()));
            first.cloned().collect::<Vec<Place>>()
        };
        (
            once(&mut self.pairs.iter().map(|pair| &pair.keeps)),
            once(&mut self.pairs.iter().map(|pair| &pair.forgets)),
        )
    }

    async fn established(&self, shared: &Shared) -> Result<Vec<Established>, AgentError> {
        // A node may have come back elsewhere, with other connections.
        let (places, _) = shared.places().await;
        let question = Question::Established { places };
        shared.agent.ask(self.kind, &question).await
    }

    /// Ends these connections, at the one end and, where the other is not to know, first at that. Gives those that were there still.
    async fn end(&self, shared: &Shared, ended: &[Ended]) -> Result<Vec<Ended>, String> {
        let (keep, forget) = self.places();
        let held = if self.told { Value::Null } else { json!(ended) };
        if !self.told {
            let entry = Entry::Held {
                fault: self.id,
                data: held.clone(),
            };
            shared.note(entry).await.map_err(|error| error.to_string())?;
            let spare = Order {
                spare: at(keep, ended, |ended| &ended.kept),
                abort: Vec::new(),
            };
            self.order(shared, &spare, &held).await?;
        }
        let abort = Order {
            spare: Vec::new(),
            abort: at(forget, ended, |ended| &ended.forgot),
        };
        self.order(shared, &abort, &held).await
    }

    async fn order(&self, shared: &Shared, order: &Order, held: &Value) -> Result<Vec<Ended>, String> {
        let injected = (shared.agent).inject_known(self.kind, self.id, &self.nodes, order, held);
        injected.await.map_err(|error| error.to_string())
    }

    async fn rules(&self, shared: &Shared) -> Result<Vec<RulesSeen>, String> {
        let seen = shared.agent.look::<Vec<RulesSeen>>(self.kind, self.id).await;
        let seen = seen.map_err(|error| error.to_string())?;
        let nodes: Vec<String> = self.places().0.into_iter().map(|place| place.name).collect();
        judge_rules(&nodes, &seen)?;
        Ok(seen)
    }

    async fn see_healed(&self, shared: &Shared) -> Result<StepOutcome, AgentError> {
        if self.told {
            return Ok(StepOutcome::installed("nothing of it lasts", Value::Null));
        }
        let (now, _) = shared.places().await;
        let (keeps, _) = self.places();
        let question = Question::Left {
            fault: self.id,
            places: now
                .into_iter()
                .filter(|place| keeps.iter().any(|kept| kept.name == place.name))
                .collect(),
        };
        let left: Vec<String> = shared.agent.ask(self.kind, &question).await?;
        let established = self.established(shared).await?;
        Ok(judge_healed(&self.ended, &established, &left))
    }
}

#[async_trait]
impl Technique for ConnectionSteps {
    fn targets(&self) -> Vec<String> {
        self.targets.clone()
    }

    fn lasts(&self) -> bool {
        !self.told
    }

    async fn prepare(&mut self, shared: &Shared) -> StepOutcome {
        let roles = shared.roles(self.links.about_leader()).await;
        let chosen = match self.links.choose(&shared.names(), &roles, self.seed) {
            Ok(chosen) => chosen,
            Err(error) => return StepOutcome::skipped(error.to_string()),
        };
        self.targets = chosen.targets;
        let (places, absent) = shared.places().await;
        let place = |name: &String| places.iter().find(|place| place.name == *name);
        for (forgets, keeps) in forgetting(&chosen.links, &self.targets) {
            if let (Some(forgets), Some(keeps)) = (place(&forgets), place(&keeps)) {
                self.pairs.push(Pair {
                    forgets: forgets.clone(),
                    keeps: keeps.clone(),
                    addresses: addresses(keeps, shared.cluster.nodes()),
                });
            }
        }
        if self.pairs.is_empty() {
            return StepOutcome::skipped(format!("no two of these nodes are there; {}", absent.join("; ")));
        }
        let (mut all, forget) = self.places();
        all.extend(
            forget
                .into_iter()
                .filter(|place| !self.pairs.iter().any(|pair| pair.keeps.name == place.name)),
        );
        for place in &all {
            if let Err(error) = shared.agent.can(self.kind, place).await {
                return StepOutcome::skipped(error.to_string());
            }
        }
        match shared.open_in_journal(self.id, self.kind, all).await {
            Ok(nodes) => self.nodes = nodes,
            Err(why) => return StepOutcome::skipped(why),
        }
        let pairs: Vec<String> = (self.pairs.iter())
            .map(|pair| format!("{}-{}", pair.forgets.name, pair.keeps.name))
            .collect();
        let said = format!("connections between {} pairs of nodes", pairs.len());
        StepOutcome::installed(said, json!({"pairs": pairs, "absent": absent}))
    }

    async fn by_hand(&mut self, _shared: &Shared) -> Vec<String> {
        let lines = self.pairs.iter().flat_map(|pair| by_hand(pair, self.told));
        lines.collect()
    }

    async fn inject(&mut self, shared: &Shared) -> StepOutcome {
        match self.established(shared).await {
            Ok(before) => self.before = before,
            Err(error) => return StepOutcome::indeterminate(error.to_string(), Value::Null),
        }
        let ended = match established_between(&self.pairs, &self.before) {
            Ok(ended) => ended,
            Err(why) => return StepOutcome::indeterminate(why, Value::Null),
        };
        match self.end(shared, &ended).await {
            Ok(ended) => self.ended = ended,
            Err(why) => return StepOutcome::indeterminate(why, Value::Null),
        }
        let said = format!("aborted {} connections at one end", self.ended.len());
        StepOutcome::installed(said, Value::Null)
    }

    async fn verify(&mut self, shared: &Shared) -> StepOutcome {
        let deadline = Instant::now() + TOLD_WAIT_MAX;
        loop {
            let established = self.established(shared).await;
            let outcome = StepOutcome::of(
                established.map(|now| judge_ended(self.told, &self.ended, &self.before, &now)),
            );
            // Only to be told takes time.
            let may_change = self.told && outcome.result == StepResult::Mismatch;
            if !may_change || Instant::now() > deadline {
                return outcome;
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn look(&mut self, shared: &Shared) -> StepOutcome {
        match self.rules(shared).await {
            Ok(_) => StepOutcome::installed("the rules are there", Value::Null),
            Err(why) => StepOutcome::indeterminate(why, Value::Null),
        }
    }

    async fn recheck(&mut self, shared: &Shared) -> StepOutcome {
        let rules = match self.rules(shared).await {
            Ok(rules) => rules,
            Err(why) => return StepOutcome::indeterminate(why, Value::Null),
        };
        let established = self.established(shared).await;
        StepOutcome::of(established.map(|now| judge_half_open(&self.ended, &now, &rules)))
    }

    async fn heal(&mut self, shared: &Shared) -> StepOutcome {
        let healed = shared.agent.heal::<Closed>(self.kind, self.id).await;
        StepOutcome::of(healed.map(|nodes| {
            let dropped: u64 = nodes.iter().map(|node| node.dropped).sum();
            let connections: usize = nodes.iter().map(|node| node.connections).sum();
            let said = match self.told {
                true => "nothing of it lasts".to_owned(),
                false => format!(
                    "the rules had kept {dropped} segments with RST; {connections} half-open connections were ended at their other ends"
                ),
            };
            StepOutcome::installed(said, json!({"closed": nodes}))
        }))
    }

    async fn verify_healed(&mut self, shared: &Shared) -> StepOutcome {
        StepOutcome::of(self.see_healed(shared).await)
    }
}

/// What an operator would type.
fn by_hand(pair: &Pair, told: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let (Place { name, pid, .. }, keeps) = (&pair.forgets, &pair.keeps);
    if !told {
        for address in &pair.forgets.addresses {
            let tool = if address.is_ipv4() {
                "iptables"
            } else {
                "ip6tables"
            };
            lines.push(format!(
                "nsenter --target {} --net {tool} --insert INPUT --source {address} --protocol tcp --tcp-flags RST RST --jump DROP  # at {}",
                keeps.pid, keeps.name
            ));
        }
    }
    let kill = |address: &IpAddr| {
        format!("nsenter --target {pid} --net ss --tcp --kill state established dst {address}  # at {name}")
    };
    lines.extend(pair.addresses.iter().map(kill));
    lines
}
