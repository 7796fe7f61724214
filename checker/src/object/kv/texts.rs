//! Texts that can be told apart: each text that was found says what it was put together from, and in which order.
//!
//! Where no text that was put or appended is the beginning of another, a longer text is the concatenation of at most
//! one sequence of them.

use super::op::{KvOp, Pieces, Stored};
use crate::history::values::FastMap;
use crate::history::{Val, Values};
use crate::model::Operation;

/// Says of each text that was found which texts it was put together from, if they can be told apart.
pub fn resolve(part: &mut [Operation<KvOp>], values: &Values) {
    let written = part.iter().filter_map(|operation| match operation.op {
        KvOp::Put(Stored::Text(_), value) | KvOp::Append(_, value) => Some((values.str(value)?, value)),
        _ => None,
    });
    let mut written: Vec<(&str, Val)> = written.collect();
    written.sort_unstable();
    // Whatever begins with a text comes right behind it.
    let ambiguous = |pair: &[(&str, Val)]| pair[1].0.starts_with(pair[0].0);
    if written.windows(2).any(ambiguous) || written.first().is_some_and(|(text, _)| text.is_empty()) {
        return;
    }
    let mut known: FastMap<Val, Pieces> = FastMap::default();
    for operation in part {
        if let KvOp::Get(content, value, pieces) = &mut operation.op {
            *pieces = match content {
                Stored::Absent => continue,
                Stored::Value(_) => Pieces::Of([*value].into()),
                Stored::Text(_) => {
                    let take_apart = || {
                        values
                            .str(*value)
                            .map_or(Pieces::Foreign, |text| apart(text, &written))
                    };
                    known.entry(*value).or_insert_with(take_apart).clone()
                }
            };
        }
    }
}

/// The texts that a text begins with, one behind the other, as long as there are any.
fn apart(text: &str, written: &[(&str, Val)]) -> Pieces {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let after = written.partition_point(|(piece, _)| *piece <= rest);
        let piece = after.checked_sub(1).map(|at| written[at]);
        match piece.and_then(|(piece, value)| Some((rest.strip_prefix(piece)?, value))) {
            Some((behind, value)) => {
                pieces.push(value);
                rest = behind;
            }
            None => return Pieces::Foreign,
        }
    }
    Pieces::Of(pieces.into())
}
