//! Durations in specs: `"1500ms"`, `"30s"`, `"2m"`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration that reads and writes as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpecDuration(pub Duration);

impl SpecDuration {
    /// A whole number of seconds.
    pub const fn seconds(seconds: u64) -> Self {
        SpecDuration(Duration::from_secs(seconds))
    }

    /// A whole number of milliseconds.
    pub const fn milliseconds(milliseconds: u64) -> Self {
        SpecDuration(Duration::from_millis(milliseconds))
    }
}

impl fmt::Display for SpecDuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(formatter)
    }
}

impl Serialize for SpecDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SpecDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match humantime::parse_duration(&text) {
            Ok(duration) => Ok(SpecDuration(duration)),
            Err(error) => Err(serde::de::Error::custom(format!(
                "{text:?} is not a duration ({error}); write e.g. \"500ms\", \"30s\" or \"2m\""
            ))),
        }
    }
}
