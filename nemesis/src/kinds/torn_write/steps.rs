//! What the steps of a torn write do.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use duress_cluster::{Place, ProgramState};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::NAME;
use super::agent::{NodeTorn, Question, ReadBack};
use crate::agent::ends::AgentError;
use crate::agent::protocol::{Identity, Process};
use crate::journal::Entry;
use crate::kinds::aim::{EFFECT_WAIT_MAX, Unhurt, aim, names, watch};
use crate::kinds::disk::{NodeCounts, Order};
use crate::layer::call::{Call, Effect, Rule};
use crate::life::shared::Shared;
use crate::life::technique::{StepOutcome, Technique};
use crate::targets::Selector;

/// A system that is asked anything writes sooner.
const WRITE_WAIT_MAX: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// What a disk writes at once.
const SECTOR: u64 = 512;

pub(super) struct TornSteps {
    id: u64,
    selector: Selector,
    seed: u64,
    path: Option<String>,
    places: Vec<Place>,
    nodes: Vec<Identity>,
    torn: Vec<NodeTorn>,
}

impl TornSteps {
    pub fn new(id: u64, selector: Selector, seed: u64, path: Option<String>) -> TornSteps {
        TornSteps {
            id,
            selector,
            seed,
            path,
            places: Vec::new(),
            nodes: Vec::new(),
            torn: Vec::new(),
        }
    }

    fn rule(&self) -> Rule {
        Rule {
            fault: self.id,
            // After the write nothing reaches the disk.
            calls: [Call::Write].into(),
            path: self.path.clone(),
            effect: Effect::Tear { sector: SECTOR },
            seed: self.seed,
        }
    }

