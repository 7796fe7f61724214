//! What an answer means: a list of cases, of which the first that matches counts.
//!
//! ```toml
//! answer = [
//!   { status = 200, where = { "/swapped" = true }, ok = true },
//!   { status = 200, where = { "/swapped" = false }, fail = "mismatch" },
//!   { status = 421, refused = "not-leader", leader = "/leader" },
//!   { status = 200, ok = "/message", keep = "/receipt" },
//! ]
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::shape::Shape;
use super::source::{Answered, Source};
use super::template::{Place, Values, is_name, text};

/// A condition, and what an answer that meets it means.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct Case {
    /// Empty: any.
    statuses: Vec<Status>,
    tests: Vec<(Source, Test)>,
    pub then: Meaning,
    /// What the ack of this message needs.
    pub keep: Option<Source>,
    /// Before the attempt ends.
    pub pause: Duration,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Meaning {
    /// It happened.
    Ok(Good),
    /// It did not happen and never will; asking again is pointless.
    Fail(Why),
    /// It did not happen and never will, but may be asked again.
    Refused { why: Why, leader: Option<Source> },
    /// Nobody knows.
    Info(Why),
    /// The next step is asked, with this bound to these names.
    Next(Vec<(String, Source)>),
}

/// The result of what happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Good {
    /// What was asked for.
    Done,
    /// What stands here.
    At(Source),
}

/// A reason.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Why {
    /// In these words.
    Words(String),
    /// In the words of the answer.
    At(Source),
}

impl TryFrom<String> for Why {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a reason is wanted, e.g. \"overloaded\"".to_owned());
        }
        match text.starts_with('/') || text.starts_with("header:") {
            true => Source::try_from(text).map(Why::At),
            false => Ok(Why::Words(text)),
        }
    }
}

impl Why {
    pub fn said(&self, answered: &Answered<'_>) -> String {
        match self {
            Why::Words(words) => words.clone(),
            Why::At(source) => match source.need(answered) {
                Ok(value) => text(&value).into_owned(),
                Err(why) => why,
            },
        }
    }
}

impl<'de> Deserialize<'de> for Good {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = Good;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("true, or where in the answer the result stands, e.g. \"/value\"")
            }

            fn visit_bool<E: serde::de::Error>(self, done: bool) -> Result<Good, E> {
                match done {
                    true => Ok(Good::Done),
                    false => Err(E::custom("ok = false says nothing; use fail, refused or info")),
                }
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Good, E> {
                Source::try_from(text.to_owned()).map(Good::At).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// A case before its keys have been looked at together.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    #[serde(default)]
    status: Statuses,
    #[serde(default, rename = "where")]
    tests: BTreeMap<String, Test>,
    ok: Option<Good>,
    fail: Option<Why>,
    refused: Option<Why>,
    info: Option<Why>,
    next: Option<BTreeMap<String, Source>>,
    leader: Option<Source>,
    keep: Option<Source>,
    #[serde(default)]
    pause_ms: u64,
}

/// The longest pause: what clients wait for is bounded by their own deadline.
const PAUSE_MS_MAX: u64 = 60_000;

impl TryFrom<Written> for Case {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let leader = written.leader;
        if leader.is_some() && written.refused.is_none() {
            return Err("leader goes with refused: whoever says who leads did not do it".to_owned());
        }
        if written.keep.is_some() && !matches!(written.ok, Some(Good::At(_))) {
            return Err("keep goes with a message: say where that stands, e.g. ok = \"/value\"".to_owned());
        }
        if written.pause_ms > PAUSE_MS_MAX {
            return Err(format!("pause-ms: use 0 to {PAUSE_MS_MAX}"));
        }
        let next = match written.next {
            Some(bound) => match bound.keys().find(|name| !is_name(name)) {
                Some(name) => {
                    return Err(format!(
                        "next: nothing can be bound to {name:?}; use a word of its own, in small letters"
                    ));
                }
                None => Some(bound.into_iter().collect()),
            },
            None => None,
        };
        let outcomes = [
            written.ok.map(Meaning::Ok),
            written.fail.map(Meaning::Fail),
            written.refused.map(|why| Meaning::Refused { why, leader }),
            written.info.map(Meaning::Info),
            next.map(Meaning::Next),
        ];
        let mut outcomes = outcomes.into_iter().flatten();
        let (Some(then), None) = (outcomes.next(), outcomes.next()) else {
            return Err("a case has one of ok, fail, refused, info and next".to_owned());
        };
        let parsed = |(source, test)| Ok((Source::try_from(source)?, test));
        let tests: Vec<(Source, Test)> = written
            .tests
            .into_iter()
            .map(parsed)
            .collect::<Result<_, String>>()?;
        let statuses = written.status.0;
        if statuses.is_empty() && tests.is_empty() && !matches!(then, Meaning::Info(_)) {
            return Err("it would hold for any answer; say for which, e.g. status = 200".to_owned());
        }
        Ok(Case {
            statuses,
            tests,
            then,
            keep: written.keep,
            pause: Duration::from_millis(written.pause_ms),
        })
    }
}

