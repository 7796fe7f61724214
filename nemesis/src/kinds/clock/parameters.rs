//! Parameters of faults of clocks: which nodes, which clocks, and what is wrong with them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::steps::ClockSteps;
use crate::agent::vdso::skew::{CLOCKS, Clock, Skew};
use crate::kinds::kind::{About, Parameter, ParameterError, Parameters};
use crate::kinds::{at_nodes, family};
use crate::life::technique::Technique;
use crate::targets::Selector;

/// What is wrong: the parameters that a kind has for itself.
pub trait Wrong: fmt::Debug + Clone + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// Of the kind.
    const NAME: &'static str;
    /// What it does, as [`About::description`].
    const DESCRIPTION: &'static str;

    /// The parameters that it has for itself.
    fn own() -> Vec<Parameter>;

    /// Offset, rate and period, as [`Skew`] has them; or the parameter that makes no sense, and what would.
    fn function(&self) -> Result<(i64, i64, i64), (&'static str, String)>;
}

/// What all of the kinds take.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Common {
    #[serde(default)]
    targets: Selector,
    #[serde(default = "realtime")]
    clocks: Vec<Clock>,
}

fn realtime() -> Vec<Clock> {
    vec![Clock::Realtime]
}

/// For a catalogue: what the kind says, and what all have in common.
pub fn about<W: Wrong>() -> About {
    let clocks = Parameter {
        name: "clocks",
        values: "a list of realtime, monotonic, monotonic-raw, boottime; default realtime".to_owned(),
    };
    About {
        description: W::DESCRIPTION,
        parameters: W::own()
            .into_iter()
            .chain([clocks, at_nodes::parameter()])
            .collect(),
        verified_by: "in each process of the node one of its own threads reads the clocks, and is shown exactly what it should be; the \
         vDSO of all has every byte of the patch; at its end again; healed when it is as the kernel made it, byte for byte, \
         and the clocks show the kernel's time",
    }
}

/// Reads the parameters of one fault.
pub fn read<W: Wrong>(parameters: Value) -> Result<Arc<dyn Parameters>, ParameterError> {
    let (common, wrong): (Common, W) = family::read(parameters, &W::own(), &about::<W>().parameters)?;
    if common.clocks.is_empty() {
        let what = "no clock; leave it out for realtime";
        return Err(ParameterError::at("clocks", what));
    }
    let function = wrong.function();
    let (offset_ns, rate, period_ns) = function.map_err(|(key, what)| ParameterError::at(key, what))?;
    let mut clocks = common.clocks.clone();
    clocks.sort_unstable();
    clocks.dedup();
    let skew = Skew {
        clocks,
        offset_ns,
        rate,
        period_ns,
        anchors_ns: [0; CLOCKS],
    };
    Ok(Arc::new(AtClocks { common, wrong, skew }))
}

/// Which nodes, and what is done to them.
#[derive(Debug)]
struct AtClocks<W> {
    common: Common,
    wrong: W,
    skew: Skew,
}

impl<W: Wrong> Parameters for AtClocks<W> {
    fn to_json(&self) -> Value {
        family::write(&self.common, &self.wrong)
    }

    fn check(&self, nodes: &[String]) -> Result<(), (&'static str, String)> {
        at_nodes::check(&self.common.targets, nodes)
    }

    fn technique(&self, id: u64, seed: u64, _length: Duration) -> Box<dyn Technique> {
        let (targets, skew) = (self.common.targets.clone(), self.skew.clone());
        Box::new(ClockSteps::new(id, W::NAME, targets, seed, skew))
    }
}

const MILLISECOND: i64 = 1_000_000;
const YEAR: i64 = 365 * 24 * 60 * 60 * 1_000_000_000;

/// Reads the parameter of this name as how far clocks jump, in nanoseconds.
pub fn offset(key: &'static str, text: &str) -> Result<i64, (&'static str, String)> {
    let offset_ns = nanoseconds(text, true).map_err(|what| (key, what))?;
    if !(MILLISECOND..=YEAR).contains(&offset_ns.saturating_abs()) {
        let what = format!("a jump of {text:?} makes no sense; use 1ms to 365days, either way");
        return Err((key, what));
    }
    Ok(offset_ns)
}

/// Reads a length of time, as `1h 30m`, in nanoseconds; `signed`: it may begin with `+` or `-`.
pub fn nanoseconds(text: &str, signed: bool) -> Result<i64, String> {
    let (digits, sign) = match text.strip_prefix('-') {
        Some(rest) if signed => (rest, -1),
        _ => (text.strip_prefix('+').filter(|_| signed).unwrap_or(text), 1),
    };
    let length = humantime::parse_duration(digits).map_err(|error| format!("{text:?}: {error}"))?;
    let length = i64::try_from(length.as_nanos()).map_err(|_| format!("{text:?} is too long"))?;
    Ok(sign * length)
}

#[cfg(test)]
mod tests {
    use crate::kinds::{Fault, KindRef, ParameterError};

    fn read(text: &str) -> Result<Fault, ParameterError> {
        let mut fault: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
        let kind = fault.remove("kind").unwrap();
        Fault::new(KindRef::named(kind.as_str().unwrap()).unwrap(), fault)
    }

    #[test]
    fn each_is_read_as_it_is_written() {
        for text in [
            r#"{"kind":"clock-jump","by":"-90s","clocks":["realtime"],"targets":"one"}"#,
            r#"{"kind":"clock-jump","by":"+1h 30m","clocks":["monotonic","boottime"],"targets":"all"}"#,
            r#"{"kind":"clock-strobe","clocks":["realtime"],"delta":"-200ms","period":"50ms","targets":["n1"]}"#,
            r#"{"kind":"clock-drift","clocks":["monotonic-raw"],"ppm":-500,"targets":"leader"}"#,
            r#"{"kind":"clock-freeze","clocks":["realtime"],"targets":"one"}"#,
        ] {
            assert_eq!(serde_json::to_string(&read(text).unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_parameter() {
        for (text, key) in [
            (r#"{"kind":"clock-jump"}"#, None),
            (r#"{"kind":"clock-jump","by":"0s"}"#, Some("by")),
            (r#"{"kind":"clock-jump","by":"366days"}"#, Some("by")),
            (r#"{"kind":"clock-jump","by":"--5s"}"#, Some("by")),
            (r#"{"kind":"clock-jump","by":"900years"}"#, Some("by")),
            (r#"{"kind":"clock-jump","by":5}"#, Some("by")),
            (r#"{"kind":"clock-jump","by":"5s","ppm":1}"#, Some("ppm")),
            (
                r#"{"kind":"clock-jump","by":"5s","clocks":["wall"]}"#,
                Some("clocks"),
            ),
            (r#"{"kind":"clock-freeze","clocks":[]}"#, Some("clocks")),
            (r#"{"kind":"clock-freeze","targets":"boss"}"#, Some("targets")),
            (r#"{"kind":"clock-drift","ppm":0}"#, Some("ppm")),
            (r#"{"kind":"clock-drift","ppm":900001}"#, Some("ppm")),
            (
                r#"{"kind":"clock-strobe","delta":"5s","period":"2s"}"#,
                Some("period"),
            ),
            (
                r#"{"kind":"clock-strobe","delta":"5s","period":"-1ms"}"#,
                Some("period"),
            ),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.key.as_deref(), key, "{text}: {error}");
        }
    }
}
