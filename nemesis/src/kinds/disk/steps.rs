//! What the steps of a fault of disks do.

use async_trait::async_trait;
use duress_cluster::{Place, ProgramState};
use serde_json::{Value, json};

use super::asked::Asked;
use super::judge::{judge_counts, judge_right, judge_wrong, measurements, tried};
use super::report::{NodeCounts, NodeSamples, Order, Question};
use crate::agent::ends::AgentError;
use crate::agent::protocol::Identity;
use crate::journal::Entry;
use crate::kinds::aim::{Unhurt, aim, names};
use crate::life::shared::Shared;
use crate::life::technique::{StepOutcome, Technique};
use crate::targets::Selector;

pub(super) struct DiskSteps {
    id: u64,
    kind: &'static str,
    selector: Selector,
    seed: u64,
    asked: Asked,
    places: Vec<Place>,
    nodes: Vec<Identity>,
    /// What the agent's own calls took before.
    usual: Vec<NodeSamples>,
}

impl DiskSteps {
    pub fn new(id: u64, kind: &'static str, selector: Selector, seed: u64, asked: Asked) -> DiskSteps {
        DiskSteps {
            id,
            kind,
            selector,
            seed,
            asked,
            places: Vec::new(),
            nodes: Vec::new(),
            usual: Vec::new(),
        }
    }

    async fn probe(&self, shared: &Shared) -> Result<Vec<NodeSamples>, AgentError> {
        let (calls, times) = tried(&self.asked);
        let question = Question {
            nodes: self.places.clone(),
            calls,
            times,
        };
        shared.agent.ask(self.kind, &question).await
    }

    /// By the agent's own calls and by what the layers have met.
    async fn see_wrong(&self, shared: &Shared, bitten: bool) -> StepOutcome {
        let samples = match self.probe(shared).await {
            Ok(samples) => samples,
            Err(error) => return StepOutcome::indeterminate(error.to_string(), Value::Null),
        };
        let counts = match self.counts(shared).await {
            Ok(counts) => counts,
            Err(error) => return StepOutcome::indeterminate(error.to_string(), Value::Null),
        };
        let evidence = json!({"probes": samples, "calls": counts});
        let measured = judge_wrong(&self.asked, &self.usual, &samples);
        let judged =
            measured.and_then(|measured| Ok(format!("{measured}; {}", judge_counts(&counts, bitten)?)));
        StepOutcome::seen(judged, evidence).measuring(measurements(&self.asked, true, &samples))
    }

    async fn counts(&self, shared: &Shared) -> Result<Vec<NodeCounts>, AgentError> {
        shared.agent.look(self.kind, self.id).await
    }
}

#[async_trait]
impl Technique for DiskSteps {
    fn targets(&self) -> Vec<String> {
        names(&self.places)
    }

    async fn prepare(&mut self, shared: &Shared) -> StepOutcome {
        let (id, kind, seed) = (self.id, self.kind, self.seed);
        match aim(shared, id, kind, &self.selector, seed, Unhurt::Agent).await {
            Ok(aimed) => {
                (self.places, self.nodes) = (aimed.places, aimed.nodes);
                aimed.outcome
            }
            Err(outcome) => outcome,
        }
    }

    async fn inject(&mut self, shared: &Shared) -> StepOutcome {
        let usual = self.probe(shared).await;
        let injected = match usual {
            Ok(usual) => {
                self.usual = usual;
                let order = Order {
                    places: self.places.clone(),
                    rule: self.asked.rule(self.id, self.seed),
                };
                let agent = &shared.agent;
                agent
                    .inject::<Value>(self.kind, self.id, &self.nodes, &order)
                    .await
            }
            Err(error) => Err(error),
        };
        let data = match injected {
            Ok(layers) => layers,
            Err(error) => return StepOutcome::indeterminate(error.to_string(), Value::Null),
        };
        let fault = self.id;
        let journaled = shared.note(Entry::Held { fault, data }).await;
        StepOutcome::of(journaled.map(|()| {
            let armed = format!("armed the layers of {} nodes", self.places.len());
            StepOutcome::installed(armed, json!({"usual": self.usual}))
        }))
    }

    async fn verify(&mut self, shared: &Shared) -> StepOutcome {
        self.see_wrong(shared, false).await
    }

    async fn look(&mut self, shared: &Shared) -> StepOutcome {
        let counts = self.counts(shared).await;
        StepOutcome::of(counts.map(|counts| {
            let evidence = json!({"calls": counts});
            match judge_counts(&counts, false) {
                Ok(met) => StepOutcome::installed(met, evidence),
                Err(why) => StepOutcome::indeterminate(why, evidence),
            }
        }))
    }

    async fn recheck(&mut self, shared: &Shared) -> StepOutcome {
        self.see_wrong(shared, true).await
    }

    async fn heal(&mut self, shared: &Shared) -> StepOutcome {
        let healed = shared.agent.heal::<Value>(self.kind, self.id).await;
        if let Err(error) = healed {
            return StepOutcome::indeterminate(error.to_string(), Value::Null);
        }
        // A program may end for lack of a disk, and rightly so.
        let mut said = vec!["disarmed the layers".to_owned()];
        for place in &self.places {
            if let Ok(ProgramState::Stopped { how }) = shared.cluster.state(&place.name).await {
                said.push(format!("{} had ended ({how}) and was started again", place.name));
                match shared.start(place).await {
                    Ok(note) => said.extend(note),
                    Err(error) => return StepOutcome::indeterminate(error, Value::Null),
                }
            }
        }
        StepOutcome::installed(said.join("; "), Value::Null)
    }

    async fn verify_healed(&mut self, shared: &Shared) -> StepOutcome {
        let samples = match self.probe(shared).await {
            Ok(samples) => samples,
            Err(error) => return StepOutcome::indeterminate(error.to_string(), Value::Null),
        };
        let evidence = json!({"probes": samples});
        let judged = judge_right(&self.asked, &samples);
        for place in &self.places {
            if let Err(why) = shared.ready(&place.name).await {
                return StepOutcome::indeterminate(format!("{}: {why}", place.name), evidence);
            }
        }
        match judged {
            Ok(measured) => StepOutcome::installed(measured, evidence).measuring(measurements(
                &self.asked,
                false,
                &samples,
            )),
            Err(why) => StepOutcome::indeterminate(why, evidence),
        }
    }
}
