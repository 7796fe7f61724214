//! Texts with places in them: what is sent. JSON values with places are [`Shape`](super::shape::Shape)s.
//!
//! ```text
//! /kv/{key}                                   in a path, every place is percent-encoded
//! {value|json|base64}                         through filters, from left to right: Nw==
//! {list|push|json}                            `list` was bound by an earlier step
//! SET {{a}} {value}                           braces that stand for themselves
//! ```

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::clients::receipts::NO_RECEIPT;
use crate::op::Op;
use crate::service::Token;

/// What a place stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Key,
    Value,
    Old,
    New,
    Process,
    TokenClient,
    TokenSeq,
    LeaseSeconds,
    LeaseMs,
    /// What came with the message that is acknowledged or given back.
    Kept,
    /// What an earlier step bound to this name.
    Bound(String),
}

/// The places that are always there, by their names.
const PLACES: [(&str, Place); 10] = [
    ("key", Place::Key),
    ("value", Place::Value),
    ("old", Place::Old),
    ("new", Place::New),
    ("process", Place::Process),
    ("token.client", Place::TokenClient),
    ("token.seq", Place::TokenSeq),
    ("lease.seconds", Place::LeaseSeconds),
    ("lease.ms", Place::LeaseMs),
    ("kept", Place::Kept),
];

impl Place {
    fn named(name: &str) -> Result<Place, String> {
        if let Some((_, place)) = PLACES.iter().find(|(known, _)| *known == name) {
            return Ok(place.clone());
        }
        if is_name(name) {
            return Ok(Place::Bound(name.to_owned()));
        }
        Err(format!(
            "{{{name}}} is no place; write e.g. {{key}} or {{value|json}}, and {{{{ for a brace"
        ))
    }
}

/// Whether a step may bind something to this name.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
        && PLACES.iter().all(|(known, _)| *known != name)
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = PLACES.iter().find(|(_, place)| place == self);
        let name = match (known, self) {
            (Some((name, _)), _) => name,
            (None, Place::Bound(name)) => name.as_str(),
            (None, _) => unreachable!("every other place is in the list"),
        };
        write!(formatter, "{{{name}}}")
    }
}

/// What is done with a value on its way into a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Filter {
    /// A string as it is, anything else as JSON.
    Text,
    /// As JSON, strings with their quotes.
    Json,
    /// The text in base64.
    Base64,
    /// The text percent-encoded.
    Url,
    /// A list with the value of the operation at its end.
    Push,
    /// The text behind this one.
    Prefix(String),
}

impl Filter {
    fn named(written: &str) -> Result<Filter, String> {
        Ok(match written.split_once(' ').unwrap_or((written, "")) {
            ("text", "") => Filter::Text,
            ("json", "") => Filter::Json,
            ("base64", "") => Filter::Base64,
            ("url", "") => Filter::Url,
            ("push", "") => Filter::Push,
            ("prefix", text) if !text.is_empty() => Filter::Prefix(text.to_owned()),
            _ => {
                return Err(format!(
                    "no filter {written:?}; there are text, json, base64, url, push and \"prefix TEXT\""
                ));
            }
        })
    }

    fn apply(&self, value: &Value, values: &Values<'_>) -> Result<Value, String> {
        Ok(match self {
            Filter::Text => Value::String(text(value).into_owned()),
            Filter::Json => Value::String(value.to_string()),
            Filter::Base64 => Value::String(STANDARD.encode(text(value).as_ref())),
            Filter::Url => Value::String(percent_encoded(&text(value))),
            Filter::Prefix(prefix) => Value::String(format!("{prefix}{}", text(value))),
            Filter::Push => match value {
                Value::Array(list) => {
                    let mut list = list.clone();
                    list.push(values.op.value.clone());
                    Value::Array(list)
                }
                // To write over it would hide it.
                other => return Err(format!("there is no list to add to, but {other}")),
            },
        })
    }
}

/// A string as it is, anything else as JSON.
pub(super) fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// Everything but the unreserved characters of RFC 3986, section 2.3.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// What places stand for in one attempt.
pub(super) struct Values<'a> {
    pub op: &'a Op,
    /// Who asks.
    pub process: u64,
    pub token: Option<&'a Token>,
    pub lease: Duration,
    /// What came with the message that this is about.
    pub kept: Option<Value>,
    /// By steps before this one.
    pub bound: Vec<(&'a str, Value)>,
}

