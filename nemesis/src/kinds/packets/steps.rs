//! What the steps of a packet fault do.

use async_trait::async_trait;
use duress_cluster::Place;
use serde_json::{Value, json};

use super::apart::measure_apart;
use super::effects::Effects;
use super::files::write_records;
use super::judge::{Plan, judge_healed, judge_hurt, judge_in_force, judge_rules, probes};
use super::links::{Chosen, LinksWritten};
use super::measurements::measurements;
use super::order::{At, Healed, Measured, Order, Probe, Question, Recorded, Seen, Sender, Took, Traffic};
use super::record::Wanted;
use crate::agent::ends::AgentError;
use crate::agent::protocol::{Identity, Point};
use crate::bound::Fewer;
use crate::kinds::partition::{addresses, without_majority};
use crate::life::shared::Shared;
use crate::life::technique::{StepOutcome, Technique};

/// As in specs, schedules and histories.
pub const KIND: &str = "packets";

/// Beside the delay itself.
const WAIT_US: u64 = 500_000;
/// Another fault that begins or ends meanwhile spoils a measurement.
const TRIES_HEALED: u32 = 3;

pub struct PacketSteps {
    id: u64,
    links_written: LinksWritten,
    effects: Effects,
    record: Wanted,
    seed: u64,
    chosen: Chosen,
    at: Vec<At>,
    nodes: Vec<Identity>,
}

