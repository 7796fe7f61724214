//! The drawing of how far a history can be explained: the end of an order, what it leaves, and what does not fit.
//!
//! A row an operation, from top to bottom as they took effect, so that the list on the left reads as the order. On each
//! bar its number stands where it may have taken effect; the line through the numbers goes down and to the right, and
//! never to the left: that is what makes it an order that respects real time.

use std::fmt::Write;

use duress_checker::verdict::{Ordered, Reached, WitnessOp};
use maud::PreEscaped;

use super::{Axis, BAR, Bar, Frame, Look};
use crate::data::RunData;
use crate::format::{counted, cut};
use crate::plots::escape;
use crate::report::label::label;

/// What the list on the left takes.
const LEFT: f64 = 310.0;
const ROW: f64 = 28.0;
/// The radius of a number's disc.
const DISC: f64 = 9.0;
/// Where numbers of the list have their middle, and where what follows them begins.
const NUMBER: f64 = 11.0;
const NAME: f64 = 30.0;
/// How many characters are said of what the object may hold, and of an operation.
const STATES_MAX: usize = 60;
const NAME_MAX: usize = 24;

/// What is said of an operation that is in no order and leads to another state.
pub(in crate::report) const MAY: &str = "may have taken effect by then";

/// And of the one that none of the orders has a place for, be it the last place or an earlier one.
pub(in crate::report) const NOWHERE: &str = "fits nowhere";

