//! Histories of others: Jepsen's EDN and JSON, and the logs of Porcupine's test data.
//!
//! [`read`] looks at the first bytes and picks among
//!
//! | format | looks like |
//! |---|---|
//! | [`Format::Jsonl`] | `{"index":0,"time":0,"process":3,"type":"invoke","f":"write","key":"x","value":7}` |
//! | [`Format::Json`] | `[{"process":3,"type":"invoke","f":"write","value":7}, …]`, or such objects one a line |
//! | [`Format::Edn`] | `{:process 3, :type :invoke, :f :write, :value 7}`, one a line or all in one vector |
//! | [`Format::Log`] | `INFO  jepsen.util - 3 :invoke :write 7`, the words split by tabs |
//!
//! Only our own has to have `index` and `time`; elsewhere the position stands for both. Jepsen's independent keys,
//! `[k v]` as the value of every operation, become `key` and `value`.
//!
//! Nothing is dropped in silence: what is not understood is an error that names its line; events of the nemesis and the
//! lines of a log that are no operations are counted in the [`Remarks`](crate::history::Remarks) of the history.

mod collect;
pub mod edn;
mod error;
mod json;
mod log;

use self::collect::{Collected, Collector};
pub use self::error::FormatError;
use crate::history::jsonl;
use crate::history::{Builder, Event, History};

/// How a history is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Whatever it looks like.
    #[default]
    Guess,
    /// Our own.
    Jsonl,
    /// Jepsen's JSON.
    Json,
    /// Jepsen's EDN.
    Edn,
    /// The log of a Jepsen test.
    Log,
}

/// Reads the events of a history.
pub fn read(bytes: &[u8], format: Format) -> Result<Vec<Event>, FormatError> {
    match resolve(bytes, format)? {
        Format::Guess | Format::Jsonl => Ok(jsonl::read_events(bytes)?),
        other => Ok(collect(bytes, other, usize::MAX)?.events),
    }
}

/// Reads the operations of a history, without the detour over events where that is possible.
pub fn read_history(bytes: &[u8], format: Format) -> Result<History, FormatError> {
    read_history_within(bytes, format, usize::MAX)
}

/// The same, in so much memory, of which the text takes its part.
pub fn read_history_within(
    bytes: &[u8],
    format: Format,
    memory_bytes_max: usize,
) -> Result<History, FormatError> {
    let format = match resolve(bytes, format)? {
        Format::Guess | Format::Jsonl => return Ok(jsonl::read_history_within(bytes, memory_bytes_max)?),
        other => other,
    };
    let collected = collect(bytes, format, memory_bytes_max)?;
    let mut builder = Builder::within(memory_bytes_max.saturating_sub(bytes.len()));
    builder.history.remarks = collected.remarks;
    // An event goes as soon as it stands in columns.
    for (event, line) in collected.events.into_iter().zip(collected.lines) {
        builder
            .event(&event)
            .map_err(|source| FormatError::of(line, source))?;
    }
    Ok(builder.finish())
}

/// Says whether a text may be a history, by its beginning: for whoever does not have all of it yet.
pub fn may_be_history(beginning: &[u8]) -> Result<(), FormatError> {
    match beginning.trim_ascii_start().first() {
        None | Some(b'{' | b'[' | b'(' | b';' | b'#' | b'I' | b'W' | b'D' | b'E') => Ok(()),
        Some(_) => Err(unknown(beginning)),
    }
}

fn unknown(text: &[u8]) -> FormatError {
    let text = text.trim_ascii_start();
    FormatError::Unknown {
        begins: String::from_utf8_lossy(&text[..text.len().min(20)]).into_owned(),
    }
}

