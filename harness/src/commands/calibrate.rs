//! `duress calibrate`: what is detected, and how reliably.
//!
//! Every spec in the folder must be held on every seed: anything else is a false alarm or a run without worth. Every spec
//! in its subfolder `defects` must be violated. Each run is a process of its own, as a user would start it.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use duress_checker::verdict::Verdict;
use duress_results::verdict_file::{Overall, VerdictFile};
use duress_specimen::Defect;

use crate::commands::arguments::parse_jobs;
use crate::commands::{fail, print};
use crate::exit;
use crate::runs::child::Children;
use crate::spec::{Source, Spec, SpecError};

/// In how many of ten runs a planted defect has to be found.
const DETECTION_MIN: f64 = 0.9;

/// What a system is: lies beside its specs, and is none.
const SYSTEM_FILE: &str = "system.toml";

#[derive(Debug, thiserror::Error)]
enum CalibrateError {
    #[error("read folder {path}: {source}")]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("{path} holds no spec (*.toml){filter}")]
    NoSpecs { path: PathBuf, filter: String },
    #[error(transparent)]
    Spec(#[from] SpecError),
    #[error("find the running program, to start it for each run: {0}")]
    Program(#[source] std::io::Error),
    #[error("write {path}: {source}")]
    Write { path: PathBuf, source: std::io::Error },
}

/// One spec, and what its runs came to.
struct Series {
    path: PathBuf,
    spec: Spec,
    defect: bool,
    runs: Vec<(u64, Result<VerdictFile, String>)>,
}

/// Runs of one spec: more would take months.
const SEEDS_MAX: u64 = 1_000_000;

/// Measure what is detected: correct specs over many seeds, and every planted defect
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  duress calibrate cluster/systems/specimen --out docs/calibration.md")]
pub struct Args {
    /// A folder with specs that must hold, and a folder `defects` with specs that must be violated
    pub specs: PathBuf,
    /// Seeds for each spec that must hold
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(..=SEEDS_MAX))]
    pub seeds: u64,
    /// Seeds for each defect
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=SEEDS_MAX))]
    pub defect_seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=u64::MAX - SEEDS_MAX))]
    pub first_seed: u64,
    /// Only specs whose name contains this
    #[arg(long)]
    pub only: Option<String>,
    /// Runs at a time
    #[arg(long, default_value_t = 1, value_parser = parse_jobs)]
    pub jobs: usize,
    /// Write the table to this file as Markdown
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Runs are kept below `runs` in this folder
    #[arg(long, default_value = "results")]
    pub runs: PathBuf,
}

/// Runs everything, prints progress and a table, and writes it to a file where asked to.
pub fn main(args: &Args) -> ExitCode {
    match calibrate(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error @ (CalibrateError::Spec(_) | CalibrateError::NoSpecs { .. })) => fail(&error, exit::USAGE),
        Err(error) => fail(&error, exit::HARNESS_FAILURE),
    }
}

fn calibrate(args: &Args) -> Result<bool, CalibrateError> {
    let mut series = Vec::new();
    for (folder, defect) in [(args.specs.clone(), false), (args.specs.join("defects"), true)] {
        for path in specs_in(&folder)? {
            let (spec, ..) = Source::read(&path)?.resolve()?;
            if args
                .only
                .as_ref()
                .is_none_or(|only| spec.name.contains(only.as_str()))
            {
                series.push(Series {
                    path,
                    spec,
                    defect,
                    runs: Vec::new(),
                });
            }
        }
    }
    if series.is_empty() {
        let filter = args
            .only
            .as_ref()
            .map_or(String::new(), |only| format!(" whose name contains {only:?}"));
        return Err(CalibrateError::NoSpecs {
            path: args.specs.clone(),
            filter,
        });
    }

    let children = Children::new(&args.runs).map_err(CalibrateError::Program)?;
    let queue: Mutex<VecDeque<(usize, u64)>> = Mutex::new(
        (series.iter().enumerate())
            .flat_map(|(index, series)| {
                let count = if series.defect {
                    args.defect_seeds
                } else {
                    args.seeds
                };
                (args.first_seed..args.first_seed + count).map(move |seed| (index, seed))
            })
            .collect(),
    );
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some((index, seed)) = job else { return };
                    let result = children.run(&series[index].path, seed);
                    print(format_args!("{}\n", progress(&series[index], seed, &result)));
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((index, seed, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, seed, _)| (*index, *seed));
    for (index, seed, result) in done {
        series[index].runs.push((seed, result));
    }

    let table = table(&series, args);
    print(format_args!("\n{table}"));
    if let Some(path) = &args.out {
        std::fs::write(path, page(&table, args)).map_err(|source| CalibrateError::Write {
            path: path.clone(),
            source,
        })?;
    }
    Ok(series.iter().all(good))
}

