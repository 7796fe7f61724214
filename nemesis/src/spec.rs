//! What a spec says of faults.
//!
//! ```toml
//! [faults]
//! pause = "1s..3s"     # from the end of one fault to the start of the next
//! length = "2s..5s"    # of a fault that doesn't say its own
//!
//! [[faults.mix]]       # drawn by weight
//! kind = "partition"
//! shape = "majority-minority"
//!
//! [[faults.mix]]
//! kind = "kill"
//! targets = "leader"
//! length = "1s"
//! weight = 2
//!
//! [[faults.at]]        # at a time of its own
//! at = "5s"
//! kind = "pause"
//! targets = ["n1", "n3"]
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::duration_range::{DurationRange, parse_ms};
use crate::kinds::{Fault, KindRef};
use crate::spec_error::{SpecError, Spot};

/// The `[faults]` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultsSpec {
    /// From the end of one fault of the mix to the start of the next.
    #[serde(default = "default_pause")]
    pub pause: DurationRange,
    /// How long a fault lasts that doesn't say its own length.
    #[serde(default = "default_length")]
    pub length: DurationRange,
    /// Faults to draw from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mix: Vec<MixEntry>,
    /// Faults at fixed times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<AtEntry>,
}

fn default_pause() -> DurationRange {
    DurationRange {
        min_ms: 1000,
        max_ms: 3000,
    }
}

fn default_length() -> DurationRange {
    DurationRange {
        min_ms: 2000,
        max_ms: 5000,
    }
}

impl Default for FaultsSpec {
    /// No faults.
    fn default() -> FaultsSpec {
        FaultsSpec {
            pause: default_pause(),
            length: default_length(),
            mix: Vec::new(),
            at: Vec::new(),
        }
    }
}

/// One `[[faults.mix]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawEntry", into = "RawEntry")]
pub struct MixEntry {
    /// The fault, with its parameters.
    pub fault: Fault,
    /// How long, if not as long as others.
    pub length: Option<DurationRange>,
    /// How often, compared to others.
    pub weight: u32,
}

/// One `[[faults.at]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawEntry", into = "RawEntry")]
pub struct AtEntry {
    /// The fault, with its parameters.
    pub fault: Fault,
    /// How long, if not as long as others.
    pub length: Option<DurationRange>,
    /// When, counted from the beginning of the time that is for faults.
    pub at_ms: u64,
}

/// Entries as they are written, before the kind looks at its parameters.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct RawEntry {
    kind: KindRef,
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
    fn fault(&self) -> Result<Fault, SpecError> {
        Fault::written(self.kind, self.parameters.clone()).map_err(|error| SpecError::here(error.what))
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
            fault: raw.fault()?,
            length: raw.length,
            weight: raw.weight.unwrap_or(1),
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
            fault: raw.fault()?,
            length: raw.length,
            at_ms: parse_ms(at)?,
        })
    }
}

fn raw(fault: &Fault, length: Option<DurationRange>) -> RawEntry {
    RawEntry {
        kind: fault.kind(),
        length,
        weight: None,
        at: None,
        parameters: fault.parameters(),
    }
}

impl From<MixEntry> for RawEntry {
    fn from(entry: MixEntry) -> RawEntry {
        RawEntry {
            weight: Some(entry.weight),
            ..raw(&entry.fault, entry.length)
        }
    }
}

impl From<AtEntry> for RawEntry {
    fn from(entry: AtEntry) -> RawEntry {
        let at = humantime::format_duration(Duration::from_millis(entry.at_ms)).to_string();
        RawEntry {
            at: Some(at),
            ..raw(&entry.fault, entry.length)
        }
    }
}

