//! Jepsen's EDN: operations one after the other, or all in one vector.

use serde_json::Value;

use super::{EdnError, Reader};
use crate::formats::collect::Collector;
use crate::formats::error::FormatError;
use crate::history::shortened;

/// Hands over the operations of a history.
pub(in crate::formats) fn read(bytes: &[u8], collector: &mut Collector) -> Result<(), FormatError> {
    let wrong = |error: EdnError| FormatError::Line {
        line: error.line,
        reason: error.reason,
    };
    let mut reader = Reader::new(bytes);
    let opened = reader.enter().map_err(wrong)?;
    loop {
        if let Some(close) = opened
            && reader.leave(close).map_err(wrong)?
        {
            break;
        }
        let line = reader.line_of_next().map_err(wrong)?;
        let fail = |reason: String| FormatError::Line { line, reason };
        match reader.next_form().map_err(wrong)? {
            None if opened.is_some() => return Err(fail("the text ends before its vector does".to_owned())),
            None => return Ok(()),
            Some(Value::Object(fields)) => collector.add(line, fields)?,
            Some(other) => {
                return Err(fail(format!(
                    "{} is no operation, which is a map",
                    shortened(&other.to_string())
                )));
            }
        }
    }
    // What follows the vector would be passed over.
    let line = reader.line_of_next().map_err(wrong)?;
    match reader.next_form().map_err(wrong)? {
        None => Ok(()),
        Some(_) => Err(FormatError::Line {
            line,
            reason: "something follows the vector of operations".to_owned(),
        }),
    }
}
