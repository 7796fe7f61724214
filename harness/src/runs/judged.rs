//! Judging a run from its directory, and writing its pages.

use std::io::Read;

use duress_checker::history::jsonl;
use duress_checker::history::{Event, Sample, Series, Trace};
use duress_results::data::RunData;
use duress_results::rundir::RunDir;
use duress_results::verdict_file::{Probe, VerdictFile};
use duress_results::{junit, report};

use crate::interrupt::Interrupt;
use crate::judge::judge;
use crate::spec::{CheckSpec, Spec};

/// Why a run can't be judged or shown.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    Spec(#[from] crate::spec::SpecError),
    #[error("read {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("compress {path}: {source}")]
    Pack { path: String, source: std::io::Error },
    #[error("{path}: {source}")]
    History { path: String, source: jsonl::JsonlError },
    #[error(transparent)]
    Dir(#[from] duress_results::rundir::RunDirError),
    #[error(transparent)]
    Load(#[from] duress_results::data::LoadError),
}

/// What a run's directory holds that is judged.
pub struct Recorded {
    spec: Spec,
    events: Vec<Event>,
    statuses: Series,
}

impl Recorded {
    /// Reads it. The last line of a run that was killed may be half a line, and is left out.
    pub fn read(dir: &RunDir) -> Result<Self, ReportError> {
        let spec = Spec::read(&dir.spec())?;
        let path = dir.history_file();
        let mut bytes = Vec::new();
        let read = dir
            .read_history()
            .and_then(|mut text| text.read_to_end(&mut bytes));
        read.map_err(|source| ReportError::Read {
            path: path.display().to_string(),
            source,
        })?;
        let bytes = jsonl::complete_lines(&bytes);
        let events = jsonl::read_events(bytes).map_err(|source| ReportError::History {
            path: path.display().to_string(),
            source,
        })?;
        let statuses = series(dir, &spec.cluster.node_names())?;
        Ok(Recorded {
            spec,
            events,
            statuses,
        })
    }

    /// What the checkers may spend on it; its spec says it, unless it is changed here.
    pub fn limits(&mut self) -> &mut CheckSpec {
        &mut self.spec.check
    }

    /// Judges every property that its spec claims. What is undecided when `interrupt` asks stays so.
    pub fn judge(self, dir: &RunDir, interrupt: Option<&Interrupt>) -> VerdictFile {
        let trace = Trace::new(&self.events, self.statuses);
        let spec = self.spec;
        let noted = trace.run.as_ref().and_then(|run| run.seed);
        let seed = noted.or(spec.seed).unwrap_or_default();
        let reproduce = format!("duress run {} --seed {seed}", dir.spec().display());
        judge(&spec, seed, &trace, reproduce, interrupt)
    }
}

/// A history of more bytes is compressed when it has been judged.
const HISTORY_BYTES_MAX: u64 = 64 << 20;

/// Judges a run and writes verdict.json, report.html and junit.xml; a large history is compressed then. What is undecided when `interrupt` asks stays so.
pub fn write(dir: &RunDir, interrupt: Option<&Interrupt>) -> Result<RunData, ReportError> {
    let verdict = Recorded::read(dir)?.judge(dir, interrupt);
    dir.write_verdict(&verdict)?;
    dir.write_junit(&junit::render(&verdict))?;
    let data = RunData::load(dir)?;
    report::write(&data, dir)?;
    dir.pack_history(HISTORY_BYTES_MAX)
        .map_err(|source| ReportError::Pack {
            path: dir.history().display().to_string(),
            source,
        })?;
    Ok(data)
}

/// What nodes said of themselves. A last line that was cut off is left out, as are nodes that never said anything.
fn series(dir: &RunDir, nodes: &[String]) -> Result<Series, ReportError> {
    let mut series = Series::new();
    for node in nodes {
        let path = dir.probes(node);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => continue,
            Err(source) => {
                return Err(ReportError::Read {
                    path: path.display().to_string(),
                    source,
                });
            }
        };
        let probes = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Probe>(line).ok());
        let sample = |probe: Probe| Sample {
            time: probe.time,
            up: probe.up,
            leads: probe.role.as_deref() == Some("leader"),
            term: probe.term.unwrap_or_default(),
            applied: probe.applied.unwrap_or_default(),
        };
        series.insert(node.clone(), probes.map(sample).collect());
    }
    Ok(series)
}
