//! `report.html`: the page that a person reviews.
//!
//! One file that needs no network and no script: it opens from disk, prints, and reads at the width of a telephone.
//! Its order is that of a reviewer's questions: what is the verdict, what proves it, what does it rest on, how did the
//! system behave, what was done to it, how do I see it again.
//!
//! Every value is escaped where it is put in, by `maud`; characters that would break the page all the same (control
//! characters, changes of the direction of writing) are made visible in one place, at the very end, so that no section
//! can forget to.

mod evidence;
mod faults;
mod label;
mod reproduce;
mod state;
mod timeline;
mod verdict;
mod witness;

pub(crate) use label::label as operation_label;
pub(crate) use witness::{held, lived, said};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::data::RunData;
use crate::format::printable;
use crate::plots;
use crate::rundir::{RunDir, RunDirError};

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub fn render(run: &RunData) -> String {
    let look = verdict::look(run.verdict.overall);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Nothing is fetched, whatever a hostile value may try.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                title { (look.word) ": " (run.verdict.name) ", seed " (run.verdict.seed) }
                // Without an icon of its own a page makes some browsers ask for one.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) (PreEscaped(plots::STYLE)) }
            }
            body class={ "is-" (look.class) } {
                header { (verdict::hero(run)) }
                main {
                    (verdict::properties(run))
                    (witness::section(run))
                    (evidence::section(run))
                    (behaviour(run))
                    (faults::section(run))
                    (state::section(run))
                    (reproduce::section(run))
                }
                footer {
                    "Duress " (run.verdict.duress) " · times are since the run began, on one monotonic clock"
                }
            }
        }
    };
    printable(&page.into_string()).into_owned()
}

/// Renders the page and its plots, and writes both.
pub fn write(run: &RunData, dir: &RunDir) -> Result<(), RunDirError> {
    for plot in plots::all(run) {
        dir.write_plot(&plot.name, &plot.standalone())?;
    }
    dir.write_report(&render(run))
}

/// Latency, rate and errors over time.
fn behaviour(run: &RunData) -> Markup {
    let drawn = plots::load(run);
    html! {
        section id="behaviour" {
            h2 { "Latency and rate" }
            @if drawn.is_empty() {
                p.nothing { "No operations completed: there is nothing to draw." }
            } @else {
                p.lead { (plots::sentence(run)) }
                @for plot in drawn {
                    (figure(&plot))
                }
            }
        }
    }
}

/// A drawing with its title, its legend and a frame that scrolls sideways where the screen is narrow.
fn figure(plot: &plots::Plot) -> Markup {
    html! {
        figure {
            figcaption {
                h3 { (plot.title) }
                @if !plot.legend.is_empty() {
                    ul.legend {
                        @for entry in &plot.legend {
                            li { span class={ "swatch " (entry.class) } {} (entry.label) }
                        }
                    }
                }
            }
            div.scroll tabindex="0" role="img" aria-label=(plot.title) { (PreEscaped(&plot.svg)) }
        }
    }
}
