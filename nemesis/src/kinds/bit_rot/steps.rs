//! What the steps of rotting bits do.

use async_trait::async_trait;
use duress_cluster::{Place, ProgramState};
use serde_json::{Value, json};

use super::agent::{Order, Question, Rotten};
use super::files::Left;
use super::{NAME, Written};
use crate::agent::ends::AgentError;
use crate::agent::protocol::Identity;
use crate::journal::Entry;
use crate::kinds::aim::names;
use crate::kinds::damage;
use crate::life::shared::Shared;
use crate::life::technique::{StepOutcome, Technique};

pub(super) struct RotSteps {
    id: u64,
    seed: u64,
    written: Written,
    places: Vec<Place>,
    nodes: Vec<Identity>,
    rotten: Vec<Rotten>,
}

impl RotSteps {
    pub fn new(id: u64, seed: u64, written: Written) -> RotSteps {
        RotSteps {
            id,
            seed,
            written,
            places: Vec::new(),
            nodes: Vec::new(),
            rotten: Vec::new(),
        }
    }

    /// What is left of how many bits.
    async fn count(&self, shared: &Shared) -> Result<(Left, usize), AgentError> {
        let rotten = self.rotten.clone();
        let nodes: Vec<Left> = shared.agent.ask(NAME, &Question::Left { rotten }).await?;
        let left = Left {
            still: nodes.iter().map(|node| node.still).sum(),
            replaced: nodes.iter().map(|node| node.replaced).sum(),
        };
        Ok((left, self.rotten.iter().map(|node| node.flips.len()).sum()))
    }

    async fn see(&self, shared: &Shared, enough: impl Fn(Left, usize) -> bool) -> StepOutcome {
        let counted = self.count(shared).await;
        StepOutcome::of(counted.map(|(left, all)| {
            let Left { still, replaced } = left;
            let mut said = format!("{still} of {all} bits are turned over");
            if replaced > 0 {
                said.push_str(&format!(
                    ", and {replaced} were in what the system has replaced since"
                ));
            }
            let evidence = json!({"still": still, "replaced": replaced, "bits": all});
            match all > 0 && enough(left, all) {
                true => StepOutcome::installed(said, evidence),
                false => StepOutcome::indeterminate(said, evidence),
            }
        }))
    }
}

#[async_trait]
impl Technique for RotSteps {
    fn targets(&self) -> Vec<String> {
        names(&self.places)
    }

    async fn prepare(&mut self, shared: &Shared) -> StepOutcome {
        let (targets, most) = (&self.written.targets, self.written.damage_max);
        let (id, seed, question) = (self.id, self.seed, Question::Damaged);
        match damage::aim_within(shared, id, NAME, targets, seed, &question, most).await {
            Ok(aimed) => {
                (self.places, self.nodes) = (aimed.places, aimed.nodes);
                aimed.outcome
            }
            Err(outcome) => outcome,
        }
    }

    async fn inject(&mut self, shared: &Shared) -> StepOutcome {
        let order = Order {
            nodes: self.places.clone(),
            path: self.written.path.clone(),
            bits: self.written.bits,
            seed: self.seed,
        };
        let injected = shared.agent.inject(NAME, self.id, &self.nodes, &order);
        self.rotten = match injected.await {
            Ok(rotten) => rotten,
            Err(error) => return StepOutcome::indeterminate(error.to_string(), Value::Null),
        };
        let (fault, data) = (self.id, json!(self.rotten));
        let journaled = shared.note(Entry::Held { fault, data }).await;
        let bits: usize = self.rotten.iter().map(|node| node.flips.len()).sum();
        let kept: Vec<&str> = self.rotten.iter().map(|node| node.kept.as_str()).collect();
        let said = format!(
            "turned {bits} bits over; the files as they were are in {}",
            kept.join(", ")
        );
        StepOutcome::of(journaled.map(|()| StepOutcome::installed(said, json!({"rotten": self.rotten}))))
    }

    async fn verify(&mut self, shared: &Shared) -> StepOutcome {
        // The system writes at the same time.
        self.see(shared, |left, all| left.still >= all.div_ceil(2)).await
    }

    async fn look(&mut self, shared: &Shared) -> StepOutcome {
        self.see(shared, |_, _| true).await
    }

    async fn recheck(&mut self, shared: &Shared) -> StepOutcome {
        self.see(shared, |left, _| left.still + left.replaced > 0).await
    }

    async fn heal(&mut self, shared: &Shared) -> StepOutcome {
        if let Err(error) = shared.agent.heal::<Value>(NAME, self.id).await {
            return StepOutcome::indeterminate(error.to_string(), Value::Null);
        }
        let mut said = vec!["bits that were turned over stay so".to_owned()];
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

    /// A program that finds the damage may rightly refuse to run: that is for properties to judge.
    async fn verify_healed(&mut self, _shared: &Shared) -> StepOutcome {
        StepOutcome::installed("there is nothing that could be undone", Value::Null)
    }
}
