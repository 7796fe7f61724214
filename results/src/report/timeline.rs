//! The drawing of a witness: a lane a process, a bar an operation, the faults behind.
//!
//! What matters is the order: which operation ended before which began. Operations of milliseconds lie seconds apart;
//! drawn to scale they would be invisible. So the axis runs through the moments at which something begins or ends, in
//! their order, and the distance between two of them grows with the logarithm of the time between them.

use std::collections::BTreeMap;
use std::fmt::Write;

use duress_checker::history::EventType;
use duress_checker::verdict::Witness;
use maud::PreEscaped;

use super::witness::label;
use crate::data::{Fault, RunData};
use crate::format::{cut, duration, moment};
use crate::plots::{escape, rows};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 92.0;
const RIGHT: f64 = 30.0;
const ROW: f64 = 30.0;
const BAR: f64 = 22.0;
/// Operations that are drawn. A witness that needs more is read in its table.
const OPERATIONS_MAX: usize = 60;
/// Faults that are drawn behind.
const FAULTS_MAX: usize = 8;
/// Rows in the lane of one process.
const ROWS_MAX: usize = 12;

pub(super) fn draw(witness: &Witness, culprit: Option<u64>, run: &RunData) -> PreEscaped<String> {
    let operations = &witness.operations[..witness.operations.len().min(OPERATIONS_MAX)];
    let axis = Axis::new(
        operations
            .iter()
            .flat_map(|op| [Some(op.invoked), op.completed])
            .flatten(),
    );
    let faults: Vec<(&Fault, (u64, u64))> = (run.faults.iter())
        .filter_map(|fault| Some((fault, fault.in_force(run.end)?)))
        .filter(|(_, (from, to))| *from <= axis.last() && *to >= axis.first())
        .take(FAULTS_MAX)
        .collect();

    let mut lanes: BTreeMap<u64, Vec<Bar>> = BTreeMap::new();
    for op in operations {
        let open = op.completed.is_none() || op.outcome == EventType::Info;
        let left = axis.x(op.invoked);
        // An operation that nobody knows the end of may take effect at any later time.
        let right = if open {
            WIDTH - RIGHT + 14.0
        } else {
            axis.x(op.completed.unwrap_or(op.invoked))
        };
        let label = cut(&label(witness, op), 44);
        let text = label.chars().count() as f64 * 7.3 + 12.0;
        lanes.entry(op.process).or_default().push(Bar {
            left,
            right: right.max(left + 6.0),
            text,
            label,
            open,
            culprit: Some(op.index) == culprit,
            title: format!(
                "{} at {}, {}",
                op.f,
                moment(op.invoked),
                op.completed.map_or("never ended".to_owned(), |end| format!(
                    "took {}",
                    duration(end.saturating_sub(op.invoked))
                )),
            ),
        });
    }

    let mut y = 8.0 + 18.0 * faults.len() as f64;
    let mut bars = String::new();
    for (process, lane) in &lanes {
        let placed = rows(lane.iter().map(Bar::extent), ROWS_MAX);
        let count = placed.iter().max().map_or(1, |row| row + 1);
        let height = count as f64 * ROW + 8.0;
        let _ = write!(
            bars,
            r#"<line class="lane" x1="0" x2="{WIDTH}" y1="{y:.0}" y2="{y:.0}"/><text class="name" x="0" y="{:.0}">process {process}</text>"#,
            y + 24.0,
        );
        for (bar, row) in lane.iter().zip(placed) {
            bar.draw(&mut bars, y + 6.0 + row as f64 * ROW);
        }
        y += height;
    }
    let height = y + 30.0;
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" class="timeline" viewBox="0 0 {WIDTH} {height:.0}" width="{WIDTH}" height="{height:.0}">"#
    );
    for ((fault, (from, to)), number) in faults.iter().zip(0..) {
        draw_fault(&mut svg, &axis, fault, (*from, *to), f64::from(number) * 18.0, y);
    }
    svg.push_str(&bars);
    axis.draw(&mut svg, y);
    svg.push_str("</svg>");
    PreEscaped(svg)
}

/// An operation, in its place.
struct Bar {
    left: f64,
    right: f64,
    text: f64,
    label: String,
    open: bool,
    culprit: bool,
    title: String,
}

impl Bar {
    /// What the bar and its label take up together.
    fn extent(&self) -> (f64, f64) {
        let (start, end) = self.text_extent();
        (self.left.min(start) - 2.0, self.right.max(end) + 4.0)
    }

    /// The label is in the bar, else to its right, else, at the edge of the page, to its left.
    fn text_extent(&self) -> (f64, f64) {
        let inside = self.right - self.left >= self.text;
        let start = match () {
            () if inside => self.left,
            () if self.right + self.text <= WIDTH => self.right,
            () => (self.left - self.text).max(LEFT - 12.0),
        };
        (start, start + self.text)
    }

