//! The geometry that all plots share.

use crate::format::printable;

/// Width of every plot, in its own units.
pub(super) const WIDTH: u32 = 960;
/// Room for the labels of the vertical axis, and for names of nodes.
pub(super) const LEFT: u32 = 64;
/// Room for the end of the last label of the time axis.
pub(super) const RIGHT: u32 = 16;
/// Room for the labels of the time axis.
pub(super) const BOTTOM: u32 = 26;

/// From the time of a run to a place on the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// The end of the time axis, in nanoseconds; never 0.
    pub(super) end: u64,
}

impl Frame {
    pub(super) fn new(end: u64) -> Self {
        Frame { end: end.max(1) }
    }

    pub(super) fn x(self, time: u64) -> f64 {
        let share = time.min(self.end) as f64 / self.end as f64;
        f64::from(LEFT) + share * f64::from(WIDTH - LEFT - RIGHT)
    }
}

/// The opening tag of a plot.
pub(super) fn open(height: u32) -> String {
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">"#
    )
}

/// Text for SVG: markup escaped, characters that break it made visible.
pub(crate) fn escape(text: &str) -> String {
    (printable(text).replace('&', "&amp;"))
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// How wide a text is at most in the labels of a plot, in its units.
pub(super) fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * 6.4
}
