//! What a queue did wrong, in its own words.

use crate::model::Telling;
use crate::object::shared::element_op::{ElementOp, ElementWords, may_be_taken, stays};

/// The words of a queue.
pub(super) const WORDS: ElementWords = ElementWords {
    taken: "taken",
    put: "put in",
    order,
};

/// `2 was taken before 1, which had been put in first`: of two elements that were put in one after the other, the later
/// one was taken before anybody could have taken the earlier one.
fn order(telling: &Telling<'_, ElementOp>, _: &ElementWords) -> Option<String> {
    let stays = stays(telling)?;
    let pairs = stays
        .iter()
        .flat_map(|first| stays.iter().map(move |second| (first, second)));
    pairs
        .filter(|(first, second)| telling.before(first.put, second.put))
        .find_map(|(first, second)| {
            let taken = second.take?;
            if may_be_taken(telling, first.value, taken.ret) {
                return None;
            }
            let (one, other) = (telling.value(second.value), telling.value(first.value));
            Some(format!(
                "{one} was taken before {other}, which had been put in first"
            ))
        })
}