impl PacketSteps {
    pub fn new(
        id: u64,
        links_written: LinksWritten,
        effects: Effects,
        record: Wanted,
        seed: u64,
    ) -> PacketSteps {
        PacketSteps {
            id,
            links_written,
            effects,
            record,
            seed,
            chosen: Chosen::default(),
            at: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// Who sends to the node at this place, of those that are there.
    fn senders(&self, place: &Place, places: &[Place], shared: &Shared) -> Vec<Sender> {
        let links = self.chosen.links.iter().filter(|(_, to)| *to == place.name);
        let places = links.filter_map(|(from, _)| places.iter().find(|other| other.name == *from));
        let sender = |place: &Place| Sender {
            name: place.name.clone(),
            addresses: addresses(place, shared.cluster.nodes()),
        };
        places
            .map(sender)
            .filter(|sender| !sender.addresses.is_empty())
            .collect()
    }

    async fn measure(&self, shared: &Shared, plan: Plan, wait_us: u64) -> Result<Measured, AgentError> {
        let (places, _) = shared.places().await;
        let point = |place: Place| Point {
            name: place.name.clone(),
            addresses: addresses(&place, shared.cluster.nodes()),
            place: Some(place),
        };
        let points = places.iter().cloned().map(point).collect();
        let traffic = Traffic {
            fault: self.id,
            links: self.chosen.links.clone(),
            count: plan.count,
            bytes: plan.bytes,
            interval_us: plan.interval_us,
            wait_us,
        };
        if shared.agent.has_hosts() {
            return measure_apart(&shared.agent, &places, points, traffic).await;
        }
        let question = Question::Probe(Probe { points, traffic });
        shared.agent.ask(KIND, &question).await
    }

    async fn see_in_force(&self, shared: &Shared) -> Result<StepOutcome, AgentError> {
        let (places, _) = shared.places().await;
        let able = shared.able(&places).await?;
        let wait_us = self.effects.longest_us() + WAIT_US;
        let measured = self.measure(shared, probes(&self.effects), wait_us).await?;
        Ok(judge_in_force(
            &measured,
            &self.chosen.links,
            &self.effects,
            &able,
        ))
    }

    /// Looks at the rules.
    async fn see_rules(&self, shared: &Shared) -> Result<Vec<Seen>, String> {
        let seen = shared.agent.look::<Vec<Seen>>(KIND, self.id).await;
        let seen = seen.map_err(|error| error.to_string())?;
        let nodes: Vec<String> = self.at.iter().map(|at| at.place.name.clone()).collect();
        judge_rules(&nodes, &seen)?;
        Ok(seen)
    }

    async fn see_healed(&self, shared: &Shared) -> Result<StepOutcome, AgentError> {
        let (places, _) = shared.places().await;
        let hit = |place: &Place| self.at.iter().any(|at| at.place.name == place.name);
        let question = Question::Left {
            fault: self.id,
            places: places.into_iter().filter(hit).collect(),
        };
        let left: Vec<String> = shared.agent.ask(KIND, &question).await?;
        let measured = self.measure(shared, Plan::HEALED, WAIT_US).await?;
        let numbers = measurements(&measured, &self.effects, false);
        Ok(judge_healed(&measured, &left).measuring(numbers))
    }

    /// Writes what was written down of single packets into the run's directory. Says where, or why not.
    async fn keep_records(&self, shared: &Shared) -> Result<String, String> {
        let mut said = Vec::new();
        for at in &self.at {
            let node = at.place.name.clone();
            let question = Question::Recorded {
                fault: self.id,
                node: node.clone(),
            };
            let asked = shared.agent.ask::<Vec<Recorded>>(KIND, &question).await;
            let records = asked.map_err(|error| error.to_string())?;
            let (fault, directory) = (self.id, shared.journal.directory().to_owned());
            let written =
                tokio::task::spawn_blocking(move || write_records(&directory, &node, fault, &records)).await;
            let written = written.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            said.extend(written.map_err(|error| error.to_string())?);
        }
        Ok(said.join(", "))
    }
}

#[async_trait]
impl Technique for PacketSteps {
    fn targets(&self) -> Vec<String> {
        self.chosen.targets.clone()
    }

    async fn prepare(&mut self, shared: &Shared) -> StepOutcome {
        let roles = shared.roles(self.links_written.about_leader()).await;
        match self.links_written.choose(&shared.names(), &roles, self.seed) {
            Ok(chosen) => self.chosen = chosen,
            Err(error) => return StepOutcome::skipped(error.to_string()),
        }
        let hurt = without_majority(&self.chosen.links, &shared.names());
        let may = shared.bound().admit(self.id, &hurt, Fewer::Cannot, self.seed);
        if !may.spared.is_empty() {
            return StepOutcome::skipped(may.spared);
        }
        let (places, absent) = shared.places().await;
        for place in &places {
            let from = self.senders(place, &places, shared);
            if !from.is_empty() {
                self.at.push(At {
                    place: place.clone(),
                    from,
                });
            }
        }
        if self.at.is_empty() {
            return StepOutcome::skipped(format!(
                "neither end of any of its links is there; {}",
                absent.join("; ")
            ));
        }
        for at in &self.at {
            if let Err(error) = shared.agent.can(KIND, &at.place).await {
                return StepOutcome::skipped(error.to_string());
            }
        }
        let places = self.at.iter().map(|at| at.place.clone()).collect();
        match shared.open_in_journal(self.id, KIND, places).await {
            Ok(nodes) => self.nodes = nodes,
            Err(why) => return StepOutcome::skipped(why),
        }
        let pairs: Vec<String> = self
            .chosen
            .links
            .iter()
            .map(|(from, to)| format!("{from}>{to}"))
            .collect();
        let parameters = json!({"effects": self.effects, "links": pairs, "absent": absent});
        StepOutcome::installed(format!("{} directed links", pairs.len()), parameters)
    }

    async fn by_hand(&mut self, _shared: &Shared) -> Vec<String> {
        let netem = self.effects.as_netem();
        let of = |at: &At, from: &Sender| format!("# {}>{}: {netem}", from.name, at.place.name);
        let links = self
            .at
            .iter()
            .flat_map(|at| at.from.iter().map(move |from| of(at, from)));
        let how = "# tc-netem does it to all that a node sends; here NFQUEUE does it where packets arrive, link by link:";
        std::iter::once(how.to_owned()).chain(links).collect()
    }

    async fn inject(&mut self, shared: &Shared) -> StepOutcome {
        let order = Order {
            effects: self.effects,
            seed: self.seed,
            record: self.record,
            at: self.at.clone(),
        };
        let took = shared
            .agent
            .inject::<Took>(KIND, self.id, &self.nodes, &order)
            .await;
        StepOutcome::of(took.map(|took| {
            let said = format!("packets are queued at {} nodes", self.at.len());
            StepOutcome::installed(said, json!({"micros": took.micros}))
        }))
    }

    async fn verify(&mut self, shared: &Shared) -> StepOutcome {
        if let Err(why) = self.see_rules(shared).await {
            return StepOutcome::indeterminate(why, Value::Null);
        }
        StepOutcome::of(self.see_in_force(shared).await)
    }

    async fn look(&mut self, shared: &Shared) -> StepOutcome {
        match self.see_rules(shared).await {
            Ok(_) => StepOutcome::installed("the rules are there", Value::Null),
            Err(why) => StepOutcome::indeterminate(why, Value::Null),
        }
    }

    async fn recheck(&mut self, shared: &Shared) -> StepOutcome {
        let outcome = StepOutcome::of(self.see_in_force(shared).await);
        match self.see_rules(shared).await {
            Ok(seen) => judge_hurt(outcome, &seen, &self.effects),
            Err(why) => StepOutcome::indeterminate(why, outcome.evidence),
        }
    }

    async fn heal(&mut self, shared: &Shared) -> StepOutcome {
        let healed = shared.agent.heal::<Healed>(KIND, self.id).await;
        StepOutcome::of(healed.map(|nodes| {
            let packets: u64 = nodes.iter().map(|node| node.packets).sum();
            let said = format!("removed the rules, which had met {packets} packets, probes included");
            StepOutcome::installed(said, json!({"met": nodes}))
        }))
    }

    async fn verify_healed(&mut self, shared: &Shared) -> StepOutcome {
        let mut outcome = StepOutcome::of(self.see_healed(shared).await);
        for _ in 1..TRIES_HEALED {
            if outcome.result == duress_checker::history::StepResult::Installed {
                break;
            }
            outcome = StepOutcome::of(self.see_healed(shared).await);
        }
        if self.record.any() {
            let kept = self.keep_records(shared).await;
            outcome.detail += &match kept {
                Ok(said) => format!("; written down: {said}"),
                Err(why) => format!("; what was written down of single packets is not kept: {why}"),
            };
        }
        outcome
    }
}
