//! What the steps of a pause do.

use async_trait::async_trait;
use duress_checker::history::StepResult;
use duress_cluster::Place;
use serde_json::{Value, json};

use super::agent::Held;
use crate::agent::procfs;
use crate::agent::protocol::{Command, Identity, Process, Processes};
use crate::journal::Entry;
use crate::kinds::aim::{EFFECT_WAIT_MAX, aim, all, names, watch};
use crate::life::shared::Shared;
use crate::life::technique::{StepOutcome, Technique};
use crate::targets::Selector;

/// As in specs, schedules and histories.
pub const NAME: &str = "pause";

pub(crate) struct PauseSteps {
    id: u64,
    selector: Selector,
    seed: u64,
    places: Vec<Place>,
    nodes: Vec<Identity>,
    /// Nodes at which it stopped nothing that had not been stopped before.
    unmoved: Vec<String>,
    woken: Vec<Process>,
}

impl PauseSteps {
    pub fn new(id: u64, selector: Selector, seed: u64) -> PauseSteps {
        PauseSteps {
            id,
            selector,
            seed,
            places: Vec::new(),
            nodes: Vec::new(),
            unmoved: Vec::new(),
            woken: Vec::new(),
        }
    }
}

#[async_trait]
impl Technique for PauseSteps {
    fn targets(&self) -> Vec<String> {
        names(&self.places)
    }

    async fn prepare(&mut self, shared: &Shared) -> StepOutcome {
        match aim(shared, self.id, NAME, &self.selector, self.seed, stopped_already).await {
            Ok(aimed) => {
                (self.places, self.nodes) = (aimed.places, aimed.nodes);
                aimed.outcome
            }
            Err(outcome) => outcome,
        }
    }

    async fn inject(&mut self, shared: &Shared) -> StepOutcome {
        let held = match shared
            .agent
            .inject::<Vec<Held>>(NAME, self.id, &self.nodes, &self.places)
            .await
        {
            Ok(held) => held,
            Err(error) => return StepOutcome::indeterminate(error.to_string(), Value::Null),
        };
        let unmoved = held.iter().filter(|node| node.newly == 0);
        self.unmoved = unmoved.map(|node| node.node.clone()).collect();
        let newly: usize = held.iter().map(|node| node.newly).sum();
        let processes = held
            .iter()
            .flat_map(|node| node.processes.iter().copied())
            .collect();
        let journaled = shared
            .note(Entry::Held {
                fault: self.id,
                processes,
            })
            .await;
        StepOutcome::of(journaled.map(|()| {
            StepOutcome::installed(
                format!("stopped {newly} processes"),
                json!({"pids": pids(held.iter().map(|held| (&held.node, &held.processes)))}),
            )
        }))
    }

    async fn verify(&mut self, shared: &Shared) -> StepOutcome {
        let seen = self.look(shared).await;
        if seen.result == StepResult::Installed && !self.unmoved.is_empty() {
            let why = format!("stopped already before this pause: {}", self.unmoved.join(", "));
            return StepOutcome::indeterminate(why, seen.evidence);
        }
        seen
    }

    async fn look(&mut self, shared: &Shared) -> StepOutcome {
        let command = Command::Processes {
            places: self.places.clone(),
        };
        let nodes = shared.agent.call::<Vec<Processes>>(command).await;
        StepOutcome::of(nodes.map(|nodes| judge_paused(&nodes)))
    }

    async fn recheck(&mut self, shared: &Shared) -> StepOutcome {
        self.look(shared).await
    }

    async fn heal(&mut self, shared: &Shared) -> StepOutcome {
        let resumed = shared.agent.heal::<Processes>(NAME, self.id).await;
        StepOutcome::of(resumed.map(|nodes| {
            self.woken = all(&nodes);
            StepOutcome::installed(
                format!("woke {} processes", self.woken.len()),
                json!({"pids": pids(nodes.iter().map(|node| (&node.node, &node.processes)))}),
            )
        }))
    }

    async fn verify_healed(&mut self, shared: &Shared) -> StepOutcome {
        let is_awake = |alive: &[Process]| !alive.iter().any(|process| procfs::stopped(process.state));
        StepOutcome::of(
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
                        return StepOutcome::installed(detail, json!({"awake": alive.len()}));
                    }
                    StepOutcome::indeterminate(
                        "some are still stopped, perhaps by another fault",
                        json!({"processes": alive}),
                    )
                }),
        )
    }
}

/// Stopping a node that is stopped already has no effect.
fn stopped_already(processes: &[Process]) -> Option<&'static str> {
    let mut processes = processes.iter();
    (processes.all(|process| procfs::stopped(process.state)))
        .then_some("all of its processes are stopped already")
}

/// Pids by node.
fn pids<'a>(nodes: impl Iterator<Item = (&'a String, &'a Vec<Process>)>) -> Value {
    let pids = |processes: &[Process]| processes.iter().map(|process| process.pid).collect::<Vec<_>>();
    nodes
        .map(|(node, processes)| (node.clone(), json!(pids(processes))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Every process of each node is stopped, and there is one.
fn judge_paused(nodes: &[Processes]) -> StepOutcome {
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
            return StepOutcome::indeterminate(why, evidence);
        }
    }
    let count: usize = nodes.iter().map(|node| node.processes.len()).sum();
    StepOutcome::installed(format!("all {count} processes are stopped"), evidence)
}

#[cfg(test)]
mod tests {
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
