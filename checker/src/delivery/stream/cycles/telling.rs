//! A cycle in words: who sent what before whom, who polled it, who did not.
//!
//! ```text
//! A sent 5 to "p0" before B sent 6, B sent 7 to "p1" before A sent 8 (A is event 4, B event 9)
//! ```

use super::graph::{Edge, Kind};
use crate::delivery::anomaly::{Anomaly, Cause};
use crate::delivery::findings::{Finding, cause};
use crate::delivery::journal::{Journal, Touch};
use crate::history::{Val, shortened};

/// Steps that are told; a cycle of more is told to have more.
const TOLD_MAX: usize = 8;

/// What is said of a cycle. It is about the message at its end, as the first step shows it.
pub(super) fn finding(journal: &Journal, requests: &[u32], anomaly: Anomaly, cycle: &[Edge]) -> Finding {
    let request = |node: u32| requests[node as usize];
    let shown = cycle.first().map(|edge| touch(journal, edge.shown_by.1));
    let causes = cycle.iter().map(|edge| {
        let [one, other] = [edge.from, edge.to].map(|node| journal.request_at(request(node)));
        cause(journal, Some(one), Some(other))
    });
    Finding {
        anomaly,
        cause: causes
            .into_iter()
            .find(|cause| *cause != Cause::Unknown)
            .unwrap_or(Cause::Unknown),
        stream: shown.map_or(Val::NONE, |shown| shown.stream),
        value: shown.map_or(Val::NONE, |shown| shown.value),
        requests: cycle.iter().map(|edge| request(edge.from)).collect(),
        sentence: sentence(journal, requests, cycle),
    }
}

fn touch(journal: &Journal, position: u32) -> &Touch {
    &journal.touches[position as usize]
}

/// `A` to `Z`, then `T27`.
fn letter(position: usize) -> String {
    match u8::try_from(position) {
        Ok(few @ 0..26) => char::from(b'A' + few).to_string(),
        _ => format!("T{}", position + 1),
    }
}

fn sentence(journal: &Journal, requests: &[u32], cycle: &[Edge]) -> String {
    let text = |val: Val| shortened(&journal.values.json(val).to_string());
    let step = |(position, edge): (usize, &Edge)| {
        let (one, other) = (letter(position), letter((position + 1) % cycle.len()));
        let (first, second) = (touch(journal, edge.shown_by.0), touch(journal, edge.shown_by.1));
        let (here, there, partition) = (text(first.value), text(second.value), text(first.stream));
        match edge.kind {
            Kind::Ww => format!("{one} sent {here} to {partition} before {other} sent {there}"),
            Kind::Wr => format!("{one} sent {here} to {partition}, which {other} polled"),
            Kind::Rw => format!("{one} polled {partition} up to {here} and not {there}, which {other} sent"),
        }
    };
    let mut steps: Vec<String> = cycle.iter().enumerate().take(TOLD_MAX).map(step).collect();
    if cycle.len() > TOLD_MAX {
        steps.push(format!("and so on, back to A over {} transactions", cycle.len()));
    }
    let named = cycle.iter().enumerate().take(TOLD_MAX).map(|(position, edge)| {
        let index = journal.request_at(requests[edge.from as usize]).index;
        let is = if position == 0 { "is event" } else { "event" };
        format!("{} {is} {index}", letter(position))
    });
    let named: Vec<String> = named.collect();
    format!("{} ({})", steps.join("; "), named.join(", "))
}