fn resolve(bytes: &[u8], format: Format) -> Result<Format, FormatError> {
    if format != Format::Guess {
        return Ok(format);
    }
    let text = bytes.trim_ascii_start();
    let second = text.get(1..).unwrap_or_default().trim_ascii_start();
    match (text.first(), second.first()) {
        // An empty history is one of ours.
        (None, _) => Ok(Format::Jsonl),
        (Some(b'{'), Some(b'"')) => {
            let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
            Ok(match jsonl::parse_event(line) {
                Ok(_) => Format::Jsonl,
                Err(_) if json::is_jepsens(line) => Format::Json,
                Err(_) => Format::Jsonl,
            })
        }
        (Some(b'['), Some(b'{')) => {
            let inside = second.get(1..).unwrap_or_default().trim_ascii_start();
            Ok(if inside.first() == Some(&b'"') {
                Format::Json
            } else {
                Format::Edn
            })
        }
        (Some(b'['), Some(b']')) => Ok(Format::Json),
        (Some(b'{' | b'(' | b';' | b'#' | b'['), _) => Ok(Format::Edn),
        (Some(b'I' | b'W' | b'D' | b'E'), _) => Ok(Format::Log),
        _ => Err(unknown(bytes)),
    }
}

fn collect(bytes: &[u8], format: Format, memory_bytes_max: usize) -> Result<Collected, FormatError> {
    let mut collector = Collector::within(memory_bytes_max.saturating_sub(bytes.len()));
    match format {
        Format::Json => json::read(bytes, &mut collector)?,
        Format::Log => log::read(bytes, &mut collector)?,
        Format::Edn | Format::Guess | Format::Jsonl => edn::operations::read(bytes, &mut collector)?,
    }
    Ok(collector.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{EventType, Process};
    use serde_json::{Value, json};

    fn shape(events: &[Event]) -> Vec<(Process, EventType, &str, Option<Value>, Value)> {
        let shape = events
            .iter()
            .map(|e| (e.process, e.kind, e.f.as_str(), e.key.clone(), e.value.clone()));
        shape.collect()
    }

    #[test]
    fn one_history_in_every_format() {
        let edn = "[{:process 0, :type :invoke, :f :cas, :value [1 2]}\n {:process 0, :type :info, :f :cas, :value nil :error :timed-out}]";
        let lines = edn.trim_matches(['[', ']']);
        let json = r#"[{"process":0,"type":"invoke","f":"cas","value":[1,2]},{"process":0,"type":":info","f":"cas","value":null,"error":"timed-out"}]"#;
        let json_lines = json.trim_matches(['[', ']']).replace("},{", "}\n{");
        let log =
            "INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\nINFO  jepsen.util - 0\t:info\t:cas\t:timed-out\n";
        let wanted = read(edn.as_bytes(), Format::Guess).unwrap();
        assert_eq!(wanted[0].value, json!([1, 2]));
        assert_eq!(wanted[1].error.as_deref(), Some("timed-out"));
        for text in [lines, json, &json_lines, log] {
            assert_eq!(read(text.as_bytes(), Format::Guess).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn independent_keys_are_taken_apart() {
        let events = read(
            b"{:process 0 :type :invoke :f :read :value [7 nil]}{:process 1 :type :invoke :f :cas :value [7 [1 2]]}",
            Format::Guess,
        );
        assert_eq!(
            shape(&events.unwrap()),
            [
                (
                    Process::Client(0),
                    EventType::Invoke,
                    "read",
                    Some(json!(7)),
                    json!(null)
                ),
                (
                    Process::Client(1),
                    EventType::Invoke,
                    "cas",
                    Some(json!(7)),
                    json!([1, 2])
                ),
            ]
        );
        let plain =
            b"{:process 0 :type :invoke :f :read :value nil}{:process 1 :type :invoke :f :cas :value [1 2]}";
        assert!(
            read(plain, Format::Guess)
                .unwrap()
                .iter()
                .all(|event| event.key.is_none())
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, wanted) in [
            (
                "{:process 0 :type :begin :f :read}",
                "line 1: type is begin: choose one of invoke, ok, fail, info",
            ),
            ("\n{:type :ok :f :read}", "line 2: the operation has no process"),
            (
                "[{\"process\":0,\"type\":\"ok\"}]",
                "line 1: operation 0: the operation has no f",
            ),
            (
                "[{:process 0 :type :ok :f :read}\n",
                "line 2: the text ends before its vector does",
            ),
            (
                "hello",
                "neither JSON lines, JSON, EDN nor a Jepsen log: begins with \"hello\"",
            ),
            ("{\"index\":0\n", "line 1: column 10: EOF while parsing an object"),
        ] {
            assert_eq!(
                read(text.as_bytes(), Format::Guess).unwrap_err().to_string(),
                wanted
            );
        }
    }
}
