//! What a spec says of faults.
//!
//! ```toml
//! [faults]
//! pause = "1s..3s"     # from the end of one fault to the start of the next
//! length = "2s..5s"    # of a fault that doesn't say its own
//! hurt-max = 2         # nodes that faults hurt at the same time; no bound, if it does not say
//! damage-max = 1       # nodes whose data the run damages for good, by all of its faults
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
//!
//! [[faults.mix]]       # several at once, some of them a little later
//! length = "4s"
//! together = [
//!     { kind = "pause", targets = "leader" },
//!     { kind = "packets", delay = "200ms", after = "500ms", length = "2s", optional = true },
//! ]
//! ```

mod entry;
mod limits;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::entry::written_ms;
pub use self::entry::{AtEntry, MixEntry, Part};
pub use self::limits::{AT_MAX, LENGTH_LEAST_MS, MIX_MAX, SPAN_MOST_MS, TOGETHER_MAX, WEIGHT_MAX};
use crate::bound::Limits;
use crate::duration_range::DurationRange;
use crate::kinds::Fault;
use crate::spec_error::{SpecError, Spot};

/// The `[faults]` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FaultsSpec {
    /// From the end of one fault of the mix to the start of the next.
    #[serde(default = "default_pause")]
    pub pause: DurationRange,
    /// How long a fault lasts that doesn't say its own length.
    #[serde(default = "default_length")]
    pub length: DurationRange,
    /// Nodes that faults hurt at the same time, at most; see [`crate::bound`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hurt_max: Option<usize>,
    /// Nodes whose data the run damages for good, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage_max: Option<usize>,
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
            hurt_max: None,
            damage_max: None,
            mix: Vec::new(),
            at: Vec::new(),
        }
    }
}

impl FaultsSpec {
    /// Looks at what the form of a spec can't say: sizes, and what depends on the nodes.
    pub fn validate(&self, nodes: &[String]) -> Result<(), SpecError> {
        in_range("the pause", self.pause, 0, Spot::Key("pause"))?;
        in_range("a fault", self.length, LENGTH_LEAST_MS, Spot::Key("length"))?;
        if self.hurt_max == Some(0) {
            let what = "hurt-max = 0 leaves nothing that could break; leave the faults out instead";
            return Err(SpecError::at(Spot::Key("hurt-max"), what));
        }
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
        for (list, index, parts, length) in self.entries() {
            let spot = |key| Spot::Entry { list, index, key };
            if let Some(length) = length {
                in_range("a fault", length, LENGTH_LEAST_MS, spot("length"))?;
            }
            let together = parts.len() > 1;
            let of_part = |key| spot(if together { "together" } else { key });
            for part in parts {
                (part.fault.check(nodes)).map_err(|(key, what)| SpecError::at(of_part(key), what))?;
                if let Some(length) = part.length {
                    in_range("a fault", length, LENGTH_LEAST_MS, of_part("length"))?;
                }
                let least_ms = length.unwrap_or(self.length).min_ms;
                if part.after_ms > 0 && part.after_ms + LENGTH_LEAST_MS > least_ms {
                    let what = format!(
                        "the {} begins {} after an entry that may end after {}",
                        part.fault.kind().name(),
                        written_ms(part.after_ms),
                        written_ms(least_ms)
                    );
                    return Err(SpecError::at(of_part("after"), what));
                }
            }
        }
        Ok(())
    }

    /// How many nodes may be hurt.
    pub fn limits(&self) -> Limits {
        Limits {
            hurt_max: self.hurt_max,
            damage_max: self.damage_max,
        }
    }

    /// Every entry: its list, its position there, its faults and its length.
    fn entries(&self) -> impl Iterator<Item = (&'static str, usize, &[Part], Option<DurationRange>)> {
        let mix = self.mix.iter().enumerate();
        let mix = mix.map(|(index, entry)| ("mix", index, entry.parts.as_slice(), entry.length));
        let at = self.at.iter().enumerate();
        mix.chain(at.map(|(index, entry)| ("at", index, entry.parts.as_slice(), entry.length)))
    }

    /// Where a fault is about a leader or a follower, which not every system tells.
    pub fn first_role(&self) -> Option<Spot> {
        self.first(Fault::names_role)
    }

    /// Where a fault takes clients that send tokens, and a system that executes each once.
    pub fn first_with_tokens(&self) -> Option<Spot> {
        self.first(|fault| fault.kind().needs_tokens().then_some("kind"))
    }

    fn first(&self, key: impl Fn(&Fault) -> Option<&'static str>) -> Option<Spot> {
        self.entries().find_map(|(list, index, parts, _)| {
            let key = parts.iter().find_map(|part| key(&part.fault))?;
            let key = if parts.len() > 1 { "together" } else { key };
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
mod tests;
