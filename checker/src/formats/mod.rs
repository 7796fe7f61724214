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

pub mod edn;

use serde_json::{Map, Value};

use crate::history::jsonl::{self, JsonlError};
use crate::history::{Event, EventType, History, HistoryError, Process};
use edn::Reader;

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

/// Why a history can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Part of the text is no event.
    #[error("line {line}: {reason}")]
    Line {
        /// From 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// An element of a JSON array is no event.
    #[error("operation {at}: {reason}")]
    Element {
        /// From 0.
        at: u64,
        /// What is wrong.
        reason: String,
    },
    /// The text is no format that is known.
    #[error("neither JSON lines, JSON, EDN nor a Jepsen log: begins with {begins:?}")]
    Unknown {
        /// Its first characters.
        begins: String,
    },
    /// The events are no history.
    #[error(transparent)]
    History(#[from] HistoryError),
}

impl From<JsonlError> for FormatError {
    fn from(error: JsonlError) -> Self {
        match error {
            JsonlError::Line { line, reason } => FormatError::Line { line, reason },
            JsonlError::History { line, source } => FormatError::Line {
                line,
                reason: source.to_string(),
            },
        }
    }
}

/// Reads the events of a history.
pub fn read(bytes: &[u8], format: Format) -> Result<Vec<Event>, FormatError> {
    match resolve(bytes, format)? {
        Format::Guess | Format::Jsonl => Ok(jsonl::read_events(bytes)?),
        Format::Json => json(bytes).map(untuple),
        Format::Edn => edn_events(bytes).map(untuple),
        Format::Log => log(bytes).map(untuple),
    }
}

/// Reads the operations of a history, without the detour over events where that is possible.
pub fn read_history(bytes: &[u8], format: Format) -> Result<History, FormatError> {
    match resolve(bytes, format)? {
        Format::Guess | Format::Jsonl => Ok(jsonl::read_history(bytes)?),
        other => Ok(History::from_events(&read(bytes, other)?)?),
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
                Err(_) if jepsen_json(line) => Format::Json,
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
        _ => Err(FormatError::Unknown {
            begins: String::from_utf8_lossy(&text[..text.len().min(20)]).into_owned(),
        }),
    }
}

/// Whether a line is an operation without what only our own format demands.
fn jepsen_json(line: &[u8]) -> bool {
    let parsed = serde_json::from_slice::<Map<String, Value>>(line).ok();
    parsed.is_some_and(|fields| {
        let lacks = !fields.contains_key("index") || !fields.contains_key("time");
        let quoted = fields
            .get("type")
            .and_then(Value::as_str)
            .is_some_and(|kind| kind.starts_with(':'));
        lacks || quoted
    })
}

fn json(bytes: &[u8]) -> Result<Vec<Event>, FormatError> {
    let fail = |error: serde_json::Error| FormatError::Line {
        line: error.line() as u64,
        reason: error.to_string(),
    };
    let array = bytes.trim_ascii_start().first() == Some(&b'[');
    let forms: Vec<Map<String, Value>> = if array {
        serde_json::from_slice(bytes).map_err(fail)?
    } else {
        let stream = serde_json::Deserializer::from_slice(bytes).into_iter();
        stream.collect::<Result<_, _>>().map_err(fail)?
    };
    let events = forms.into_iter().enumerate();
    let events = events.map(|(at, fields)| {
        event(fields, at as u64).map_err(|reason| FormatError::Element {
            at: at as u64,
            reason,
        })
    });
    events.collect()
}

fn edn_events(bytes: &[u8]) -> Result<Vec<Event>, FormatError> {
    let wrong = |error: edn::EdnError| FormatError::Line {
        line: error.line,
        reason: error.reason,
    };
    let mut reader = Reader::new(bytes);
    let vector = reader.enter().map_err(wrong)?;
    let mut events = Vec::new();
    loop {
        if vector && reader.leave().map_err(wrong)? {
            break;
        }
        let line = reader.line_of_next().map_err(wrong)?;
        match reader.next_form().map_err(wrong)? {
            None if vector => {
                return Err(FormatError::Line {
                    line,
                    reason: "the text ends before its vector does".to_owned(),
                });
            }
            None => break,
            Some(Value::Object(fields)) => {
                let at = events.len() as u64;
                events.push(event(fields, at).map_err(|reason| FormatError::Line { line, reason })?);
            }
            Some(other) => {
                return Err(FormatError::Line {
                    line,
                    reason: format!("{other} is no operation, which is a map"),
                });
            }
        }
    }
    Ok(events)
}

fn log(bytes: &[u8]) -> Result<Vec<Event>, FormatError> {
    let mut events: Vec<Event> = Vec::new();
    for (number, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let wrong = |reason: String| FormatError::Line {
            line: number as u64 + 1,
            reason,
        };
        let text = std::str::from_utf8(line).map_err(|_| wrong("no UTF-8".to_owned()))?;
        // Whatever else the test logged is no operation.
        let Some((_, operation)) = text.split_once("jepsen.util - ") else {
            continue;
        };
        let mut rest = operation.trim_start();
        let mut word = || {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            rest = after.trim_start();
            word.to_owned()
        };
        let (process, kind, f) = (word(), word(), word());
        let value = Reader::new(rest.as_bytes())
            .value_of_log()
            .map_err(|error| wrong(error.reason))?;
        let mut fields = Map::new();
        fields.insert(
            "process".to_owned(),
            process.parse::<u64>().map_or(process.into(), Value::from),
        );
        fields.insert("type".to_owned(), kind.into());
        fields.insert("f".to_owned(), f.into());
        match value {
            Some(value) => fields.insert("value".to_owned(), value),
            None => fields.insert("error".to_owned(), rest.trim_start_matches(':').into()),
        };
        events.push(event(fields, events.len() as u64).map_err(wrong)?);
    }
    Ok(events)
}

/// An event from the fields of an operation in Jepsen's sense.
fn event(mut fields: Map<String, Value>, at: u64) -> Result<Event, String> {
    let mut word = |name: &str| match fields.remove(name) {
        Some(Value::String(word)) => Ok(word.trim_start_matches(':').to_owned()),
        Some(other) => Err(format!("{name} is {other}, which is no word")),
        None => Err(format!("the operation has no {name}")),
    };
    let kind = match word("type")?.as_str() {
        "invoke" => EventType::Invoke,
        "ok" => EventType::Ok,
        "fail" => EventType::Fail,
        "info" => EventType::Info,
        other => return Err(format!("type is {other}: choose one of invoke, ok, fail, info")),
    };
    let f = word("f")?;
    let process = match fields.remove("process") {
        Some(Value::Number(number)) if number.as_u64().is_some() => {
            Process::Client(number.as_u64().unwrap_or(0))
        }
        // Jepsen's other threads (nemesis, composed nemeses) are all the nemesis.
        Some(Value::String(_)) => Process::Nemesis,
        Some(other) => {
            return Err(format!(
                "process is {other}, which is neither a number nor nemesis"
            ));
        }
        None => return Err("the operation has no process".to_owned()),
    };
    let number = |value: Option<Value>| value.as_ref().and_then(Value::as_u64);
    let time = number(fields.remove("time")).unwrap_or(at);
    let index = number(fields.remove("index")).unwrap_or(at);
    let key = fields.remove("key").filter(|key| !key.is_null());
    let value = fields.remove("value").unwrap_or(Value::Null);
    let node = fields
        .remove("node")
        .and_then(|node| node.as_str().map(str::to_owned));
    let error = fields.remove("error").filter(|error| !error.is_null());
    Ok(Event {
        index,
        time,
        process,
        kind,
        f,
        key,
        value,
        node,
        attempts: Vec::new(),
        error: error.map(|error| match error {
            Value::String(text) => text,
            other => other.to_string(),
        }),
        extra: fields,
    })
}

/// Takes Jepsen's independent keys apart, if every operation of a client has one.
///
/// A plain `cas` has a pair as its value too, so it takes an operation other than `cas`, and for each `cas` a pair
/// within the pair, to tell.
fn untuple(mut events: Vec<Event>) -> Vec<Event> {
    let mut telling = false;
    for event in events.iter().filter(|event| event.process != Process::Nemesis) {
        let tuple = match &event.value {
            Value::Array(items) if items.len() == 2 && !items[0].is_array() && event.key.is_none() => items,
            _ => return events,
        };
        match event.f.as_str() {
            "cas" if !tuple[1].is_array() => return events,
            "cas" => {}
            _ => telling = true,
        }
    }
    if telling {
        for event in &mut events {
            if let (Process::Client(_), Value::Array(items)) = (event.process, &mut event.value)
                && let (Some(value), Some(key)) = (items.pop(), items.pop())
            {
                event.key = Some(key);
                event.value = value;
            }
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
                "operation 0: the operation has no f",
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
