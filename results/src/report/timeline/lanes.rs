//! The drawing of a witness: a lane a process.

use std::collections::BTreeMap;
use std::fmt::Write;

use duress_checker::verdict::Witness;
use maud::PreEscaped;

use super::{Bar, Frame, Look, WIDTH};
use crate::data::RunData;
use crate::format::cut;
use crate::plots::rows;
use crate::report::label::label;

const LEFT: f64 = 92.0;
const ROW: f64 = 30.0;
/// Operations that are drawn. A witness that needs more is read in its table.
const OPERATIONS_MAX: usize = 60;
/// Rows in the lane of one process.
const ROWS_MAX: usize = 12;

pub(in crate::report) fn draw(witness: &Witness, culprit: Option<u64>, run: &RunData) -> PreEscaped<String> {
    let operations = &witness.operations[..witness.operations.len().min(OPERATIONS_MAX)];
    let frame = Frame::of_operations(LEFT, operations.iter(), run);
    let mut lanes: BTreeMap<u64, Vec<Bar>> = BTreeMap::new();
    for op in operations {
        let look = if Some(op.index) == culprit {
            Look::Culprit
        } else {
            Look::of(op)
        };
        let label = cut(&label(witness.key.as_ref(), op), 44);
        let bar = Bar::new(op, look, label, &frame.axis);
        lanes.entry(op.process).or_default().push(bar);
    }

    let mut y = frame.top();
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
    frame.around(&bars, y)
}
