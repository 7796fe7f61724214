//! Who counted on a lock, and for how long.

use duress_checker::verdict::{TenureProof, TenuresProof};
use maud::{Markup, html};

use crate::data::RunData;
use crate::report::timeline::spans::{Lasting, draw};

pub(super) fn proof(proof: &TenuresProof, run: &RunData) -> Markup {
    // Who came second had no right to it.
    let lasting = |(position, tenure): (usize, &TenureProof)| Lasting {
        name: format!("process {}", tenure.process),
        from: tenure.acquired,
        to: tenure.until,
        label: label(tenure),
        contradicts: position > 0,
        unknown: false,
    };
    let lasting: Vec<Lasting> = proof.tenures.iter().enumerate().map(lasting).collect();
    html! {
        p.quiet { "From the moment at which a lock is granted until it is asked to be released, or its holder is last heard of, it is held." }
        figure {
            div.scroll tabindex="0" role="img" aria-label="Timeline of who held the lock" {
                (draw(&lasting, run))
            }
            figcaption.quiet { "One lane a process. Where two bars lie above each other, two held the lock at once." }
        }
    }
}

fn label(tenure: &TenureProof) -> String {
    let end = if tenure.released {
        "asks for release"
    } else {
        "last heard of"
    };
    match &tenure.node {
        Some(node) => format!("holds, granted by {node}, {end}"),
        None => format!("holds, {end}"),
    }
}
