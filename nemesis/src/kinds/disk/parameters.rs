//! Parameters of faults of disks: which nodes, which calls, and what is done to them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use duress_checker::history::Effect as OnNodes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::asked::Asked;
use super::steps::DiskSteps;
use crate::kinds::clock::nanoseconds;
use crate::kinds::kind::{About, Parameter, ParameterError, Parameters};
use crate::kinds::{at_nodes, family};
use crate::layer::call::{Call, Effect};
use crate::life::technique::Technique;
use crate::targets::Selector;

/// What is done: the parameters that a kind has for itself.
pub trait Wrong: fmt::Debug + Clone + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// Of the kind.
    const NAME: &'static str;
    /// What it does, as [`About::description`].
    const DESCRIPTION: &'static str;
    /// What proves it, as [`About::verified_by`].
    const VERIFIED_BY: &'static str;
    /// What it does to the nodes.
    const EFFECT: OnNodes;
    /// The calls that it is about, if a spec does not say.
    const CALLS: &'static [Call];
    /// Whether a spec can say.
    const CHOICE: bool = true;

    /// The parameters that it has for itself.
    fn own() -> Vec<Parameter>;

    /// What the layer does; or the parameter that makes no sense, and what would.
    fn effect(&self) -> Result<Effect, (&'static str, String)>;
}

/// What all of the kinds take.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Common {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calls: Option<Vec<Call>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default)]
    targets: Selector,
}

fn parameters<W: Wrong>() -> Vec<Parameter> {
    let list = |calls: &[Call]| {
        calls
            .iter()
            .map(|call| call.name())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let calls = Parameter {
        name: "calls",
        values: match W::CALLS.len() == Call::ALL.len() {
            true => format!("a list of {}; default all", list(&Call::ALL)),
            false => format!("a list of {}; default {}", list(&Call::ALL), list(W::CALLS)),
        },
    };
    let path = Parameter {
        name: "path",
        values: PATH.to_owned(),
    };
    let calls = W::CHOICE.then_some(calls);
    (W::own().into_iter())
        .chain(calls)
        .chain([path, at_nodes::parameter()])
        .collect()
}

/// For a catalogue: what the kind says, and what all have in common.
pub fn about<W: Wrong>() -> About {
    About {
        description: W::DESCRIPTION,
        parameters: parameters::<W>(),
        verified_by: W::VERIFIED_BY,
    }
}

/// Reads the parameters of one fault.
pub fn read<W: Wrong>(written: Value) -> Result<Arc<dyn Parameters>, ParameterError> {
    let (common, wrong): (Common, W) = family::read(written, &W::own(), &parameters::<W>())?;
    let calls: BTreeSet<Call> = match &common.calls {
        Some(calls) if calls.is_empty() => {
            return Err(ParameterError::at(
                "calls",
                "no call; leave it out for the usual ones",
            ));
        }
        Some(calls) => calls.iter().copied().collect(),
        None => W::CALLS.iter().copied().collect(),
    };
    check_path(common.path.as_deref())?;
    let effect = wrong
        .effect()
        .map_err(|(key, what)| ParameterError::at(key, what))?;
    let asked = Asked {
        calls,
        path: common.path.clone(),
        effect,
    };
    Ok(Arc::new(AtCalls { common, wrong, asked }))
}

/// Which nodes, and what is done to them.
#[derive(Debug)]
struct AtCalls<W> {
    common: Common,
    wrong: W,
    asked: Asked,
}

impl<W: Wrong> Parameters for AtCalls<W> {
    fn to_json(&self) -> Value {
        family::write(&self.common, &self.wrong)
    }

    fn check(&self, nodes: &[String]) -> Result<(), (&'static str, String)> {
        at_nodes::check(&self.common.targets, nodes)
    }

    fn technique(&self, id: u64, seed: u64, _length: Duration) -> Box<dyn Technique> {
        let targets = self.common.targets.clone();
        Box::new(DiskSteps::new(id, W::NAME, targets, seed, self.asked.clone()))
    }
}

/// What a pattern is, for a catalogue.
pub const PATH: &str = "a pattern, e.g. \"**/*.wal\", of paths below the data directory; of names, if it has no slash; default all files";

/// Refuses what can be no pattern of paths below a data directory.
pub fn check_path(path: Option<&str>) -> Result<(), ParameterError> {
    match path {
        Some(path) if path.is_empty() || path.starts_with('/') => {
            let what =
                format!("{path:?} can be no path below the data directory; \"*.wal\" or \"wal/**\" could");
            Err(ParameterError::at("path", what))
        }
        _ => Ok(()),
    }
}

/// Reads the parameter of this name as a length of time, in microseconds, at least `least`.
pub fn microseconds(
    key: &'static str,
    text: &str,
    least: u64,
    most: u64,
) -> Result<u64, (&'static str, String)> {
    let ns = nanoseconds(text, false).map_err(|what| (key, what))?;
    let us = ns.unsigned_abs() / 1000;
    if !(least..=most).contains(&us) {
        let [least, most] = [least, most].map(|us| humantime::format_duration(Duration::from_micros(us)));
        return Err((key, format!("{text:?} makes no sense; use {least} to {most}")));
    }
    Ok(us)
}
