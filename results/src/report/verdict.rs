//! The first screen: the verdict in one word and one sentence, the run in four numbers, the properties in a table.

use duress_checker::verdict::{PropertyVerdict, Verdict};
use maud::{Markup, html};

use crate::data::RunData;
use crate::format::{count, duration, share};
use crate::verdict_file::Overall;

/// How a verdict is shown: never by colour alone.
pub(super) struct Look {
    pub(super) word: &'static str,
    pub(super) icon: &'static str,
    pub(super) class: &'static str,
}

pub(super) fn look(overall: Overall) -> Look {
    let (word, icon, class) = match overall {
        Overall::Held => ("Held", "✓", "held"),
        Overall::Violated => ("Violated", "✕", "violated"),
        Overall::Inconclusive => ("Inconclusive", "?", "inconclusive"),
        Overall::HarnessFailure => ("Harness failure", "!", "failure"),
    };
    Look { word, icon, class }
}

fn look_of(property: &PropertyVerdict) -> Look {
    look(match property.verdict {
        Verdict::Held => Overall::Held,
        Verdict::Violated { .. } => Overall::Violated,
        Verdict::Inconclusive { .. } => Overall::Inconclusive,
    })
}

pub(super) fn hero(run: &RunData) -> Markup {
    let verdict = &run.verdict;
    let look = look(verdict.overall);
    let operations = verdict.evidence.operations;
    let all = operations.ok + operations.fail + operations.info;
    html! {
        p.run-name { (verdict.name) span.seed { "seed " (verdict.seed) } }
        h1.verdict { span.icon aria-hidden="true" { (look.icon) } (look.word) }
        p.summary { (verdict.summary) }
        @if let Some(failure) = &verdict.harness_failure {
            p.notice.failure { strong { "The harness failed. " } (failure) }
        }
        @if verdict.cut_short {
            p.notice.inconclusive { strong { "Cut short. " } "The run ended before its time; what was recorded until then was judged." }
        }
        @if run.history_cut {
            p.notice.inconclusive { strong { "Half a last line. " } "The history ends in the middle of a line; that line was left out." }
        }
        dl.tiles {
            div { dt { "Operations" } dd { (count(all)) } }
            div { dt { "Succeeded" } dd { (share(operations.ok, all)) } }
            div { dt { "Faults proven" } dd { (count(verdict.evidence.faults_verified)) span.of { " of " (count(verdict.evidence.faults_planned)) } } }
            div { dt { "Duration" } dd { (duration(verdict.duration_ms.saturating_mul(1_000_000))) } }
        }
        p.meta { (verdict.cluster) " · began " time datetime=(verdict.started) { (started(&verdict.started)) } }
    }
}

/// `2026-11-23T00:05:00Z` as `2026-11-23 00:05:00 UTC`.
fn started(rfc3339: &str) -> String {
    match (rfc3339.split_once('T'), rfc3339.ends_with('Z')) {
        (Some((day, time)), true) => format!("{day} {} UTC", time.trim_end_matches('Z')),
        _ => rfc3339.to_owned(),
    }
}

pub(super) fn properties(run: &RunData) -> Markup {
    html! {
        section id="properties" {
            h2 { "Properties" }
            @if run.verdict.properties.is_empty() {
                p.nothing { "No property was judged." }
            } @else {
                div.scroll {
                    table.stack {
                        thead { tr { th { "Property" } th { "Verdict" } th { "How it was decided" } } }
                        tbody {
                            @for property in &run.verdict.properties {
                                @let look = look_of(property);
                                tr {
                                    th scope="row" { (property.property) }
                                    td { span class={ "badge " (look.class) } { span aria-hidden="true" { (look.icon) } " " (look.word.to_lowercase()) } }
                                    td { (why(property)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn why(property: &PropertyVerdict) -> Markup {
    let reason = match &property.verdict {
        Verdict::Held => "",
        Verdict::Violated { witness } => &witness.summary,
        Verdict::Inconclusive { reason } => reason,
    };
    html! {
        @if !reason.is_empty() { div { (reason) } }
        @if !property.detail.is_empty() { div.quiet { (property.detail) } }
    }
}