pub(in crate::report) fn draw(reached: &Reached, run: &RunData) -> PreEscaped<String> {
    let operations = (reached.order.iter().map(|placed| &placed.operation))
        .chain(&reached.open)
        .chain([&reached.failing]);
    let frame = Frame::of_operations(LEFT, operations, run);
    let mut drawing = Drawing {
        y: frame.top(),
        ..Drawing::default()
    };
    if let Some(before) = before(reached) {
        drawing.text("before", &before);
    }
    for (number, (placed, place)) in (1..).zip(reached.order.iter().zip(places(&reached.order, &frame.axis)))
    {
        let op = &placed.operation;
        let bar = Bar::new(op, Look::of(op), String::new(), &frame.axis);
        drawing.through(number, place.clamp(bar.left, bar.right));
        drawing.number(number, NUMBER);
        drawing.row(op, "what", &bar);
    }
    for op in &reached.open {
        let label = MAY.to_owned();
        drawing.sign("?");
        drawing.row(op, "what", &Bar::new(op, Look::Open, label, &frame.axis));
    }
    let leaves = leaves(reached);
    drawing.lead_back(NAME + leaves.chars().count() as f64 * 7.3 + 10.0);
    drawing.text("leaves", &leaves);
    let bar = Bar::new(&reached.failing, Look::Culprit, NOWHERE.to_owned(), &frame.axis);
    drawing.sign("✕");
    drawing.row(&reached.failing, "what failing", &bar);

    let Drawing {
        bars, line, marks, y, ..
    } = drawing;
    let drawn = format!(r#"{bars}<path class="through" d="{line}"/>{marks}"#);
    frame.around(&drawn, y + 4.0)
}

/// What is left out of an order: `after 127 others`.
pub(in crate::report) fn before(reached: &Reached) -> Option<String> {
    let left_out = reached.ordered.saturating_sub(reached.order.len() as u64);
    (left_out > 0).then(|| format!("after {}", counted(left_out, "other")))
}

/// What an order leaves: `this leaves 7 or 9`.
pub(in crate::report) fn leaves(reached: &Reached) -> String {
    let when = if reached.order.is_empty() {
        "at first"
    } else {
        "this leaves"
    };
    cut(&format!("{when} {}", reached.states.join(" or ")), STATES_MAX)
}

/// Where on the axis each operation takes effect. Between two moments at which something begins or ends nothing tells
/// one place from another, so those that take effect after the same moment share the room up to the next one.
fn places(order: &[Ordered], axis: &Axis) -> Vec<f64> {
    let mut places = Vec::with_capacity(order.len());
    for group in order.chunk_by(|one, next| one.effect == next.effect) {
        let effect = group[0].effect;
        let from = axis.x(effect);
        // Where one ends at that very moment, all of them are at it.
        let is_over = |placed: &Ordered| placed.operation.completed.is_some_and(|end| end <= effect);
        let room = if group.iter().any(is_over) {
            0.0
        } else {
            axis.x_after(effect) - from
        };
        let share = room / (group.len() + 1) as f64;
        places.extend((1..=group.len()).map(|number| from + share * number as f64));
    }
    places
}

/// What has been drawn, row by row.
#[derive(Default)]
struct Drawing {
    bars: String,
    /// Through the numbers.
    line: String,
    /// Where that is by now.
    line_x: Option<f64>,
    /// What stands in front of the line.
    marks: String,
    /// Where the next row begins.
    y: f64,
}

impl Drawing {
    /// The middle of the row under way.
    fn middle(&self) -> f64 {
        self.y + ROW / 2.0
    }

    /// Leads the line on to a number: down first, and then to the right.
    fn through(&mut self, number: usize, x: f64) {
        let y = self.middle();
        let _ = match self.line_x.replace(x) {
            None => write!(self.line, "M{x:.1} {y:.0}"),
            Some(_) => write!(self.line, "V{y:.0}H{x:.1}"),
        };
        self.number(number, x);
    }

    fn number(&mut self, number: usize, x: f64) {
        let y = self.middle();
        let _ = write!(
            self.marks,
            r#"<g class="place"><circle cx="{x:.1}" cy="{y:.0}" r="{DISC}"/><text x="{x:.1}" y="{:.0}">{number}</text></g>"#,
            y + 4.0,
        );
    }

    /// In the place of a number.
    fn sign(&mut self, sign: &str) {
        let y = self.middle() + 4.0;
        let _ = write!(
            self.marks,
            r#"<text class="sign" x="{NUMBER}" y="{y:.0}">{sign}</text>"#
        );
    }

    /// The operation in the list and on the axis; ends the row.
    fn row(&mut self, op: &WitnessOp, class: &str, bar: &Bar) {
        let y = self.middle() + 4.0;
        let _ = write!(
            self.bars,
            r#"<text class="{class}" x="{NAME}" y="{y:.0}">{name}</text><text class="who" x="{x}" y="{y:.0}">process {process}</text>"#,
            name = escape(&cut(&label(None, op), NAME_MAX)),
            x = LEFT - 22.0,
            process = op.process,
        );
        bar.draw(&mut self.bars, self.y + (ROW - BAR) / 2.0);
        self.y += ROW;
    }

    /// Words in the place of an operation; ends the row.
    fn text(&mut self, class: &str, text: &str) {
        let (y, text) = (self.middle() + 4.0, escape(text));
        let _ = write!(
            self.marks,
            r#"<text class="{class}" x="{NAME}" y="{y:.0}">{text}</text>"#
        );
        self.y += ROW;
    }

    /// Leads the line down to the words that end at `to`.
    fn lead_back(&mut self, to: f64) {
        let y = self.middle();
        let _ = match self.line_x {
            Some(x) if x > to => write!(self.line, "V{y:.0}H{to:.0}m6 -4l-6 4l6 4"),
            Some(_) => write!(self.line, "V{:.0}m-4 -6l4 6l4 -6", y - 8.0),
            None => Ok(()),
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Of `(invoked, completed, effect)`.
    fn order(steps: &[(u64, u64, u64)]) -> Vec<Ordered> {
        let ordered = steps.iter().map(|&(invoked, completed, effect)| Ordered {
            operation: WitnessOp {
                index: 0,
                process: 0,
                f: "read".to_owned(),
                value: Value::Null,
                result: None,
                outcome: duress_checker::history::EventType::Ok,
                node: None,
                invoked,
                completed: Some(completed),
                note: String::new(),
            },
            effect,
        });
        ordered.collect()
    }

    /// Their places, each in its bar and none before the one before it.
    fn drawn(steps: &[(u64, u64, u64)]) -> Vec<f64> {
        let moments = steps
            .iter()
            .flat_map(|&(invoked, completed, _)| [invoked, completed]);
        let axis = Axis::new(LEFT, moments);
        let places = places(&order(steps), &axis);
        assert!(places.is_sorted(), "{places:?}");
        for (place, (invoked, completed, _)) in places.iter().zip(steps) {
            let bar = axis.x(*invoked)..=axis.x(*completed);
            assert!(bar.contains(place), "{place} {bar:?}");
        }
        places
    }

    #[test]
    fn those_that_nothing_tells_apart_share_the_room() {
        let places = drawn(&[(0, 30, 20), (10, 40, 20), (20, 50, 20)]);
        assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
    }

    #[test]
    fn what_ends_as_another_begins_leaves_no_room() {
        let places = drawn(&[(0, 20, 20), (20, 50, 20)]);
        assert_eq!(places[0], places[1]);
    }
}
