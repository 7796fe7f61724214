//! Drawings of a few operations over time: a bar an operation, the faults behind.
//!
//! What matters is the order: which operation ended before which began. Operations of milliseconds lie seconds apart;
//! drawn to scale they would be invisible. So the axis runs through the moments at which something begins or ends, in
//! their order, and the distance between two of them grows with the logarithm of the time between them.
//!
//! There are three: [`lanes`] has the operations of a witness, a lane a process; [`order`] those that can be put in an
//! order, a row each, and the one that can't; [`spans`] what lasted from one moment to another, a lane a node or process.

pub(super) mod lanes;
pub(super) mod order;
pub(super) mod spans;

use std::fmt::Write;

use duress_checker::history::EventType;
use duress_checker::verdict::WitnessOp;
use maud::PreEscaped;

use crate::data::{FaultRecord, RunData};
use crate::format::{count, cut, duration, moment};
use crate::plots::escape;

const WIDTH: f64 = 960.0;
const RIGHT: f64 = 30.0;
const BAR: f64 = 22.0;
/// Faults that are drawn behind.
const FAULTS_MAX: usize = 8;
/// What the name of a fault needs of height.
const FAULT: f64 = 18.0;

/// Where the time runs, and what stands behind.
struct Frame<'a> {
    axis: Axis,
    faults: Vec<(&'a FaultRecord, (u64, u64))>,
}

impl<'a> Frame<'a> {
    /// Of all moments of some operations; what is left of `left` is for names.
    fn of_operations<'o>(
        left: f64,
        operations: impl Iterator<Item = &'o WitnessOp>,
        run: &'a RunData,
    ) -> Self {
        let moments = operations.flat_map(|op| [Some(op.invoked), op.completed]);
        Frame::new(left, moments.flatten(), run)
    }

    /// Of some moments; what is left of `left` is for names.
    fn new(left: f64, moments: impl Iterator<Item = u64>, run: &'a RunData) -> Self {
        let axis = Axis::new(left, moments);
        let faults = (run.faults.iter())
            .filter_map(|fault| Some((fault, fault.trace.in_force(run.end)?)))
            .filter(|(_, (from, to))| *from <= axis.last() && *to >= axis.first())
            .take(FAULTS_MAX)
            .collect();
        Frame { axis, faults }
    }

    /// Where the operations begin, below the names of the faults.
    fn top(&self) -> f64 {
        8.0 + FAULT * self.faults.len() as f64
    }

    /// The drawing, of all that is drawn between the top and the bottom.
    fn around(&self, drawn: &str, bottom: f64) -> PreEscaped<String> {
        let height = bottom + 30.0;
        let mut svg = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" class="timeline" viewBox="0 0 {WIDTH} {height:.0}" width="{WIDTH}" height="{height:.0}">"#
        );
        for ((fault, (from, to)), number) in self.faults.iter().zip(0..) {
            let y = f64::from(number) * FAULT;
            draw_fault(&mut svg, &self.axis, fault, (*from, *to), y, bottom);
        }
        svg.push_str(drawn);
        self.axis.draw(&mut svg, bottom);
        svg.push_str("</svg>");
        PreEscaped(svg)
    }
}

/// An operation, in its place.
struct Bar {
    left: f64,
    right: f64,
    text_from: f64,
    text_width: f64,
    label: String,
    look: Look,
    title: String,
}

/// How a bar is to be seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// It happened.
    Happened,
    /// Nobody knows whether it took effect.
    Open,
    /// The one that can't be fitted in.
    Culprit,
}

impl Look {
    fn of(op: &WitnessOp) -> Look {
        if op.completed.is_none() || op.outcome == EventType::Info {
            Look::Open
        } else {
            Look::Happened
        }
    }
}

impl Bar {
    fn new(op: &WitnessOp, look: Look, label: String, axis: &Axis) -> Bar {
        let took = op.completed.map_or("never ended".to_owned(), |end| {
            format!("took {}", duration(end.saturating_sub(op.invoked)))
        });
        // An operation that nobody knows the end of may take effect at any later time.
        let known = op.completed.filter(|_| Look::of(op) == Look::Happened);
        let title = format!(
            "{} at {}, {took}, event {}",
            op.f,
            moment(op.invoked),
            count(op.index)
        );
        Bar::between(op.invoked, known, look, label, title, axis)
    }

