//! How many nodes may be damaged for good: what kinds share whose damage stays.
//!
//! ```toml
//! damage-max = 1         # nodes that may be damaged in a run, by all such kinds together; the largest minority, if it does not say
//! ```

use std::collections::BTreeSet;

use serde::Serialize;

use super::aim::{Aimed, Unhurt, aim};
use super::at_nodes;
use super::kind::Parameter;
use crate::life::shared::Shared;
use crate::life::technique::StepOutcome;
use crate::targets::{RoleSelector, Selector};

/// For a catalogue.
pub fn parameter() -> Parameter {
    Parameter {
        name: "damage-max",
        values: "nodes that may be damaged in a run, by all kinds whose damage stays; default the largest minority".to_owned(),
    }
}

fn largest_minority(nodes: usize) -> usize {
    nodes.saturating_sub(1) / 2
}

/// Says what is wrong with targets and bound for these nodes, if anything is, as [`Parameters::check`].
///
/// [`Parameters::check`]: super::Parameters::check
pub fn check(
    targets: &Selector,
    damage_max: Option<usize>,
    nodes: &[String],
) -> Result<(), (&'static str, String)> {
    at_nodes::check(targets, nodes)?;
    let most = damage_max.unwrap_or(largest_minority(nodes.len()));
    let asked = match targets {
        Selector::Names(names) => names.len(),
        Selector::Role(RoleSelector::All) => nodes.len(),
        Selector::Role(RoleSelector::Majority) => nodes.len() / 2 + 1,
        Selector::Role(RoleSelector::Minority) => largest_minority(nodes.len()),
        Selector::Role(_) => 1,
    };
    if asked > most {
        let what = format!(
            "{asked} of {} nodes would be damaged for good, and {most} may be; name fewer, or say damage-max = {asked}",
            nodes.len()
        );
        return Err(("targets", what));
    }
    Ok(())
}

/// As [`aim`], without nodes that would be one too many: what they hold must survive somewhere. The kind's half in the agent answers
/// `question` by the names of [`crate::agent::damage::damaged`].
pub async fn aim_within(
    shared: &Shared,
    fault: u64,
    kind: &str,
    targets: &Selector,
    seed: u64,
    question: &impl Serialize,
    damage_max: Option<usize>,
) -> Result<Aimed, StepOutcome> {
    let mut aimed = aim(shared, fault, kind, targets, seed, Unhurt::Agent).await?;
    let mut damaged: BTreeSet<String> = match shared.agent.ask(kind, question).await {
        Ok(damaged) => damaged,
        Err(error) => {
            aimed.outcome = StepOutcome::skipped(error.to_string());
            return Ok(aimed);
        }
    };
    let most = damage_max.unwrap_or(largest_minority(shared.names().len()));
    let mut spared = Vec::new();
    aimed.places.retain(|place| {
        let may = damaged.contains(&place.name) || damaged.len() < most;
        if may {
            damaged.insert(place.name.clone());
        } else {
            spared.push(place.name.clone());
        }
        may
    });
    let places = &aimed.places;
    aimed
        .nodes
        .retain(|node| places.iter().any(|place| place.name == node.place.name));
    if !spared.is_empty() {
        let why = format!("spared, since others are damaged already: {}", spared.join(", "));
        match aimed.places.is_empty() {
            true => aimed.outcome = StepOutcome::skipped(why),
            false => aimed.outcome.detail = why,
        }
    }
    Ok(aimed)
}
