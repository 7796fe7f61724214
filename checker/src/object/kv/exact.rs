//! Whether an order explains a key by the texts themselves.

use super::op::{KvOp, Stored};
use crate::history::{Val, Values};
use crate::model::Operation;

/// What the key holds.
enum Held {
    Absent,
    Value(Val),
    Text(String),
}

/// Whether each operation of an order (positions in the part) is possible where it stands. It takes time for every text
/// once, as often as it was found.
pub(super) fn holds(part: &[Operation<KvOp>], order: &[u32], values: &Values) -> bool {
    let mut held = Held::Absent;
    order
        .iter()
        .all(|&at| put_into_effect(&part[at as usize].op, &mut held, values).is_some())
}

/// `None`: it is impossible there.
fn put_into_effect(op: &KvOp, held: &mut Held, values: &Values) -> Option<()> {
    match op {
        KvOp::Delete => *held = Held::Absent,
        KvOp::Put(Stored::Absent, _) => *held = Held::Absent,
        KvOp::Put(Stored::Value(value), _) => *held = Held::Value(*value),
        KvOp::Put(Stored::Text(_), text) => *held = Held::Text(values.str(*text)?.to_owned()),
        KvOp::Append(_, more) => {
            let more = values.str(*more)?;
            match held {
                Held::Absent => *held = Held::Text(more.to_owned()),
                Held::Text(text) => text.push_str(more),
                Held::Value(_) => return None,
            }
        }
        KvOp::Get(content, found, _) => {
            let same = match (content, &*held) {
                (Stored::Absent, Held::Absent) => true,
                (Stored::Value(value), Held::Value(held)) => value == held,
                (Stored::Text(_), Held::Text(text)) => values.str(*found)? == text,
                // An absent key reads as "" too.
                (Stored::Text(_), Held::Absent) => values.str(*found)?.is_empty(),
                _ => false,
            };
            return same.then_some(());
        }
    }
    Some(())
}
