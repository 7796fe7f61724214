//! Pauses, kills and restarts.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use duress_cluster::{Place, ProgramState};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::nemesis::Shared;
use super::{Outcome, Technique};
use crate::agent::protocol::{Command, Ending, Process, Processes};
use crate::agent::{AgentError, procfs};
use crate::journal::Entry;
use crate::kind::{Kind, RoleSelector, Selector};
use crate::targets::resolve;

/// How often, and how long, to look whether a signal has had its effect.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
const EFFECT_WAIT_MAX: Duration = Duration::from_secs(2);

/// Resolves targets to those that run something, and writes the journal.
async fn aim(
    shared: &Shared,
    fault: u64,
    kind: Kind,
    selector: &Selector,
    seed: u64,
) -> Result<(Vec<Place>, Outcome), Outcome> {
    let roles = shared
        .roles(*selector == Selector::Role(RoleSelector::Leader))
        .await;
    let chosen = resolve(selector, &shared.names(), &roles, seed)
        .map_err(|error| Outcome::skipped(error.to_string()))?;
    let (mut places, mut absent) = shared.places().await;
    absent.retain(|line| chosen.iter().any(|name| line.starts_with(&format!("{name}: "))));
    places.retain(|place| chosen.contains(&place.name));
    let skip = |error: AgentError| Outcome::skipped(error.to_string());
    let running: Vec<Processes> = shared
        .agent
        .call(Command::Processes {
            places: places.clone(),
        })
        .await
        .map_err(skip)?;
    for node in running.iter().filter(|node| node.processes.is_empty()) {
        absent.push(format!("{}: no process runs there", node.node));
        places.retain(|place| place.name != node.node);
    }
    if places.is_empty() {
        return Err(Outcome::skipped(absent.join("; ")));
    }
    let nodes = shared.identify(places.clone()).await.map_err(skip)?;
    shared
        .journal(Entry::Open { fault, kind, nodes })
        .await
        .map_err(|error| Outcome::skipped(error.to_string()))?;
    let detail = if absent.is_empty() {
        String::new()
    } else {
        format!("left out: {}", absent.join("; "))
    };
    Ok((places, Outcome::installed(detail, json!({"chosen": chosen}))))
}

fn names(places: &[Place]) -> Vec<String> {
    places.iter().map(|place| place.name.clone()).collect()
}

fn all(nodes: &[Processes]) -> Vec<Process> {
    nodes
        .iter()
        .flat_map(|node| node.processes.iter().copied())
        .collect()
}

