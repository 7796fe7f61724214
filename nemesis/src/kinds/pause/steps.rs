//! What the steps of a pause do.

use std::time::Instant;

use async_trait::async_trait;
use duress_checker::history::StepResult;
use duress_cluster::Place;
use serde_json::{Value, json};

use super::agent::Held;
use crate::agent::processes::same;
use crate::agent::procfs;
use crate::agent::protocol::{Command, Identity, Process, Processes};
use crate::journal::Entry;
use crate::kinds::aim::{EFFECT_WAIT_MAX, Unhurt, aim, all, names, signal_by_hand, watch};
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
    /// What it stopped.
    held: Vec<Process>,
    /// Nodes at which it stopped nothing that had not been stopped before.
    unmoved: Vec<String>,
    woken: Vec<Process>,
    /// When all had stopped.
    since: Option<Instant>,
}

impl PauseSteps {
    pub fn new(id: u64, selector: Selector, seed: u64) -> PauseSteps {
        PauseSteps {
            id,
            selector,
            seed,
            places: Vec::new(),
            nodes: Vec::new(),
            held: Vec::new(),
            unmoved: Vec::new(),
            woken: Vec::new(),
            since: None,
        }
    }
}

#[async_trait]
impl Technique for PauseSteps {
    fn targets(&self) -> Vec<String> {
        names(&self.places)
    }

    async fn prepare(&mut self, shared: &Shared) -> StepOutcome {
        match aim(
            shared,
            self.id,
            NAME,
            &self.selector,
            self.seed,
            Unhurt::By(stopped_already),
        )
        .await
        {
            Ok(aimed) => {
                (self.places, self.nodes) = (aimed.places, aimed.nodes);
                aimed.outcome
            }
            Err(outcome) => outcome,
        }
    }

    async fn by_hand(&mut self, shared: &Shared) -> Vec<String> {
        signal_by_hand(shared, &self.places, "STOP").await
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
        self.since = Some(Instant::now());
        let unmoved = held.iter().filter(|node| node.newly == 0);
        self.unmoved = unmoved.map(|node| node.node.clone()).collect();
        let newly: usize = held.iter().map(|node| node.newly).sum();
        self.held = held
            .iter()
            .flat_map(|node| node.processes.iter().copied())
            .collect();
        let journaled = shared
            .note(Entry::Held {
                fault: self.id,
                data: json!(self.held),
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
        StepOutcome::of(nodes.map(|nodes| judge_paused(&nodes, &self.held)))
    }

    async fn recheck(&mut self, shared: &Shared) -> StepOutcome {
        self.look(shared).await
    }

    async fn heal(&mut self, shared: &Shared) -> StepOutcome {
        // From when all stood still to when the first may go on.
        let stopped_ms = self.since.map(|since| since.elapsed().as_micros() as f64 / 1e3);
        let resumed = shared.agent.heal::<Processes>(NAME, self.id).await;
        StepOutcome::of(resumed.map(|nodes| {
            self.woken = all(&nodes);
            let stopped = stopped_ms.map_or(String::new(), |ms| format!(" after {ms:.0} ms"));
            StepOutcome::installed(
                format!("woke {} processes{stopped}", self.woken.len()),
                json!({"stopped_ms": stopped_ms, "pids": pids(nodes.iter().map(|node| (&node.node, &node.processes)))}),
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
                        let mut detail = format!("{} processes go on", alive.len());
                        let gone = self.woken.len() - alive.len();
                        if gone > 0 {
                            detail.push_str(&format!(", {gone} have ended since"));
                        }
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

/// Every process of each node is stopped, and there is one. What came into a node from outside since then, as the health
/// check of an engine does, is none of its program: that is stopped, and starts nothing.
fn judge_paused(nodes: &[Processes], held: &[Process]) -> StepOutcome {
    let evidence = json!({"processes": nodes});
    let visits = |process: &Process| process.entered && !held.iter().any(|other| same(other, process));
    let mut count = 0;
    for node in nodes {
        let of_node = || node.processes.iter().filter(|process| !visits(process));
        let running = of_node()
            .filter(|process| !procfs::stopped(process.state))
            .count();
        let all = of_node().count();
        if all == 0 || running > 0 {
            let why = format!("{}: {running} of {all} processes run", node.node);
            return StepOutcome::indeterminate(why, evidence);
        }
        count += all;
    }
    StepOutcome::installed(format!("all {count} processes are stopped"), evidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process a letter, which is its state; a capital says that it came from outside.
    fn node(states: &str) -> Processes {
        let process = |(pid, letter): (u32, char)| Process {
            pid,
            started: 1,
            state: letter.to_ascii_uppercase(),
            entered: letter.is_ascii_uppercase(),
            machine: 0,
        };
        Processes {
            node: "n1".to_owned(),
            processes: (1..).zip(states.chars()).map(process).collect(),
        }
    }

    #[test]
    fn a_pause_is_installed_only_if_all_are_stopped_and_there_are_some() {
        let judged = |nodes: &[Processes]| judge_paused(nodes, &[]).result;
        assert_eq!(judged(&[node("tt"), node("t")]), StepResult::Installed);
        assert_eq!(judged(&[node("tt"), node("ts")]), StepResult::Indeterminate);
        assert_eq!(judged(&[node("tt"), node("")]), StepResult::Indeterminate);
    }

    #[test]
    fn a_health_check_in_a_paused_node_is_not_its_program() {
        let judged = |states: &str, held: &str| judge_paused(&[node(states)], &node(held).processes).result;
        assert_eq!(judged("ttS", "tt"), StepResult::Installed);
        // One that was there when the pause began was stopped, and has been woken since.
        assert_eq!(judged("ttS", "ttT"), StepResult::Indeterminate);
        // What the program started itself is its own.
        assert_eq!(judged("tts", "tt"), StepResult::Indeterminate);
        // Visitors alone are no node that stands still.
        assert_eq!(judged("S", ""), StepResult::Indeterminate);
    }
}
