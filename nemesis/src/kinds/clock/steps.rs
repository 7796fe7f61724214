//! What the steps of a fault of clocks do.

use std::collections::BTreeMap;

use async_trait::async_trait;
use duress_cluster::Place;
use serde_json::json;

use super::agent::{Order, Question};
use super::judge::{judge_right, judge_wrong};
use super::report::{Injected, NodeClocks};
use crate::agent::ends::AgentError;
use crate::agent::protocol::{Command, Identity, Process, Processes};
use crate::agent::vdso::skew::Skew;
use crate::journal::Entry;
use crate::kinds::aim::{Unhurt, aim, all, names};
use crate::life::shared::Shared;
use crate::life::technique::{StepOutcome, Technique};
use crate::targets::Selector;

pub(super) struct ClockSteps {
    id: u64,
    kind: &'static str,
    selector: Selector,
    seed: u64,
    places: Vec<Place>,
    nodes: Vec<Identity>,
    /// The processes that were there when it was injected.
    held: Vec<Process>,
    /// What is to be shown; without anchors.
    skew: Skew,
    /// By machine, since each has clocks of its own: the same with anchors, once it is injected.
    anchored: BTreeMap<u32, Skew>,
}

impl ClockSteps {
    pub fn new(id: u64, kind: &'static str, selector: Selector, seed: u64, skew: Skew) -> ClockSteps {
        ClockSteps {
            id,
            kind,
            selector,
            seed,
            places: Vec::new(),
            nodes: Vec::new(),
            held: Vec::new(),
            skew,
            anchored: BTreeMap::new(),
        }
    }

    /// By machine, what its nodes' clocks show.
    async fn ask(
        &self,
        shared: &Shared,
        measure: bool,
        in_force: bool,
    ) -> Result<BTreeMap<u32, Vec<NodeClocks>>, AgentError> {
        // A node that was started again meanwhile is somewhere else; one that another fault has ended is nowhere until then.
        let (mut places, _) = shared.places().await;
        places.retain(|place| self.places.iter().any(|other| other.name == place.name));
        let mut clocks = BTreeMap::new();
        for (machine, places) in by_machine(&places) {
            let question = Question {
                fault: self.id,
                places,
                skew: self.skew_of(machine).clone(),
                measure,
                in_force,
            };
            clocks.insert(machine, shared.agent.ask(self.kind, &question).await?);
        }
        Ok(clocks)
    }

    fn skew_of(&self, machine: u32) -> &Skew {
        self.anchored.get(&machine).unwrap_or(&self.skew)
    }

    async fn see_wrong(&self, shared: &Shared, measure: bool) -> StepOutcome {
        let seen = self.ask(shared, measure, true).await;
        StepOutcome::of(seen.map(|seen| {
            if measure && seen.values().map(Vec::len).sum::<usize>() != self.places.len() {
                let clocks: Vec<_> = seen.into_values().flatten().collect();
                return StepOutcome::indeterminate(
                    "not all of its nodes are there",
                    json!({"clocks": clocks}),
                );
            }
            let judged = seen
                .iter()
                .map(|(machine, nodes)| judge_wrong(nodes, &self.held, self.skew_of(*machine), measure));
            StepOutcome::all(judged)
        }))
    }
}

/// The places of each machine.
fn by_machine(places: &[Place]) -> BTreeMap<u32, Vec<Place>> {
    let mut machines: BTreeMap<u32, Vec<Place>> = BTreeMap::new();
    for place in places {
        machines.entry(place.machine).or_default().push(place.clone());
    }
    machines
}

#[async_trait]
impl Technique for ClockSteps {
    fn targets(&self) -> Vec<String> {
        names(&self.places)
    }

    async fn prepare(&mut self, shared: &Shared) -> StepOutcome {
        match aim(
            shared,
            self.id,
            self.kind,
            &self.selector,
            self.seed,
            Unhurt::Agent,
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
        let places = self.places.clone();
        let how = "# faketime(1) does it to programs that it starts; here the vDSO of processes that run is patched:";
        let at = |node: &Processes| format!("# {}: {} processes", node.node, node.processes.len());
        match shared
            .agent
            .call::<Vec<Processes>>(Command::Processes { places })
            .await
        {
            Ok(nodes) => std::iter::once(how.to_owned())
                .chain(nodes.iter().map(at))
                .collect(),
            Err(error) => vec![format!("# {error}")],
        }
    }

    async fn inject(&mut self, shared: &Shared) -> StepOutcome {
        let mut all = Vec::new();
        for (machine, places) in by_machine(&self.places) {
            let skew = self.skew.clone();
            let mut nodes = self.nodes.clone();
            nodes.retain(|node| node.place.machine == machine);
            let order = Order { places, skew };
            let injected = shared
                .agent
                .inject::<Injected>(self.kind, self.id, &nodes, &order);
            let injected = match injected.await {
                Ok(injected) => injected,
                Err(error) => return StepOutcome::indeterminate(error.to_string(), serde_json::Value::Null),
            };
            self.anchored.insert(machine, injected.skew.clone());
            all.push(injected);
        }
        let data = match &all[..] {
            [only] => json!(only),
            all => json!({"machines": all}),
        };
        self.held = all
            .into_iter()
            .flat_map(|injected| injected.nodes)
            .flat_map(|(_, processes)| processes)
            .collect();
        let count = self.held.len();
        let fault = self.id;
        let journaled = shared
            .note(Entry::Held {
                fault,
                data: data.clone(),
            })
            .await;
        StepOutcome::of(
            journaled
                .map(|()| StepOutcome::installed(format!("patched the vDSO of {count} processes"), data)),
        )
    }

    async fn verify(&mut self, shared: &Shared) -> StepOutcome {
        self.see_wrong(shared, true).await
    }

    async fn look(&mut self, shared: &Shared) -> StepOutcome {
        self.see_wrong(shared, false).await
    }

    async fn recheck(&mut self, shared: &Shared) -> StepOutcome {
        self.see_wrong(shared, true).await
    }

    async fn heal(&mut self, shared: &Shared) -> StepOutcome {
        let healed = shared.agent.heal::<Processes>(self.kind, self.id).await;
        StepOutcome::of(healed.map(|nodes| {
            let processes = all(&nodes);
            let said = format!("set the clocks of {} processes right", processes.len());
            StepOutcome::installed(said, json!({"processes": nodes}))
        }))
    }

    async fn verify_healed(&mut self, shared: &Shared) -> StepOutcome {
        let seen = self.ask(shared, true, false).await;
        StepOutcome::of(seen.map(|seen| {
            let nodes: Vec<_> = seen.into_values().flatten().collect();
            judge_right(&nodes)
        }))
    }
}
