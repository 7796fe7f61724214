//! What faults were measured to do: a plot for each thing that was measured, a lane a node.
//!
//! A look at a fault reads a few numbers: right after it is injected, right before it is healed, and once it is healed. Each is a
//! point; those of one fault at one node are joined by a line, dashed from the last look in force to the one that found it healed:
//! nobody looked between them. What was asked for is a dashed line across.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::bands;
use super::frame::{BOTTOM, Frame, escape, open, text_width};
use super::nodes::{name, time_axis};
use super::{Legend, Plot, legend};
use crate::data::RunData;
use crate::format::{moment, quantity};

const LANE_HEIGHT: u32 = 44;
/// A run with a thousand faults is not read point by point.
const POINTS_MAX: usize = 600;

/// One number at one moment.
struct Point {
    fault: u64,
    time: u64,
    seen: f64,
    asked: Option<f64>,
}

/// By node in the order of their names.
type Lanes<'a> = BTreeMap<&'a str, Vec<Point>>;

/// One for each thing that was measured; none where nothing was.
pub fn measured(run: &RunData) -> Vec<Plot> {
    let mut things: BTreeMap<(&str, &str), Lanes<'_>> = BTreeMap::new();
    for fault in &run.faults {
        for step in &fault.trace.steps {
            for number in step
                .event
                .measured
                .iter()
                .filter(|number| number.seen.is_finite())
            {
                let lanes = things.entry((&number.what, &number.unit)).or_default();
                let lane = lanes.entry(&number.node).or_default();
                if lane.len() < POINTS_MAX {
                    lane.push(Point {
                        fault: fault.id,
                        time: step.time,
                        seen: number.seen,
                        asked: number.asked.filter(|asked| asked.is_finite()),
                    });
                }
            }
        }
    }
    (things.into_iter().enumerate())
        .map(|(number, ((what, unit), lanes))| plot(run, number, what, unit, &lanes))
        .collect()
}

fn plot(run: &RunData, number: usize, what: &str, unit: &str, lanes: &Lanes<'_>) -> Plot {
    let frame = Frame::new(run.end);
    let height = lanes.len() as u32 * LANE_HEIGHT + 6;
    let bands = bands::draw(run, frame, height);
    let values = || {
        lanes
            .values()
            .flatten()
            .flat_map(|point| [Some(point.seen), point.asked])
    };
    let (least, most) = values().flatten().fold((0f64, 0f64), |(least, most), value| {
        (least.min(value), most.max(value))
    });
    let mut svg = open(bands.height + height + BOTTOM) + &bands.svg;
    for ((node, points), lane) in lanes.iter().zip(0..) {
        let bottom = bands.height + 6 + (lane + 1) * LANE_HEIGHT - 8;
        name(&mut svg, node, bottom - LANE_HEIGHT / 2 + 8);
        let scale = Scale {
            frame,
            least,
            span: if most > least { most - least } else { 1.0 },
            bottom: f64::from(bottom),
        };
        draw_lane(&mut svg, node, unit, points, &scale);
    }
    time_axis(&mut svg, frame, bands.height + height);
    svg.push_str("</svg>");
    let mut title = what.to_owned();
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Plot {
        name: format!("measured-{number}"),
        title: format!("{title}, by node"),
        legend: measured_legend(least, most, unit),
        svg,
    }
}

fn measured_legend(least: f64, most: f64, unit: &str) -> Vec<Legend> {
    let span = format!(
        "measured; full height: {} to {}",
        quantity(least, unit),
        quantity(most, unit)
    );
    legend(&[("measured", &span), ("asked", "asked for")])
}

struct Scale {
    frame: Frame,
    least: f64,
    span: f64,
    bottom: f64,
}

impl Scale {
    fn y(&self, value: f64) -> f64 {
        self.bottom - (value - self.least) / self.span * f64::from(LANE_HEIGHT - 16)
    }
}

fn draw_lane(svg: &mut String, node: &str, unit: &str, points: &[Point], scale: &Scale) {
    let zero = scale.y(0.0);
    let (left, right) = (scale.frame.x(0), scale.frame.x(scale.frame.end));
    let _ = write!(
        svg,
        r#"<g class="numbers"><line class="zero" x1="{left:.1}" x2="{right:.1}" y1="{zero:.1}" y2="{zero:.1}"/>"#
    );
    for of_fault in points.chunk_by(|a, b| a.fault == b.fault) {
        draw_asked(svg, of_fault, scale);
        let mut before: Option<&Point> = None;
        for point in of_fault {
            let (x, y) = (scale.frame.x(point.time), scale.y(point.seen));
            if let Some(before) = before {
                let class = if point.asked.is_some() || before.asked.is_none() {
                    "seen"
                } else {
                    "unseen"
                };
                let _ = write!(
                    svg,
                    r#"<line class="{class}" x1="{:.1}" y1="{:.1}" x2="{x:.1}" y2="{y:.1}"/>"#,
                    scale.frame.x(before.time),
                    scale.y(before.seen),
                );
            }
            let title = escape(&format!(
                "{node}, fault {}, {}: {}{}",
                point.fault,
                moment(point.time),
                quantity(point.seen, unit),
                point.asked.map_or(String::new(), |asked| format!(
                    ", asked {}",
                    quantity(asked, unit)
                )),
            ));
            let _ = write!(
                svg,
                r#"<circle cx="{x:.1}" cy="{y:.1}" r="2.6"><title>{title}</title></circle>"#
            );
            before = Some(point);
        }
        draw_label(svg, of_fault, unit, scale);
    }
    svg.push_str("</g>");
}

/// Across the time that it was in force for.
fn draw_asked(svg: &mut String, of_fault: &[Point], scale: &Scale) {
    let mut asked = of_fault
        .iter()
        .filter_map(|point| Some((point.time, point.asked?)));
    let (Some((from, asked)), Some((to, _))) = (asked.clone().next(), asked.next_back()) else {
        return;
    };
    let y = scale.y(asked);
    let _ = write!(
        svg,
        r#"<line class="asked" x1="{:.1}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}"/>"#,
        scale.frame.x(from) - 4.0,
        scale.frame.x(to) + 4.0,
    );
}

/// The number that is furthest from none, beside its point.
fn draw_label(svg: &mut String, of_fault: &[Point], unit: &str, scale: &Scale) {
    let Some(furthest) = of_fault
        .iter()
        .max_by(|a, b| a.seen.abs().total_cmp(&b.seen.abs()))
    else {
        return;
    };
    let label = quantity(furthest.seen, unit);
    let x = scale.frame.x(furthest.time);
    let right = scale.frame.x(scale.frame.end);
    let (x, anchor) = match x + text_width(&label) + 8.0 <= right {
        true => (x + 5.0, "start"),
        false => (x - 5.0, "end"),
    };
    let _ = write!(
        svg,
        r#"<text x="{x:.1}" y="{:.1}" text-anchor="{anchor}">{}</text>"#,
        scale.y(furthest.seen) - 4.0,
        escape(&label),
    );
}
