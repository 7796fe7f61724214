//! Entries of `[[faults.mix]]` and `[[faults.at]]`, and how they are written.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::limits::{TOGETHER_MAX, WEIGHT_MAX};
use crate::duration_range::{DurationRange, parse_ms};
use crate::kinds::{Fault, KindRef};
use crate::spec_error::SpecError;

/// One `[[faults.mix]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawEntry", into = "RawEntry")]
pub struct MixEntry {
    /// The faults, of which the first begins with the entry. Most entries have one.
    pub parts: Vec<Part>,
    /// How long, if not as long as others.
    pub length: Option<DurationRange>,
    /// How often, compared to others.
    pub weight: u32,
}

/// One `[[faults.at]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawEntry", into = "RawEntry")]
pub struct AtEntry {
    /// The faults, of which the first begins with the entry. Most entries have one.
    pub parts: Vec<Part>,
    /// How long, if not as long as others.
    pub length: Option<DurationRange>,
    /// When, counted from the beginning of the time that is for faults.
    pub at_ms: u64,
}

/// One fault of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawPart", into = "RawPart")]
pub struct Part {
    /// The fault, with its parameters.
    pub fault: Fault,
    /// How long after the entry begins.
    pub after_ms: u64,
    /// How long, if not until the entry ends.
    pub length: Option<DurationRange>,
    /// Whether it is left out, without a word against the run, where it can't be done.
    pub optional: bool,
}

impl Part {
    /// From the beginning to the end of its entry, and not optional.
    pub fn whole(fault: Fault) -> Part {
        Part {
            fault,
            after_ms: 0,
            length: None,
            optional: false,
        }
    }
}

/// The same as it is written in `together`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct RawPart {
    kind: KindRef,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    length: Option<DurationRange>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    optional: bool,
    #[serde(flatten)]
    parameters: Map<String, Value>,
}

impl TryFrom<RawPart> for Part {
    type Error = SpecError;

    fn try_from(raw: RawPart) -> Result<Part, SpecError> {
        Ok(Part {
            fault: written(raw.kind, raw.parameters)?,
            after_ms: raw.after.as_deref().map_or(Ok(0), parse_ms)?,
            length: raw.length,
            optional: raw.optional,
        })
    }
}

impl From<Part> for RawPart {
    fn from(part: Part) -> RawPart {
        RawPart {
            kind: part.fault.kind(),
            after: (part.after_ms > 0).then(|| written_ms(part.after_ms)),
            length: part.length,
            optional: part.optional,
            parameters: part.fault.parameters(),
        }
    }
}

fn written(kind: KindRef, parameters: Map<String, Value>) -> Result<Fault, SpecError> {
    Fault::written(kind, parameters).map_err(|error| SpecError::here(error.what))
}

pub(super) fn written_ms(ms: u64) -> String {
    humantime::format_duration(Duration::from_millis(ms)).to_string()
}

/// Entries as they are written, before the kind looks at its parameters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct RawEntry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<KindRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    together: Option<Vec<Part>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    optional: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    length: Option<DurationRange>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weight: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// Whatever else there is belongs to the kind.
    #[serde(flatten)]
    parameters: Map<String, Value>,
}

impl RawEntry {
    fn parts(self) -> Result<Vec<Part>, SpecError> {
        match (self.kind, self.together) {
            (Some(kind), None) => Ok(vec![Part {
                optional: self.optional,
                ..Part::whole(written(kind, self.parameters)?)
            }]),
            (None, Some(parts)) => {
                if let Some(key) = self.parameters.keys().next() {
                    let what = format!("\"{key}\" goes with one of the faults in `together`");
                    return Err(SpecError::here(what));
                }
                if self.optional {
                    return Err(SpecError::here(
                        "\"optional\" goes with one of the faults in `together`",
                    ));
                }
                if !(2..=TOGETHER_MAX).contains(&parts.len()) {
                    let what = format!("`together` has {} faults; use 2 to {TOGETHER_MAX}", parts.len());
                    return Err(SpecError::here(what));
                }
                Ok(parts)
            }
            (Some(_), Some(_)) => Err(SpecError::here("an entry has a kind or `together`, not both")),
            (None, None) => Err(SpecError::here(
                "missing field `kind`; or several faults as together = [{ kind = … }, { kind = … }]",
            )),
        }
    }
}

impl TryFrom<RawEntry> for MixEntry {
    type Error = SpecError;

    fn try_from(raw: RawEntry) -> Result<MixEntry, SpecError> {
        if raw.at.is_some() {
            return Err(SpecError::here(
                "\"at\" goes with [[faults.at]], not with [[faults.mix]]".to_owned(),
            ));
        }
        if raw.weight == Some(0) {
            return Err(SpecError::here("a weight of 0 means never; leave the entry out"));
        }
        if let Some(weight) = raw.weight.filter(|weight| *weight > WEIGHT_MAX) {
            let what = format!("a weight of {weight} is too much; use 1 to {WEIGHT_MAX}");
            return Err(SpecError::here(what));
        }
        Ok(MixEntry {
            length: raw.length,
            weight: raw.weight.unwrap_or(1),
            parts: raw.parts()?,
        })
    }
}

impl TryFrom<RawEntry> for AtEntry {
    type Error = SpecError;

    fn try_from(raw: RawEntry) -> Result<AtEntry, SpecError> {
        if raw.weight.is_some() {
            return Err(SpecError::here(
                "\"weight\" goes with [[faults.mix]], not with [[faults.at]]".to_owned(),
            ));
        }
        let at = raw
            .at
            .as_deref()
            .ok_or_else(|| SpecError::here("[[faults.at]] needs at = \"5s\"".to_owned()))?;
        Ok(AtEntry {
            length: raw.length,
            at_ms: parse_ms(at)?,
            parts: raw.parts()?,
        })
    }
}

fn raw(mut parts: Vec<Part>, length: Option<DurationRange>) -> RawEntry {
    if parts.len() > 1 {
        return RawEntry {
            length,
            together: Some(parts),
            ..RawEntry::default()
        };
    }
    let part = parts.pop();
    RawEntry {
        length,
        optional: part.as_ref().is_some_and(|part| part.optional),
        kind: part.as_ref().map(|part| part.fault.kind()),
        parameters: part.map(|part| part.fault.parameters()).unwrap_or_default(),
        ..RawEntry::default()
    }
}

impl From<MixEntry> for RawEntry {
    fn from(entry: MixEntry) -> RawEntry {
        RawEntry {
            weight: Some(entry.weight),
            ..raw(entry.parts, entry.length)
        }
    }
}

impl From<AtEntry> for RawEntry {
    fn from(entry: AtEntry) -> RawEntry {
        RawEntry {
            at: Some(written_ms(entry.at_ms)),
            ..raw(entry.parts, entry.length)
        }
    }
}
