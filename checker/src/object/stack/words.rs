//! What a stack did wrong, in its own words.

use crate::model::Telling;
use crate::object::shared::element_op::{ElementOp, ElementWords, Stay, may_be_taken};

/// The words of a stack.
pub(super) const WORDS: ElementWords = ElementWords {
    taken: "popped",
    put: "pushed",
    order,
};

/// `1 was popped while 2, pushed after it, was still on top`: the lower one was popped before anybody could have popped the
/// upper one.
fn order(telling: &Telling<'_, ElementOp>, lower: &Stay<'_>, upper: &Stay<'_>) -> Option<String> {
    let popped = lower.take?;
    let still_on_top = telling.before(upper.put, popped) && !may_be_taken(telling, upper.value, popped.ret);
    still_on_top.then(|| {
        format!(
            "{} was popped while {}, pushed after it, was still on top",
            telling.value(lower.value),
            telling.value(upper.value)
        )
    })
}
