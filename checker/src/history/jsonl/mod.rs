//! `history.jsonl`: one event a line.
//!
//! Two readers of the same lines. [`read_events`] keeps everything, unknown fields included, and is what a report or a
//! replay wants. [`read_history`] keeps what the checkers need, in columns, and never builds a JSON tree for the usual
//! line; it takes about half a microsecond an event. Both name the line that they cannot read, and what is wrong.
//!
//! A last line without newline that ends too early (a run was killed while it wrote, or is writing) is left out, and
//! noted; any other line that is no event is an error. So is a number in a key or value that can't be kept exactly
//! (`exact.rs`), and an index that is not above the one before.

mod quick;

use std::io::{self, Write};

use self::quick::{Seen, quick};
use super::scan::Unusual;
use super::{Builder, Event, History, HistoryError, exact};

/// Bytes that a line may have: reading one takes up to thirty times as much memory, for a moment. A set that is read
/// whole has a million elements in half of it.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// Why a `history.jsonl` can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonlError {
    /// A line is no event.
    #[error("line {line}: {reason}")]
    Line {
        /// From 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The lines are events, and the events are no history.
    #[error("line {line}: {source}")]
    History {
        /// From 1.
        line: u64,
        /// What is wrong.
        source: HistoryError,
    },
}

/// Writes one event as one line.
pub fn write_event(out: &mut impl Write, event: &Event) -> io::Result<()> {
    serde_json::to_writer(&mut *out, event)?;
    out.write_all(b"\n")
}

/// Reads all events. Empty lines are passed over.
pub fn read_events(bytes: &[u8]) -> Result<Vec<Event>, JsonlError> {
    let mut events: Vec<Event> = Vec::with_capacity(bytes.len() / 100);
    for line in lines(bytes) {
        let event = match parse_line(line.text) {
            Ok(event) => event,
            Err(error) if error.cut && line.open && !events.is_empty() => break,
            Err(error) => return Err(line.error(error)),
        };
        if let Some(before) = events.last().filter(|before| before.index >= event.index) {
            let (index, before) = (event.index, before.index);
            return Err(JsonlError::History {
                line: line.number,
                source: HistoryError::Unordered { index, before },
            });
        }
        events.push(event);
    }
    Ok(events)
}

/// Why a line is no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// What is wrong.
    pub reason: String,
    /// The line ends too early: as the beginning of a longer one it may be right.
    pub cut: bool,
}

/// Reads one line, without its newline.
pub fn parse_event(line: &[u8]) -> Result<Event, String> {
    parse_line(line).map_err(|error| error.reason)
}

/// The same, and says of one that is no event whether it only ends too early.
pub fn parse_line(line: &[u8]) -> Result<Event, LineError> {
    let wrong = |reason: String| LineError { reason, cut: false };
    if line.len() > LINE_BYTES_MAX {
        let mib = LINE_BYTES_MAX >> 20;
        return Err(wrong(format!("has more than {mib} MiB, which no event needs")));
    }
    let event: Event = serde_json::from_slice(line).map_err(|error| LineError {
        reason: worded(&error),
        cut: error.is_eof(),
    })?;
    let judged = event.key.iter().chain(std::iter::once(&event.value));
    match exact::lost(line, judged) {
        Some(reason) => Err(wrong(reason)),
        None => Ok(event),
    }
}

fn worded(error: &serde_json::Error) -> String {
    let text = error
        .to_string()
        .replace("struct Event", "an event, which is a JSON object");
    // There is but one line; serde_json would call it line 1.
    match text.rsplit_once(" at line 1 column ") {
        Some((what, "0")) => super::shortened(what),
        Some((what, column)) => format!("column {column}: {}", super::shortened(what)),
        None => super::shortened(&text),
    }
}

/// Reads what the checkers need.
pub fn read_history(bytes: &[u8]) -> Result<History, JsonlError> {
    read_history_within(bytes, usize::MAX)
}

/// The same, in so much memory, of which the text takes its part.
pub fn read_history_within(bytes: &[u8], memory_bytes_max: usize) -> Result<History, JsonlError> {
    let mut builder = Builder::within(memory_bytes_max.saturating_sub(bytes.len()));
    builder.reserve(bytes.len() / 200);
    for line in lines(bytes) {
        let seen = match line.text.len() {
            0..=LINE_BYTES_MAX => quick(line.text, &mut builder),
            _ => Err(Unusual),
        };
        let added = match seen {
            Ok(Seen::Client(raw)) => builder.add(raw),
            Ok(Seen::Nemesis { index, time }) => builder.skip(index, time),
            // Odd but perhaps right, or wrong: the slow reader knows, and can say why.
            Err(Unusual) => match parse_line(line.text) {
                Ok(event) => builder.event(&event),
                Err(error) if error.cut && line.open && builder.any() => {
                    builder.history.remarks.cut = true;
                    break;
                }
                Err(error) => return Err(line.error(error)),
            },
        };
        added.map_err(|source| JsonlError::History {
            line: line.number,
            source,
        })?;
    }
    Ok(builder.finish())
}

/// The part of a file that consists of complete lines.
pub fn complete_lines(bytes: &[u8]) -> &[u8] {
    match bytes.iter().rposition(|&byte| byte == b'\n') {
        Some(end) => &bytes[..=end],
        None => &[],
    }
}