    fn draw(&self, svg: &mut String, y: f64) {
        let class = match (self.culprit, self.open) {
            (true, _) => "op culprit",
            (_, true) => "op open",
            _ => "op",
        };
        let (start, _) = self.text_extent();
        let inside = start == self.left;
        let _ = write!(
            svg,
            r#"<g class="{class}"><title>{title}</title><rect x="{x:.1}" y="{y:.0}" width="{w:.1}" height="{BAR}" rx="3"/><text class="{place}" x="{tx:.1}" y="{ty:.0}">{label}</text></g>"#,
            title = escape(&self.title),
            x = self.left,
            w = self.right - self.left,
            place = if inside { "in" } else { "out" },
            tx = start + 6.0,
            ty = y + 15.0,
            label = escape(&self.label),
        );
    }
}

fn draw_fault(svg: &mut String, axis: &Axis, fault: &Fault, (from, to): (u64, u64), y: f64, bottom: f64) {
    let left = if from < axis.first() {
        LEFT - 12.0
    } else {
        axis.x(from)
    };
    let right = if to > axis.last() { WIDTH } else { axis.x(to) };
    let label = format!(
        "fault {} {} on {}",
        fault.id,
        fault.kind,
        fault.targets.join(", ")
    );
    let width = (right - left).max(2.0);
    let text = cut(&label, 48);
    let label_width = text.chars().count() as f64 * 6.6;
    let text_x = (left + 5.0).min(WIDTH - label_width).max(LEFT - 8.0);
    let _ = write!(
        svg,
        r#"<g class="fault c0"><title>{title}</title><rect class="band" x="{left:.1}" y="{y:.0}" width="{width:.1}" height="{h:.0}"/><text x="{text_x:.1}" y="{ty:.0}">{text}</text></g>"#,
        title = escape(&format!("{label}: {} to {}", moment(from), moment(to))),
        h = bottom - y,
        ty = y + 13.0,
        text = escape(&text),
    );
}

/// From moments to places, by their order.
struct Axis {
    /// Moments in order, each with its place.
    points: Vec<(u64, f64)>,
}

impl Axis {
    fn new(moments: impl Iterator<Item = u64>) -> Self {
        let mut moments: Vec<u64> = moments.collect();
        moments.sort_unstable();
        moments.dedup();
        let gaps: Vec<u64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let shortest = gaps.iter().copied().min().unwrap_or(1).max(1);
        let weights: Vec<f64> = (gaps.iter())
            .map(|&gap| 1.0 + (gap as f64 / shortest as f64).log10().min(4.0))
            .collect();
        let total: f64 = weights.iter().sum();
        let room = WIDTH - LEFT - RIGHT;
        let mut at = LEFT;
        let mut points = Vec::with_capacity(moments.len());
        for (position, &moment) in moments.iter().enumerate() {
            points.push((moment, at));
            at += weights.get(position).map_or(0.0, |weight| room * weight / total);
        }
        Axis { points }
    }

    fn first(&self) -> u64 {
        self.points.first().map_or(0, |&(moment, _)| moment)
    }

    fn last(&self) -> u64 {
        self.points.last().map_or(0, |&(moment, _)| moment)
    }

    /// The place of a moment; between two known ones in proportion, outside of them at the edge.
    fn x(&self, moment: u64) -> f64 {
        let after = self.points.partition_point(|&(known, _)| known < moment);
        match (
            after.checked_sub(1).map(|before| self.points[before]),
            self.points.get(after),
        ) {
            (Some((t0, x0)), Some(&(t1, x1))) => x0 + (x1 - x0) * (moment - t0) as f64 / (t1 - t0) as f64,
            (None, Some(&(_, x))) | (Some((_, x)), None) => x,
            (None, None) => LEFT,
        }
    }

    /// A hair line at each moment, and its time where there is room.
    fn draw(&self, svg: &mut String, bottom: f64) {
        let mut free_from = 0.0;
        svg.push_str(r#"<g class="axis">"#);
        let _ = write!(
            svg,
            r#"<line x1="0" x2="{WIDTH}" y1="{bottom:.0}" y2="{bottom:.0}"/>"#
        );
        for &(time, x) in &self.points {
            let _ = write!(
                svg,
                r#"<line x1="{x:.1}" x2="{x:.1}" y1="{bottom:.0}" y2="{:.0}"/>"#,
                bottom + 5.0
            );
            let label = moment(time);
            let width = label.len() as f64 * 6.2;
            let left = (x - width / 2.0).min(WIDTH - width);
            if left >= free_from {
                let _ = write!(
                    svg,
                    r#"<text x="{left:.1}" y="{:.0}">{label}</text>"#,
                    bottom + 19.0
                );
                free_from = left + width + 10.0;
            }
        }
        svg.push_str("</g>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_keeps_order_and_shortens_long_waits() {
        let axis = Axis::new([0, 2, 1_000_000, 1_000_003].into_iter());
        let places = [0, 2, 1_000_000, 1_000_003].map(|moment| axis.x(moment));
        assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
        let (short, long) = (places[1] - places[0], places[2] - places[1]);
        assert!(short > 50.0 && long < 6.0 * short, "{places:?}");
        assert_eq!((axis.x(u64::MAX), places[3].round()), (places[3], WIDTH - RIGHT));
    }

    #[test]
    fn one_moment_or_none_is_an_axis_too() {
        assert_eq!(Axis::new([].into_iter()).x(7), LEFT);
        assert_eq!(Axis::new([7].into_iter()).x(9), LEFT);
    }
}
