//! From the fields of operations, as a foreign history has them, to events.
//!
//! Whatever the format, an operation comes as a JSON object with Jepsen's names and the line that it stands on:
//!
//! ```json
//! {"process":"nemesis","type":"info","f":"kill"}
//! {"process":0,"type":"invoke","f":"read","value":["x",null]}
//! ```
//!
//! `index` and `time` may be missing, and a number of a process may stand in quotes, which is noted.

use serde_json::{Map, Value};

use super::error::FormatError;
use crate::history::{Event, EventType, HistoryError, Process, Remarks, shortened};

/// What a foreign history has.
pub(super) struct Collected {
    pub events: Vec<Event>,
    /// On which line each of them begins.
    pub lines: Vec<u64>,
    /// What the builder can't know from the events.
    pub remarks: Remarks,
}

/// Takes the operations one by one.
pub(super) struct Collector {
    collected: Collected,
    /// The last index that was given, and whether any was missing.
    index: Option<u64>,
    lacks_index: bool,
    /// The last time that was given.
    time: Option<u64>,
    bytes: usize,
    memory_bytes_max: usize,
}

impl Collector {
    /// For events of so many bytes in all.
    pub fn within(memory_bytes_max: usize) -> Self {
        Collector {
            collected: Collected {
                events: Vec::new(),
                lines: Vec::new(),
                remarks: Remarks::default(),
            },
            index: None,
            lacks_index: false,
            time: None,
            bytes: 0,
            memory_bytes_max,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.collected.events.is_empty()
    }

    /// Counts a line that is no operation.
    pub fn pass_over(&mut self) {
        self.collected.remarks.other_lines += 1;
    }

    /// Adds an operation.
    pub fn add(&mut self, line: u64, fields: Map<String, Value>) -> Result<(), FormatError> {
        self.bytes += size_of::<Event>() + size_of::<u64>() + weight_of_fields(&fields);
        if self.bytes > self.memory_bytes_max {
            let mib = (self.memory_bytes_max >> 20) as u64;
            return Err(FormatError::Memory(HistoryError::Memory { mib }));
        }
        let event = self
            .event(fields)
            .map_err(|reason| FormatError::Line { line, reason })?;
        self.collected.events.push(event);
        self.collected.lines.push(line);
        Ok(())
    }

    /// All of them, numbered, and with keys where every operation has one.
    pub fn finish(self) -> Collected {
        let mut collected = self.collected;
        for (event, at) in collected.events.iter_mut().zip(0..) {
            if self.lacks_index {
                event.index = at;
            }
            if self.time.is_none() {
                event.time = at;
            }
        }
        collected.events = untuple(collected.events);
        collected
    }

    fn event(&mut self, mut fields: Map<String, Value>) -> Result<Event, String> {
        let at = self.collected.events.len() as u64;
        let mut word = |name: &str| match fields.remove(name) {
            Some(Value::String(word)) => Ok(word.trim_start_matches(':').to_owned()),
            Some(other) => Err(format!("{name} is {}, which is no word", shown(&other))),
            None => Err(format!("the operation has no {name}")),
        };
        let kind = match word("type")?.as_str() {
            "invoke" => EventType::Invoke,
            "ok" => EventType::Ok,
            "fail" => EventType::Fail,
            "info" => EventType::Info,
            other => {
                return Err(format!(
                    "type is {}: choose one of invoke, ok, fail, info",
                    shortened(other)
                ));
            }
        };
        let f = word("f")?;
        let index = self.index(fields.remove("index"), at)?;
        let time = self.time(fields.remove("time"), at);
        let process = self.process(fields.remove("process"), at)?;
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

    /// Indices that are given must grow. Where one is missing the positions of all count, as
    /// [`finish`](Collector::finish) puts them in.
    fn index(&mut self, field: Option<Value>, at: u64) -> Result<u64, String> {
        let index = match field {
            None | Some(Value::Null) => {
                self.lacks_index = true;
                return Ok(at);
            }
            Some(field) => match field.as_u64() {
                Some(index) => index,
                None => return Err(format!("index is {}: use whole numbers from 0 up", shown(&field))),
            },
        };
        if let Some(before) = self.index.filter(|&before| before >= index) {
            return Err(HistoryError::Unordered { index, before }.to_string());
        }
        self.index = Some(index);
        Ok(index)
    }

    /// Where a time is missing, that of the event before stands for it.
    fn time(&mut self, field: Option<Value>, at: u64) -> u64 {
        let field = field.filter(|field| !field.is_null());
        match field.as_ref().and_then(Value::as_u64) {
            Some(time) => self.time = Some(time),
            None if field.is_some() => self.collected.remarks.odd_time.at(at),
            None => {}
        }
        self.time.unwrap_or_default()
    }

    fn process(&mut self, field: Option<Value>, at: u64) -> Result<Process, String> {
        let Some(field) = field else {
            return Err("the operation has no process".to_owned());
        };
        if let Some(number) = field.as_u64() {
            return Ok(Process::Client(number));
        }
        let name = field.as_str().map(|name| name.trim_start_matches(':'));
        match name {
            // Jepsen has composed nemeses too, which it names as it likes.
            Some(name) if name.contains("nemesis") => return Ok(Process::Nemesis),
            Some(name) if name.bytes().all(|byte| byte.is_ascii_digit()) => {
                if let Ok(number) = name.parse() {
                    self.collected.remarks.quoted.at(at);
                    return Ok(Process::Client(number));
                }
            }
            _ => {}
        }
        Err(format!(
            "process is {}, which is neither a number nor a nemesis",
            shown(&field)
        ))
    }
}

fn shown(value: &Value) -> String {
    shortened(&value.to_string())
}

/// Bytes of memory that fields take, about.
fn weight_of_fields(fields: &Map<String, Value>) -> usize {
    const NODE: usize = 64;
    let weight = |(name, value): (&String, &Value)| NODE + name.capacity() + weight(value);
    fields.iter().map(weight).sum()
}

fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.capacity(),
        Value::Array(items) => {
            items.capacity() * size_of::<Value>() + items.iter().map(weight).sum::<usize>()
        }
        Value::Object(fields) => weight_of_fields(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
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
