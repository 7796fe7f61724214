//! Everything that a page shows of a run, read once from its directory.
//!
//! ```text
//! verdict.json ──▶ verdict                 schedule.json, spec.toml ──▶ as text
//! history.jsonl ─▶ load: Series            operations by time: rates and latency quantiles
//!              └─▶ faults: Vec<FaultRecord> each fault, its steps, and how long recovery took
//! nodes/*/probes.jsonl ─▶ nodes: Vec<NodeState>
//! ```
//!
//! Histories are read as a stream: what is kept is bounded, whatever their length. A run that was cut off has files
//! with half a last line; that is no error here. A broken line anywhere else is.

mod faults;
mod lines;
mod nodes;
mod series;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use duress_checker::evidence::Outcomes;
use duress_checker::history::{Event, EventType, Process};
use serde::Deserialize;

pub use faults::{FaultRecord, Recovery};
pub use nodes::{NodeState, StatusStretch};
pub use series::{Bin, Dot, Quantiles, Series};

use crate::rundir::RunDir;
use crate::verdict_file::VerdictFile;

/// How many different error texts are kept; more than this are not worth a table.
const ERRORS_MAX: usize = 1000;

/// A run, as a page needs it.
#[derive(Clone, Debug)]
pub struct RunData {
    /// What was found.
    pub verdict: VerdictFile,
    /// Operations by time.
    pub load: Series,
    /// Every fault that began, in order of its number.
    pub faults: Vec<FaultRecord>,
    /// What each node said of itself, in order of name.
    pub nodes: Vec<NodeState>,
    /// Why operations did not end `ok`, and how many ended `fail` and `info` of that.
    pub errors: BTreeMap<String, Outcomes>,
    /// The time of the last event, in nanoseconds since the run began.
    pub end: u64,
    /// Whether the last line of the history was cut off.
    pub history_cut: bool,
    /// `spec.toml`, where there is one.
    pub spec: Option<String>,
    /// `schedule.json`, where there is one.
    pub schedule: Option<String>,
}

/// Why a run could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file system said no.
    #[error("reading {}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A run that was never judged.
    #[error("{} is missing: the run was cut off before it was judged; `duress check` judges it", .0.display())]
    NoVerdict(PathBuf),
    /// A line or a file that is not what it should be.
    #[error("{} line {line}: {source}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl RunData {
    /// Reads a run. A missing history, schedule, spec or probe is as good as an empty one; a missing verdict is not.
    pub fn load(dir: &RunDir) -> Result<Self, LoadError> {
        let verdict = read_verdict(&dir.verdict())?;
        let mut reader = HistoryReader::default();
        let history_cut = lines::for_each(&dir.history_file(), |line| reader.line(line))?;
        let nodes = nodes::load(&dir.nodes())?;
        Ok(RunData {
            end: reader.end.max(verdict.duration_ms.saturating_mul(1_000_000)),
            load: reader.load.finish(),
            faults: reader.faults.finish(),
            errors: reader.errors,
            history_cut,
            nodes,
            spec: read_optional(&dir.spec())?,
            schedule: read_optional(&dir.schedule())?,
            verdict,
        })
    }
}

fn read_verdict(path: &Path) -> Result<VerdictFile, LoadError> {
    let text = read_optional(path)?.ok_or_else(|| LoadError::NoVerdict(path.to_owned()))?;
    serde_json::from_str(&text).map_err(|source| LoadError::Malformed {
        path: path.to_owned(),
        line: source.line(),
        source,
    })
}

fn read_optional(path: &Path) -> Result<Option<String>, LoadError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LoadError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// What a page needs of a client's event. The rest of the line is skipped, which is most of the cost saved.
#[derive(Deserialize)]
struct ClientEvent {
    time: u64,
    process: Process,
    #[serde(rename = "type")]
    kind: EventType,
    #[serde(default)]
    node: Option<String>,
    #[serde(default)]
    error: Option<String>,
    /// When it should have begun, in open-loop load.
    #[serde(default)]
    intended: Option<u64>,
    #[serde(default)]
    attempts: Vec<AttemptBegun>,
}

#[derive(Deserialize)]
struct AttemptBegun {
    start: u64,
}

/// When the operation that a process waits for was invoked.
struct Open {
    at: u64,
    /// Or should have been: latencies count from then.
    from: u64,
}

#[derive(Default)]
struct HistoryReader {
    load: series::SeriesBuilder,
    faults: faults::FaultsBuilder,
    errors: BTreeMap<String, Outcomes>,
    /// What each process waits for.
    open: BTreeMap<u64, Open>,
    end: u64,
}

impl HistoryReader {
    fn line(&mut self, line: &[u8]) -> Result<(), serde_json::Error> {
        let event: ClientEvent = serde_json::from_slice(line)?;
        self.end = self.end.max(event.time);
        let Process::Client(process) = event.process else {
            self.faults.event(&serde_json::from_slice::<Event>(line)?);
            return Ok(());
        };
        if event.kind == EventType::Invoke {
            let from = event.intended.unwrap_or(event.time);
            self.load.offered(from);
            self.open.insert(process, Open { at: event.time, from });
            return Ok(());
        }
        if let Some(Open { at, from }) = self.open.remove(&process) {
            self.load.operation(from, event.time, event.kind);
            // Histories from elsewhere don't say how often.
            if event.attempts.is_empty() {
                self.load.attempted(at);
            }
        }
        for attempt in &event.attempts {
            self.load.attempted(attempt.start);
        }
        match event.kind {
            EventType::Ok => self.faults.ok(event.time, event.node.as_deref()),
            _ => self.error(&event),
        }
        Ok(())
    }

    fn error(&mut self, event: &ClientEvent) {
        let text = event.error.as_deref().unwrap_or("no reason given");
        if self.errors.len() >= ERRORS_MAX && !self.errors.contains_key(text) {
            return;
        }
        let outcomes = self.errors.entry(text.to_owned()).or_default();
        match event.kind {
            EventType::Fail => outcomes.fail += 1,
            _ => outcomes.info += 1,
        }
    }
}
