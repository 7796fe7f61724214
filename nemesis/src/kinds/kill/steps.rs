//! What the steps of a kill do, and of a restart.

use std::time::Duration;

use async_trait::async_trait;
use duress_cluster::{Place, ProgramState};
use serde_json::{Value, json};

use crate::agent::ends::AgentError;
use crate::agent::protocol::{Command, Ending, Process, Processes};
use crate::kinds::aim::{EFFECT_WAIT_MAX, aim, all, names, watch};
use crate::life::shared::Shared;
use crate::life::technique::{StepOutcome, Technique};
use crate::targets::Selector;

/// Kills, and with patience restarts: those ask first, and start again at once.
pub(crate) struct KillSteps {
    id: u64,
    kind: &'static str,
    selector: Selector,
    seed: u64,
    patience: Option<Duration>,
    places: Vec<Place>,
    ended: Vec<Process>,
}

impl KillSteps {
    pub fn new(
        id: u64,
        kind: &'static str,
        selector: Selector,
        seed: u64,
        patience: Option<Duration>,
    ) -> KillSteps {
        KillSteps {
            id,
            kind,
            selector,
            seed,
            patience,
            places: Vec::new(),
            ended: Vec::new(),
        }
    }

    async fn ask_to_end(&mut self, shared: &Shared, patience: Duration) -> Result<bool, AgentError> {
        let command = Command::Signal {
            signal: Ending::Term,
            places: self.places.clone(),
        };
        self.ended = all(&shared.agent.call::<Vec<Processes>>(command).await?);
        Ok(watch(shared, &self.ended, patience, <[Process]>::is_empty)
            .await?
            .is_empty())
    }

    async fn end(&mut self, shared: &Shared) -> Result<StepOutcome, AgentError> {
        let mut detail = "";
        if let Some(patience) = self.patience {
            detail = if self.ask_to_end(shared, patience).await? {
                " on SIGTERM"
            } else {
                ", some by SIGKILL"
            };
        }
        // Also after all have ended on request: what they forked in the meantime.
        let command = Command::Signal {
            signal: Ending::Kill,
            places: self.places.clone(),
        };
        let killed = shared.agent.call::<Vec<Processes>>(command).await?;
        self.ended.extend(all(&killed));
        self.ended.sort_unstable();
        self.ended.dedup_by_key(|process| (process.pid, process.started));
        let pids: Vec<u32> = self.ended.iter().map(|process| process.pid).collect();
        Ok(StepOutcome::installed(
            format!("ended {} processes{detail}", pids.len()),
            json!({"pids": pids}),
        ))
    }
}

#[async_trait]
impl Technique for KillSteps {
    fn targets(&self) -> Vec<String> {
        names(&self.places)
    }

    fn lasts(&self) -> bool {
        self.patience.is_none()
    }

    async fn prepare(&mut self, shared: &Shared) -> StepOutcome {
        match aim(shared, self.id, self.kind, &self.selector, self.seed, |_| None).await {
            Ok(aimed) => {
                self.places = aimed.places;
                aimed.outcome
            }
            Err(outcome) => outcome,
        }
    }

    async fn inject(&mut self, shared: &Shared) -> StepOutcome {
        StepOutcome::of(self.end(shared).await)
    }

    async fn verify(&mut self, shared: &Shared) -> StepOutcome {
        let alive = watch(shared, &self.ended, EFFECT_WAIT_MAX, <[Process]>::is_empty).await;
        StepOutcome::of(alive.map(|alive| {
            if self.ended.is_empty() {
                return StepOutcome::indeterminate("no process was there to be ended", Value::Null);
            }
            if alive.is_empty() {
                return StepOutcome::installed(
                    format!("all {} processes are gone", self.ended.len()),
                    Value::Null,
                );
            }
            StepOutcome::indeterminate(
                format!("{} processes live", alive.len()),
                json!({"processes": alive}),
            )
        }))
    }

    async fn look(&mut self, shared: &Shared) -> StepOutcome {
        let mut running = Vec::new();
        for place in &self.places {
            match runs_again(shared, &place.name).await {
                Ok(None) => {}
                Ok(Some(what)) => running.push(format!("{}: {what}", place.name)),
                Err(error) => running.push(format!("{}: {error}", place.name)),
            }
        }
        if running.is_empty() {
            return StepOutcome::installed("nothing runs there", Value::Null);
        }
        StepOutcome::indeterminate(running.join("; "), Value::Null)
    }

    async fn recheck(&mut self, shared: &Shared) -> StepOutcome {
        self.look(shared).await
    }

    async fn heal(&mut self, shared: &Shared) -> StepOutcome {
        let mut details = Vec::new();
        let mut failed = Vec::new();
        for place in &self.places {
            match shared.start(place).await {
                Ok(put_back) => details.extend(put_back),
                Err(why) => failed.push(why),
            }
        }
        if !failed.is_empty() {
            failed.extend(details);
            return StepOutcome::indeterminate(failed.join("; "), Value::Null);
        }
        StepOutcome::installed(details.join("; "), Value::Null)
    }

    async fn verify_healed(&mut self, shared: &Shared) -> StepOutcome {
        let mut failed = Vec::new();
        for place in &self.places {
            let node = &place.name;
            match shared.cluster.state(node).await {
                Ok(ProgramState::Running) => {
                    if let Err(why) = shared.ready(node).await {
                        failed.push(format!("{node} runs and isn't ready: {why}"));
                    }
                }
                Ok(ProgramState::Stopped { how }) => {
                    let said = shared.cluster.log_tail(node, 3).await;
                    failed.push(format!("{node} was started and ended again ({how}): {said}"));
                }
                Err(error) => failed.push(format!("{node}: {error}")),
            }
        }
        if failed.is_empty() {
            return StepOutcome::installed("runs and is ready", Value::Null);
        }
        StepOutcome::indeterminate(failed.join("; "), Value::Null)
    }
}

/// What runs at a node that was killed and not started again by this fault.
async fn runs_again(shared: &Shared, node: &str) -> Result<Option<String>, String> {
    if shared
        .cluster
        .state(node)
        .await
        .map_err(|error| error.to_string())?
        == ProgramState::Running
    {
        return Ok(Some("its program runs again".to_owned()));
    }
    // A container that does not run has no place, and no process.
    let Ok(place) = shared.cluster.place(node).await else {
        return Ok(None);
    };
    let command = Command::Processes { places: vec![place] };
    let nodes = shared.agent.call::<Vec<Processes>>(command).await;
    let count = all(&nodes.map_err(|error| error.to_string())?).len();
    Ok((count > 0).then(|| format!("{count} processes run there")))
}
