//! How to see it again: the command, the versions, the spec and the schedule.

use maud::{Markup, html};

use crate::data::RunData;
use crate::format::cut;

/// What a spec or a schedule may take up on the page.
const TEXT_LENGTH_MAX: usize = 64 << 10;

pub(super) fn section(run: &RunData) -> Markup {
    let verdict = &run.verdict;
    html! {
        section id="reproduce" {
            h2 { "Do it again" }
            pre.command { code { (verdict.reproduce) } }
            dl.facts {
                div { dt { "Seed" } dd { (verdict.seed) } }
                div { dt { "Cluster" } dd { (verdict.cluster) } }
                div { dt { "Duress" } dd { (verdict.duress) } }
                div { dt { "Began" } dd { (verdict.started) } }
                div { dt { "Exit code" } dd { (verdict.exit_code) } }
            }
            (text("Spec, as resolved", run.spec.as_deref()))
            (text("Schedule", run.schedule.as_deref()))
        }
    }
}

fn text(title: &str, content: Option<&str>) -> Markup {
    html! {
        @if let Some(content) = content {
            details {
                summary { (title) }
                pre { code { (cut(content, TEXT_LENGTH_MAX)) } }
            }
        }
    }
}