/// Pids by node.
fn listed(nodes: &[Processes]) -> Value {
    let pids = |node: &Processes| {
        node.processes
            .iter()
            .map(|process| process.pid)
            .collect::<Vec<_>>()
    };
    nodes
        .iter()
        .map(|node| (node.node.clone(), json!(pids(node))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Asks which of the processes live until `done` likes the answer, or time is up. Returns the last answer.
async fn watch(
    shared: &Shared,
    processes: &[Process],
    wait_max: Duration,
    done: impl Fn(&[Process]) -> bool,
) -> Result<Vec<Process>, AgentError> {
    let deadline = Instant::now() + wait_max;
    loop {
        let alive: Vec<Process> = shared
            .agent
            .call(Command::Alive {
                processes: processes.to_vec(),
            })
            .await?;
        if done(&alive) || Instant::now() > deadline {
            return Ok(alive);
        }
        sleep(LOOK_AGAIN).await;
    }
}

pub(crate) struct Pause {
    id: u64,
    selector: Selector,
    seed: u64,
    places: Vec<Place>,
    woken: Vec<Process>,
}

impl Pause {
    pub fn new(id: u64, selector: Selector, seed: u64) -> Pause {
        Pause {
            id,
            selector,
            seed,
            places: Vec::new(),
            woken: Vec::new(),
        }
    }
}

#[async_trait]
impl Technique for Pause {
    fn targets(&self) -> Vec<String> {
        names(&self.places)
    }

    async fn prepare(&mut self, shared: &Shared) -> Outcome {
        match aim(shared, self.id, Kind::Pause, &self.selector, self.seed).await {
            Ok((places, outcome)) => {
                self.places = places;
                outcome
            }
            Err(outcome) => outcome,
        }
    }

    async fn inject(&mut self, shared: &Shared) -> Outcome {
        let command = Command::Pause {
            fault: self.id,
            places: self.places.clone(),
        };
        let held = match shared.agent.call::<Vec<Processes>>(command).await {
            Ok(held) => held,
            Err(error) => return Outcome::indeterminate(error.to_string(), Value::Null),
        };
        let processes = all(&held);
        let count = processes.len();
        let journaled = shared
            .journal(Entry::Held {
                fault: self.id,
                processes,
            })
            .await;
        Outcome::of(journaled.map(|()| {
            Outcome::installed(
                format!("stopped {count} processes"),
                json!({"pids": listed(&held)}),
            )
        }))
    }

    async fn verify(&mut self, shared: &Shared) -> Outcome {
        let command = Command::Processes {
            places: self.places.clone(),
        };
        Outcome::of(
            shared
                .agent
                .call::<Vec<Processes>>(command)
                .await
                .map(|nodes| judge_paused(&nodes)),
        )
    }

    async fn heal(&mut self, shared: &Shared) -> Outcome {
        let resumed = shared
            .agent
            .call::<Vec<Processes>>(Command::Resume { fault: self.id })
            .await;
        Outcome::of(resumed.map(|nodes| {
            self.woken = all(&nodes);
            Outcome::installed(
                format!("woke {} processes", self.woken.len()),
                json!({"pids": listed(&nodes)}),
            )
        }))
    }

    async fn verify_healed(&mut self, shared: &Shared) -> Outcome {
        let is_awake = |alive: &[Process]| !alive.iter().any(|process| procfs::stopped(process.state));
        Outcome::of(
            watch(shared, &self.woken, EFFECT_WAIT_MAX, is_awake)
                .await
                .map(|alive| {
                    if is_awake(&alive) {
                        let gone = self.woken.len() - alive.len();
                        let detail = if gone == 0 {
                            String::new()
                        } else {
                            format!("{gone} of them have ended since")
                        };
                        return Outcome::installed(detail, json!({"awake": alive.len()}));
                    }
                    Outcome::indeterminate(
                        "some are still stopped, perhaps by another fault",
                        json!({"processes": alive}),
                    )
                }),
        )
    }
}

/// Every process of each node is stopped, and there is one.
fn judge_paused(nodes: &[Processes]) -> Outcome {
    let evidence = json!({"processes": nodes});
    for node in nodes {
        let running = node
            .processes
            .iter()
            .filter(|process| !procfs::stopped(process.state))
            .count();
        if node.processes.is_empty() || running > 0 {
            let why = format!(
                "{}: {running} of {} processes run",
                node.node,
                node.processes.len()
            );
            return Outcome::indeterminate(why, evidence);
        }
    }
    let count: usize = nodes.iter().map(|node| node.processes.len()).sum();
    Outcome::installed(format!("all {count} processes are stopped"), evidence)
}

/// Kills, and with patience restarts: those ask first, and start again at once.
pub(crate) struct Kill {
    id: u64,
    selector: Selector,
    seed: u64,
    patience: Option<Duration>,
    places: Vec<Place>,
    ended: Vec<Process>,
}

impl Kill {
    pub fn new(id: u64, selector: Selector, seed: u64, patience: Option<Duration>) -> Kill {
        Kill {
            id,
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

    async fn end(&mut self, shared: &Shared) -> Result<Outcome, AgentError> {
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
        Ok(Outcome::installed(
            format!("ended {} processes{detail}", pids.len()),
            json!({"pids": pids}),
        ))
    }
}

#[async_trait]
impl Technique for Kill {
    fn targets(&self) -> Vec<String> {
        names(&self.places)
    }

    fn lasts(&self) -> bool {
        self.patience.is_none()
    }

    async fn prepare(&mut self, shared: &Shared) -> Outcome {
        let kind = if self.patience.is_some() {
            Kind::Restart
        } else {
            Kind::Kill
        };
        match aim(shared, self.id, kind, &self.selector, self.seed).await {
            Ok((places, outcome)) => {
                self.places = places;
                outcome
            }
            Err(outcome) => outcome,
        }
    }

    async fn inject(&mut self, shared: &Shared) -> Outcome {
        Outcome::of(self.end(shared).await)
    }

    async fn verify(&mut self, shared: &Shared) -> Outcome {
        let alive = watch(shared, &self.ended, EFFECT_WAIT_MAX, <[Process]>::is_empty).await;
        Outcome::of(alive.map(|alive| {
            if self.ended.is_empty() {
                return Outcome::indeterminate("no process was there to be ended", Value::Null);
            }
            if alive.is_empty() {
                return Outcome::installed(
                    format!("all {} processes are gone", self.ended.len()),
                    Value::Null,
                );
            }
            Outcome::indeterminate(
                format!("{} processes live", alive.len()),
                json!({"processes": alive}),
            )
        }))
    }

    async fn heal(&mut self, shared: &Shared) -> Outcome {
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
            return Outcome::indeterminate(failed.join("; "), Value::Null);
        }
        Outcome::installed(details.join("; "), Value::Null)
    }

    async fn verify_healed(&mut self, shared: &Shared) -> Outcome {
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
            return Outcome::installed("runs and is ready", Value::Null);
        }
        Outcome::indeterminate(failed.join("; "), Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use duress_checker::history::StepResult;

    use super::*;

    #[test]
    fn a_pause_is_installed_only_if_all_are_stopped_and_there_are_some() {
        let node = |states: &str| Processes {
            node: "n1".to_owned(),
            processes: states
                .chars()
                .map(|state| Process {
                    pid: 1,
                    started: 1,
                    state,
                })
                .collect(),
        };
        assert_eq!(
            judge_paused(&[node("TT"), node("T")]).result,
            StepResult::Installed
        );
        assert_eq!(
            judge_paused(&[node("TT"), node("TS")]).result,
            StepResult::Indeterminate
        );
        assert_eq!(
            judge_paused(&[node("TT"), node("")]).result,
            StepResult::Indeterminate
        );
    }
}
