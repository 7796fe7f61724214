//! A map, key by key: `get`, `put`, `append`, `delete`.
//!
//! `{"f":"append","key":"a","value":"x 0 1 y"}`. A key begins absent; `get` of an absent key is `null` or `""`, and
//! appending to one is putting. Strings that are appended to grow long, and a search has many states in hand, so a
//! state is not the string but its [`Print`]. An order that holds by prints is replayed once with the strings themselves.

mod as_register;
mod exact;
mod op;
mod texts;

use std::slice;

pub use self::op::{KvOp, Pieces, Stored};
use crate::history::{Datum, Val, Values};
use crate::limits::Limits;
use crate::model::{Call, Decision, Hints, Model, Operation, Part, Shortcuts, Words};
pub use crate::object::shared::print::Print;

/// A map with `get`, `put`, `append` and `delete`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kv;

impl Model for Kv {
    type Op = KvOp;
    type State = Stored;

    fn name(&self) -> &'static str {
        "kv"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<KvOp>, String> {
        match call.f {
            "get" | "read" => Ok(match call.result {
                None => None,
                Some(result) => Some(KvOp::Get(
                    content(result, call.values)?,
                    result.first,
                    Pieces::Unknown,
                )),
            }),
            "put" | "write" => {
                let content = content(call.argument, call.values)?;
                Ok(Some(KvOp::Put(content, call.argument.first)))
            }
            "append" => match content(call.argument, call.values)? {
                Stored::Text(print) => Ok(Some(KvOp::Append(print, call.argument.first))),
                _ => Err("append takes a string".to_owned()),
            },
            "delete" => Ok(Some(KvOp::Delete)),
            f => Err(format!("a kv takes get, put, append and delete, not {f}")),
        }
    }

    fn initial(&self) -> Stored {
        Stored::Absent
    }

    fn step(&self, state: &Stored, op: &KvOp, next: &mut Vec<Stored>) {
        match (op, state) {
            (KvOp::Get(seen, ..), state) if seen == state => next.push(*state),
            // Porcupine's maps begin with "" everywhere.
            (KvOp::Get(Stored::Text(seen), ..), Stored::Absent) if seen.is_empty() => next.push(*state),
            (KvOp::Get(..), _) => {}
            (KvOp::Put(new, _), _) => next.push(*new),
            (KvOp::Append(more, _), Stored::Text(text)) => next.push(Stored::Text(text.then(more))),
            (KvOp::Append(more, _), Stored::Absent) => next.push(Stored::Text(*more)),
            // Nobody knows what appending to a number is.
            (KvOp::Append(..), Stored::Value(_)) => {}
            (KvOp::Delete, _) => next.push(Stored::Absent),
        }
    }

    fn sees_fingerprint(&self, op: &KvOp) -> bool {
        matches!(op, KvOp::Get(Stored::Text(_), ..))
    }

    fn holds_exactly(&self, part: &[Operation<KvOp>], order: &[u32], values: &Values) -> bool {
        exact::holds(part, order, values)
    }

    fn hints(&self) -> &impl Hints<KvOp, Stored> {
        self
    }

    fn words(&self) -> &impl Words<KvOp, Stored> {
        self
    }

    fn shortcuts(&self) -> &impl Shortcuts<KvOp> {
        self
    }
}

impl Hints<KvOp, Stored> for Kv {
    fn observes_only(&self, op: &KvOp) -> bool {
        matches!(op, KvOp::Get(..))
    }

    fn overwrites(&self, op: &KvOp) -> bool {
        matches!(op, KvOp::Put(..) | KvOp::Delete)
    }

    fn only_in(&self, op: &KvOp) -> Option<Stored> {
        match op {
            // That is also what an absent key shows.
            KvOp::Get(Stored::Text(seen), ..) if seen.is_empty() => None,
            KvOp::Get(seen, ..) => Some(*seen),
            KvOp::Put(..) | KvOp::Append(..) | KvOp::Delete => None,
        }
    }
}

impl Words<KvOp, Stored> for Kv {
    fn show(&self, state: &Stored, values: &Values) -> String {
        match state {
            Stored::Absent => "nothing".to_owned(),
            Stored::Value(value) => values.json(*value).to_string(),
            Stored::Text(text) => format!("a text of {} bytes", text.len()),
        }
    }

    fn produces<'op>(&self, op: &'op KvOp) -> &'op [Val] {
        match op {
            KvOp::Put(_, value) | KvOp::Append(_, value) => slice::from_ref(value),
            KvOp::Get(..) | KvOp::Delete => &[],
        }
    }

    fn needs<'op>(&self, op: &'op KvOp) -> &'op [Val] {
        match op {
            KvOp::Get(_, _, Pieces::Of(pieces)) => pieces,
            KvOp::Get(_, value, Pieces::Unknown | Pieces::Foreign) => slice::from_ref(value),
            KvOp::Put(..) | KvOp::Append(..) | KvOp::Delete => &[],
        }
    }
}

impl Shortcuts<KvOp> for Kv {
    fn resolve(&self, part: &mut Part<KvOp>, values: &Values) {
        texts::resolve(part, values);
    }

    fn decide(&self, part: &[Operation<KvOp>]) -> Option<Decision> {
        as_register::decide(part)
    }

    fn search(&self, part: &[Operation<KvOp>], limits: Limits<'_>) -> Option<Result<Decision, String>> {
        as_register::search(part, limits)
    }
}

fn content(datum: Datum, values: &Values) -> Result<Stored, String> {
    let Some(value) = datum.single() else {
        return Err("a kv holds strings and numbers, not pairs".to_owned());
    };
    Ok(match values.str(value) {
        Some(text) => Stored::Text(Print::of(text)),
        None if value.is_nil() => Stored::Absent,
        None => Stored::Value(value),
    })
}
