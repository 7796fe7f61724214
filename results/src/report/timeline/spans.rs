//! The drawing of what lasted: a lane a node or a process, a bar from one moment to another.

use std::fmt::Write;

use maud::PreEscaped;

use super::{Bar, Frame, Look, WIDTH};
use crate::data::RunData;
use crate::format::{cut, duration, moment};
use crate::plots::{escape, rows};

const LEFT: f64 = 110.0;
const ROW: f64 = 30.0;
/// Characters of a lane's name, so that it ends before the axis begins.
const NAME_MAX: usize = 14;
/// Rows of bars in one lane. What does not fit is drawn over the last.
const ROWS_MAX: usize = 12;

/// One bar.
pub(in crate::report) struct Lasting {
    /// Who it is about: what lasts for one name shares a lane.
    pub(in crate::report) name: String,
    /// Beginning and end, in nanoseconds since the run began.
    pub(in crate::report) from: u64,
    pub(in crate::report) to: u64,
    /// What stands on it.
    pub(in crate::report) label: String,
    /// Whether it is one of those that contradict each other.
    pub(in crate::report) contradicts: bool,
    /// Whether nothing is known of this time.
    pub(in crate::report) unknown: bool,
}

/// Lanes in the order in which their names come first.
pub(in crate::report) fn draw(lasting: &[Lasting], run: &RunData) -> PreEscaped<String> {
    let moments = lasting.iter().flat_map(|span| [span.from, span.to]);
    let frame = Frame::new(LEFT, moments, run);
    let mut names: Vec<&str> = Vec::new();
    for span in lasting {
        if !names.contains(&span.name.as_str()) {
            names.push(&span.name);
        }
    }
    let mut y = frame.top();
    let mut bars = String::new();
    for name in names {
        let lane: Vec<Bar> = (lasting.iter())
            .filter(|span| span.name == name)
            .map(|span| bar(span, &frame))
            .collect();
        let placed = rows(lane.iter().map(Bar::extent), ROWS_MAX);
        let count = placed.iter().max().map_or(1, |row| row + 1);
        let _ = write!(
            bars,
            r#"<line class="lane" x1="0" x2="{WIDTH}" y1="{y:.0}" y2="{y:.0}"/><text class="name" x="0" y="{:.0}">{}</text>"#,
            y + 24.0,
            escape(&cut(name, NAME_MAX)),
        );
        for (bar, row) in lane.iter().zip(placed) {
            bar.draw(&mut bars, y + 6.0 + row as f64 * ROW);
        }
        y += count as f64 * ROW + 8.0;
    }
    frame.around(&bars, y)
}

fn bar(span: &Lasting, frame: &Frame<'_>) -> Bar {
    let look = match (span.contradicts, span.unknown) {
        (true, _) => Look::Culprit,
        (false, true) => Look::Open,
        (false, false) => Look::Happened,
    };
    let title = format!(
        "{}: {}, {} to {}, {}",
        span.name,
        span.label,
        moment(span.from),
        moment(span.to),
        duration(span.to.saturating_sub(span.from))
    );
    Bar::between(
        span.from,
        Some(span.to),
        look,
        span.label.clone(),
        title,
        &frame.axis,
    )
}
