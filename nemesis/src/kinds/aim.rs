//! What faults of processes share: choosing the nodes that they hit, and waiting for an effect.

use std::time::{Duration, Instant};

use duress_cluster::Place;
use serde_json::json;
use tokio::time::sleep;

use crate::agent::ends::AgentError;
use crate::agent::protocol::{Command, Identity, Process, Processes};
use crate::journal::Entry;
use crate::life::shared::Shared;
use crate::life::technique::StepOutcome;
use crate::targets::{Selector, resolve};

/// How often, and how long, to look whether a signal has had its effect.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
pub const EFFECT_WAIT_MAX: Duration = Duration::from_secs(2);

/// Whom a fault hits.
pub struct Aimed {
    /// Where they are.
    pub places: Vec<Place>,
    /// As the journal has them.
    pub nodes: Vec<Identity>,
    /// Of the preparation.
    pub outcome: StepOutcome,
}

/// Resolves targets to those that can be hurt, and writes the journal. `unhurt` says why a node that runs these processes
/// can't be.
pub async fn aim(
    shared: &Shared,
    fault: u64,
    kind: &str,
    selector: &Selector,
    seed: u64,
    unhurt: fn(&[Process]) -> Option<&'static str>,
) -> Result<Aimed, StepOutcome> {
    let roles = shared.roles(selector.needs_leader()).await;
    let chosen = resolve(selector, &shared.names(), &roles, seed)
        .map_err(|error| StepOutcome::skipped(error.to_string()))?;
    let (mut places, mut absent) = shared.places().await;
    absent.retain(|line| chosen.iter().any(|name| line.starts_with(&format!("{name}: "))));
    places.retain(|place| chosen.contains(&place.name));
    let skip = |error: AgentError| StepOutcome::skipped(error.to_string());
    let running: Vec<Processes> = shared
        .agent
        .call(Command::Processes {
            places: places.clone(),
        })
        .await
        .map_err(skip)?;
    for node in &running {
        let nothing = node.processes.is_empty().then_some("no process runs there");
        if let Some(why) = nothing.or_else(|| unhurt(&node.processes)) {
            absent.push(format!("{}: {why}", node.node));
            places.retain(|place| place.name != node.node);
        }
    }
    if places.is_empty() {
        return Err(StepOutcome::skipped(absent.join("; ")));
    }
    let nodes = shared.identify(places.clone()).await.map_err(skip)?;
    shared
        .note(Entry::Open {
            fault,
            kind: kind.to_owned(),
            nodes: nodes.clone(),
        })
        .await
        .map_err(|error| StepOutcome::skipped(error.to_string()))?;
    let detail = if absent.is_empty() {
        String::new()
    } else {
        format!("left out: {}", absent.join("; "))
    };
    Ok(Aimed {
        places,
        nodes,
        outcome: StepOutcome::installed(detail, json!({"chosen": chosen})),
    })
}

pub fn names(places: &[Place]) -> Vec<String> {
    places.iter().map(|place| place.name.clone()).collect()
}

/// The processes of all nodes.
pub fn all(nodes: &[Processes]) -> Vec<Process> {
    nodes
        .iter()
        .flat_map(|node| node.processes.iter().copied())
        .collect()
}

/// Asks which of the processes live until `done` likes the answer, or time is up. Returns the last answer.
pub async fn watch(
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
