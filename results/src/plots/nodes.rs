//! The protocol over time: a lane a node, coloured by its role, with its terms; and how far each lags behind.

use std::fmt::Write;

use super::bands;
use super::frame::{BOTTOM, Frame, LEFT, RIGHT, WIDTH, escape, open, text_width};
use super::{Legend, Plot, legend};
use crate::data::{NodeState, RunData, StatusStretch};
use crate::format::{count, cut, moment};

const LANE_HEIGHT: u32 = 26;
const LAG_HEIGHT: u32 = 34;
const TICKS: u64 = 8;

/// Roles and lag; none of them when no node was probed.
pub fn nodes(run: &RunData) -> Vec<Plot> {
    if run.nodes.is_empty() {
        return Vec::new();
    }
    let mut plots = vec![roles(run)];
    if run.nodes.iter().any(|node| !node.lag.is_empty()) {
        plots.push(lag(run));
    }
    plots
}

fn roles(run: &RunData) -> Plot {
    let frame = Frame::new(run.end);
    let height = run.nodes.len() as u32 * LANE_HEIGHT + 6;
    let bands = bands::draw(run, frame, height);
    let mut svg = open(bands.height + height + BOTTOM) + &bands.svg;
    for (node, number) in run.nodes.iter().zip(0..) {
        let top = bands.height + 6 + number * LANE_HEIGHT;
        name(&mut svg, &node.name, top + LANE_HEIGHT / 2);
        for (position, span) in node.spans.iter().enumerate() {
            let until = node.spans.get(position + 1).map_or(node.end, |next| next.from);
            draw_span(&mut svg, frame, node, span, until, top);
        }
    }
    time_axis(&mut svg, frame, bands.height + height);
    svg.push_str("</svg>");
    Plot {
        name: "roles".to_owned(),
        title: "Role and term of each node".to_owned(),
        legend: roles_legend(run),
        svg,
    }
}

fn draw_span(svg: &mut String, frame: Frame, node: &NodeState, span: &StatusStretch, until: u64, top: u32) {
    let (left, right) = (frame.x(span.from), frame.x(until));
    let width = (right - left).max(1.0);
    let role = span
        .role
        .as_deref()
        .unwrap_or(if span.up { "up" } else { "no answer" });
    let term = span.term.map(|term| format!("term {}", count(term)));
    let title = escape(&format!(
        "{}: {role}{} from {} to {}",
        node.name,
        term.as_ref().map_or(String::new(), |term| format!(", {term}")),
        moment(span.from),
        moment(until),
    ));
    let _ = write!(
        svg,
        r#"<g class="span {class}"><title>{title}</title><rect x="{left:.1}" y="{top}" width="{width:.1}" height="{height}" rx="2"/>"#,
        class = role_class(span),
        height = LANE_HEIGHT - 6,
    );
    let long = term.unwrap_or_default();
    let short = span.term.map(count).unwrap_or_default();
    if let Some(label) = [long, short]
        .iter()
        .find(|label| !label.is_empty() && text_width(label) + 8.0 < width)
    {
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{}">{label}</text>"#,
            left + 5.0,
            top + 14
        );
    }
    svg.push_str("</g>");
}

fn role_class(span: &StatusStretch) -> &'static str {
    match (span.up, span.role.as_deref()) {
        (false, _) => "down",
        (true, Some("leader")) => "leader",
        (true, Some("follower")) => "follower",
        (true, Some("candidate")) => "candidate",
        (true, Some("learner")) => "learner",
        (true, _) => "other",
    }
}

fn roles_legend(run: &RunData) -> Vec<Legend> {
    let seen =
        |class: &str| (run.nodes.iter().flat_map(|node| &node.spans)).any(|span| role_class(span) == class);
    let known = [
        ("leader", "leader"),
        ("follower", "follower"),
        ("candidate", "candidate"),
        ("learner", "learner"),
        ("other", "up, other role"),
        ("down", "no answer"),
    ];
    legend(&known)
        .into_iter()
        .filter(|entry| seen(&entry.class))
        .collect()
}

