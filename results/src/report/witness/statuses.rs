//! What nodes said of themselves: their statuses over time.

use duress_checker::verdict::{StatusSpan, StatusesProof};
use maud::{Markup, html};

use crate::data::RunData;
use crate::format::{count, duration, moment};
use crate::report::timeline::spans::{Lasting, draw};

pub(super) fn proof(proof: &StatusesProof, run: &RunData) -> Markup {
    let lasting: Vec<Lasting> = (proof.spans.iter())
        .map(|span| Lasting {
            name: span.node.clone(),
            from: span.from,
            to: span.to,
            label: in_short(span),
            contradicts: span.contradicts,
            unknown: !span.up,
        })
        .collect();
    html! {
        p.quiet { "What the nodes said of themselves around that time; what contradicts the property is marked." }
        figure {
            div.scroll tabindex="0" role="img" aria-label="Timeline of the statuses in the table below" {
                (draw(&lasting, run))
            }
            figcaption.quiet {
                "One lane a node, a bar from the first look that showed a status to the last. Order is exact, distances are not."
            }
        }
        div.scroll {
            table.stack.operations {
                thead { tr { th { "Node" } th.number { "From" } th.number { "For" } th { "Role" } th.number { "Term" } th.number { "Applied" } } }
                tbody {
                    @for span in &proof.spans {
                        tr.culprit[span.contradicts] {
                            td data-label="Node" { (span.node) }
                            td.number data-label="From" { (moment(span.from)) }
                            td.number data-label="For" { (duration(span.to.saturating_sub(span.from))) }
                            td data-label="Role" { (role(span)) }
                            td.number data-label="Term" { @if span.up { (count(span.term)) } @else { "–" } }
                            td.number data-label="Applied" { @if span.up { (applied(span)) } @else { "–" } }
                        }
                    }
                }
            }
        }
    }
}

fn role(span: &StatusSpan) -> &'static str {
    match (span.up, span.leads) {
        (false, _) => "no answer",
        (true, true) => "leads",
        (true, false) => "does not lead",
    }
}

fn applied(span: &StatusSpan) -> String {
    if span.applied_from == span.applied_to {
        return count(span.applied_from);
    }
    format!("{} to {}", count(span.applied_from), count(span.applied_to))
}

fn in_short(span: &StatusSpan) -> String {
    match (span.up, span.leads) {
        (false, _) => "no answer".to_owned(),
        (true, true) => format!("leads, term {}, applied {}", count(span.term), applied(span)),
        (true, false) => format!("term {}, applied {}", count(span.term), applied(span)),
    }
}

/// One line a span for the terminal, those that contradict the property marked.
pub(crate) fn said(proof: &StatusesProof) -> Vec<Vec<String>> {
    let line = |span: &StatusSpan| {
        let (term, applied) = match span.up {
            true => (
                format!("term {}", count(span.term)),
                format!("applied {}", applied(span)),
            ),
            false => (String::new(), String::new()),
        };
        vec![
            moment(span.from),
            span.node.clone(),
            role(span).to_owned(),
            term,
            applied,
            if span.contradicts {
                "✕".to_owned()
            } else {
                String::new()
            },
        ]
    };
    proof.spans.iter().map(line).collect()
}
