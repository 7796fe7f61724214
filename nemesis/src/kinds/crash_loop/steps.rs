//! What the steps of a crash loop do. Each look at it while it lasts is one round: start the program, let it run, end it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use duress_checker::history::StepResult;
use duress_cluster::Place;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::NAME;
use crate::agent::ends::AgentError;
use crate::agent::processes::same;
use crate::agent::protocol::{Command, Ending, Process, Processes};
use crate::kinds::aim::{EFFECT_WAIT_MAX, Unhurt, aim, all, names, signal_by_hand, watch};
use crate::kinds::kill::{runs_again, start_all, verify_started};
use crate::life::shared::Shared;
use crate::life::technique::{StepOutcome, Technique};
use crate::targets::Selector;

/// How often, and for how long, it runs.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub every: Duration,
    pub after: Duration,
}

/// One start and end of a node's program.
#[derive(Clone, Debug, Serialize)]
struct Round {
    /// The processes that ended.
    pids: Vec<u32>,
    /// From when it was started to when all had ended.
    ran_ms: u64,
    /// Whether it was ready in between.
    ready: bool,
}

pub(super) struct CrashLoopSteps {
    id: u64,
    selector: Selector,
    seed: u64,
    pace: Pace,
    places: Vec<Place>,
    /// All that were ended so far.
    ended: Vec<Process>,
    /// By node.
    rounds: BTreeMap<String, Vec<Round>>,
}

impl CrashLoopSteps {
    pub fn new(id: u64, selector: Selector, seed: u64, pace: Pace) -> CrashLoopSteps {
        CrashLoopSteps {
            id,
            selector,
            seed,
            pace,
            places: Vec::new(),
            ended: Vec::new(),
            rounds: BTreeMap::new(),
        }
    }

    /// Ends all that runs at these places. Returns what that was, by node.
    async fn end(&mut self, shared: &Shared, places: Vec<Place>) -> Result<Vec<Processes>, AgentError> {
        let signal = Ending::Kill;
        let ended: Vec<Processes> = shared.agent.call(Command::Signal { signal, places }).await?;
        self.ended.extend(all(&ended));
        Ok(ended)
    }

    /// Why something of it still runs, if it does.
    async fn alive(&self, shared: &Shared, ended: &[Process]) -> Result<Option<String>, AgentError> {
        let alive = watch(shared, ended, EFFECT_WAIT_MAX, <[Process]>::is_empty).await?;
        Ok((!alive.is_empty()).then(|| format!("{} processes live", alive.len())))
    }

