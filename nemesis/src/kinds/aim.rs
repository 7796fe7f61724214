//! What faults of processes share: choosing the nodes that they hit, and waiting for an effect.

use std::time::{Duration, Instant};

use duress_cluster::Place;
use serde_json::json;
use tokio::time::sleep;

use crate::agent::ends::AgentError;
use crate::agent::protocol::{Command, Identity, Process, Processes};
use crate::bound::Fewer;
use crate::life::shared::Shared;
use crate::life::technique::StepOutcome;
use crate::targets::{AboutLeader, Selector, resolve};

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

/// Who says why a node can't be hurt, if it can't.
pub enum Unhurt {
    /// By the processes that run there.
    By(fn(&[Process]) -> Option<&'static str>),
    /// The kind's part in the agent, where the node is.
    Agent,
}

impl Unhurt {
    async fn why(&self, shared: &Shared, kind: &str, node: &Processes, places: &[Place]) -> Option<String> {
        if node.processes.is_empty() {
            return Some("no process runs there".to_owned());
        }
        match self {
            Unhurt::By(why) => why(&node.processes).map(str::to_owned),
            Unhurt::Agent => {
                let place = places.iter().find(|place| place.name == node.node)?;
                let can = shared.agent.can(kind, place).await;
                can.err().map(|error| error.to_string())
            }
        }
    }
}

/// Resolves targets to those that can be hurt, and writes the journal.
pub async fn aim(
    shared: &Shared,
    fault: u64,
    kind: &str,
    selector: &Selector,
    seed: u64,
    unhurt: Unhurt,
) -> Result<Aimed, StepOutcome> {
    let roles = shared.roles(AboutLeader::of(Some(selector))).await;
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
        if let Some(why) = unhurt.why(shared, kind, node, &places).await {
            absent.push(format!("{}: {why}", node.node));
            places.retain(|place| place.name != node.node);
        }
    }
    if places.is_empty() {
        return Err(StepOutcome::skipped(absent.join("; ")));
    }
    let may = shared.bound().admit(fault, &names(&places), Fewer::Can, seed);
    places.retain(|place| may.nodes.contains(&place.name));
    if places.is_empty() {
        return Err(StepOutcome::skipped(may.spared));
    }
    let nodes = shared.open_in_journal(fault, kind, places.clone()).await;
    let nodes = nodes.map_err(StepOutcome::skipped)?;
    let mut detail = match absent.is_empty() {
        true => String::new(),
        false => format!("left out: {}", absent.join("; ")),
    };
    if !may.spared.is_empty() {
        let between = if detail.is_empty() { "" } else { "; " };
        detail = format!("{detail}{between}{}", may.spared);
    }
    Ok(Aimed {
        places,
        nodes,
        outcome: StepOutcome::installed(detail, json!({"chosen": chosen})),
    })
}

pub fn names(places: &[Place]) -> Vec<String> {
    places.iter().map(|place| place.name.clone()).collect()
}

/// The commands that send this signal to the processes at these places.
pub async fn signal_by_hand(shared: &Shared, places: &[Place], signal: &str) -> Vec<String> {
    let places = places.to_vec();
    match shared
        .agent
        .call::<Vec<Processes>>(Command::Processes { places })
        .await
    {
        Ok(nodes) => nodes.iter().map(|node| kill_line(node, signal)).collect(),
        Err(error) => vec![format!("# {error}")],
    }
}

fn kill_line(node: &Processes, signal: &str) -> String {
    let pids: Vec<String> = node
        .processes
        .iter()
        .map(|process| process.pid.to_string())
        .collect();
    format!("kill -{signal} {}  # at {}", pids.join(" "), node.node)
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
