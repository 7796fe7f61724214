//! When and where a violation happened, and which faults were in force meanwhile: one sentence, the same for all
//! properties.
//!
//! ```text
//! Between 4.812 s and 5.120 s, at n1 and n3, while fault 2 (partition of n1, n4) was in force.
//! At 9.002 s, at n2, with no fault in force; the last, fault 1 (kill of n3), had been healed at 7.310 s.
//! ```

use std::collections::BTreeSet;

use crate::history::Trace;
use crate::verdict::{Proof, Witness};

/// Faults that are named.
const FAULTS_NAMED_MAX: usize = 3;

/// The sentence; empty where the witness is about no moment.
pub(super) fn circumstances(witness: &Witness, trace: &Trace<'_>) -> String {
    let Some((from, to)) = moments(witness) else {
        return String::new();
    };
    let when = match from == to {
        true => format!("At {}", moment(from)),
        false => format!("Between {} and {}", moment(from), moment(to)),
    };
    let nodes = nodes(witness);
    let place = match nodes.is_empty() {
        true => String::new(),
        false => format!(", at {}", listed(&nodes)),
    };
    format!("{when}{place}, {}.", faults(trace, from, to))
}

/// From when to when it happened. What members hold was read at the end; what tells is when the last of it was written.
fn moments(witness: &Witness) -> Option<(u64, u64)> {
    if let Some(moments) = witness.proof.moments() {
        return Some(moments);
    }
    let operations = match &witness.proof {
        Proof::Contents(_) => &witness.operations[witness.operations.len().saturating_sub(1)..],
        _ => &witness.operations,
    };
    let from = operations.iter().map(|operation| operation.invoked).min()?;
    let to = operations
        .iter()
        .map(|operation| operation.completed.unwrap_or(operation.invoked));
    Some((from, to.max()?.max(from)))
}

/// Each node once, in order of name.
fn nodes(witness: &Witness) -> Vec<String> {
    let told = witness.proof.nodes();
    let nodes: BTreeSet<&str> = match told.is_empty() {
        true => (witness.operations.iter())
            .filter_map(|operation| operation.node.as_deref())
            .collect(),
        false => told.into_iter().collect(),
    };
    nodes.into_iter().map(str::to_owned).collect()
}

/// The faults in force between two moments, or the last one before.
fn faults(trace: &Trace<'_>, from: u64, to: u64) -> String {
    let all = trace.faults.iter().filter_map(|(id, fault)| {
        let (injected, healed) = fault.in_force(trace.end)?;
        Some((format!("fault {id} ({})", fault.name()), injected, healed))
    });
    let all: Vec<(String, u64, u64)> = all.collect();
    let mut during: Vec<String> = (all.iter())
        .filter(|(_, injected, healed)| *injected <= to && *healed >= from)
        .map(|(name, ..)| name.clone())
        .collect();
    // The latest first: it is the likeliest cause.
    during.reverse();
    let more = during.len().saturating_sub(FAULTS_NAMED_MAX);
    during.truncate(FAULTS_NAMED_MAX);
    if more > 0 {
        during.push(format!("{more} more"));
    }
    if !during.is_empty() {
        let were = if during.len() == 1 { "was" } else { "were" };
        return format!("while {} {were} in force", listed(&during));
    }
    let before = (all.iter())
        .filter(|(_, _, healed)| *healed < from)
        .max_by_key(|(_, _, healed)| *healed);
    match before {
        Some((name, _, healed)) => format!(
            "with no fault in force; the last, {name}, had been healed at {}",
            moment(*healed)
        ),
        None if all.is_empty() => "without any fault".to_owned(),
        None => "before any fault".to_owned(),
    }
}

/// `a`, `a and b`, `a, b and c`.
fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// `12.904 s`.
fn moment(nanos: u64) -> String {
    format!("{:.3} s", nanos as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::history::{Event, Series};
    use crate::verdict::{StatusSpan, StatusesProof};

    const SECOND: u64 = 1_000_000_000;

    /// `(id, kind, target, injected, healed)`, in seconds.
    fn history(faults: &[(u64, &str, &str, u64, u64)]) -> Vec<Event> {
        let mut steps: Vec<(u64, u64, &str, &str, &str)> = (faults.iter())
            .flat_map(|&(id, kind, target, from, to)| {
                [(from, id, kind, target, "inject"), (to, id, kind, target, "heal")]
            })
            .collect();
        steps.sort_unstable();
        let event = |(index, (time, id, kind, target, step)): (usize, (u64, u64, &str, &str, &str))| {
            serde_json::from_value(json!({
                "index": index, "time": time * SECOND, "process": "nemesis", "type": "info", "f": kind,
                "value": {"id": id, "step": step, "targets": [target], "result": "installed"},
            }))
            .expect("an event")
        };
        steps.into_iter().enumerate().map(event).collect()
    }

    fn said(faults: &[(u64, &str, &str, u64, u64)], from: u64, to: u64) -> String {
        let span = StatusSpan {
            node: "n1".to_owned(),
            from: from * SECOND,
            to: to * SECOND,
            up: true,
            leads: true,
            term: 4,
            applied_from: 0,
            applied_to: 0,
            contradicts: true,
        };
        let witness = Witness::of(
            Proof::Statuses(StatusesProof { spans: vec![span] }),
            String::new(),
        );
        circumstances(&witness, &Trace::new(&history(faults), Series::new()))
    }

    #[test]
    fn faults_in_force_are_named_the_latest_first() {
        let faults = [
            (1, "partition", "n1", 1, 5),
            (2, "kill", "n3", 4, 6),
            (3, "pause", "n2", 9, 10),
        ];
        assert_eq!(
            said(&faults, 2, 3),
            "Between 2.000 s and 3.000 s, at n1, while fault 1 (partition of n1) was in force."
        );
        assert_eq!(
            said(&faults, 5, 5),
            "At 5.000 s, at n1, while fault 2 (kill of n3) and fault 1 (partition of n1) were in force."
        );
    }

    #[test]
    fn without_one_in_force_the_last_before_is_named() {
        let faults = [(1, "partition", "n1", 1, 5), (2, "kill", "n3", 20, 21)];
        assert_eq!(
            said(&faults, 7, 8),
            "Between 7.000 s and 8.000 s, at n1, with no fault in force; the last, fault 1 (partition of n1), had been \
             healed at 5.000 s."
        );
        assert!(said(&faults, 0, 0).ends_with("before any fault."));
        assert!(said(&[], 0, 0).ends_with("without any fault."));
    }

    #[test]
    fn many_faults_are_counted() {
        let faults: Vec<_> = (1..=6).map(|id| (id, "kill", "n1", 1, 9)).collect();
        let said = said(&faults, 3, 4);
        assert!(
            said.contains("fault 6 (kill of n1), fault 5 (kill of n1), fault 4 (kill of n1) and 3 more were"),
            "{said}"
        );
    }
}
