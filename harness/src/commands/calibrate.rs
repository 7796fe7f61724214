//! `duress calibrate`: what is detected, and how reliably.
//!
//! Every spec in the folder must be held on every seed: anything else is a false alarm or a run without worth. Every spec
//! in its subfolder `defects` must be violated. Each run is a process of its own, as a user would start it.
//!
//! A defect that is not found was *never triggered*, or *triggered and not seen*: systems made for calibration count what their defects
//! do (`diverged` in their statuses). And a spec that finds a defect must hold without it: its *control*.

mod interval;
mod table;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use duress_results::verdict_file::{Overall, VerdictFile};

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

/// What is to come of the runs of a spec.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// Each must hold.
    Correct,
    /// A defect must be found.
    Defect,
    /// The spec of a defect without it: each must hold.
    Control,
}

/// One spec, and what its runs came to.
struct Series {
    path: PathBuf,
    spec: Spec,
    sort: Sort,
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
    /// Seeds for each defect's spec without the defect: it must hold
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=SEEDS_MAX))]
    pub control_seeds: u64,
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
    for (folder, sort) in [
        (args.specs.clone(), Sort::Correct),
        (args.specs.join("defects"), Sort::Defect),
    ] {
        for path in specs_in(&folder)? {
            let (spec, ..) = Source::read(&path)?.resolve()?;
            if args
                .only
                .as_ref()
                .is_none_or(|only| spec.name.contains(only.as_str()))
            {
                if sort == Sort::Defect && args.control_seeds > 0 && !spec.cluster.defects().is_empty() {
                    series.push(control(&spec, &args.runs)?);
                }
                series.push(Series {
                    path,
                    spec,
                    sort,
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
                let count = match series.sort {
                    Sort::Correct => args.seeds,
                    Sort::Defect => args.defect_seeds,
                    Sort::Control => args.control_seeds,
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

    let table = table::table(&series, args.only.is_none());
    print(format_args!("\n{table}"));
    if let Some(path) = &args.out {
        std::fs::write(path, page(&table, args)).map_err(|source| CalibrateError::Write {
            path: path.clone(),
            source,
        })?;
    }
    Ok(series.iter().all(good))
}

/// The spec of a defect without the defect. It is kept below `runs`, where the runs of its name are.
fn control(spec: &Spec, runs: &Path) -> Result<Series, CalibrateError> {
    let mut spec = spec.clone();
    spec.name.push_str("-control");
    spec.cluster.switch_defects_off();
    let folder = runs.join("runs").join(&spec.name);
    let path = folder.join("spec.toml");
    let text = toml::to_string(&spec).map_err(std::io::Error::other);
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, text?));
    match written {
        Ok(()) => Ok(Series {
            path,
            spec,
            sort: Sort::Control,
            runs: Vec::new(),
        }),
        Err(source) => Err(CalibrateError::Write { path, source }),
    }
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
    match series.sort {
        Sort::Correct | Sort::Control => count(series, Overall::Held) == total,
        Sort::Defect => count(series, Overall::Violated) as f64 >= DETECTION_MIN * total as f64,
    }
}

fn page(table: &str, args: &Args) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "# Calibration\n\n\
         How often Duress raises a false alarm on a correct system, and how often it finds a defect that is known to be\n\
         there. Written by `duress calibrate {} --seeds {} --defect-seeds {} --control-seeds {} --jobs {}`, seeds from {}, on a\n\
         machine with {cores} cores. Each row is a spec in that folder; any of its runs can be done again with\n\
         `duress run SPEC --seed N`. In brackets is what so many runs allow to say with 95 % confidence (Clopper–Pearson).\n\n{table}",
        args.specs.display(),
        args.seeds,
        args.defect_seeds,
        args.control_seeds,
        args.jobs,
        args.first_seed,
    )
}