/// A line that is not empty.
struct Line<'a> {
    text: &'a [u8],
    /// From 1.
    number: u64,
    /// It is the last, and no newline follows.
    open: bool,
}

impl Line<'_> {
    fn error(&self, error: LineError) -> JsonlError {
        JsonlError::Line {
            line: self.number,
            reason: error.reason,
        }
    }
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut at = 0;
    let split = bytes.split(|&byte| byte == b'\n').zip(1..);
    split.filter_map(move |(line, number)| {
        at += line.len() + 1;
        let (text, open) = (line.trim_ascii(), at > bytes.len());
        (!text.is_empty()).then_some(Line { text, number, open })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = concat!(
        r#"{"index":0,"time":0,"process":"nemesis","type":"info","f":"run","value":{"format":1}}"#,
        "\n",
        r#"{"index":1,"time":10,"process":3,"type":"invoke","f":"write","key":"x","value":7}"#,
        "\n",
        r#"{"index":2,"time":20,"process":4,"type":"invoke","f":"cas","key":"x","value":[7,9]}"#,
        "\n\n",
        r#"{"index":3,"time":30,"process":3,"type":"ok","f":"write","key":"x","value":7,"node":"n2","attempts":[{"start":1,"end":2,"node":"n2"}],"weight":2.5}"#,
        "\n",
        r#"{"index":4,"time":40,"process":4,"type":"fail","f":"cas","key":"x","value":[7,9],"error":"not \"leader\""}"#,
        "\n",
        r#"{"index":5,"time":50,"process":5,"type":"invoke","f":"read","key":"x"}"#,
        "\n",
    );

    #[test]
    fn what_is_written_is_read_again_with_unknown_fields() {
        let events = read_events(LINES.as_bytes()).unwrap();
        assert_eq!(events.len(), 6);
        assert_eq!(events[3].extra["weight"], 2.5);
        let mut written = Vec::new();
        for event in &events {
            write_event(&mut written, event).unwrap();
        }
        assert_eq!(read_events(&written).unwrap(), events);
    }

    #[test]
    fn both_readers_see_the_same_operations() {
        let quick = read_history(LINES.as_bytes()).unwrap();
        let slow = History::from_events(&read_events(LINES.as_bytes()).unwrap()).unwrap();
        assert_eq!(quick.rows.len(), 2);
        assert_eq!(quick.failures.len(), 1);
        for history in [&quick, &slow] {
            let write = history.witness_op(0, String::new());
            assert_eq!((write.index, write.process, write.f.as_str()), (1, 3, "write"));
            assert_eq!((write.node.as_deref(), write.completed), (Some("n2"), Some(30)));
            let read = history.witness_op(1, String::new());
            assert_eq!((read.index, read.completed, read.result), (5, None, None));
        }
    }

    #[test]
    fn a_malformed_line_is_named() {
        for (bad, wanted) in [
            ("{\"index\":0", "line 2: column 10: EOF while parsing an object"),
            (
                "[]",
                "line 2: invalid type: sequence, expected an event, which is a JSON object",
            ),
            (
                r#"{"index":1,"time":1,"process":0,"type":"begin","f":"read"}"#,
                "line 2: column 46: unknown variant `begin`, expected one of `invoke`, `ok`, `fail`, `info`",
            ),
            (
                r#"{"index":1,"time":1,"process":0,"type":"ok"}"#,
                "line 2: column 44: missing field `f`",
            ),
            (
                r#"{"index":1,"time":1,"process":9,"type":"ok","f":"read"}"#,
                "line 2: event 1: process 9 completes an operation that it never invoked",
            ),
        ] {
            let text = format!("{}\n{bad}\n", LINES.lines().next().unwrap());
            let error = read_history(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
    }

    #[test]
    fn a_torn_tail_is_found() {
        assert_eq!(complete_lines(b"{}\n{}\n{\"a"), b"{}\n{}\n");
        assert_eq!(complete_lines(b"{\"a"), b"");
    }

    #[test]
    fn a_last_line_that_is_cut_off_is_left_out_and_noted() {
        let whole = LINES.trim_end();
        let end = whole.rfind('\n').unwrap() + 1;
        for cut in end + 1..whole.len() {
            let text = &whole.as_bytes()[..cut];
            let quick = read_history(text).unwrap();
            assert!(quick.remarks.cut, "{}", String::from_utf8_lossy(text));
            assert_eq!((quick.rows.len(), read_events(text).unwrap().len()), (1, 5));
        }
        // With its newline it is no accident; nor is what never was an event, or is all there is.
        for (text, line) in [
            (format!("{}\n", &whole[..whole.len() - 1]), 7),
            (format!("{LINES}nonsense"), 8),
            ("{\"index\":0".to_owned(), 1),
        ] {
            let error = read_history(text.as_bytes()).unwrap_err();
            assert!(
                matches!(error, JsonlError::Line { line: at, .. } if at == line),
                "{error}"
            );
            assert_eq!(read_events(text.as_bytes()).unwrap_err(), error);
        }
        assert!(!read_history(whole.as_bytes()).unwrap().remarks.cut);
    }
}