fn lag(run: &RunData) -> Plot {
    let frame = Frame::new(run.end);
    let height = run.nodes.len() as u32 * LAG_HEIGHT + 6;
    let bands = bands::draw(run, frame, height);
    let highest = (run.nodes.iter().flat_map(|node| &node.lag))
        .map(|&(_, lag)| lag)
        .max()
        .unwrap_or(0);
    let mut svg = open(bands.height + height + BOTTOM) + &bands.svg;
    for (node, number) in run.nodes.iter().zip(0..) {
        let base = bands.height + 6 + (number + 1) * LAG_HEIGHT - 6;
        name(&mut svg, &node.name, base - 8);
        draw_lag(&mut svg, frame, node, highest.max(1), base);
    }
    time_axis(&mut svg, frame, bands.height + height);
    svg.push_str("</svg>");
    Plot {
        name: "lag".to_owned(),
        title: "Log entries committed but not yet applied, by node".to_owned(),
        legend: legend(&[(
            "lag",
            &format!(
                "full height: {}",
                crate::format::counted(highest, "entry").replace("entrys", "entries")
            ),
        )]),
        svg,
    }
}

fn draw_lag(svg: &mut String, frame: Frame, node: &NodeState, highest: u64, base: u32) {
    let y = |lag: u64| f64::from(base) - lag as f64 / highest as f64 * f64::from(LAG_HEIGHT - 8);
    let mut path = String::new();
    let mut last = None;
    for &(time, lag) in &node.lag {
        match last {
            None => {
                let _ = write!(path, "M{:.1} {base}V{:.1}", frame.x(time), y(lag));
            }
            Some(_) => {
                let _ = write!(path, "H{:.1}V{:.1}", frame.x(time), y(lag));
            }
        }
        last = Some(time);
    }
    let Some(end) = last else { return };
    let most = node.lag.iter().map(|&(_, lag)| lag).max().unwrap_or(0);
    let _ = write!(
        svg,
        r#"<g class="lag"><title>{}: at most {} behind</title><path d="{path}H{:.1}V{base}Z"/><line x1="{LEFT}" x2="{}" y1="{base}" y2="{base}"/></g>"#,
        escape(&node.name),
        count(most),
        frame.x(end),
        WIDTH - RIGHT,
    );
}

/// The name of a node, left of its lane.
pub(super) fn name(svg: &mut String, name: &str, y: u32) {
    let _ = write!(
        svg,
        r#"<text class="name" x="{}" y="{y}" text-anchor="end"><title>{}</title>{}</text>"#,
        LEFT - 8,
        escape(name),
        escape(&cut(name, 8)),
    );
}

/// Marks at round seconds.
pub(super) fn time_axis(svg: &mut String, frame: Frame, y: u32) {
    let step = round_step(frame.end / TICKS);
    let _ = write!(
        svg,
        r#"<g class="axis"><line x1="{LEFT}" x2="{}" y1="{y}" y2="{y}"/>"#,
        WIDTH - RIGHT
    );
    for time in (0..=frame.end).step_by(step as usize) {
        let x = frame.x(time);
        let _ = write!(
            svg,
            r#"<text x="{x:.1}" y="{}" text-anchor="middle">{}</text>"#,
            y + 17,
            super::load::seconds_label(time as f64 / 1e9),
        );
    }
    svg.push_str("</g>");
}

/// The next of 1, 2, 5, 10, 20, 50… milliseconds.
fn round_step(at_least: u64) -> u64 {
    let mut decade = 1_000_000u64;
    while decade.saturating_mul(10) <= at_least {
        decade *= 10;
    }
    [1, 2, 5, 10]
        .map(|factor| decade.saturating_mul(factor))
        .into_iter()
        .find(|&step| step >= at_least)
        .unwrap_or(decade)
}
