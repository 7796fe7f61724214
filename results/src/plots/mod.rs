//! Drawings of a run over time, all with the same time axis, the same fault bands and the same phases, so that they
//! can be read one below the other.
//!
//! A plot is an SVG with classes and a handful of colours; `plot.css` gives both their looks in light and in dark.
//! In the report the page carries that style once; as a file of its own a plot carries it along.

mod bands;
mod frame;
mod load;
mod measured;
mod nodes;

use crate::data::RunData;
use crate::format::{count, duration, printable};

pub(crate) use bands::rows;
pub(crate) use frame::escape;
pub use load::load;
pub use measured::measured;
pub use nodes::nodes;

/// The looks of every plot.
pub(crate) const STYLE: &str = include_str!("plot.css");

/// One drawing.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Name of its file, without extension.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// What its colours mean.
    pub legend: Vec<Legend>,
    /// The `<svg>` element.
    pub svg: String,
}

/// What one colour means.
#[derive(Clone, Debug)]
pub struct Legend {
    /// The class that gives a swatch this colour.
    pub class: String,
    /// What it stands for.
    pub label: String,
}

impl Plot {
    /// The drawing as a file that needs no page around it.
    pub fn standalone(&self) -> String {
        let styled = self.svg.replacen('>', &format!("><style>{STYLE}</style>"), 1);
        printable(&styled).into_owned()
    }
}

/// Every plot that there is data for.
pub fn all(run: &RunData) -> Vec<Plot> {
    let mut plots = load(run);
    plots.extend(nodes(run));
    plots.extend(measured(run));
    plots
}

/// The latencies and the rate of a run in one sentence.
pub fn sentence(run: &RunData) -> String {
    let ok: u64 = run.load.bins.iter().map(|bin| bin.completed.ok).sum();
    let Some(total) = run.load.total else {
        return "No operation completed ok.".to_owned();
    };
    let rate = ok as f64 / (run.end.max(1) as f64 / 1e9);
    format!(
        "Half of the ok operations took at most {}, 99 % at most {}, the longest {}; {} ok operations a second on \
         average.",
        duration(total.p50),
        duration(total.p99),
        duration(total.max),
        count(rate.round() as u64),
    )
}

fn legend(entries: &[(&str, &str)]) -> Vec<Legend> {
    (entries.iter())
        .map(|&(class, label)| Legend {
            class: class.to_owned(),
            label: label.to_owned(),
        })
        .collect()
}
