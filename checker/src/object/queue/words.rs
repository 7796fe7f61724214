//! What a queue did wrong, in its own words.

use crate::model::Telling;
use crate::object::shared::element_op::{ElementOp, ElementWords, Stay, may_be_taken};

/// The words of a queue.
pub(super) const WORDS: ElementWords = ElementWords {
    taken: "taken",
    put: "put in",
    order,
};

/// `2 was taken before 1, which had been put in first`: the later one was taken before anybody could have taken the
/// earlier one.
fn order(telling: &Telling<'_, ElementOp>, first: &Stay<'_>, second: &Stay<'_>) -> Option<String> {
    let taken = second.take?;
    if may_be_taken(telling, first.value, taken.ret) {
        return None;
    }
    let (one, other) = (telling.value(second.value), telling.value(first.value));
    Some(format!(
        "{one} was taken before {other}, which had been put in first"
    ))
}
