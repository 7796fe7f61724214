//! A map, key by key: `get`, `put`, `append`, `delete`.
//!
//! `{"f":"append","key":"a","value":"x 0 1 y"}`. A key begins absent; `get` of an absent key is `null` or `""`, and
//! appending to one is putting. Strings that are appended to grow long, and a search has many states in hand, so a
//! state is not the string but its [`Print`].

pub mod texts;

use std::slice;
use std::sync::Arc;

use self::texts::AsRegister;
use crate::history::{Datum, Val, Values};
use crate::model::shortcuts::Fast;
use crate::model::{Call, Model, Operation, Part};
pub use crate::object::shared::print::Print;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// Nothing.
    Absent,
    /// Something that is no string.
    Value(Val),
    /// A string.
    Text(Print),
}

/// Which texts that somebody wrote stand one behind the other in a text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pieces {
    /// Nobody has looked, or it can't be told: what was written can't be told apart.
    #[default]
    Unknown,
    /// Something in it was written by nobody.
    Foreign,
    /// These, by their names.
    Of(Arc<[Val]>),
}

/// An operation on one key. The names of values are for explanations, and for the decision without search.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KvOp {
    /// Found this, which somebody put together from these pieces.
    Get(Content, Val, Pieces),
    /// Set this.
    Put(Content, Val),
    /// Added this at the end.
    Append(Print, Val),
    /// Removed it.
    Delete,
}

/// A map with `get`, `put`, `append` and `delete`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kv;

impl Model for Kv {
    type Op = KvOp;
    type State = Content;

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
                Content::Text(print) => Ok(Some(KvOp::Append(print, call.argument.first))),
                _ => Err("append takes a string".to_owned()),
            },
            "delete" => Ok(Some(KvOp::Delete)),
            f => Err(format!("a kv takes get, put, append and delete, not {f}")),
        }
    }

    fn initial(&self) -> Content {
        Content::Absent
    }

    fn step(&self, state: &Content, op: &KvOp, next: &mut Vec<Content>) {
        match (op, state) {
            (KvOp::Get(seen, ..), state) if seen == state => next.push(*state),
            // Porcupine's maps begin with "" everywhere.
            (KvOp::Get(Content::Text(seen), ..), Content::Absent) if seen.is_empty() => next.push(*state),
            (KvOp::Get(..), _) => {}
            (KvOp::Put(new, _), _) => next.push(*new),
            (KvOp::Append(more, _), Content::Text(text)) => next.push(Content::Text(text.then(more))),
            (KvOp::Append(more, _), Content::Absent) => next.push(Content::Text(*more)),
            // Nobody knows what appending to a number is.
            (KvOp::Append(..), Content::Value(_)) => {}
            (KvOp::Delete, _) => next.push(Content::Absent),
        }
    }

    fn observes_only(&self, op: &KvOp) -> bool {
        matches!(op, KvOp::Get(..))
    }

    fn overwrites(&self, op: &KvOp) -> bool {
        matches!(op, KvOp::Put(..) | KvOp::Delete)
    }

    fn show(&self, state: &Content, values: &Values) -> String {
        match state {
            Content::Absent => "nothing".to_owned(),
            Content::Value(value) => values.json(*value).to_string(),
            Content::Text(text) => format!("a text of {} bytes", text.len()),
        }
    }

    fn only_in(&self, op: &KvOp) -> Option<Content> {
        match op {
            // That is also what an absent key shows.
            KvOp::Get(Content::Text(seen), ..) if seen.is_empty() => None,
            KvOp::Get(seen, ..) => Some(*seen),
            KvOp::Put(..) | KvOp::Append(..) | KvOp::Delete => None,
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

    fn resolve(&self, part: &mut Part<KvOp>, values: &Values) {
        texts::resolve(part, values);
    }

    fn as_register(&self, part: &[Operation<KvOp>]) -> Option<AsRegister> {
        texts::as_register(part)?.ok()
    }

    fn decide(&self, part: &[Operation<KvOp>]) -> Option<Fast> {
        texts::decide(part)
    }
}

fn content(datum: Datum, values: &Values) -> Result<Content, String> {
    let Some(value) = datum.single() else {
        return Err("a kv holds strings and numbers, not pairs".to_owned());
    };
    Ok(match values.str(value) {
        Some(text) => Content::Text(Print::of(text)),
        None if value.is_nil() => Content::Absent,
        None => Content::Value(value),
    })
}
