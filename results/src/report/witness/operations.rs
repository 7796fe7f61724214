//! Operations that contradict each other: their timeline, how far the rest can be explained, and their table.

use duress_checker::history::EventType;
use duress_checker::verdict::{Reached, Witness, WitnessOp};
use maud::{Markup, html};

use crate::data::RunData;
use crate::format::{count, duration, moment};
use crate::report::label::label;
use crate::report::timeline::{lanes, order};

/// Where operations are the proof.
pub(super) fn proof(witness: &Witness, run: &RunData) -> Markup {
    html! {
        p.quiet {
            @if witness.minimal {
                "These operations alone prove it; without any one of them there would be no contradiction."
            } @else {
                "These operations prove it; the search for fewer was stopped by its budget."
            }
        }
        @if witness.operations.is_empty() {
            p.nothing { "The checker named no operations." }
        } @else {
            (drawn(witness, culprit(witness), run))
        }
        @if let Some(reached) = &witness.reached {
            (how_far(reached, run))
        }
        @if let Some(weaker) = &witness.weaker {
            p.quiet { "What the history keeps instead: " (weaker.sentence) }
        }
    }
}

/// Where something else is the proof: the operations that it came from.
pub(super) fn origin(title: &str, witness: &Witness, run: &RunData) -> Markup {
    html! {
        @if !witness.operations.is_empty() {
            h3 { (title) }
            (drawn(witness, witness.operations.last().map(|op| op.index), run))
        }
    }
}

fn drawn(witness: &Witness, culprit: Option<u64>, run: &RunData) -> Markup {
    html! {
        figure {
            div.scroll tabindex="0" role="img" aria-label="Timeline of the operations in the table below" {
                (lanes::draw(witness, culprit, run))
            }
            figcaption.quiet {
                "One lane a process, a bar from invocation to completion. Order is exact, distances are not: long waits are shortened."
            }
        }
        (table(witness, culprit))
    }
}

/// How far the object's history can be explained: the end of an order, what it leaves, and what fits no such order.
fn how_far(reached: &Reached, run: &RunData) -> Markup {
    html! {
        h3 { "How far it can be explained" }
        p.quiet { (reached.sentence) }
        figure {
            div.scroll tabindex="0" role="img" aria-label=(in_words(reached)) {
                (order::draw(reached, run))
            }
            figcaption.quiet {
                @if !reached.order.is_empty() {
                    "From top to bottom in an order that explains what came before; a number on a bar is where the operation may have taken effect. "
                }
                "Order is exact, distances are not."
            }
        }
    }
}

/// What the drawing shows, for those who hear it.
fn in_words(reached: &Reached) -> String {
    let placed = (1..).zip(&reached.order);
    let placed = placed.map(|(number, placed)| format!("{number}: {}", label(None, &placed.operation)));
    let open = reached.open.iter().map(|open| {
        let open = label(None, open);
        format!("{open} {}", order::MAY)
    });
    let failing = label(None, &reached.failing);
    let words: Vec<String> = (order::before(reached).into_iter())
        .chain(placed)
        .chain(open)
        .chain([order::leaves(reached), format!("{failing} {}", order::NOWHERE)])
        .collect();
    words.join("; ")
}

fn table(witness: &Witness, culprit: Option<u64>) -> Markup {
    html! {
        div.scroll {
            table.stack.operations {
                thead { tr { th.number { "Invoked" } th.number { "Took" } th { "Process" } th { "Operation" } th { "Node" } th { "Note" } th.number { "Index" } } }
                tbody {
                    @for op in &witness.operations {
                        tr.culprit[Some(op.index) == culprit] {
                            td.number data-label="Invoked" { (moment(op.invoked)) }
                            td.number data-label="Took" {
                                @match op.completed {
                                    Some(completed) => (duration(completed.saturating_sub(op.invoked))),
                                    None => "never ended",
                                }
                            }
                            td data-label="Process" { (op.process) }
                            td data-label="Operation" { code { (label(witness.key.as_ref(), op)) } }
                            td data-label="Node" { (op.node.as_deref().unwrap_or("–")) }
                            td data-label="Note" { (op.note) }
                            td.number.quiet data-label="Index" { (count(op.index)) }
                        }
                    }
                }
            }
        }
    }
}

/// The operation that can't be fitted in: the last one that returned something. A guess for the eye, no verdict.
fn culprit(witness: &Witness) -> Option<u64> {
    // A compare-and-set that was refused saw something, too.
    let refused = |op: &&WitnessOp| op.outcome == EventType::Fail;
    let ended = || (witness.operations.iter()).filter(|op| op.outcome == EventType::Ok || refused(op));
    let returned =
        ended().filter(|op| refused(op) || op.result.as_ref().is_some_and(|result| !result.is_null()));
    (returned.max_by_key(|op| op.invoked))
        .or_else(|| ended().max_by_key(|op| op.invoked))
        .map(|op| op.index)
}
