//! A duration, or a range to draw one from, as a spec has it: `"2s"`, `"500ms..2s"`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::spec_error::SpecError;

/// A duration, or a range to draw one from: `"2s"`, `"500ms..2s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DurationRange {
    /// Shortest.
    pub min_ms: u64,
    /// Longest.
    pub max_ms: u64,
}

impl fmt::Display for DurationRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [min, max] =
            [self.min_ms, self.max_ms].map(|ms| humantime::format_duration(Duration::from_millis(ms)));
        if self.min_ms == self.max_ms {
            write!(f, "{min}")
        } else {
            write!(f, "{min}..{max}")
        }
    }
}

impl FromStr for DurationRange {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<DurationRange, SpecError> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        let (min_ms, max_ms) = (parse_ms(min)?, parse_ms(max)?);
        if min_ms > max_ms {
            return Err(SpecError::here(format!(
                "the range {text:?} ends before it starts; did you mean \"{max}..{min}\"?"
            )));
        }
        Ok(DurationRange { min_ms, max_ms })
    }
}

impl TryFrom<String> for DurationRange {
    type Error = SpecError;

    fn try_from(text: String) -> Result<DurationRange, SpecError> {
        text.parse()
    }
}

impl From<DurationRange> for String {
    fn from(span: DurationRange) -> String {
        span.to_string()
    }
}

/// Reads one duration, in milliseconds.
pub(crate) fn parse_ms(text: &str) -> Result<u64, SpecError> {
    let duration = humantime::parse_duration(text.trim()).map_err(|error| {
        SpecError::here(format!(
            "{text:?} is not a duration ({error}); write \"500ms\", \"2s\" or \"1m\""
        ))
    })?;
    u64::try_from(duration.as_millis()).map_err(|_| SpecError::here(format!("{text:?} is too long")))
}