fn specs_in(folder: &Path) -> Result<Vec<PathBuf>, CalibrateError> {
    let failed = |source| CalibrateError::Folder {
        path: folder.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_toml = path.extension().is_some_and(|extension| extension == "toml");
        if is_toml && !path.ends_with(SYSTEM_FILE) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn progress(series: &Series, seed: u64, result: &Result<VerdictFile, String>) -> String {
    let said = match result {
        Ok(verdict) => verdict.summary.clone(),
        Err(error) => format!("harness failure: {error}"),
    };
    format!("{:<28} seed {seed:<4} {said}", series.spec.name)
}

fn count(series: &Series, overall: Overall) -> usize {
    series
        .runs
        .iter()
        .filter(|(_, run)| run.as_ref().is_ok_and(|verdict| verdict.overall == overall))
        .count()
}

fn good(series: &Series) -> bool {
    let total = series.runs.len();
    match series.defect {
        false => count(series, Overall::Held) == total,
        true => count(series, Overall::Violated) as f64 >= DETECTION_MIN * total as f64,
    }
}

/// Median of what `of` gives for the runs that have it.
fn median(series: &Series, of: impl Fn(&VerdictFile) -> Option<f64>) -> Option<f64> {
    let mut values: Vec<f64> = series
        .runs
        .iter()
        .filter_map(|(_, run)| of(run.as_ref().ok()?))
        .collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Seconds from the first operation under load to the last operation of the first witness.
fn seconds_to_violation(verdict: &VerdictFile) -> Option<f64> {
    let witness = verdict
        .properties
        .iter()
        .find_map(|property| match &property.verdict {
            Verdict::Violated { witness } => Some(witness),
            _ => None,
        })?;
    let end = witness
        .operations
        .iter()
        .filter_map(|operation| operation.completed)
        .max()?;
    let start = verdict
        .phases
        .iter()
        .find(|phase| phase.name == "warm-up")
        .map_or(0, |phase| phase.start);
    Some(end.saturating_sub(start) as f64 / 1e9)
}

fn table(series: &[Series], args: &Args) -> String {
    let mut text = String::from(
        "### Correct: must hold\n\n\
         | spec | runs | held | violated (false alarms) | inconclusive | harness failures | ok operations, median | faults verified, median |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let number = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.0}"));
    for series in series.iter().filter(|series| !series.defect) {
        let (held, violated) = (count(series, Overall::Held), count(series, Overall::Violated));
        let inconclusive = count(series, Overall::Inconclusive);
        let total = series.runs.len();
        text.push_str(&format!(
            "| `{}` | {total} | {held} | {violated} | {inconclusive} | {} | {} | {} |\n",
            series.spec.name,
            total - held - violated - inconclusive,
            number(median(series, |verdict| Some(
                verdict.evidence.operations.ok as f64
            ))),
            number(median(series, |verdict| Some(
                verdict.evidence.faults_verified as f64
            ))),
        ));
    }
    text.push_str(
        "\n### Known defects: must be found\n\n\
         | defect | what it is | violated | runs | found | seconds of load until the violation, median | length of the part under faults |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for series in series.iter().filter(|series| series.defect) {
        let (name, what) = defect(&series.spec);
        let seconds = median(series, seconds_to_violation);
        text.push_str(&format!(
            "| `{name}` | {what} | {} | {} | {} | {} | {} |\n",
            properties_violated(series),
            series.runs.len(),
            count(series, Overall::Violated),
            seconds.map_or("–".to_owned(), |seconds| format!("{seconds:.1}")),
            series.spec.time.faults,
        ));
    }
    let planted = |name: &str| {
        let defects = |series: &Series| series.spec.cluster.defects().iter().any(|defect| defect == name);
        series.iter().any(defects)
    };
    // A folder of specs for the specimen has to account for all that can be planted in it.
    if args.only.is_none() && Defect::ALL.iter().any(|defect| planted(defect.name())) {
        for defect in Defect::ALL.iter().filter(|defect| !planted(defect.name())) {
            text.push_str(&format!(
                "| `{}` | {} | – | 0 | not measured: revealed by {} | – | – |\n",
                defect.name(),
                defect.what(),
                defect.revealed_by()
            ));
        }
    }
    text
}

/// Name of what a spec is to find, and what it is.
fn defect(spec: &Spec) -> (String, String) {
    let planted = spec.cluster.defects().join(", ");
    match Defect::ALL.iter().find(|defect| defect.name() == planted) {
        Some(defect) => (planted, defect.what().to_owned()),
        None => (spec.name.clone(), spec.description.clone()),
    }
}

/// Names of the properties that any run of a series violated.
fn properties_violated(series: &Series) -> String {
    let properties = (series.runs.iter())
        .filter_map(|(_, run)| run.as_ref().ok())
        .flat_map(|verdict| &verdict.properties);
    let violated: BTreeSet<&str> = properties
        .filter(|property| matches!(property.verdict, Verdict::Violated { .. }))
        .map(|property| property.property.as_str())
        .collect();
    if violated.is_empty() {
        return "–".to_owned();
    }
    violated.into_iter().collect::<Vec<_>>().join(", ")
}

fn page(table: &str, args: &Args) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "# Calibration\n\n\
         How often Duress raises a false alarm on a correct system, and how often it finds a defect that is known to be\n\
         there. Written by `duress calibrate {} --seeds {} --defect-seeds {} --jobs {}`, seeds from {}, on a machine with\n\
         {cores} cores. Each row is a spec in that folder; any of its runs can be done again with\n\
         `duress run SPEC --seed N`.\n\n{table}",
        args.specs.display(),
        args.seeds,
        args.defect_seeds,
        args.jobs,
        args.first_seed,
    )
}
