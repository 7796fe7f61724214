//! The protocol over time, as the nodes told it.

use maud::{Markup, html};

use super::figure;
use crate::data::RunData;
use crate::format::{counted, share};
use crate::plots;

pub(super) fn section(run: &RunData) -> Markup {
    let plots = plots::nodes(run);
    html! {
        section id="state" {
            h2 { "State of the cluster" }
            @if plots.is_empty() {
                p.nothing { "No node was asked about its state." }
            } @else {
                p.lead { (sentence(run)) }
                @for plot in plots { (figure(&plot)) }
            }
        }
    }
}

fn sentence(run: &RunData) -> String {
    let probes: u64 = run.nodes.iter().map(|node| node.probes).sum();
    let answered: u64 = run.nodes.iter().map(|node| node.answered).sum();
    let term = (run.nodes.iter().flat_map(|node| &node.spans))
        .filter_map(|span| span.term)
        .max();
    let term = term.map_or(String::new(), |term| {
        format!(" The highest term was {}.", crate::format::count(term))
    });
    format!(
        "{} answered {} of {}.{term}",
        counted(run.nodes.len() as u64, "node"),
        share(answered, probes),
        counted(probes, "question"),
    )
}
