//! The log of a Jepsen test: operations among everything else that the test had to say.
//!
//! ```text
//! INFO  jepsen.util - 0 :invoke :cas [1 2]
//! INFO  jepsen.core - Tearing down DB
//! INFO  jepsen.util - 0 :info :cas :timed-out
//! ```
//!
//! Lines that are no operations are counted. A log without any operation is no log.

use serde_json::{Map, Value};

use super::collect::Collector;
use super::edn::Reader;
use super::error::FormatError;
use crate::history::jsonl::LINE_BYTES_MAX;

/// What stands before an operation.
const LOGGER: &str = "jepsen.util - ";

/// Hands over the operations of a log.
pub(super) fn read(bytes: &[u8], collector: &mut Collector) -> Result<(), FormatError> {
    for (line, number) in bytes.split(|&byte| byte == b'\n').zip(1..) {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let wrong = |reason: String| FormatError::Line { line: number, reason };
        if line.len() > LINE_BYTES_MAX {
            return Err(wrong("the line is too long".to_owned()));
        }
        let text = std::str::from_utf8(line).map_err(|_| wrong("no UTF-8".to_owned()))?;
        // Whatever else the test logged is no operation.
        match text.split_once(LOGGER) {
            Some((_, operation)) => collector.add(number, fields(operation).map_err(wrong)?)?,
            None => collector.pass_over(),
        }
    }
    if collector.is_empty() {
        return Err(FormatError::NoLog);
    }
    Ok(())
}

/// `3 :invoke :write 7` as the fields of an operation.
fn fields(operation: &str) -> Result<Map<String, Value>, String> {
    let mut rest = operation.trim_start();
    let mut word = || {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after.trim_start();
        word.to_owned()
    };
    let (process, kind, f) = (word(), word(), word());
    let mut fields = Map::new();
    let process = process.parse::<u64>().map_or(process.into(), Value::from);
    fields.insert("process".to_owned(), process);
    // At the end of an operation that did not succeed a keyword says why: it is no value.
    let ended = kind.ends_with("info") || kind.ends_with("fail");
    if ended && rest.starts_with(':') {
        fields.insert("error".to_owned(), rest.trim_start_matches(':').into());
    } else {
        let value = Reader::new(rest.as_bytes())
            .next_form()
            .map_err(|error| error.reason)?;
        fields.insert("value".to_owned(), value.unwrap_or(Value::Null));
    }
    fields.insert("type".to_owned(), kind.into());
    fields.insert("f".to_owned(), f.into());
    Ok(fields)
}