impl Values<'_> {
    fn lease_ms(&self) -> u64 {
        u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX)
    }

    fn at(&self, place: &Place) -> Result<Cow<'_, Value>, String> {
        let of_pair = |index: usize| self.op.value.get(index).unwrap_or(&Value::Null);
        let token = || (self.token).ok_or_else(|| "there is no token to send".to_owned());
        Ok(match place {
            Place::Key => Cow::Borrowed(self.op.key.as_ref().unwrap_or(&Value::Null)),
            Place::Value => Cow::Borrowed(&self.op.value),
            Place::Old => Cow::Borrowed(of_pair(0)),
            Place::New => Cow::Borrowed(of_pair(1)),
            Place::Process => Cow::Owned(self.process.into()),
            Place::TokenClient => Cow::Owned(Value::String(token()?.client.clone())),
            Place::TokenSeq => Cow::Owned(token()?.seq.into()),
            // A second begun is a second: none is no lease.
            Place::LeaseSeconds => Cow::Owned(self.lease_ms().div_ceil(1000).max(1).into()),
            Place::LeaseMs => Cow::Owned(self.lease_ms().into()),
            Place::Kept => Cow::Borrowed((self.kept.as_ref()).ok_or_else(|| NO_RECEIPT.to_owned())?),
            Place::Bound(name) => match self.bound.iter().find(|(bound, _)| bound == name) {
                Some((_, value)) => Cow::Borrowed(value),
                None => return Err(format!("nothing is bound to {place}")),
            },
        })
    }
}

/// A place and its filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    place: Place,
    filters: Vec<Filter>,
}

impl Slot {
    fn parse(text: &str) -> Result<Slot, String> {
        let mut parts = text.split('|').map(str::trim);
        let place = Place::named(parts.next().unwrap_or_default())?;
        let filters = parts.map(Filter::named).collect::<Result<_, _>>()?;
        Ok(Slot { place, filters })
    }

    pub fn value<'a>(&self, values: &'a Values<'_>) -> Result<Cow<'a, Value>, String> {
        let mut value = values.at(&self.place)?;
        for filter in &self.filters {
            value = Cow::Owned(filter.apply(&value, values)?);
        }
        Ok(value)
    }

    pub fn places(&self) -> Vec<Place> {
        let pushed = self.filters.contains(&Filter::Push).then_some(Place::Value);
        [Some(self.place.clone()), pushed].into_iter().flatten().collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Slot(Slot),
}

/// A text with places.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Template(pub(super) Vec<Piece>);

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text.as_str());
        while let Some(position) = rest.find(['{', '}']) {
            plain.push_str(&rest[..position]);
            let brace = &rest[position..=position];
            let after = &rest[position + 1..];
            if let Some(after) = after.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let end = (brace == "{").then(|| after.find('}')).flatten();
            let Some(end) = end else {
                return Err(format!(
                    "a {brace} without its other half; write {brace}{brace} for the brace itself"
                ));
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Slot(Slot::parse(&after[..end])?));
            rest = &after[end + 1..];
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Template(pieces))
    }
}

impl Template {
    /// With every place filled in.
    pub fn text(&self, values: &Values<'_>) -> Result<String, String> {
        self.fill(values, |value| text(value).into_owned())
    }

    /// The same, where what is filled in must not end a part of a path or query.
    pub fn path(&self, values: &Values<'_>) -> Result<String, String> {
        self.fill(values, |value| percent_encoded(&text(value)))
    }

    fn fill(&self, values: &Values<'_>, shown: impl Fn(&Value) -> String) -> Result<String, String> {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Slot(slot) => filled.push_str(&shown(&*slot.value(values)?)),
            }
        }
        Ok(filled)
    }

    /// What it needs to be filled in.
    pub fn places(&self) -> Vec<Place> {
        let slots = self.0.iter().filter_map(|piece| match piece {
            Piece::Slot(slot) => Some(slot.places()),
            Piece::Text(_) => None,
        });
        slots.flatten().collect()
    }

    /// What it begins with, up to the first place.
    pub fn beginning(&self) -> &str {
        match self.0.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }
}