    /// From one moment to another; `None`: to the edge.
    fn between(from: u64, to: Option<u64>, look: Look, label: String, title: String, axis: &Axis) -> Bar {
        let left = axis.x(from);
        let right = to.map_or(WIDTH - RIGHT + 14.0, |to| axis.x(to));
        let right = right.max(left + 6.0);
        let text_width = match label.chars().count() {
            0 => 0.0,
            count => count as f64 * 7.3 + 12.0,
        };
        // The label is in the bar, else to its right, else, at the edge of the page, to its left.
        let text_from = match () {
            () if right - left >= text_width => left,
            () if right + text_width <= WIDTH => right,
            () => (left - text_width).max(axis.left - 12.0),
        };
        Bar {
            left,
            right,
            text_from,
            text_width,
            label,
            look,
            title,
        }
    }

    /// What the bar and its label take up together.
    fn extent(&self) -> (f64, f64) {
        let text_to = self.text_from + self.text_width;
        (self.left.min(self.text_from) - 2.0, self.right.max(text_to) + 4.0)
    }

    fn draw(&self, svg: &mut String, y: f64) {
        let class = match self.look {
            Look::Happened => "op",
            Look::Open => "op open",
            Look::Culprit => "op culprit",
        };
        let _ = write!(
            svg,
            r#"<g class="{class}"><title>{title}</title><rect x="{x:.1}" y="{y:.0}" width="{w:.1}" height="{BAR}" rx="3"/>"#,
            title = escape(&self.title),
            x = self.left,
            w = self.right - self.left,
        );
        if !self.label.is_empty() {
            let _ = write!(
                svg,
                r#"<text class="{place}" x="{x:.1}" y="{y:.0}">{label}</text>"#,
                place = if self.text_from == self.left { "in" } else { "out" },
                x = self.text_from + 6.0,
                y = y + 15.0,
                label = escape(&self.label),
            );
        }
        svg.push_str("</g>");
    }
}

fn draw_fault(
    svg: &mut String,
    axis: &Axis,
    fault: &FaultRecord,
    (from, to): (u64, u64),
    y: f64,
    bottom: f64,
) {
    let left = if from < axis.first() {
        axis.left - 12.0
    } else {
        axis.x(from)
    };
    let right = if to > axis.last() { WIDTH } else { axis.x(to) };
    let label = format!(
        "fault {} {} on {}",
        fault.id,
        fault.trace.kind,
        fault.trace.targets().join(", ")
    );
    let width = (right - left).max(2.0);
    let text = cut(&label, 48);
    let label_width = text.chars().count() as f64 * 6.6;
    let text_x = (left + 5.0).min(WIDTH - label_width).max(axis.left - 8.0);
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
    /// Where it begins.
    left: f64,
    /// Moments in order, each with its place.
    points: Vec<(u64, f64)>,
}

impl Axis {
    fn new(left: f64, moments: impl Iterator<Item = u64>) -> Self {
        let mut moments: Vec<u64> = moments.collect();
        moments.sort_unstable();
        moments.dedup();
        let gaps: Vec<u64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let shortest = gaps.iter().copied().min().unwrap_or(1).max(1);
        let weights: Vec<f64> = (gaps.iter())
            .map(|&gap| 1.0 + (gap as f64 / shortest as f64).log10().min(4.0))
            .collect();
        let total: f64 = weights.iter().sum();
        let room = WIDTH - left - RIGHT;
        let mut at = left;
        let mut points = Vec::with_capacity(moments.len());
        for (position, &moment) in moments.iter().enumerate() {
            points.push((moment, at));
            at += weights.get(position).map_or(0.0, |weight| room * weight / total);
        }
        Axis { left, points }
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
            (None, None) => self.left,
        }
    }

    /// The place of the first moment after one, or where what never ends ends.
    fn x_after(&self, moment: u64) -> f64 {
        let after = self.points.partition_point(|&(known, _)| known <= moment);
        self.points.get(after).map_or(WIDTH - RIGHT + 14.0, |&(_, x)| x)
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

    const LEFT: f64 = 92.0;

    #[test]
    fn the_axis_keeps_order_and_shortens_long_waits() {
        let axis = Axis::new(LEFT, [0, 2, 1_000_000, 1_000_003].into_iter());
        let places = [0, 2, 1_000_000, 1_000_003].map(|moment| axis.x(moment));
        assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
        let (short, long) = (places[1] - places[0], places[2] - places[1]);
        assert!(short > 50.0 && long < 6.0 * short, "{places:?}");
        assert_eq!((axis.x(u64::MAX), places[3].round()), (places[3], WIDTH - RIGHT));
    }

    #[test]
    fn one_moment_or_none_is_an_axis_too() {
        assert_eq!(Axis::new(LEFT, [].into_iter()).x(7), LEFT);
        assert_eq!(Axis::new(LEFT, [7].into_iter()).x(9), LEFT);
    }
}