/// Entries of `[[faults.mix]]`: more than there are faults to tell apart.
pub const MIX_MAX: usize = 100;
/// Entries of `[[faults.at]]`: such lists are written by hand, or by a program that shrinks one.
pub const AT_MAX: usize = 1000;
/// Before less than this a fault can't be proven to have bitten: it takes a round of probes.
pub const LENGTH_LEAST_MS: u64 = 100;
/// A day. Longer than any run has for its faults would say nothing.
pub const SPAN_MOST_MS: u64 = 24 * 60 * 60 * 1000;
/// Weights are relative to each other.
pub const WEIGHT_MAX: u32 = 1_000_000;

impl FaultsSpec {
    /// Looks at what the form of a spec can't say: sizes, and what depends on the nodes.
    pub fn validate(&self, nodes: &[String]) -> Result<(), SpecError> {
        in_range("the pause", self.pause, 0, Spot::Key("pause"))?;
        in_range("a fault", self.length, LENGTH_LEAST_MS, Spot::Key("length"))?;
        for (list, count, most) in [("mix", self.mix.len(), MIX_MAX), ("at", self.at.len(), AT_MAX)] {
            if count > most {
                let spot = Spot::Entry {
                    list,
                    index: most,
                    key: "kind",
                };
                let what = format!("{count} entries of [[faults.{list}]]; use at most {most}");
                return Err(SpecError::at(spot, what));
            }
        }
        let mix =
            (self.mix.iter().enumerate()).map(|(index, entry)| ("mix", index, &entry.fault, entry.length));
        let at = (self.at.iter().enumerate()).map(|(index, entry)| ("at", index, &entry.fault, entry.length));
        for (list, index, fault, length) in mix.chain(at) {
            let spot = |key| Spot::Entry { list, index, key };
            if let Some(length) = length {
                in_range("a fault", length, LENGTH_LEAST_MS, spot("length"))?;
            }
            fault
                .check(nodes)
                .map_err(|(key, what)| SpecError::at(spot(key), what))?;
        }
        Ok(())
    }

    /// Where a fault is about a leader or a follower, which not every system tells.
    pub fn first_role(&self) -> Option<Spot> {
        let mix = self
            .mix
            .iter()
            .enumerate()
            .map(|(index, entry)| ("mix", index, &entry.fault));
        let at = self
            .at
            .iter()
            .enumerate()
            .map(|(index, entry)| ("at", index, &entry.fault));
        mix.chain(at).find_map(|(list, index, fault)| {
            let key = fault.names_role()?;
            Some(Spot::Entry { list, index, key })
        })
    }
}

