//! One line of a history.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// Who did it: a logical client, or the nemesis.
///
/// In JSON a number, or the string `"nemesis"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Process {
    /// A logical client. One whose operation ends `info` is retired, and its successor has a new number.
    Client(u64),
    /// The one that breaks things.
    Nemesis,
}

/// The `error` of a compare-and-set that was refused since the object held another value than it asked for.
///
/// Such a completion proves more than that nothing happened:
///
/// ```json
/// {"index":7,"time":40,"process":3,"type":"fail","f":"cas","key":"x","value":[1,2],"error":"mismatch"}
/// ```
///
/// says that at some moment while the operation was open `x` was not 1. Whoever can't prove that gives another error, or
/// none.
pub const MISMATCH: &str = "mismatch";

impl Serialize for Process {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Process::Client(number) => serializer.serialize_u64(*number),
            Process::Nemesis => serializer.serialize_str("nemesis"),
        }
    }
}

impl<'de> Deserialize<'de> for Process {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a process number or \"nemesis\"")]
        enum Raw {
            Number(u64),
            Name(String),
        }
        match Raw::deserialize(deserializer)? {
            Raw::Number(number) => Ok(Process::Client(number)),
            Raw::Name(name) if name == "nemesis" => Ok(Process::Nemesis),
            Raw::Name(name) => Err(serde::de::Error::custom(format!(
                "process {name:?} is neither a number nor \"nemesis\""
            ))),
        }
    }
}

/// What happened to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum EventType {
    /// It began.
    Invoke,
    /// It happened.
    Ok,
    /// It did not happen, and never will.
    Fail,
    /// Nobody knows: it may take effect at any later time, or never. Also every event of the nemesis.
    Info,
}

/// One try of an operation on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began, in nanoseconds since the run began.
    pub start: u64,
    /// When it ended, in nanoseconds since the run began.
    pub end: u64,
    /// The node that it was sent to.
    pub node: String,
    /// Why it did not succeed, e.g. `timeout`, `not-leader`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether the answer proves that it did not happen and never will.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
    /// Where it was made, if by another clock than that of the history: then `start` and `end` are as that clock tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<OtherClock>,
}

/// The clock of another machine, which is not known exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct OtherClock {
    /// The machine.
    pub host: String,
    /// What it tells is no further from the history's own time than this, in nanoseconds.
    pub error_ns: u64,
}

/// One line of a history: the beginning or the end of an operation, or a step of a fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Position in the history, from 0.
    pub index: u64,
    /// Nanoseconds on one monotonic clock since the run began.
    pub time: u64,
    /// Who did it.
    pub process: Process,
    /// Beginning or kind of end.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// What was asked: `read`, `write`, `cas`… or the kind of a fault.
    pub f: String,
    /// The object that the operation is about, where a history has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Value>,
    /// Arguments at the invocation, result at the completion. A cas is `[old, new]`.
    #[serde(default)]
    pub value: Value,
    /// The node that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Every try on the wire, on completions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Why it ended `fail` or `info`; see [`MISMATCH`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Fields that this version does not know. They are kept.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Event {
    /// Whether it is a compare-and-set that is [known](MISMATCH) to have found another value.
    pub fn is_mismatch(&self) -> bool {
        self.kind == EventType::Fail && is_mismatch(&self.f, self.error.as_deref())
    }
}

/// Whether an operation that failed is a compare-and-set that is [known](MISMATCH) to have found another value.
pub(super) fn is_mismatch(f: &str, error: Option<&str>) -> bool {
    f == "cas" && error == Some(MISMATCH)
}