    /// Starts the programs, lets them run, ends them. The error, in words, is what of that did not happen.
    async fn round(&mut self, shared: &Shared) -> Result<(), String> {
        // Since the last one it was nobody's to run.
        self.nothing_runs(shared).await?;
        start_all(shared, &self.places).await?;
        let began = Instant::now();
        let nodes = self.places.clone();
        let all_ready = async {
            for place in &nodes {
                if shared.readiness.ready(&place.name).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        // Whether it was ready is only known where that can be asked; the end comes at its time in any case.
        let mut ready = false;
        if !self.pace.after.is_zero() {
            let mut over = std::pin::pin!(sleep(self.pace.after));
            tokio::select! {
                biased;
                () = &mut over => {}
                () = all_ready => {
                    ready = true;
                    over.await;
                }
            }
        }
        let mut places = Vec::new();
        for place in &nodes {
            let now = shared.cluster.place(&place.name).await;
            places.push(
                now.map_err(|error| format!("{}: it was started and is nowhere: {error}", place.name))?,
            );
        }
        let before = self.ended.clone();
        let ended = self
            .end(shared, places)
            .await
            .map_err(|error| error.to_string())?;
        let alive = self.alive(shared, &all(&ended)).await;
        if let Some(why) = alive.map_err(|error| error.to_string())? {
            return Err(why);
        }
        let ran_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        for node in ended {
            let is_new = |process: &&Process| !before.iter().any(|other| same(other, process));
            let pids: Vec<u32> = node
                .processes
                .iter()
                .filter(is_new)
                .map(|process| process.pid)
                .collect();
            if pids.is_empty() {
                return Err(format!(
                    "{}: it was started again, and no new process was there to be ended",
                    node.node
                ));
            }
            let round = Round { pids, ran_ms, ready };
            self.rounds.entry(node.node).or_default().push(round);
        }
        self.nothing_runs(shared).await
    }

    async fn nothing_runs(&self, shared: &Shared) -> Result<(), String> {
        for place in &self.places {
            // What the cluster hears of an end comes a moment later.
            let deadline = Instant::now() + EFFECT_WAIT_MAX;
            loop {
                match runs_again(shared, &place.name).await {
                    Ok(None) => break,
                    Ok(Some(_)) if Instant::now() < deadline => sleep(Duration::from_millis(5)).await,
                    Ok(Some(what)) | Err(what) => return Err(format!("{}: {what}", place.name)),
                }
            }
        }
        Ok(())
    }

    fn said(&self) -> String {
        let node = |(node, rounds): (&String, &Vec<Round>)| {
            let ready = rounds.iter().filter(|round| round.ready).count();
            let longest = rounds.iter().map(|round| round.ran_ms).max().unwrap_or_default();
            let ready = match self.pace.after.is_zero() {
                true => String::new(),
                false => format!(", {ready} of them after it was ready"),
            };
            format!(
                "{node}: started and killed {} times{ready}, at most {longest} ms after its start",
                rounds.len()
            )
        };
        self.rounds.iter().map(node).collect::<Vec<_>>().join("; ")
    }
}

#[async_trait]
impl Technique for CrashLoopSteps {
    fn targets(&self) -> Vec<String> {
        names(&self.places)
    }

    fn look_interval(&self) -> Duration {
        self.pace.every
    }

    async fn prepare(&mut self, shared: &Shared) -> StepOutcome {
        match aim(
            shared,
            self.id,
            NAME,
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
        signal_by_hand(shared, &self.places, "KILL").await
    }

    async fn inject(&mut self, shared: &Shared) -> StepOutcome {
        let ended = self.end(shared, self.places.clone()).await;
        StepOutcome::of(ended.map(|ended| {
            let pids: Vec<u32> = all(&ended).iter().map(|process| process.pid).collect();
            StepOutcome::installed(format!("ended {} processes", pids.len()), json!({"pids": pids}))
        }))
    }

    async fn verify(&mut self, shared: &Shared) -> StepOutcome {
        if self.ended.is_empty() {
            return StepOutcome::indeterminate("no process was there to be ended", Value::Null);
        }
        let alive = self.alive(shared, &self.ended).await;
        StepOutcome::of(alive.map(|alive| match alive {
            Some(why) => StepOutcome::indeterminate(why, Value::Null),
            None => StepOutcome::installed(
                format!("all {} processes are gone", self.ended.len()),
                Value::Null,
            ),
        }))
    }

    async fn look(&mut self, shared: &Shared) -> StepOutcome {
        match self.round(shared).await {
            Ok(()) => StepOutcome::installed(self.said(), Value::Null),
            Err(why) => StepOutcome::indeterminate(why, json!({"rounds": self.rounds})),
        }
    }

    /// A fault that was shorter than a round has one now.
    async fn recheck(&mut self, shared: &Shared) -> StepOutcome {
        let last = match self.rounds.is_empty() {
            true => self.look(shared).await,
            false => StepOutcome::of(
                self.nothing_runs(shared)
                    .await
                    .map(|()| StepOutcome::installed("", Value::Null)),
            ),
        };
        if last.result != StepResult::Installed {
            return last;
        }
        StepOutcome::installed(self.said(), json!({"rounds": self.rounds}))
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
