//! Whether what was measured proves that packets fare as they were to, or as ever again. Pure.
//!
//! Chance has its share in what is measured, and so has a busy machine: it makes packets late, never early. A share is as asked if it is
//! within some standard deviations, a delay if its median is: see [`link`].

mod link;
mod plan;
mod told;

use std::collections::BTreeSet;

use serde_json::json;

use super::effects::Effects;
use super::measurements::measurements;
use super::order::{Count, LinkMeasured, Measured, Seen};
use crate::kinds::partition::reasons;
use crate::life::technique::{StepOutcome, Unproven};

use link::{judge_free, judge_link, ms};
pub use plan::{Plan, probes};
use told::told;

/// What the probes say of links that something is to be done to. At least one of them must be one that both ends could have used:
/// `able` has the nodes that could.
pub fn judge_in_force(
    seen: &Measured,
    links: &[(String, String)],
    effects: &Effects,
    able: &BTreeSet<String>,
) -> StepOutcome {
    let evidence = json!({"asked": effects, "measured": seen});
    StepOutcome::seen(find_fault(seen, links, effects, able), evidence)
        .measuring(measurements(seen, effects, true))
}

fn find_fault(
    seen: &Measured,
    links: &[(String, String)],
    effects: &Effects,
    able: &BTreeSet<String>,
) -> Result<String, Unproven> {
    if seen.links.is_empty() {
        let why = format!("none of its links could be probed: {}", reasons(&seen.unprobed));
        return Err(why.into());
    }
    let useful = |link: &&LinkMeasured| able.contains(&link.from) && able.contains(&link.to);
    if !seen.links.iter().any(|link| useful(&link)) {
        let why = "nobody was hurt: none of its links could have been used, since no process runs at one end";
        return Err(why.to_owned().into());
    }
    for link in &seen.links {
        judge_link(link, effects).map_err(|why| why.of(name(link)))?;
    }
    let probed: BTreeSet<(&str, &str)> = seen
        .links
        .iter()
        .map(|link| (link.from.as_str(), link.to.as_str()))
        .collect();
    let gaps = match links.len() - probed.len() {
        0 => String::new(),
        gaps => format!("; {gaps} were not probed: {}", reasons(&seen.unprobed)),
    };
    Ok(format!(
        "{} of {} directed links: {}{gaps}",
        probed.len(),
        links.len(),
        told(&seen.links, effects)
    ))
}

/// Whether the rules were there each time, at each of these nodes.
pub fn judge_rules(nodes: &[String], seen: &[Seen]) -> Result<(), String> {
    let mut lost: Vec<String> = (nodes.iter())
        .filter(|node| !seen.iter().any(|of_node| of_node.node == **node))
        .map(|node| format!("{node}: no rule of this fault is remembered"))
        .collect();
    for of_node in seen {
        lost.extend(
            of_node
                .missing
                .iter()
                .map(|part| format!("{}: {part} is gone", of_node.node)),
        );
    }
    match lost.is_empty() {
        true => Ok(()),
        false => Err(format!("the rules are not in force: {}", lost.join("; "))),
    }
}

/// Right before it is healed: `outcome` is what the probes say, `seen` what the rules met.
pub fn judge_hurt(outcome: StepOutcome, seen: &[Seen], effects: &Effects) -> StepOutcome {
    let mut evidence = outcome.evidence.clone();
    evidence["met"] = json!(seen);
    let mut sum = Count::default();
    for link in seen.iter().flat_map(|of_node| &of_node.links) {
        sum.add(&link.count);
    }
    let Count { packets, probes, .. } = sum;
    if outcome.result == duress_checker::history::StepResult::Installed && sum.touched == 0 {
        let why = format!(
            "nobody was hurt: the rules met {packets} packets of the system, to none of which anything was done, and {probes} probes"
        );
        return StepOutcome::indeterminate(why, evidence).measuring(outcome.measured);
    }
    let mut done = Vec::new();
    for (asked, count, what) in [
        (effects.loss > 0.0, sum.lost, "got lost"),
        (effects.rate > 0, sum.overflowed, "waited in vain"),
        (effects.duplicate > 0.0, sum.copied, "came twice"),
        (effects.corrupt > 0.0, sum.flipped, "had a bit flipped"),
    ] {
        if asked {
            done.push(format!("{count} {what}"));
        }
    }
    let done = match done.is_empty() {
        true => String::new(),
        false => format!(", of which {}", done.join(", ")),
    };
    StepOutcome {
        detail: format!(
            "{}; the rules met {packets} packets of the system{done}, and {probes} probes",
            outcome.detail
        ),
        evidence,
        ..outcome
    }
}

/// Once it is healed: no rule is left, and nothing is done to packets but by other faults.
pub fn judge_healed(seen: &Measured, left: &[String]) -> StepOutcome {
    let evidence = json!({"measured": seen, "left": left});
    if !left.is_empty() {
        return StepOutcome::indeterminate(format!("rules are left: {}", left.join("; ")), evidence);
    }
    // What is silent is cut by another fault: this one never loses all, and has no rules any more.
    let heard = seen.links.iter().filter(|link| link.heard > 0);
    for link in heard.clone() {
        if let Err(why) = judge_free(link) {
            let (Unproven::Mismatch(why) | Unproven::Indeterminate(why)) = why;
            let why = format!("no rule is left, but {}: {why}", name(link));
            return StepOutcome::indeterminate(why, evidence);
        }
    }
    let worst = heard.clone().map(|link| link.delay_us[2]).max().unwrap_or(0);
    let said = format!(
        "no rule is left; on {} links half of the packets take {:.1} ms at most",
        heard.count(),
        ms(worst)
    );
    StepOutcome::installed(said, evidence)
}

fn name(link: &LinkMeasured) -> String {
    format!("{}>{}/{}", link.from, link.to, link.family)
}

#[cfg(test)]
mod tests;