impl Case {
    /// Whether the answer meets the condition. The error says what can't be read as it should be, or filled in: then nothing is
    /// proven, not even that the condition is not met.
    pub fn matches(&self, answered: &Answered<'_>, values: &Values<'_>) -> Result<bool, String> {
        let status = answered.reply.status;
        if !self.statuses.is_empty() && !self.statuses.iter().any(|known| known.has(status)) {
            return Ok(false);
        }
        for (source, test) in &self.tests {
            let found = source.of(answered)?;
            if !test.holds(found.as_deref(), values)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What it needs to be filled in.
    pub fn places(&self) -> Vec<Place> {
        self.tests.iter().flat_map(|(_, test)| test.places()).collect()
    }
}

/// A status, or a hundred of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Status {
    least: u16,
    most: u16,
}

impl Status {
    fn has(self, status: u16) -> bool {
        (self.least..=self.most).contains(&status)
    }

    fn parse(text: &str) -> Option<Status> {
        let class: u16 = text.strip_suffix("xx")?.parse().ok()?;
        if !(1..=5).contains(&class) {
            return None;
        }
        Some(Status {
            least: class * 100,
            most: class * 100 + 99,
        })
    }
}

/// `200`, `"5xx"`, or a list of such.
#[derive(Default)]
struct Statuses(Vec<Status>);

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Statuses;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a status from 100 to 599, a class as \"4xx\", or a list of these")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Statuses, E> {
                match u16::try_from(number) {
                    Ok(status @ 100..=599) => Ok(Statuses(vec![Status {
                        least: status,
                        most: status,
                    }])),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Signed(number), &self)),
                }
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Statuses, E> {
                match Status::parse(text) {
                    Some(status) => Ok(Statuses(vec![status])),
                    None => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Statuses, A::Error> {
                let mut all = Vec::new();
                while let Some(Statuses(some)) = entries.next_element()? {
                    all.extend(some);
                }
                match all.is_empty() {
                    true => Err(A::Error::custom("no status is none that an answer has")),
                    false => Ok(Statuses(all)),
                }
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// What must hold of what stands somewhere.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Shape")]
enum Test {
    /// It is this.
    Is(Shape),
    /// One of these holds.
    Any(Vec<Test>),
    /// Something stands there, if only null; or nothing does.
    Exists(bool),
    /// Null stands there, or something else does.
    Null(bool),
    /// It is a text that holds this one.
    Contains(String),
}

impl TryFrom<Shape> for Test {
    type Error = String;

    fn try_from(shape: Shape) -> Result<Self, String> {
        let table = match shape {
            Shape::List(list) => {
                return Ok(Test::Any(
                    list.into_iter().map(Test::element).collect::<Result<_, _>>()?,
                ));
            }
            Shape::Table(table) => table,
            other => return Ok(Test::Is(other)),
        };
        match table.as_slice() {
            [(word, Shape::Plain(Value::Bool(exists)))] if word == "exists" => Ok(Test::Exists(*exists)),
            [(word, Shape::Plain(Value::Bool(null)))] if word == "null" => Ok(Test::Null(*null)),
            [(word, Shape::Plain(Value::String(text)))] if word == "contains" => {
                Ok(Test::Contains(text.clone()))
            }
            _ => Err(
                "a table here is {exists = true}, {null = true} or {contains = \"…\"}; compare its parts one by one"
                    .to_owned(),
            ),
        }
    }
}

impl Test {
    /// Of a list of alternatives: a list in it is meant as it is.
    fn element(shape: Shape) -> Result<Test, String> {
        match shape {
            list @ Shape::List(_) => Ok(Test::Is(list)),
            other => Test::try_from(other),
        }
    }

    fn holds(&self, found: Option<&Value>, values: &Values<'_>) -> Result<bool, String> {
        Ok(match self {
            Test::Is(shape) => match (shape, found) {
                (Shape::Plain(value), found) => found == Some(value),
                (shape, Some(found)) => *found == shape.value(values)?,
                (_, None) => false,
            },
            Test::Any(tests) => {
                for test in tests {
                    if test.holds(found, values)? {
                        return Ok(true);
                    }
                }
                false
            }
            Test::Exists(wanted) => found.is_some() == *wanted,
            Test::Null(wanted) => found.is_some_and(|value| value.is_null() == *wanted),
            Test::Contains(part) => found
                .and_then(Value::as_str)
                .is_some_and(|text| text.contains(part)),
        })
    }

    fn places(&self) -> Vec<Place> {
        match self {
            Test::Is(shape) => shape.places(),
            Test::Any(tests) => tests.iter().flat_map(Test::places).collect(),
            Test::Exists(_) | Test::Null(_) | Test::Contains(_) => Vec::new(),
        }
    }
}
