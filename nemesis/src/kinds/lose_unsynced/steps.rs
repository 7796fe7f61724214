//! What the steps of a power failure do.

use async_trait::async_trait;
use duress_checker::history::StepResult;
use duress_cluster::Place;
use serde_json::{Value, json};

use super::agent::{Left, Question};
use super::judge::judge_left;
use super::{Directories, NAME};
use crate::agent::ends::AgentError;
use crate::agent::protocol::{Identity, Process, Processes};
use crate::journal::Entry;
use crate::kinds::aim::{Unhurt, aim, all, names};
use crate::kinds::kill::{running, start_all, verify_down, verify_started};
use crate::life::shared::Shared;
use crate::life::technique::{StepOutcome, Technique};
use crate::targets::Selector;

pub(super) struct PowerSteps {
    id: u64,
    selector: Selector,
    seed: u64,
    places: Vec<Place>,
    nodes: Vec<Identity>,
    ended: Vec<Process>,
}

impl PowerSteps {
    pub fn new(id: u64, selector: Selector, seed: u64) -> PowerSteps {
        PowerSteps {
            id,
            selector,
            seed,
            places: Vec::new(),
            nodes: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// A disk that takes what is written, if one does.
    async fn uncut(&self, shared: &Shared) -> Result<Option<String>, AgentError> {
        let nodes = self.places.clone();
        let cut: Vec<(String, bool)> = shared.agent.ask(NAME, &Question::Cut { nodes }).await?;
        let uncut = cut.into_iter().find(|(_, cut)| !cut);
        Ok(uncut.map(|(node, _)| format!("{node}: its disk still takes what is written")))
    }

    /// Why power is on somewhere, if it is: something runs, or a disk takes what is written.
    async fn power_on(&self, shared: &Shared) -> Result<Option<String>, AgentError> {
        match self.uncut(shared).await? {
            Some(why) => Ok(Some(why)),
            None => Ok(running(shared, &self.places).await),
        }
    }
}

#[async_trait]
impl Technique for PowerSteps {
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

    async fn by_hand(&mut self, _shared: &Shared) -> Vec<String> {
        let at = |node: String| {
            format!(
                "xfs_io -x -c shutdown DATA_DIRECTORY && kill -KILL PID    # of {node}; works on ext4, too"
            )
        };
        names(&self.places).into_iter().map(at).collect()
    }

    async fn inject(&mut self, shared: &Shared) -> StepOutcome {
        let failed =
            |error: &dyn std::fmt::Display| StepOutcome::indeterminate(error.to_string(), Value::Null);
        let question = Question::Before {
            fault: self.id,
            places: self.places.clone(),
        };
        let directories = match shared.agent.ask::<Directories>(NAME, &question).await {
            Ok(directories) => directories,
            Err(error) => return failed(&error),
        };
        let (fault, data) = (self.id, json!(directories));
        if let Err(error) = shared.note(Entry::Held { fault, data }).await {
            return failed(&error);
        }
        let cut = shared.agent.inject_known::<Vec<Processes>>(
            NAME,
            self.id,
            &self.nodes,
            &self.places,
            &directories,
        );
        match cut.await {
            Ok(ended) => {
                self.ended = all(&ended);
                let pids: Vec<u32> = self.ended.iter().map(|process| process.pid).collect();
                let said = format!(
                    "cut {} disks off, ended {} processes",
                    self.places.len(),
                    pids.len()
                );
                StepOutcome::installed(said, json!({"pids": pids}))
            }
            Err(error) => failed(&error),
        }
    }

    async fn verify(&mut self, shared: &Shared) -> StepOutcome {
        if let Ok(Some(why)) = self.uncut(shared).await {
            return StepOutcome::indeterminate(why, Value::Null);
        }
        match verify_down(shared, &self.ended, &self.places).await {
            Ok(()) => self.look(shared).await,
            Err(outcome) => outcome,
        }
    }

    async fn look(&mut self, shared: &Shared) -> StepOutcome {
        StepOutcome::of(self.power_on(shared).await.map(|on| match on {
            None => StepOutcome::installed("nothing runs there, and no disk takes anything", Value::Null),
            Some(why) => StepOutcome::indeterminate(why, Value::Null),
        }))
    }

    async fn recheck(&mut self, shared: &Shared) -> StepOutcome {
        let last = self.look(shared).await;
        if last.result != StepResult::Installed {
            return last;
        }
        let (fault, nodes) = (self.id, self.places.clone());
        let left = shared
            .agent
            .ask::<Vec<Left>>(NAME, &Question::Left { fault, nodes })
            .await;
        StepOutcome::of(left.map(|left| judge_left(&left, self.places.len())))
    }

    async fn heal(&mut self, shared: &Shared) -> StepOutcome {
        if let Err(error) = shared.agent.heal::<Value>(NAME, self.id).await {
            return StepOutcome::indeterminate(error.to_string(), Value::Null);
        }
        match start_all(shared, &self.places).await {
            Ok(said) => StepOutcome::installed(said.join("; "), Value::Null),
            Err(why) => StepOutcome::indeterminate(why, Value::Null),
        }
    }

    async fn verify_healed(&mut self, shared: &Shared) -> StepOutcome {
        let started = verify_started(shared, &self.places).await;
        if started.result != StepResult::Installed {
            return started;
        }
        let (fault, nodes) = (self.id, self.places.clone());
        let question = Question::Back { fault, nodes };
        let back = shared.agent.ask::<Vec<Left>>(NAME, &question).await;
        StepOutcome::of(
            back.map(|back| {
                StepOutcome::installed("runs and is ready, on its disk", json!({"probes": back}))
            }),
        )
    }
}
