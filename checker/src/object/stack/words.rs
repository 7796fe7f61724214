//! What a stack did wrong, in its own words.

use crate::model::Telling;
use crate::object::shared::element_op::{ElementOp, ElementWords, may_be_taken, stays};

/// The words of a stack.
pub(super) const WORDS: ElementWords = ElementWords {
    taken: "popped",
    put: "pushed",
    order,
};

/// `1 was popped while 2, pushed after it, was still on top`: pushed one after the other, and the lower one was popped
/// before anybody could have popped the upper one.
fn order(telling: &Telling<'_, ElementOp>, _: &ElementWords) -> Option<String> {
    let stays = stays(telling)?;
    let pairs = stays
        .iter()
        .flat_map(|lower| stays.iter().map(move |upper| (lower, upper)));
    pairs
        .filter(|(lower, upper)| telling.before(lower.put, upper.put))
        .find_map(|(lower, upper)| {
            let popped = lower.take?;
            let still_on_top = !may_be_taken(telling, upper.value, popped.ret);
            (telling.before(upper.put, popped) && still_on_top).then(|| {
                format!(
                    "{} was popped while {}, pushed after it, was still on top",
                    telling.value(lower.value),
                    telling.value(upper.value)
                )
            })
        })
}
