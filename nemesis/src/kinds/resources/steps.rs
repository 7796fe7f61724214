//! What the steps of a fault of resources do.

use async_trait::async_trait;
use duress_checker::history::StepResult;
use duress_cluster::{Place, ProgramState};
use serde_json::{Value, json};

use super::PutBack;
use super::agent::{Order, Planned, Question, SeenAt};
use super::resource::Resource;
use crate::agent::ends::AgentError;
use crate::agent::protocol::Identity;
use crate::journal::Entry;
use crate::kinds::aim::{Unhurt, aim, names};
use crate::life::shared::Shared;
use crate::life::technique::{StepOutcome, Technique, Unproven};
use crate::targets::Selector;

pub(super) struct ResourceSteps<R: Resource> {
    id: u64,
    selector: Selector,
    seed: u64,
    what: R,
    places: Vec<Place>,
    nodes: Vec<Identity>,
    /// How the nodes were before.
    before: Planned<R>,
    /// What was seen right after it was injected.
    first: SeenAt<R>,
    /// Nodes whose programs were started again when it was healed.
    started: Vec<String>,
}

impl<R: Resource> ResourceSteps<R> {
    pub fn new(id: u64, selector: Selector, seed: u64, what: R) -> Self {
        ResourceSteps {
            id,
            selector,
            seed,
            what,
            places: Vec::new(),
            nodes: Vec::new(),
            before: Planned::<R>::new(),
            first: SeenAt::<R>::new(),
            started: Vec::new(),
        }
    }

    fn held(&self, places: &[Place]) -> Vec<(Place, R::Before)> {
        let known = |place: &Place| Some((place.clone(), self.before.get(&place.name)?.clone()));
        places.iter().filter_map(known).collect()
    }

    /// Where its nodes are now. One that another fault has ended is nowhere, and is looked at where it was: what is left of it may tell.
    async fn now(&self, shared: &Shared) -> Vec<Place> {
        let (now, _) = shared.places().await;
        let current = |place: &Place| now.iter().find(|other| other.name == place.name).cloned();
        let known = self.places.iter();
        known
            .map(|place| current(place).unwrap_or_else(|| place.clone()))
            .collect()
    }

    async fn see(&self, shared: &Shared) -> Result<SeenAt<R>, AgentError> {
        let question = Question::Now {
            fault: self.id,
            what: self.what.clone(),
            nodes: self.held(&self.now(shared).await),
        };
        shared.agent.ask(R::NAME, &question).await
    }

    /// Whether it is in force at all nodes, as far as they can be seen.
    fn stands(&self, seen: &SeenAt<R>) -> Result<(), String> {
        for (node, seen) in seen {
            if let Some(seen) = seen {
                self.what.stands(seen).map_err(|why| format!("{node}: {why}"))?;
            }
        }
        Ok(())
    }

    fn hurt(&self, now: &SeenAt<R>) -> Result<String, Unproven> {
        self.stands(now)?;
        let mut said = Vec::new();
        for node in names(&self.places) {
            let first = self.first.get(&node).and_then(Option::as_ref);
            let (Some(first), Some(now)) = (first, now.get(&node).and_then(Option::as_ref)) else {
                return Err(format!("{node}: no process runs there").into());
            };
            let measured = self.what.measure(first, now);
            said.push(format!("{node}: {}", measured.map_err(|why| why.of(&node))?));
        }
        Ok(said.join("; "))
    }

    /// Starts the programs that it may have ended.
    async fn start_again(&mut self, shared: &Shared, last: &SeenAt<R>) -> Result<Vec<String>, String> {
        let mut said = Vec::new();
        for place in self.places.clone() {
            let seen = |all: &SeenAt<R>| all.get(&place.name).cloned().flatten();
            let ended = match (seen(&self.first), seen(last)) {
                (Some(first), Some(now)) => R::may_end(&first, &now),
                _ => false,
            };
            let state = shared.cluster.state(&place.name).await;
            if let (true, Ok(ProgramState::Stopped { how })) = (ended, state) {
                said.extend(shared.start(&place).await?);
                said.push(format!("{} had ended ({how}) and was started again", place.name));
                self.started.push(place.name);
            }
        }
        Ok(said)
    }
}

#[async_trait]
impl<R: Resource> Technique for ResourceSteps<R> {
    fn targets(&self) -> Vec<String> {
        names(&self.places)
    }

    async fn prepare(&mut self, shared: &Shared) -> StepOutcome {
        match aim(shared, self.id, R::NAME, &self.selector, self.seed, Unhurt::Agent).await {
            Ok(aimed) => {
                (self.places, self.nodes) = (aimed.places, aimed.nodes);
                aimed.outcome
            }
            Err(outcome) => outcome,
        }
    }