    /// Waits until a write was torn at each node, and says which have none.
    async fn torn_at_all(&self, shared: &Shared) -> Result<Vec<String>, AgentError> {
        let deadline = Instant::now() + WRITE_WAIT_MAX;
        loop {
            let nodes: Vec<NodeCounts> = shared.agent.look(NAME, self.id).await?;
            let whole = nodes
                .into_iter()
                .filter(|node| node.counts.as_ref().is_none_or(|counts| counts.torn.is_none()));
            let whole: Vec<String> = whole.map(|node| node.node).collect();
            if whole.is_empty() || Instant::now() > deadline {
                return Ok(whole);
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn see(&self, shared: &Shared) -> StepOutcome {
        StepOutcome::of(self.seen(shared).await)
    }

    async fn seen(&self, shared: &Shared) -> Result<StepOutcome, AgentError> {
        if self.torn.is_empty() {
            return Ok(StepOutcome::indeterminate("no write was torn", Value::Null));
        }
        let evidence = json!({"torn": self.torn});
        let mut said = Vec::new();
        for NodeTorn { node, torn, ended } in &self.torn {
            let alive = watch(shared, ended, Duration::ZERO, <[Process]>::is_empty).await?;
            if ended.is_empty() || !alive.is_empty() {
                let why = format!("{node}: {} of {} processes live", alive.len(), ended.len());
                return Ok(StepOutcome::indeterminate(why, evidence));
            }
            if !stays_down(shared, node).await {
                let why = format!("{node}: its program runs again");
                return Ok(StepOutcome::indeterminate(why, evidence));
            }
            let Some(place) = self.places.iter().find(|place| place.name == *node) else {
                let why = format!("{node}: it is none of its nodes");
                return Ok(StepOutcome::indeterminate(why, evidence));
            };
            let (of, torn_there) = (place.clone(), torn.clone());
            let question = Question::Read {
                node: of,
                torn: torn_there,
            };
            let back: ReadBack = shared.agent.ask(NAME, &question).await?;
            let what = format!(
                "{} of {} bytes at {} of {}",
                torn.kept, torn.length, torn.offset, torn.path
            );
            if back.kept_digest != torn.kept_digest || back.rest_digest == torn.lost_digest {
                let why = format!("{node}: the file has not just {what}");
                return Ok(StepOutcome::indeterminate(why, evidence));
            }
            said.push(format!("{node}: the file has {what}, and no process is left"));
        }
        Ok(StepOutcome::installed(said.join("; "), evidence))
    }
}

/// Whether its program does not run. Who watches over it may hear a little later that it has ended.
async fn stays_down(shared: &Shared, node: &str) -> bool {
    let deadline = Instant::now() + EFFECT_WAIT_MAX;
    while let Ok(ProgramState::Running) = shared.cluster.state(node).await {
        if Instant::now() > deadline {
            return false;
        }
        sleep(LOOK_AGAIN).await;
    }
    true
}

#[async_trait]
impl Technique for TornSteps {
    fn targets(&self) -> Vec<String> {
        names(&self.places)
    }

    async fn prepare(&mut self, shared: &Shared) -> StepOutcome {
        match aim(shared, self.id, NAME, &self.selector, self.seed, Unhurt::Agent).await {
            Ok(aimed) => {
                (self.places, self.nodes) = (aimed.places, aimed.nodes);
                aimed.outcome
            }
            Err(outcome) => outcome,
        }
    }

    async fn inject(&mut self, shared: &Shared) -> StepOutcome {
        let order = Order {
            places: self.places.clone(),
            rule: self.rule(),
        };
        let agent = &shared.agent;
        let data = match agent.inject::<Value>(NAME, self.id, &self.nodes, &order).await {
            Ok(layers) => layers,
            Err(error) => return StepOutcome::indeterminate(error.to_string(), Value::Null),
        };
        let fault = self.id;
        if let Err(error) = shared.note(Entry::Held { fault, data }).await {
            return StepOutcome::indeterminate(error.to_string(), Value::Null);
        }
        match self.torn_at_all(shared).await {
            Ok(whole) if whole.is_empty() => {}
            Ok(whole) => {
                let why = format!(
                    "no write of more than {SECTOR} bytes that matches came at {}",
                    whole.join(", ")
                );
                return StepOutcome::indeterminate(why, Value::Null);
            }
            Err(error) => return StepOutcome::indeterminate(error.to_string(), Value::Null),
        }
        let places = self.places.clone();
        match agent.ask(NAME, &Question::Crash { fault, places }).await {
            Ok(torn) => {
                self.torn = torn;
                let ended: usize = self.torn.iter().map(|node| node.ended.len()).sum();
                StepOutcome::installed(
                    format!("tore a write and ended {ended} processes"),
                    json!({"torn": self.torn}),
                )
            }
            Err(error) => StepOutcome::indeterminate(error.to_string(), Value::Null),
        }
    }

    async fn verify(&mut self, shared: &Shared) -> StepOutcome {
        self.see(shared).await
    }

    async fn look(&mut self, shared: &Shared) -> StepOutcome {
        self.see(shared).await
    }

    async fn recheck(&mut self, shared: &Shared) -> StepOutcome {
        self.see(shared).await
    }

    async fn heal(&mut self, shared: &Shared) -> StepOutcome {
        if let Err(error) = shared.agent.heal::<Value>(NAME, self.id).await {
            return StepOutcome::indeterminate(error.to_string(), Value::Null);
        }
        let mut said = Vec::new();
        for place in &self.places {
            match shared.start(place).await {
                Ok(note) => said.extend(note),
                Err(error) => return StepOutcome::indeterminate(error, Value::Null),
            }
        }
        said.push("started the programs; what was torn stays so".to_owned());
        StepOutcome::installed(said.join("; "), Value::Null)
    }

    async fn verify_healed(&mut self, shared: &Shared) -> StepOutcome {
        for place in &self.places {
            if let Err(why) = shared.ready(&place.name).await {
                let said = shared.cluster.log_tail(&place.name, 3).await;
                return StepOutcome::indeterminate(format!("{}: {why}; {said}", place.name), Value::Null);
            }
        }
        StepOutcome::installed("runs and is ready", Value::Null)
    }
}
