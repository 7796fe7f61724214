//! Lists of values as a person reads them.

use crate::history::{Val, Values};

/// So many elements of a list are shown.
pub(crate) const SHOWN_MAX: usize = 8;

/// A list of values as a person reads it: the end of it, if it is long.
pub(crate) fn show_list(items: impl ExactSizeIterator<Item = Val>, values: &Values) -> String {
    let left_out = items.len().saturating_sub(SHOWN_MAX);
    show_end(left_out, items.skip(left_out), values)
}

/// The end of a list of which so many are left out before.
pub(crate) fn show_end(left_out: usize, items: impl Iterator<Item = Val>, values: &Values) -> String {
    let shown: Vec<String> = items.map(|item| values.json(item).to_string()).collect();
    let more = if left_out > 0 {
        format!("{left_out} more, ")
    } else {
        String::new()
    };
    format!("[{more}{}]", shown.join(", "))
}
