//! What lies behind and above a plot: faults as labelled bars and faint bands, phases as dashed lines.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::frame::{Frame, LEFT, RIGHT, WIDTH, escape, text_width};
use crate::data::RunData;
use crate::format::{cut, duration, moment};

const ROW_HEIGHT: u32 = 17;

/// Rows of bars above a plot; faults that need more share the last one, without label.
const ROWS_MAX: usize = 6;

/// Colours that tell kinds of faults apart; more kinds than this share them.
const COLOURS: usize = 6;

/// The strip above a plot and the bands behind it.
pub(super) struct Bands {
    /// How much room the strip takes above the plot.
    pub(super) height: u32,
    pub(super) svg: String,
}

/// Draws faults and phases for a plot that is `plot_height` high without its time axis.
pub(super) fn draw(run: &RunData, frame: Frame, plot_height: u32) -> Bands {
    let faults: Vec<_> = (run.faults.iter())
        .filter_map(|fault| Some((fault, fault.trace.in_force(run.end)?)))
        .collect();
    let colours = colours(run);
    let labels: Vec<String> = (faults.iter())
        .map(|(fault, _)| format!("{} {}", fault.id, cut(&fault.trace.kind, 24)))
        .collect();
    let placed = rows(
        (faults.iter().zip(&labels))
            .map(|((_, (from, to)), label)| extent(frame.x(*from), frame.x(*to), label)),
        ROWS_MAX,
    );
    let phases = rows(
        (run.verdict.phases.iter())
            .map(|phase| extent(frame.x(phase.start), frame.x(phase.start), &phase.name)),
        2,
    );
    let phase_rows = phases.iter().map(|row| row + 1).max().unwrap_or(0) as u32;
    let fault_rows = placed.iter().map(|row| row + 1).max().unwrap_or(0) as u32;
    let height = (phase_rows + fault_rows) * ROW_HEIGHT + 6;
    let bottom = height + plot_height;

    let mut svg = String::new();
    for ((fault, (from, to)), (label, row)) in faults.iter().zip(labels.iter().zip(&placed)) {
        let (left, right) = (frame.x(*from), frame.x(*to));
        let width = (right - left).max(2.0);
        let top = (phase_rows + *row as u32) * ROW_HEIGHT;
        let colour = colours[fault.trace.kind.as_str()];
        let title = escape(&format!(
            "fault {} {} on {}: {} to {}, {}",
            fault.id,
            fault.trace.kind,
            fault.trace.targets().join(", "),
            moment(*from),
            moment(*to),
            duration(to - from),
        ));
        let _ = write!(
            svg,
            r#"<g class="fault c{colour}"><title>{title}</title><rect class="band" x="{left:.1}" y="{band}" width="{width:.1}" height="{band_height}"/><rect class="bar" x="{left:.1}" y="{top}" width="{width:.1}" height="{bar}" rx="2"/>"#,
            band = top + ROW_HEIGHT - 2,
            band_height = bottom - (top + ROW_HEIGHT - 2),
            bar = ROW_HEIGHT - 2,
        );
        let crowded = *row == ROWS_MAX - 1 && width < text_width(label) + 8.0;
        if !crowded {
            let (x, anchor) = label_place(left, label);
            let _ = write!(
                svg,
                r#"<text x="{x:.1}" y="{y}" text-anchor="{anchor}">{label}</text>"#,
                y = top + 11,
                label = escape(label),
            );
        }
        svg.push_str("</g>");
    }
    for (phase, row) in run.verdict.phases.iter().zip(&phases) {
        let x = frame.x(phase.start);
        let y = *row as u32 * ROW_HEIGHT;
        let (text_x, anchor) = label_place(x, &phase.name);
        let _ = write!(
            svg,
            r#"<g class="phase"><line x1="{x:.1}" x2="{x:.1}" y1="{y}" y2="{bottom}"/><text x="{text_x:.1}" y="{text_y}" text-anchor="{anchor}">{}</text></g>"#,
            escape(&cut(&phase.name, 24)),
            text_y = y + 11,
        );
    }
    Bands { height, svg }
}

/// A colour for each kind of fault, in the order in which kinds appear.
fn colours(run: &RunData) -> BTreeMap<&str, usize> {
    let mut colours = BTreeMap::new();
    for fault in &run.faults {
        let next = colours.len() % COLOURS;
        colours.entry(fault.trace.kind.as_str()).or_insert(next);
    }
    colours
}

/// What a bar and its label take up together.
fn extent(left: f64, right: f64, label: &str) -> (f64, f64) {
    let width = text_width(label) + 10.0;
    match label_place(left, label) {
        (_, "end") => (left - width, right.max(left + 2.0)),
        _ => (left, right.max(left + width)),
    }
}

/// To the right of its beginning, but where the page ends, to the left of it.
fn label_place(left: f64, label: &str) -> (f64, &'static str) {
    let fits = left + text_width(label) + 10.0 <= f64::from(WIDTH - RIGHT / 2);
    if fits || left < f64::from(LEFT) + text_width(label) {
        (left + 5.0, "start")
    } else {
        (left - 4.0, "end")
    }
}

/// Puts things that each extend from somewhere to somewhere into as few rows as they need not to overlap; what does not
/// fit into `rows_max` goes to the last.
pub(crate) fn rows(extents: impl Iterator<Item = (f64, f64)>, rows_max: usize) -> Vec<usize> {
    let mut taken: Vec<Vec<(f64, f64)>> = Vec::new();
    extents
        .map(|(from, to)| {
            let free = |row: &Vec<(f64, f64)>| row.iter().all(|&(start, end)| to <= start || end <= from);
            let row = taken
                .iter()
                .position(free)
                .unwrap_or(taken.len())
                .min(rows_max - 1);
            if taken.len() <= row {
                taken.push(Vec::new());
            }
            taken[row].push((from, to));
            row
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_gets_a_row_of_its_own() {
        let extents = [(0.0, 10.0), (5.0, 20.0), (10.0, 15.0), (6.0, 30.0)];
        assert_eq!(rows(extents.into_iter(), 9), [0, 1, 0, 2]);
        assert_eq!(rows(extents.into_iter(), 2), [0, 1, 0, 1]);
    }
}