    async fn by_hand(&mut self, _shared: &Shared) -> Vec<String> {
        let nodes = names(&self.places);
        nodes.iter().map(|node| self.what.by_hand(node)).collect()
    }

    async fn inject(&mut self, shared: &Shared) -> StepOutcome {
        let failed =
            |error: &dyn std::fmt::Display| StepOutcome::indeterminate(error.to_string(), Value::Null);
        let question = Question::Before {
            fault: self.id,
            what: self.what.clone(),
            places: self.places.clone(),
        };
        self.before = match shared.agent.ask::<Planned<R>>(R::NAME, &question).await {
            Ok(before) => before,
            Err(error) => return failed(&error),
        };
        let (fault, data) = (self.id, json!(self.before));
        if let Err(error) = shared.note(Entry::Held { fault, data }).await {
            return failed(&error);
        }
        let order = Order {
            what: self.what.clone(),
            nodes: self.held(&self.places),
        };
        let injected = shared
            .agent
            .inject_known(R::NAME, self.id, &self.nodes, &order, &self.before);
        self.first = match injected.await {
            Ok(seen) => seen,
            Err(error) => return failed(&error),
        };
        let evidence = json!({"asked": self.what, "before": self.before, "seen": self.first});
        StepOutcome::installed(format!("held {} nodes", self.first.len()), evidence)
    }

    async fn verify(&mut self, shared: &Shared) -> StepOutcome {
        let seen = self.see(shared).await;
        StepOutcome::of(seen.map(|seen| {
            let evidence = json!({"seen": seen});
            let missing = names(&self.places)
                .into_iter()
                .find(|node| !matches!(seen.get(node), Some(Some(_))));
            match (missing, self.stands(&seen)) {
                (Some(node), _) => {
                    StepOutcome::indeterminate(format!("{node}: no process runs there"), evidence)
                }
                (None, Ok(())) => {
                    StepOutcome::installed("it is in force, and shows at its end whom it hurt", evidence)
                }
                (None, Err(why)) => StepOutcome::indeterminate(why, evidence),
            }
        }))
    }

    async fn look(&mut self, shared: &Shared) -> StepOutcome {
        let seen = self.see(shared).await;
        StepOutcome::of(seen.map(|seen| match self.stands(&seen) {
            Ok(()) => StepOutcome::installed("", json!({"seen": seen})),
            Err(why) => StepOutcome::indeterminate(why, json!({"seen": seen})),
        }))
    }

    async fn recheck(&mut self, shared: &Shared) -> StepOutcome {
        let seen = self.see(shared).await;
        StepOutcome::of(seen.map(|seen| {
            let evidence = json!({"asked": self.what, "seen": seen});
            StepOutcome::seen(self.hurt(&seen), evidence)
        }))
    }

    async fn heal(&mut self, shared: &Shared) -> StepOutcome {
        let last = self.see(shared).await.unwrap_or_default();
        let healed = match shared.agent.heal::<PutBack>(R::NAME, self.id).await {
            Ok(healed) => healed,
            Err(error) => return StepOutcome::indeterminate(error.to_string(), Value::Null),
        };
        let said = healed
            .into_iter()
            .map(|node| format!("{}: {}", node.node, node.said));
        let mut said: Vec<String> = said.collect();
        match self.start_again(shared, &last).await {
            Ok(started) => said.extend(started),
            Err(why) => return StepOutcome::indeterminate(why, Value::Null),
        }
        StepOutcome::installed(said.join("; "), Value::Null)
    }

    async fn verify_healed(&mut self, shared: &Shared) -> StepOutcome {
        let (now, _) = shared.places().await;
        let current = |node: &String| now.iter().find(|place| place.name == *node).cloned();
        let nodes = self
            .before
            .iter()
            .map(|(node, before)| (current(node), before.clone()));
        let question = Question::Left {
            what: self.what.clone(),
            nodes: nodes.collect(),
        };
        let mut left = match shared.agent.ask::<Vec<String>>(R::NAME, &question).await {
            Ok(left) => left,
            Err(error) => vec![error.to_string()],
        };
        for node in &self.started {
            if let Err(why) = shared.ready(node).await {
                left.push(format!("{node} was started again and isn't ready: {why}"));
            }
        }
        let result = match left.is_empty() {
            true => StepResult::Installed,
            false => StepResult::Indeterminate,
        };
        StepOutcome {
            result,
            detail: left.join("; "),
            measured: Vec::new(),
            evidence: Value::Null,
        }
    }
}
