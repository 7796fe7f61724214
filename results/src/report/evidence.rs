//! What the verdicts rest on: requirements, operations by kind and outcome, why operations did not succeed.

use duress_checker::evidence::Outcomes;
use maud::{Markup, html};

use crate::data::RunData;
use crate::format::{count, share};

/// Rows of the table of errors.
const ERRORS_MAX: usize = 8;

pub(super) fn section(run: &RunData) -> Markup {
    let evidence = &run.verdict.evidence;
    html! {
        section id="evidence" {
            h2 { "Evidence" }
            @if !evidence.requirements.is_empty() {
                div.scroll {
                    table.stack {
                        thead { tr { th { "The run needs" } th.number { "At least" } th.number { "Seen" } th { "" } } }
                        tbody {
                            @for requirement in &evidence.requirements {
                                tr {
                                    th scope="row" { (requirement.what) }
                                    td.number data-label="At least" { (grouped(&requirement.needed)) }
                                    td.number data-label="Seen" { (grouped(&requirement.seen)) }
                                    td {
                                        @if requirement.met { span.badge.held { "✓ enough" } }
                                        @else { span.badge.inconclusive { "? too little" } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            @if evidence.by_f.is_empty() {
                p.nothing { "No operations." }
            } @else {
                h3 { "Operations by outcome" }
                div.scroll {
                    table {
                        thead { tr { th { "Operation" } th.number { "ok" } th.number { "fail" } th.number { "info" } th.number { "Succeeded" } } }
                        tbody {
                            @for (f, outcomes) in &evidence.by_f { (outcomes_row(f, outcomes)) }
                        }
                        @if evidence.by_f.len() > 1 {
                            tfoot { (outcomes_row("all", &evidence.operations)) }
                        }
                    }
                }
                p.quiet.key {
                    strong { "ok" } ": it happened. " strong { "fail" } ": it did not, and never will. "
                    strong { "info" } ": nobody knows; it may take effect at any later time, or never."
                }
            }
            (errors(run))
            (clients(&run.verdict.clients))
        }
    }
}

fn outcomes_row(f: &str, outcomes: &Outcomes) -> Markup {
    let all = outcomes.ok + outcomes.fail + outcomes.info;
    html! {
        tr {
            th scope="row" { (f) }
            td.number { (count(outcomes.ok)) }
            td.number { (count(outcomes.fail)) }
            td.number { (count(outcomes.info)) }
            td.number { (share(outcomes.ok, all)) }
        }
    }
}

fn clients(sentences: &[String]) -> Markup {
    html! {
        @if !sentences.is_empty() {
            h3 { "How clients behaved" }
            @for sentence in sentences { p { (sentence) } }
        }
    }
}

fn errors(run: &RunData) -> Markup {
    let mut errors: Vec<_> = run.errors.iter().collect();
    errors.sort_by_key(|(_, outcomes)| std::cmp::Reverse(outcomes.fail + outcomes.info));
    let rest = errors.len().saturating_sub(ERRORS_MAX);
    html! {
        @if !errors.is_empty() {
            h3 { "Why operations did not succeed" }
            div.scroll {
                table {
                    thead { tr { th { "Error" } th.number { "fail" } th.number { "info" } } }
                    tbody {
                        @for (text, outcomes) in errors.iter().take(ERRORS_MAX) {
                            tr {
                                td.wrap { (crate::format::cut(text, 200)) }
                                td.number { (count(outcomes.fail)) }
                                td.number { (count(outcomes.info)) }
                            }
                        }
                    }
                }
            }
            @if rest > 0 { p.quiet { "and " (crate::format::counted(rest as u64, "rarer error")) } }
        }
    }
}

/// A number with separators; what is no number as it is.
fn grouped(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), count)
}
