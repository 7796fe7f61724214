//! Jepsen's JSON: an array of operations, or operations one after the other.
//!
//! ```json
//! [{"process":3,"type":"invoke","f":"write","value":7},
//!  {"process":3,"type":"ok","f":"write","value":7}]
//! ```
//!
//! Operations are read one by one, so that what is wrong is named with its line and no more than one is held as a tree.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::collect::Collector;
use super::error::FormatError;
use crate::history::exact;
use crate::history::jsonl::LINE_BYTES_MAX;

/// The fields of one operation, each of them once: which of two would count?
struct Fields(Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an operation, which is a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if fields.contains_key(&name) {
                        return Err(A::Error::custom(format!("the field {name:?} is there twice")));
                    }
                    fields.insert(name, value);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// Whether a line is an operation without what only our own format demands.
pub(super) fn is_jepsens(line: &[u8]) -> bool {
    let short = (line.len() <= LINE_BYTES_MAX).then_some(line);
    let parsed = short.and_then(|line| serde_json::from_slice::<Map<String, Value>>(line).ok());
    parsed.is_some_and(|fields| {
        let lacks = !fields.contains_key("index") || !fields.contains_key("time");
        let quoted = fields
            .get("type")
            .and_then(Value::as_str)
            .is_some_and(|kind| kind.starts_with(':'));
        lacks || quoted
    })
}

/// Hands over the operations.
pub(super) fn read(bytes: &[u8], collector: &mut Collector) -> Result<(), FormatError> {
    let mut text = Text::new(bytes);
    let array = text.take(b'[');
    if array && text.take(b']') {
        return text.end();
    }
    for at in 0_u64.. {
        if !array && text.peek().is_none() {
            return Ok(());
        }
        let line = text.line_of_next();
        let place = |reason: String| match array {
            // Often all of an array stands on one line.
            true => format!("operation {at}: {reason}"),
            false => reason,
        };
        let rest = &bytes[text.at..];
        let mut forms = serde_json::Deserializer::from_slice(rest).into_iter::<Fields>();
        let fields = match forms.next() {
            Some(Ok(Fields(fields))) => fields,
            Some(Err(error)) => {
                let within = error.line().saturating_sub(1) as u64;
                let worded = error.to_string();
                let worded = worded
                    .rsplit_once(" at line ")
                    .map_or(worded.as_str(), |(what, _)| what);
                return Err(FormatError::Line {
                    line: line + within,
                    reason: place(crate::history::shortened(worded)),
                });
            }
            None => {
                return Err(FormatError::Line {
                    line,
                    reason: "the text ends before its array does".to_owned(),
                });
            }
        };
        let read = forms.byte_offset();
        let wrong = |reason: String| FormatError::Line {
            line,
            reason: place(reason),
        };
        if read > LINE_BYTES_MAX {
            return Err(wrong("is too long for one operation".to_owned()));
        }
        let judged = fields.get("key").into_iter().chain(fields.get("value"));
        if let Some(reason) = exact::lost(&rest[..read], judged) {
            return Err(wrong(reason));
        }
        text.at += read;
        collector.add(line, fields).map_err(|error| match error {
            FormatError::Line { line, reason } => FormatError::Line {
                line,
                reason: place(reason),
            },
            other => other,
        })?;
        if array && text.take(b']') {
            return text.end();
        }
        if array && !text.take(b',') {
            let line = text.line_of_next();
            let reason = match text.peek() {
                None => "the text ends before its array does".to_owned(),
                Some(_) => place("is followed by neither a comma nor the end of the array".to_owned()),
            };
            return Err(FormatError::Line { line, reason });
        }
    }
    Ok(())
}

/// What is left of a text.
struct Text<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Up to where lines are counted, and the line there.
    counted: (usize, u64),
}

impl<'a> Text<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Text {
            bytes,
            at: 0,
            counted: (0, 1),
        }
    }

    /// The next byte that is no blank.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.bytes[self.at..];
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.at += rest.iter().take_while(|byte| blank(byte)).count();
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn line_of_next(&mut self) -> u64 {
        self.peek();
        let new = &self.bytes[self.counted.0..self.at];
        let lines = new.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.counted = (self.at, self.counted.1 + lines);
        self.counted.1
    }

    /// Nothing may follow the array: it would be passed over.
    fn end(&mut self) -> Result<(), FormatError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(FormatError::Line {
                line: self.line_of_next(),
                reason: "something follows the array of operations".to_owned(),
            }),
        }
    }
}
