//! What is to be broken: one fault from the command line, or the faults of a file.

use std::time::Duration;

use duress_nemesis::kinds::KindRef;
use duress_nemesis::spec::{AtEntry, Part};
use duress_nemesis::{DurationRange, FaultsSpec, Schedule};
use serde::Deserialize;

use super::Args;
use crate::duration::SpecDuration;
use crate::spec::{Complaint, Source, SpecError, about_faults, faults_time};

/// Faults that nothing is said of last so long.
const TIME_DEFAULT: SpecDuration = SpecDuration::seconds(30);

/// Why there is nothing to be done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Because of the command line.
    #[error("{0}")]
    Arguments(String),
    /// Because of the file.
    #[error(transparent)]
    Plan(#[from] SpecError),
}

/// Faults, before the nodes are known.
pub struct Plan {
    /// For the journal's folder.
    pub name: String,
    /// What is random is drawn from it.
    pub seed: u64,
    /// The time that is for them.
    pub window: Duration,
    faults: FaultsSpec,
    source: Option<Source>,
}

/// A file of faults.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanFile {
    #[serde(rename = "for", default = "time_default")]
    time: SpecDuration,
    faults: FaultsSpec,
}

fn time_default() -> SpecDuration {
    TIME_DEFAULT
}

impl Plan {
    /// From the arguments, or the file that they name.
    pub fn read(args: &Args) -> Result<Plan, Refusal> {
        let seed = args.seed.unwrap_or_else(rand::random);
        match (&args.plan, &args.kind) {
            (Some(path), _) => {
                if !args.parameters.is_empty() {
                    let what = "with --plan the parameters of faults stand in the file".to_owned();
                    return Err(Refusal::Arguments(what));
                }
                let source = Source::read(path)?;
                let file: PlanFile = source.parse_as(toml::from_str)?;
                let window = args.time.unwrap_or(file.time);
                faults_time(window).map_err(|what| source.invalid(Complaint::at(["for"], what)))?;
                if file.faults.mix.is_empty() && file.faults.at.is_empty() {
                    let what = "there is no [[faults.mix]] and no [[faults.at]], so nothing would be broken";
                    return Err(source.invalid(Complaint::at(["faults"], what)).into());
                }
                let name = path
                    .file_stem()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                Ok(Plan {
                    name,
                    seed,
                    window: window.0,
                    faults: file.faults,
                    source: Some(source),
                })
            }
            (None, Some(kind)) => {
                let kind = KindRef::named(kind).map_err(Refusal::Arguments)?;
                let window = args.time.unwrap_or(TIME_DEFAULT).0;
                let length_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
                let length = DurationRange {
                    min_ms: length_ms,
                    max_ms: length_ms,
                };
                let fault = args.parameters.fault(kind).map_err(Refusal::Arguments)?;
                let faults = FaultsSpec {
                    at: vec![AtEntry {
                        parts: vec![Part::whole(fault)],
                        length: Some(length),
                        at_ms: 0,
                    }],
                    ..FaultsSpec::default()
                };
                Ok(Plan {
                    name: kind.name().to_owned(),
                    seed,
                    window,
                    faults,
                    source: None,
                })
            }
            (None, None) => Err(Refusal::Arguments(
                "name a kind of fault, or a file with --plan".to_owned(),
            )),
        }
    }

    /// The faults for these nodes.
    pub fn schedule(&self, nodes: &[String]) -> Result<Schedule, Refusal> {
        let refuse = |error: duress_nemesis::SpecError| match &self.source {
            Some(source) => Refusal::Plan(source.invalid(about_faults(&error))),
            None => Refusal::Arguments(match error.spot {
                duress_nemesis::Spot::Entry { key, .. } => format!("--{key}: {error}"),
                _ => error.to_string(),
            }),
        };
        if let Some(spot) = self.faults.first_role() {
            let what = "nobody tells Duress here who leads: name the nodes, e.g. targets n1";
            return Err(refuse(duress_nemesis::SpecError {
                what: what.to_owned(),
                spot,
            }));
        }
        duress_nemesis::plan(&self.faults, nodes, self.seed, self.window).map_err(refuse)
    }
}
