//! Where in an answer something stands, and how it is to be read: what is received.
//!
//! ```text
//! /value                            a JSON pointer (RFC 6901) into the body; the empty one is all of it
//! /kvs/0/value|base64|json|or null  through decoders, from left to right; where nothing stands, null
//! /kvs|each /value|number|or []     of each element of a list what stands there
//! header:location                   a header
//! text                              the body, whatever it is
//! absent                            nothing of the answer: the key has no value, the list no elements
//! ```

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duress_http::{HeaderName, Reply};
use serde::Deserialize;
use serde_json::Value;

/// An answer whose body is parsed once, and only if somebody asks.
pub(super) struct Answered<'a> {
    pub reply: &'a Reply,
    json: OnceCell<Option<Value>>,
}

impl<'a> Answered<'a> {
    pub fn new(reply: &'a Reply) -> Self {
        Answered {
            reply,
            json: OnceCell::new(),
        }
    }

    fn json(&self) -> Option<&Value> {
        self.json.get_or_init(|| self.reply.json()).as_ref()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum From {
    Json(String),
    Header(HeaderName),
    Text,
    Absent,
}

/// What is done with what stands there. Null stays null.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Decoder {
    /// Text of a text in base64.
    Base64,
    /// The value that a text is as JSON.
    Json,
    /// A number, also where it is written as a string.
    Number,
    /// Of each element of a list what stands at this pointer; later decoders read each.
    Each(String),
}

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Source {
    from: From,
    decoders: Vec<Decoder>,
    /// What counts where nothing stands, or null.
    or: Option<Value>,
    written: String,
}

impl TryFrom<String> for Source {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        let mut parts = written.split('|').map(str::trim);
        let from = match parts.next().unwrap_or_default() {
            "text" => From::Text,
            "absent" => From::Absent,
            pointer if pointer.is_empty() || pointer.starts_with('/') => From::Json(pointer.to_owned()),
            other => match other.strip_prefix("header:") {
                Some(name) => From::Header(
                    name.trim()
                        .parse()
                        .map_err(|_| format!("{name:?} is no name of a header"))?,
                ),
                None => {
                    return Err(format!(
                        "{other:?} is no place in an answer; write a JSON pointer as \"/value\", \"header:location\", \
                         \"text\" or \"absent\""
                    ));
                }
            },
        };
        let (mut decoders, mut or) = (Vec::new(), None);
        for part in parts {
            if or.is_some() {
                return Err(format!("{part:?} comes after the \"or\", which ends it"));
            }
            match part.split_once(' ').unwrap_or((part, "")) {
                ("base64", "") => decoders.push(Decoder::Base64),
                ("json", "") => decoders.push(Decoder::Json),
                ("number", "") => decoders.push(Decoder::Number),
                ("each", pointer) if pointer.is_empty() || pointer.starts_with('/') => {
                    decoders.push(Decoder::Each(pointer.to_owned()));
                }
                ("or", value) => {
                    let value = serde_json::from_str(value);
                    or = Some(value.map_err(|error| format!("after \"or\" stands a JSON value: {error}"))?);
                }
                _ => {
                    return Err(format!(
                        "no decoder {part:?}; there are base64, json, number, \"each /POINTER\" and \"or VALUE\""
                    ));
                }
            }
        }
        Ok(Source {
            from,
            decoders,
            or,
            written,
        })
    }
}

impl Source {
    /// What stands there; `None`: nothing. The error says what can't be read as it should be.
    pub fn of<'a>(&'a self, answered: &'a Answered<'_>) -> Result<Option<Cow<'a, Value>>, String> {
        let found = match &self.from {
            From::Json(pointer) => answered
                .json()
                .and_then(|json| json.pointer(pointer))
                .map(Cow::Borrowed),
            From::Header(name) => {
                let header = answered.reply.headers.get(name);
                header.map(|value| Cow::Owned(String::from_utf8_lossy(value.as_bytes()).into()))
            }
            From::Text => Some(Cow::Owned(String::from_utf8_lossy(&answered.reply.body).into())),
            From::Absent => Some(Cow::Owned(Value::Null)),
        };
        match (found, &self.or) {
            (None, None) => Ok(None),
            (None, Some(or)) => Ok(Some(Cow::Borrowed(or))),
            (Some(value), Some(or)) if value.is_null() => Ok(Some(Cow::Borrowed(or))),
            (Some(value), _) if self.decoders.is_empty() => Ok(Some(value)),
            (Some(value), _) => {
                let decoded = decode(&value, &self.decoders);
                decoded
                    .map(|value| Some(Cow::Owned(value)))
                    .map_err(|why| format!("at {self}: {why}"))
            }
        }
    }

    /// What must stand there. The error says what is missing.
    pub fn need<'a>(&'a self, answered: &'a Answered<'_>) -> Result<Cow<'a, Value>, String> {
        self.of(answered)?
            .ok_or_else(|| format!("the answer has nothing at {self}"))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.written)
    }
}

fn decode(value: &Value, decoders: &[Decoder]) -> Result<Value, String> {
    let Some((decoder, rest)) = decoders.split_first() else {
        return Ok(value.clone());
    };
    let decoded = match (decoder, value) {
        (_, Value::Null) => return Ok(Value::Null),
        (Decoder::Base64, Value::String(text)) => {
            let bytes = STANDARD
                .decode(text)
                .map_err(|error| format!("broken base64: {error}"))?;
            String::from_utf8(bytes)
                .map_err(|_| "base64 of what is no text".to_owned())?
                .into()
        }
        (Decoder::Json, Value::String(text)) => {
            serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?
        }
        (Decoder::Number, Value::Number(_)) => value.clone(),
        (Decoder::Number, Value::String(text)) => match serde_json::from_str(text.trim()) {
            Ok(number @ Value::Number(_)) => number,
            _ => return Err("no number".to_owned()),
        },
        (Decoder::Each(pointer), Value::Array(list)) => {
            let element = |element: &Value| {
                let found = element.pointer(pointer);
                decode(
                    found.ok_or_else(|| format!("an element without {pointer:?}"))?,
                    rest,
                )
            };
            return list.iter().map(element).collect();
        }
        (Decoder::Each(_), _) => return Err("no list".to_owned()),
        (_, _) => return Err("no text".to_owned()),
    };
    decode(&decoded, rest)
}
