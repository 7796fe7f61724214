//! What the steps of a kill do, and of a restart.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use duress_cluster::{Place, ProgramState};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::start::{start_all, verify_started};
use crate::agent::ends::AgentError;
use crate::agent::processes::same;
use crate::agent::protocol::{Command, Ending, Process, Processes};
use crate::kinds::aim::{EFFECT_WAIT_MAX, Unhurt, aim, all, names, signal_by_hand, watch};
use crate::life::shared::Shared;
use crate::life::technique::{StepOutcome, Technique};
use crate::targets::Selector;

/// Between two looks whether a program that was ended is said to run still.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

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
        self.ended.dedup_by(|one, other| same(one, other));
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
        match aim(
            shared,
            self.id,
            self.kind,
            &self.selector,
            self.seed,
            Unhurt::By(|_| None),
        )
        .await
        {
            Ok(aimed) => {
                self.places = aimed.places;
                aimed.outcome
            }
            Err(outcome) => outcome,
        }
    }

    async fn by_hand(&mut self, shared: &Shared) -> Vec<String> {
        let signal = if self.patience.is_some() { "TERM" } else { "KILL" };
        signal_by_hand(shared, &self.places, signal).await
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
        match start_all(shared, &self.places).await {
            Ok(said) => StepOutcome::installed(said.join("; "), Value::Null),
            Err(why) => StepOutcome::indeterminate(why, Value::Null),
        }
    }

    async fn verify_healed(&mut self, shared: &Shared) -> StepOutcome {
        verify_started(shared, &self.places).await
    }
}

/// What runs at a node that was killed and not started again by this fault.
pub(crate) async fn runs_again(shared: &Shared, node: &str) -> Result<Option<String>, String> {
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

/// What runs at nodes that were ended and are not to be started yet, if anything does.
pub(crate) async fn running(shared: &Shared, places: &[Place]) -> Option<String> {
    for place in places {
        match runs_again(shared, &place.name).await {
            Ok(None) => {}
            Ok(Some(what)) | Err(what) => return Some(format!("{}: {what}", place.name)),
        }
    }
    None
}

/// Waits until the processes that were ended are gone, and the cluster has heard that nothing runs at these places, which may come a
/// moment later. The error is what the verification comes to if it has not.
pub(crate) async fn verify_down(
    shared: &Shared,
    ended: &[Process],
    places: &[Place],
) -> Result<(), StepOutcome> {
    if ended.is_empty() {
        let why = "no process was there to be ended";
        return Err(StepOutcome::indeterminate(why, Value::Null));
    }
    match watch(shared, ended, EFFECT_WAIT_MAX, <[Process]>::is_empty).await {
        Ok(alive) if !alive.is_empty() => {
            let why = format!("{} processes live", alive.len());
            return Err(StepOutcome::indeterminate(why, json!({"processes": alive})));
        }
        Ok(_) => {}
        Err(error) => return Err(StepOutcome::indeterminate(error.to_string(), Value::Null)),
    }
    let deadline = Instant::now() + EFFECT_WAIT_MAX;
    loop {
        match running(shared, places).await {
            None => return Ok(()),
            Some(why) if Instant::now() > deadline => {
                return Err(StepOutcome::indeterminate(why, Value::Null));
            }
            Some(_) => sleep(LOOK_AGAIN).await,
        }
    }
}
