//! What the steps of a rollback do.

use async_trait::async_trait;
use duress_checker::history::StepResult;
use duress_cluster::Place;
use serde_json::{Value, json};

use super::agent::{Copied, Directories, Question, RolledBack};
use super::judge::{Compared, judge};
use super::{NAME, Written};
use crate::agent::ends::AgentError;
use crate::agent::protocol::{Identity, Process};
use crate::journal::Entry;
use crate::kinds::aim::names;
use crate::kinds::damage;
use crate::kinds::kill::{running, start_all, verify_down, verify_started};
use crate::life::shared::Shared;
use crate::life::technique::{StepOutcome, Technique};

pub(super) struct RollbackSteps {
    id: u64,
    seed: u64,
    written: Written,
    places: Vec<Place>,
    nodes: Vec<Identity>,
    ended: Vec<Process>,
    /// Whether nothing that was begun is left undone.
    cleared: bool,
}

impl RollbackSteps {
    pub fn new(id: u64, seed: u64, written: Written) -> RollbackSteps {
        RollbackSteps {
            id,
            seed,
            written,
            places: Vec::new(),
            nodes: Vec::new(),
            ended: Vec::new(),
            cleared: false,
        }
    }

    /// Takes the copies. Where directories are is in the journal before anything stands still, and that all go on after.
    async fn copy(&mut self, shared: &Shared) -> Result<Vec<Copied>, String> {
        let told = |error: AgentError| error.to_string();
        let nodes = self.places.clone();
        let question = Question::Directories { nodes };
        let mut directories: Directories = shared.agent.ask(NAME, &question).await.map_err(told)?;
        self.note(shared, &directories).await?;
        let (agent, places) = (&shared.agent, &self.places);
        let copied = agent.inject_known(NAME, self.id, &self.nodes, places, &directories);
        let copied: Vec<Copied> = copied.await.map_err(told)?;
        for (_, is_awake) in directories.values_mut() {
            *is_awake = true;
        }
        self.note(shared, &directories).await?;
        Ok(copied)
    }

    async fn note(&self, shared: &Shared, directories: &Directories) -> Result<(), String> {
        let (fault, data) = (self.id, json!(directories));
        let noted = shared.note(Entry::Held { fault, data }).await;
        noted.map_err(|error| error.to_string())
    }

    async fn compare(&self, shared: &Shared) -> StepOutcome {
        let (fault, nodes) = (self.id, self.places.clone());
        let question = Question::Compare { fault, nodes };
        let compared = shared.agent.ask::<Vec<Compared>>(NAME, &question).await;
        StepOutcome::of(compared.map(|compared| {
            let judged = judge(&compared, self.places.len());
            StepOutcome::seen(judged, json!({"directories": compared}))
        }))
    }
}

#[async_trait]
impl Technique for RollbackSteps {
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

    async fn by_hand(&mut self, _shared: &Shared) -> Vec<String> {
        let by = humantime::format_duration(self.written.by);
        let at = |node: String| {
            format!(
                "kill -STOP PID && cp -a DATA_DIRECTORY COPY; kill -CONT PID; sleep {by}; kill -KILL PID; rsync -a --delete COPY/ \
                 DATA_DIRECTORY/    # of {node}"
            )
        };
        names(&self.places).into_iter().map(at).collect()
    }

    async fn inject(&mut self, shared: &Shared) -> StepOutcome {
        let failed = |why: String| StepOutcome::indeterminate(why, Value::Null);
        let copied = match self.copy(shared).await {
            Ok(copied) => copied,
            Err(why) => return failed(why),
        };
        if !shared.wait(self.written.by).await {
            return failed("the run ended before it was time to go back".to_owned());
        }
        let (fault, places) = (self.id, self.places.clone());
        let question = Question::Back { fault, places };
        match shared.agent.ask::<Vec<RolledBack>>(NAME, &question).await {
            Ok(back) => {
                self.ended = back.into_iter().flat_map(|node| node.ended).collect();
                let said = format!(
                    "ended {} processes and put {} data directories back by {}",
                    self.ended.len(),
                    self.places.len(),
                    humantime::format_duration(self.written.by)
                );
                StepOutcome::installed(said, json!({"copied": copied}))
            }
            Err(error) => failed(error.to_string()),
        }
    }

    async fn verify(&mut self, shared: &Shared) -> StepOutcome {
        match verify_down(shared, &self.ended, &self.places).await {
            Ok(()) => self.recheck(shared).await,
            Err(outcome) => outcome,
        }
    }

    async fn look(&mut self, shared: &Shared) -> StepOutcome {
        match running(shared, &self.places).await {
            None => StepOutcome::installed("nothing runs there", Value::Null),
            Some(why) => StepOutcome::indeterminate(why, Value::Null),
        }
    }

    async fn recheck(&mut self, shared: &Shared) -> StepOutcome {
        let last = self.look(shared).await;
        match last.result {
            StepResult::Installed => self.compare(shared).await,
            _ => last,
        }
    }

    async fn heal(&mut self, shared: &Shared) -> StepOutcome {
        if let Err(error) = shared.agent.heal::<Value>(NAME, self.id).await {
            return StepOutcome::indeterminate(error.to_string(), Value::Null);
        }
        self.cleared = true;
        match start_all(shared, &self.places).await {
            Ok(mut said) => {
                said.push("started the programs; what they had written since stays gone".to_owned());
                StepOutcome::installed(said.join("; "), Value::Null)
            }
            Err(why) => StepOutcome::indeterminate(why, Value::Null),
        }
    }

    /// A program that finds that it knew more may rightly refuse to run: that is for properties to judge.
    async fn verify_healed(&mut self, shared: &Shared) -> StepOutcome {
        if !self.cleared {
            return StepOutcome::indeterminate("nobody knows what is left of it", Value::Null);
        }
        let started = verify_started(shared, &self.places).await;
        let said = match started.result {
            StepResult::Installed => started.detail,
            _ => format!("there is nothing more that could be undone: {}", started.detail),
        };
        StepOutcome::installed(said, started.evidence)
    }
}