fn in_range(what: &str, span: DurationRange, least_ms: u64, spot: Spot) -> Result<(), SpecError> {
    if least_ms <= span.min_ms && span.max_ms <= SPAN_MOST_MS {
        return Ok(());
    }
    let [least, most] =
        [least_ms, SPAN_MOST_MS].map(|ms| humantime::format_duration(Duration::from_millis(ms)));
    Err(SpecError::at(
        spot,
        format!("{what} may last from {least} to {most}, not {span}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<FaultsSpec, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// For three nodes.
    fn checked(text: &str) -> Result<(), String> {
        let nodes = ["n1", "n2", "n3"].map(str::to_owned);
        let checked = parse(text)?.validate(&nodes);
        checked.map_err(|error| error.to_string())
    }

    const FULL: &str = "pause = \"1s..3s\"\nlength = \"500ms\"\n[[mix]]\nkind = \"partition\"\nshape = \"one-way\"\n\
        targets = \"leader\"\n[[mix]]\nkind = \"kill\"\nlength = \"1s\"\nweight = 2\n[[at]]\nkind = \"pause\"\n\
        targets = [\"n1\", \"n3\"]\nat = \"5s\"\n";

    #[test]
    fn what_is_written_is_what_is_read() {
        let spec = parse(FULL).unwrap();
        assert_eq!(
            spec.pause,
            DurationRange {
                min_ms: 1000,
                max_ms: 3000
            }
        );
        assert_eq!(
            spec.mix[1].fault,
            serde_json::from_str(r#"{"kind":"kill","targets":"one"}"#).unwrap()
        );
        assert_eq!((spec.mix[1].weight, spec.at[0].at_ms), (2, 5000));
        assert_eq!(parse(&toml::to_string(&spec).unwrap()).unwrap(), spec);
    }

    #[test]
    fn mistakes_are_named_with_the_choices() {
        for (text, said) in [
            (
                "[[mix]]\nkind = \"partytion\"",
                "`partition`, `kill`, `pause`, `restart`",
            ),
            (
                "[[mix]]\nkind = \"partition\"\nshape = \"two\"",
                "`majorities-ring`",
            ),
            (
                "[[mix]]\nkind = \"partition\"",
                "needs a shape: one of one, halves",
            ),
            (
                "[[mix]]\nkind = \"kill\"\nshape = \"one\"",
                "unknown field `shape`, expected `targets`",
            ),
            (
                "[[mix]]\nkind = \"kill\"\ntargets = \"boss\"",
                "leader, follower, majority",
            ),
            (
                "[[mix]]\nkind = \"kill\"\ntarget = \"one\"",
                "unknown field `target`",
            ),
            ("[[mix]]\nkind = \"kill\"\nweight = 0", "weight of 0"),
            ("[[mix]]\nkind = \"kill\"\nat = \"1s\"", "[[faults.at]]"),
            ("[[at]]\nkind = \"kill\"", "needs at"),
            (
                "[[mix]]\nkind = \"partition\"\nshape = \"halves\"\ntargets = \"one\"",
                "draws its own",
            ),
            (
                "[[mix]]\nkind = \"partition\"\nshape = \"one\"\ntargets = \"all\"",
                "single node",
            ),
            ("pause = \"3s..1s\"", "did you mean \"1s..3s\"?"),
            ("pause = \"3 parsecs\"", "is not a duration"),
            ("paws = \"3s\"", "`pause`"),
        ] {
            let error = checked(text).unwrap_err();
            assert!(error.contains(said), "{text}\n{error}");
        }
    }

    #[test]
    fn lengths_and_counts_have_limits() {
        let nodes = ["n1".to_owned()];
        let refused = |text: &str| parse(text).unwrap().validate(&nodes).unwrap_err();
        let error = refused("length = \"0s\"");
        assert_eq!(error.what, "a fault may last from 100ms to 1day, not 0s");
        assert_eq!(error.spot, Spot::Key("length"));
        assert_eq!(refused("pause = \"0s..300years\"").spot, Spot::Key("pause"));
        let error = refused("[[at]]\nkind = \"kill\"\nat = \"1s\"\nlength = \"1ms..2s\"");
        let spot = Spot::Entry {
            list: "at",
            index: 0,
            key: "length",
        };
        assert_eq!(error.spot, spot, "{error}");
        let many = "[[mix]]\nkind = \"kill\"\n".repeat(MIX_MAX + 1);
        assert!(refused(&many).what.contains("at most 100"));
        let twice = refused("[[mix]]\nkind = \"kill\"\ntargets = [\"n1\", \"n1\"]");
        assert!(twice.what.contains("twice"), "{twice}");
    }

    #[test]
    fn nodes_that_do_not_exist_are_refused() {
        let nodes = |count| (1..=count).map(|number| format!("n{number}")).collect::<Vec<_>>();
        let spec = parse(FULL).unwrap();
        assert_eq!(spec.validate(&nodes(3)), Ok(()));
        assert_eq!(
            spec.validate(&nodes(2)).unwrap_err().to_string(),
            "no node \"n3\"; there are n1, n2"
        );
        let bridge = parse("[[mix]]\nkind = \"partition\"\nshape = \"bridge\"").unwrap();
        assert!(
            bridge
                .validate(&nodes(2))
                .unwrap_err()
                .to_string()
                .contains("needs 3 nodes")
        );
    }
}
