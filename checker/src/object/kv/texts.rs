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
    let mut apart = Apart {
        written: &written,
        last: ("", Vec::new()),
    };
    for operation in part {
        if let KvOp::Get(content, value, pieces) = &mut operation.op {
            *pieces = match content {
                Stored::Absent => continue,
                Stored::Value(_) => Pieces::Of([*value].into()),
                Stored::Text(_) => {
                    let take_apart = || {
                        values
                            .str(*value)
                            .map_or(Pieces::Foreign, |text| apart.take(text))
                    };
                    known.entry(*value).or_insert_with(take_apart).clone()
                }
            };
        }
    }
}

/// Takes texts apart. Those that a client finds one after the other mostly begin alike, so what is known of the last one is not looked up
/// again.
struct Apart<'a> {
    /// The texts that were put or appended, sorted; none is the beginning of another.
    written: &'a [(&'a str, Val)],
    /// The last text that could be taken apart, and its pieces, each with where it ends.
    last: (&'a str, Vec<(Val, usize)>),
}

impl<'a> Apart<'a> {
    fn take(&mut self, text: &'a str) -> Pieces {
        let (last, pieces) = &mut self.last;
        let alike = match text.starts_with(*last) {
            true => last.len(),
            // An older one; a piece of the last one that goes on behind its end is none of its own.
            false if last.starts_with(text) => {
                let of_it = &pieces[..pieces.partition_point(|(_, end)| *end <= text.len())];
                return match of_it.last().map_or(0, |(_, end)| *end) == text.len() {
                    true => Pieces::Of(of_it.iter().map(|(value, _)| *value).collect()),
                    false => Pieces::Foreign,
                };
            }
            false => {
                pieces.clear();
                0
            }
        };
        *last = &text[..alike];
        while last.len() < text.len() {
            let rest = &text[last.len()..];
            let after = self.written.partition_point(|(piece, _)| *piece <= rest);
            match after.checked_sub(1).map(|at| self.written[at]) {
                Some((piece, value)) if rest.starts_with(piece) => {
                    *last = &text[..last.len() + piece.len()];
                    pieces.push((value, last.len()));
                }
                _ => return Pieces::Foreign,
            }
        }
        Pieces::Of(pieces.iter().map(|(value, _)| *value).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_taken_apart_alike_whatever_was_taken_apart_before() {
        let written = [("ab", Val(1)), ("b", Val(2)), ("c", Val(3))];
        let texts = [
            "ab", "abc", "abcb", "abcbx", "abcb", "a", "abc", "", "c", "cab", "bb", "abcbab", "ca", "x",
        ];
        for first in texts {
            for second in texts {
                let mut both = Apart {
                    written: &written,
                    last: ("", Vec::new()),
                };
                both.take(first);
                let mut alone = Apart {
                    written: &written,
                    last: ("", Vec::new()),
                };
                assert_eq!(
                    both.take(second),
                    alone.take(second),
                    "{second:?} behind {first:?}"
                );
            }
        }
    }
}
